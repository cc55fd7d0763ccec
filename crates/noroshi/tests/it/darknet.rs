//! A telescope's capture, from the command line: who sent what, how much was read, and what is damaged.

use std::io::Write as _;
use std::path::Path;
use std::process::Output;

use etherparse::PacketBuilder;
#[cfg(target_os = "linux")]
use noroshi_wire::batch::{self, BatchName, Run};
#[cfg(target_os = "linux")]
use noroshi_wire::capture::Frames;

use crate::world::{last_json, noroshi, text};

/// A capture (pcap, nanoseconds, raw IP) of these packets, a second apart from 2026-11-27T00:00:00Z on.
fn pcap(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"\x4d\x3c\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x65\0\0\0".to_vec();
    for (packet, n) in packets.iter().zip(0u32..) {
        for value in [1_795_737_600 + n, 5, packet.len() as u32, packet.len() as u32] {
            file.extend(value.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

fn packets() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut add = |from: [u8; 4], to: u8, answers: bool| {
        let to = [198, 18, 0, to];
        let sequence = u32::from_be_bytes(to);
        let tcp =
            PacketBuilder::ipv4(from, to, 50).tcp(4711, 23, if answers { 1 } else { sequence }, 900).syn();
        let mut bytes = Vec::new();
        if answers { tcp.ack(7) } else { tcp }.write(&mut bytes, &[]).unwrap();
        all.push(bytes);
    };
    (1..=3).for_each(|n| add([203, 0, 113, 7], n, false));
    (1..=5).for_each(|n| add([192, 0, 2, 80], n, true));
    // In our own name, to somebody else, and no packet at all.
    add([198, 18, 0, 99], 9, false);
    let mut other = all[0].clone();
    other[16..20].copy_from_slice(&[203, 0, 113, 1]);
    all.extend([other, vec![0x45; 9]]);
    all
}

fn replay(folder: &Path, files: &[&str], more: &[&str]) -> Output {
    let fixed = ["darknet", "replay", "--network", "198.18.0.0/16", "--json"];
    noroshi(folder).current_dir(folder).args(fixed).args(more).args(files).output().unwrap()
}

#[test]
fn who_sent_what_is_told_of_captures_plain_and_packed() {
    let folder = tempfile::tempdir().unwrap();
    let capture = pcap(&packets());
    std::fs::write(folder.path().join("night.pcap"), &capture).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&capture).unwrap();
    std::fs::write(folder.path().join("night.pcap.gz"), packed.finish().unwrap()).unwrap();
    for file in ["night.pcap", "night.pcap.gz"] {
        let output = replay(folder.path(), &[file], &["--sources", "out.csv"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let told = last_json(&text(&output.stdout));
        assert_eq!((&told["packets"], &told["ours"], &told["elsewhere"]), (&11.into(), &9.into(), &1.into()));
        assert_eq!((&told["not_read"]["cut"], &told["sources"]), (&1.into(), &3.into()));
        assert_eq!(told["classes"]["spoofed"]["packets"], 1);
        assert_eq!(told["classes"]["backscatter"], serde_json::json!({ "sources": 1, "packets": 5 }));
        assert_eq!(told["tools"]["mirai"], serde_json::json!({ "sources": 1, "packets": 3 }));
        assert_eq!(told["research"]["listed"]["sources"], 0);
        assert_eq!(told["first"], "2026-11-27T00:00:00.000000005Z");
        let csv = std::fs::read_to_string(folder.path().join("out.csv")).unwrap();
        assert_eq!(
            csv.lines().collect::<Vec<_>>(),
            [
                "ip,class,tool,packets,first,last",
                "192.0.2.80,backscatter,,5,2026-11-27T00:00:03.000000005Z,2026-11-27T00:00:07.000000005Z",
                "203.0.113.7,scanner,mirai,3,2026-11-27T00:00:00.000000005Z,2026-11-27T00:00:02.000000005Z",
            ]
        );
    }
}

#[test]
fn addresses_for_others_are_different_ones_with_the_same_prefixes_and_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("night.pcap"), pcap(&packets())).unwrap();
    let wished = ["--organisation", "all=0.0.0.0/0", "--sources", "out.csv", "--anonymise"];
    let told = || {
        let output = replay(folder.path(), &["night.pcap"], &wished);
        assert!(output.status.success(), "{}", text(&output.stderr));
        (text(&output.stdout), std::fs::read_to_string(folder.path().join("out.csv")).unwrap())
    };
    let (json, csv) = told();
    for secret in ["198.18.", "203.0.113.7", "192.0.2.80"] {
        assert!(!json.contains(secret) && !csv.contains(secret), "{secret}: {json} {csv}");
    }
    let listed: Vec<_> = csv.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    let alerts = last_json(&json)["alerts"].clone();
    let alerted: Vec<_> =
        alerts.as_array().unwrap().iter().map(|alert| alert["ip"].as_str().unwrap()).collect();
    assert!(
        listed.len() == 2 && !alerted.is_empty() && alerted.iter().all(|ip| listed.contains(ip)),
        "{alerts} {csv}"
    );
    assert_eq!((alerts[0]["class"].as_str(), told().1), (Some("scanner"), csv));
}

#[test]
fn what_is_damaged_counts_as_far_as_it_goes_and_says_where_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let capture = pcap(&packets());
    std::fs::write(folder.path().join("whole.pcap"), &capture).unwrap();
    std::fs::write(folder.path().join("cut.pcap"), &capture[..24 + 2 * 56 + 20]).unwrap();
    std::fs::write(folder.path().join("page.html"), "<!DOCTYPE html>").unwrap();
    let output = replay(folder.path(), &["cut.pcap", "page.html", "gone.pcap", "whole.pcap"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let (told, said) = (last_json(&text(&output.stdout)), text(&output.stderr));
    let files: Vec<_> =
        told["files"].as_array().unwrap().iter().map(|file| file["packets"].as_u64().unwrap()).collect();
    assert_eq!((files, &told["packets"]), (vec![2, 0, 0, 11], &13.into()));
    for line in [
        "cut.pcap: cut off: what begins at byte 136 is not whole",
        "page.html: this is no capture",
        "gone.pcap cannot be read",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

/// SYNs of one second each, of these senders in turn, then a botnet: a new sender every other second, from a network of its own.
fn with_a_botnet() -> Vec<(u32, Vec<u8>)> {
    let syn = |from: [u8; 4], to: [u8; 4], port: u16, mirai: bool| {
        let sequence = if mirai { u32::from_be_bytes(to) } else { 1 };
        let mut bytes = Vec::new();
        PacketBuilder::ipv4(from, to, 50)
            .tcp(4711, port, sequence, 900)
            .syn()
            .write(&mut bytes, &[])
            .unwrap();
        bytes
    };
    let noise = (0..1200u32).map(|n| (n, syn([100, 1, 2, (n % 50) as u8], [198, 18, 1, n as u8], 22, false)));
    let bots =
        (0..60u32).map(|n| (900 + 2 * n, syn([60 + n as u8, 7, 7, 7], [198, 18, 2, n as u8], 49152, true)));
    let member = [(950, syn([203, 0, 113, 9], [198, 18, 3, 3], 23, true))];
    // Somebody is flooded in invented names, ours among them.
    let answers = (0..30u32).map(|n| {
        let mut bytes = Vec::new();
        let tcp = PacketBuilder::ipv4([192, 0, 2, 80], [198, 18, 4, n as u8], 50).tcp(80, 999, 1, 900);
        tcp.syn().ack(7).write(&mut bytes, &[]).unwrap();
        (300 + 10 * n, bytes)
    });
    let mut all: Vec<_> = noise.chain(bots).chain(member).chain(answers).collect();
    all.sort();
    all
}

#[test]
fn a_campaign_an_attack_and_an_organisations_address_are_told_by_one_thread_as_by_many() {
    let folder = tempfile::tempdir().unwrap();
    let mut capture = pcap(&[]);
    for (at_s, packet) in with_a_botnet() {
        for value in [1_795_737_600 + at_s, 0, packet.len() as u32, packet.len() as u32] {
            capture.extend(value.to_le_bytes());
        }
        capture.extend(packet);
    }
    std::fs::write(folder.path().join("night.pcap"), capture).unwrap();
    let mut told = Vec::new();
    for threads in ["1", "4"] {
        let wished = ["--organisation", "city=203.0.113.0/24", "--threads", threads];
        let output = replay(folder.path(), &["night.pcap"], &wished);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let json = last_json(&text(&output.stdout));
        told.push(["alerts", "campaigns", "victims"].map(|list| json[list].clone()));
    }
    assert_eq!(told[0], told[1]);
    let [alerts, campaigns, victims] = &told[0];
    assert_eq!(
        *alerts,
        serde_json::json!([{
            "organisation": "city", "ip": "203.0.113.9", "role": "sender", "class": "scanner", "tool": null,
            "protocol": "tcp", "port": 23, "packets": 1,
            "first": "2026-11-27T00:15:50Z", "alerted": "2026-11-27T00:15:50Z",
        }])
    );
    let [campaign] = campaigns.as_array().unwrap().as_slice() else { panic!("{campaigns}") };
    assert_eq!((&campaign["port"], &campaign["tool"]), (&49152.into(), &"mirai".into()));
    assert_eq!((&campaign["onset"], &campaign["sources"]), (&"2026-11-27T00:15:00Z".into(), &60.into()));
    assert!(campaign["alerted_sources"].as_u64().unwrap() <= 20, "{campaign}");
    let [victim] = victims.as_array().unwrap().as_slice() else { panic!("{victims}") };
    assert_eq!((&victim["ip"], &victim["packets"]), (&"192.0.2.80".into(), &30.into()));
    assert_eq!((&victim["ports"][0], &victim["goes_on"]), (&"tcp/80".into(), &false.into()));
    let bad = replay(folder.path(), &["night.pcap"], &["--organisation", "203.0.113.0/24"]);
    assert!(text(&bad.stderr).contains("an organisation is NAME=PREFIX"), "{}", text(&bad.stderr));
}

#[cfg(target_os = "linux")]
pub fn ip(args: &[&str]) -> bool {
    std::process::Command::new("ip").args(args).output().is_ok_and(|output| output.status.success())
}

/// Does it in a network of its own, where nobody else sends anything; not at all where that is not allowed.
#[cfg(target_os = "linux")]
pub fn in_a_network_of_its_own(what: impl FnOnce() + Send + 'static) {
    use nix::sched::{CloneFlags, unshare};
    let thread = std::thread::spawn(|| match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) if ip(&["link", "set", "lo", "up"]) => what(),
        Ok(()) => println!("not run: there is no iproute2 here"),
        Err(error) => println!("not run: a network of its own cannot be made here ({error})"),
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// What was kept for history: the run and number of each batch, and the packets of all, in order.
#[cfg(target_os = "linux")]
pub fn kept(folder: &Path) -> (Vec<(Run, u64)>, Vec<Vec<u8>>) {
    let (mut batches, mut packets, mut frames) = (Vec::new(), Vec::new(), Frames::default());
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "batch")).collect();
    files.sort();
    for path in files {
        let head = batch::read(&std::fs::read(&path).unwrap(), &mut frames).unwrap();
        assert_eq!(path.file_name().unwrap().to_str().unwrap(), BatchName::of(&head).to_string());
        batches.push((head.run, head.number));
        packets.extend(frames.iter().map(|frame| frame.bytes.to_vec()));
    }
    (batches, packets)
}

/// Datagrams over the loopback to addresses of this host that nobody uses, watched by as many threads.
#[cfg(target_os = "linux")]
fn watched(folder: &Path, threads: &str, datagrams: u32) -> Option<serde_json::Value> {
    let fixed = ["darknet", "live", "--interface", "lo", "--network", "127.77.0.0/16", "--json"];
    let mut child = noroshi(folder)
        .args(fixed)
        .args(["--threads", threads, "--organisation", "here=127.0.0.0/8", "--every-s", "1"])
        .arg("--keep")
        .arg(folder.join("kept"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("watching lo") {
        line.clear();
        if std::io::BufRead::read_line(&mut said, &mut line).unwrap() == 0 || line.contains("CAP_NET_RAW") {
            println!("not run: {line}");
            child.wait().unwrap();
            return None;
        }
    }
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 0..datagrams {
        // Nobody is there: what comes back is the host's own, and not of the telescope.
        let to = std::net::Ipv4Addr::new(127, 77, (n / 200) as u8, (n % 200) as u8 + 1);
        let _refused = socket.send_to(b"anybody?", (to, 5060));
    }
    std::thread::sleep(std::time::Duration::from_millis(1500));
    std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let lines = text(&output.stdout);
    assert!(
        lines
            .lines()
            .any(|line| line.starts_with("{\"alert\":{\"organisation\":\"here\",\"ip\":\"127.0.0.1\""))
    );
    assert!(lines.lines().any(|line| line.starts_with("{\"status\":")));
    assert!(lines.contains(&format!("\"packets\":{datagrams},\"not_kept\":0")), "{lines}");
    Some(last_json(&lines))
}

#[cfg(target_os = "linux")]
#[test]
fn an_interface_is_watched_and_every_packet_is_seen_once_by_however_many_threads() {
    in_a_network_of_its_own(|| {
        let folder = tempfile::tempdir().unwrap();
        for threads in ["1", "3"] {
            let Some(told) = watched(folder.path(), threads, 500) else { return };
            let counted = (&told["ours"], &told["dropped"], &told["sources"]);
            assert_eq!(counted, (&500.into(), &0.into(), &1.into()));
            assert_eq!(told["classes"]["spoofed"]["packets"], 500, "nobody on the Internet has 127.0.0.1");
        }
        // Of both starts, each packet once, in runs of their own.
        let (batches, mut packets) = kept(&folder.path().join("kept"));
        let of_run = |run| batches.iter().filter(move |(of, _)| *of == run).map(|(_, number)| *number);
        let runs: std::collections::BTreeSet<_> = batches.iter().map(|(run, _)| *run).collect();
        assert_eq!(runs.len(), 2);
        runs.into_iter().for_each(|run| assert!(of_run(run).eq(0..of_run(run).count() as u64)));
        assert_eq!(packets.len(), 1000);
        packets.iter_mut().for_each(|packet| *packet = packet[16..20].to_vec());
        packets.sort();
        packets.dedup();
        assert_eq!(packets.len(), 500, "each address was asked once by either");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn an_interface_that_is_not_there_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["noroshi-none", "../../etc"] {
        let output = noroshi(folder.path()).args(["darknet", "live", "--interface", name]).output().unwrap();
        assert!(!output.status.success() && text(&output.stderr).contains(name), "{}", text(&output.stderr));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_interface_that_goes_away_is_told_of_and_ends_it() {
    in_a_network_of_its_own(|| {
        assert!(ip(&["link", "add", "noroshi-t0", "type", "veth", "peer", "name", "noroshi-t1"]));
        assert!(ip(&["link", "set", "noroshi-t0", "up"]) && ip(&["link", "set", "noroshi-t1", "up"]));
        let folder = tempfile::tempdir().unwrap();
        let mut child = noroshi(folder.path())
            .args(["darknet", "live", "--interface", "noroshi-t0", "--json", "--stop-after-s", "60"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        // Down and up again is no end.
        assert!(ip(&["link", "set", "noroshi-t0", "down"]));
        std::thread::sleep(std::time::Duration::from_millis(700));
        assert!(child.try_wait().unwrap().is_none(), "it waits while the interface is down");
        assert!(ip(&["link", "set", "noroshi-t0", "up"]) && ip(&["link", "del", "noroshi-t0"]));
        let output = child.wait_with_output().unwrap();
        std::io::Read::read_to_string(&mut said, &mut line).unwrap();
        assert!(!output.status.success() && line.contains("noroshi-t0: the interface is gone"), "{line}");
        let cpu_s = last_json(&text(&output.stdout))["cpu_s"].as_f64().unwrap();
        assert!(cpu_s < 1.5, "it does not wait by going round: {cpu_s} s");
    });
}
