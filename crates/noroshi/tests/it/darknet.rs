//! A telescope's capture, from the command line: who sent what, how much was read, and what is damaged.

use std::io::Write as _;
use std::path::Path;
use std::process::Output;

use etherparse::PacketBuilder;

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
