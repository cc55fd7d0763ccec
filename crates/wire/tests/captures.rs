//! Real captures made by others, where `NOROSHI_TEST_SHARED_DATA` says they lie: each is read to its end, has as many packets as its
//! makers counted, and every Ethernet frame is read as etherparse reads it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use etherparse::{LaxNetSlice, LaxSlicedPacket};
use noroshi_wire::capture::{Capture, LinkType};
use noroshi_wire::csv::{CsvFormat, Records};
use noroshi_wire::lines::{Encoding, Lines};
use noroshi_wire::packet::{NoPacket, Packet, Transport};

/// The captures, with how many packets their makers counted.
fn captures() -> Option<Vec<(PathBuf, u64)>> {
    let folder = Path::new(&std::env::var("NOROSHI_TEST_SHARED_DATA").ok()?).join("pcaps");
    let index = File::open(folder.join("index.csv")).ok()?;
    let lines = Lines::new(std::io::BufReader::new(index), Encoding::default());
    let rows = Records::new(lines, CsvFormat::default(), &["file", "packets"]);
    let row = |record: noroshi_wire::Record| {
        let cell = |name| record.cell(name).unwrap_or_default().to_owned();
        (folder.join(cell("file")), cell("packets").parse().unwrap())
    };
    Some(rows.map(|row| row.unwrap().unwrap()).map(row).filter(|(path, _)| path.exists()).collect())
}

#[test]
fn every_capture_of_others_is_read_to_its_end_as_others_read_it() {
    let Some(captures) = captures() else {
        eprintln!(
            "SKIPPED: no captures in NOROSHI_TEST_SHARED_DATA; `cargo xtask test` sets it where they are"
        );
        return;
    };
    assert!(captures.len() > 50);
    let mut read = BTreeMap::<&str, u64>::new();
    for (path, wanted) in &captures {
        let mut capture = Capture::new(File::open(path).unwrap()).unwrap();
        let mut packets = 0;
        while let Some(frame) = capture.next_frame().unwrap_or_else(|e| panic!("{}: {e}", path.display())) {
            packets += 1;
            assert!(frame.at_ns.is_none_or(|at| at > 0), "{}", path.display());
            let ours = Packet::read(frame.link, frame.bytes);
            let kind = match &ours {
                Ok(Packet { transport: Transport::Tcp(_), .. }) => "tcp",
                Ok(Packet { transport: Transport::Udp(_), .. }) => "udp",
                Ok(Packet { transport: Transport::Icmp(_), .. }) => "icmp",
                Ok(_) => "other",
                Err(NoPacket::Link) => "unknown link",
                Err(NoPacket::NotIp) => "no ip",
                Err(_) => "malformed or cut",
            };
            *read.entry(kind).or_default() += 1;
            if frame.link != LinkType::ETHERNET {
                continue;
            }
            let theirs = LaxSlicedPacket::from_ethernet(frame.bytes).ok().and_then(|packet| packet.net);
            let ends = match theirs {
                Some(LaxNetSlice::Ipv4(ip)) => {
                    [ip.header().source_addr().into(), ip.header().destination_addr().into()]
                }
                Some(LaxNetSlice::Ipv6(ip)) => {
                    [ip.header().source_addr().into(), ip.header().destination_addr().into()]
                }
                _ => continue,
            };
            let ours = ours.map(|packet| [packet.addresses.source(), packet.addresses.destination()]);
            // They forgive a version that is not what the frame says.
            if ours != Err(NoPacket::Malformed) {
                assert_eq!(ours, Ok(ends), "{} packet {packets}", path.display());
            }
        }
        assert_eq!(packets, *wanted, "{}", path.display());
    }
    println!("{read:?}");
    assert!(read["tcp"] > 10_000 && read["udp"] > 10_000 && read["icmp"] > 500, "{read:?}");
    assert!(!read.contains_key("unknown link"), "{read:?}");
}
