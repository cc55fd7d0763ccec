//! The program: a capture taken, taken again, asked about for a purpose, joined, forgotten.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::Path;
use std::process::{Command, Output};

use etherparse::PacketBuilder;
use noroshi_lake::{Lake, MinuteRow, Numbers};

/// A capture of two days of one sender's SYNs and another's datagrams.
fn capture(path: &Path) {
    let mut bytes = Vec::new();
    for value in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        bytes.extend(value.to_le_bytes());
    }
    let midnight = 1_795_737_600_u32;
    for n in 0..40_u32 {
        let at = midnight - 20 + n;
        let mut packet = Vec::new();
        let to = [198, 18, 0, n as u8];
        if n % 4 == 0 {
            PacketBuilder::ipv4([192, 0, 2, 9], to, 50).udp(4000, 53).write(&mut packet, b"x").unwrap();
        } else {
            let builder =
                PacketBuilder::ipv4([192, 0, 2, 7], to, 50).tcp(4000, 23, u32::from_be_bytes(to), 1024);
            builder.syn().write(&mut packet, &[]).unwrap();
        }
        for value in [at, 0, packet.len() as u32, packet.len() as u32] {
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(packet);
    }
    std::fs::write(path, bytes).unwrap();
}

fn lake(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_noroshi-lake"))
        .arg("--lake")
        .arg(folder.join("lake"))
        .args(args)
        .output()
        .unwrap()
}

fn ok(folder: &Path, args: &[&str]) -> String {
    let output = lake(folder, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_capture_is_taken_once_asked_about_for_a_purpose_joined_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let (at, pcap) = (folder.path(), folder.path().join("night.pcap"));
    capture(&pcap);
    let take = ["take", pcap.to_str().unwrap(), "--sensor", "north"];
    for _ in 0..2 {
        let told = ok(at, &take);
        assert!(told.contains("40 packets"), "{told}");
    }
    let ask = |sql: &str| ok(at, &["query", sql, "--purpose", "test", "--by", "aoki", "--format", "csv"]);
    assert_eq!(ask("SELECT count(*) AS n, sum(length) AS b FROM packets"), "n,b\n40,1490\n");
    let senders = "SELECT ip_text(source) AS ip, class, tool, sum(packets) AS n FROM minutes GROUP BY 1, 2, 3 ORDER BY 1";
    assert_eq!(ask(senders), "ip,class,tool,n\n192.0.2.7,scanner,mirai,30\n192.0.2.9,scanner,,10\n");
    let days = ask("SELECT day, hosts, packets FROM ports WHERE destination_port = 23 ORDER BY day");
    assert_eq!(days, "day,hosts,packets\n2026-11-26,1,15\n2026-11-27,1,15\n");
    let log = std::fs::read_to_string(at.join("lake/queries.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 3);
    assert!(log.contains("\"purpose\":\"test\"") && log.contains("\"by\":\"aoki\""));
    for refused in [&["query", "SELECT 1"][..], &["query", "DROP TABLE packets", "--purpose", "x"]] {
        assert!(!lake(at, refused).status.success(), "{refused:?}");
    }
    // A part of the same time again, under the same sensor: its packets would count twice.
    let bytes = std::fs::read(&pcap).unwrap();
    let cut = at.join("cut.pcap");
    std::fs::write(&cut, &bytes[..bytes.len() - 56]).unwrap();
    let again = lake(at, &["take", cut.to_str().unwrap(), "--sensor", "north"]);
    assert!(again.status.success(), "what lies within is there already");
    assert_eq!(ask("SELECT count(*) AS n FROM packets"), "n\n40\n");
    ok(at, &["compact"]);
    assert_eq!(ask("SELECT count(*) AS n FROM packets"), "n\n40\n");
    ok(at, &["forget", "--packets-days", "0", "--minutes-days", "60000"]);
    let left = ok(at, &["list"]);
    assert!(left.contains("minutes"), "{left}");
}

#[test]
fn a_port_that_more_senders_ask_for_from_day_to_day_is_told_and_none_that_stays() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().join("lake")).unwrap();
    let writer = lake.writer().unwrap();
    let first: i64 = 20_600;
    for day in 0..50 {
        let number = u64::try_from(first + day).unwrap();
        let numbers = Numbers::new(number, number).unwrap();
        let mut batch = writer.batch::<MinuteRow>("north".parse().unwrap(), numbers);
        // A tenth more each day for the last fifteen; the others have the same senders, give or take some by the day.
        let rising = (8.0 * 1.1f64.powi(i32::try_from((day - 35).max(0)).unwrap())) as u32;
        let ports =
            (0..60u32).map(|port| (port + 1000, 40 + (port * 7 + u32::try_from(day).unwrap() * 13) % 9));
        for (port, senders) in ports.chain([(49_152, rising)]) {
            for sender in 0..senders {
                batch
                    .push(MinuteRow {
                        minute: (first + day) * 1440 + i64::from(sender),
                        source: std::net::Ipv4Addr::from(0x0900_0000 + port * 65_536 + sender).into(),
                        protocol: 6,
                        destination_port: Some(u16::try_from(port).unwrap()),
                        icmp: None,
                        flags: Some(2),
                        class: "scanner",
                        tool: None,
                        country: None,
                        packets: 3,
                    })
                    .unwrap();
            }
        }
        batch.commit().unwrap();
    }
    drop(writer);
    let until = jiff::Timestamp::from_second((first + 49) * 86_400).unwrap().to_string();
    let args = ["rises", "--until", &until[..10], "--purpose", "a test", "--by", "aoki"];
    let told = ok(folder.path(), &[&args[..], &["--json"]].concat());
    let keys: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!keys.is_empty() && keys.iter().all(|one| one["rise"]["key"] == "tcp/49152"), "{told}");
    assert!(keys[0]["rise"]["now"].as_f64() > keys[0]["rise"]["before"].as_f64());
    assert!(ok(folder.path(), &args).contains("more each day"), "in words");
    // The same from the counts of days that were joined, and when the minutes are gone.
    assert!(ok(folder.path(), &["compact"]).contains("senders of 122 ports and tools counted"));
    let counted = ok(folder.path(), &[&args[..], &["--json"]].concat());
    assert_eq!(counted, told);
    ok(folder.path(), &["forget", "--minutes-days", "0", "--counts-days", "60000"]);
    assert_eq!(ok(folder.path(), &[&args[..], &["--json"]].concat()), told);
    let left = ok(folder.path(), &["list"]);
    assert!(!left.contains("minutes ") && left.matches("counts ").count() > 10, "{left}");
    assert!(!lake_refused(folder.path()), "there is no question without a purpose");
    let log = std::fs::read_to_string(folder.path().join("lake/queries.jsonl")).unwrap();
    assert_eq!(log.matches("rises from").count(), 4);
}

fn lake_refused(folder: &Path) -> bool {
    lake(folder, &["rises"]).status.success()
}
