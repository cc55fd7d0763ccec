//! How fast seized logs, the sources of assignments and sensors' batches are read, and addresses made into others: items per second of
//! one core.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use divan::counter::ItemsCount;
use noroshi_wire::batch;
use noroshi_wire::capture::{Frame, Frames, LinkType};
use noroshi_wire::cgn::{CgnFormat, CgnMake, read_cgn};
use noroshi_wire::cryptopan::CryptoPan;
use noroshi_wire::dhcp::LeaseFormat;
use noroshi_wire::kea::{KeaLegalFormat, read_kea_leases, read_kea_legal};
use noroshi_wire::nat_rules::NatRules;
use noroshi_wire::radius::{Attribute, Packet, Secret, read_packet};
use noroshi_wire::{SeizedFormat, Status, read_detail, read_seized};

fn main() {
    divan::main();
}

fn seized_log(lines: u32) -> String {
    let mut text = String::from("time,ip,port,bot\n");
    for n in 0..lines {
        let (h, m, s) = (n / 3600 % 24, n / 60 % 60, n % 60);
        text.push_str(&format!(
            "2026-11-20T{h:02}:{m:02}:{s:02}+09:00,198.51.100.{},{},{n:08x}\n",
            n % 256,
            n % 65_536
        ));
    }
    text
}

/// Cost per line stays flat: 10 and 100 times the lines.
#[divan::bench(args = [1_000, 10_000, 100_000])]
fn seized(bencher: divan::Bencher<'_, '_>, lines: u32) {
    let text = seized_log(lines);
    bencher.counter(ItemsCount::new(lines)).bench(|| {
        let rows = read_seized(text.as_bytes(), &SeizedFormat::default());
        rows.filter(|row| matches!(row, Ok(Ok(_)))).count()
    });
}

#[divan::bench(args = [1_000, 10_000, 100_000])]
fn radius_detail(bencher: divan::Bencher<'_, '_>, records: u32) {
    let mut text = String::new();
    for n in 0..records {
        text.push_str(&format!(
            "Sun Nov 22 11:07:52 2026\n\tAcct-Status-Type = Start\n\tUser-Name = \"sub{n}@example.ne.jp\"\n\
             \tAcct-Session-Id = \"{n:08X}\"\n\tNAS-IP-Address = 192.0.2.1\n\tFramed-IP-Address = 198.51.100.{}\n\
             \tAcct-Delay-Time = 0\n\tEvent-Timestamp = \"Nov 22 2026 02:00:00 UTC\"\n\tTimestamp = 1795345672\n\n",
            n % 256
        ));
    }
    bencher
        .counter(ItemsCount::new(records))
        .bench(|| read_detail(text.as_bytes()).filter(|record| matches!(record, Ok(Ok(_)))).count());
}

/// One datagram: secret, authenticator, meaning, seal; with and without Message-Authenticator.
#[divan::bench(args = [false, true])]
fn radius_packet(bencher: divan::Bencher<'_, '_>, message_authenticator: bool) {
    let secret = Secret::try_from(b"a secret of usual length".to_vec()).expect("a secret");
    let request = Packet::accounting(1)
        .status(Status::Interim)
        .text(Attribute::UserName, "sub000123@example.ne.jp")
        .text(Attribute::AcctSessionId, "0000A1B2-66C0")
        .v4(Attribute::NasIpAddress, Ipv4Addr::new(192, 0, 2, 1))
        .v4(Attribute::FramedIpAddress, Ipv4Addr::new(198, 51, 100, 77))
        .prefix(Attribute::DelegatedIpv6Prefix, "2001:db8:12:3400::/56".parse().expect("a prefix"))
        .number(Attribute::AcctSessionTime, 300)
        .number(Attribute::AcctDelayTime, 0)
        .number(Attribute::EventTimestamp, 1_795_345_672);
    let request = if message_authenticator { request.with_message_authenticator() } else { request };
    let datagram = request.signed(&secret);
    let source = "192.0.2.1:49152".parse().expect("an address");
    let received = "2026-11-22T11:07:52Z".parse().expect("a time");
    bencher.counter(ItemsCount::new(1u32)).bench(|| {
        let request = read_packet(&datagram, source, &secret, received, 1).expect("a packet");
        let response = request.response(&secret);
        (response, request.assignments().is_ok())
    });
}

fn lines(count: u32, line: impl Fn(u32) -> String) -> String {
    (0..count).map(line).collect()
}

fn cgn(bencher: divan::Bencher<'_, '_>, make: CgnMake, count: u32, message: impl Fn(u32) -> String) {
    let line = |n: u32| format!("2026-11-22T20:07:{:02}.123456+09:00 cgn1 {}\n", n % 60, message(n));
    let text = lines(count, line);
    bencher.counter(ItemsCount::new(count)).bench(|| {
        let log = read_cgn(text.as_bytes(), &CgnFormat::of(make), None);
        log.filter(|line| matches!(line, Ok(Ok(told)) if told.len() == 1)).count()
    });
}

#[divan::bench(args = [1_000, 10_000, 100_000])]
fn cgn_juniper(bencher: divan::Bencher<'_, '_>, count: u32) {
    cgn(bencher, CgnMake::Juniper, count, |n| {
        format!(
            "RT_NAT - RT_SRC_NAT_PBA_ALLOC [internal-ip=\"100.64.{}.{}\" block-used=\"1\" block-max-per-host=\"4\" \
             block-port-low=\"48640\" block-port-high=\"48895\" reflexive-ip=\"203.0.113.9\" nat-pool-name=\"guest\" \
             logical-system-id=\"0\" epoch-time-64=\"6a22d0c9\"]",
            n / 256 % 256,
            n % 256
        )
    });
}

#[divan::bench(args = [1_000, 10_000, 100_000])]
fn cgn_cisco(bencher: divan::Bencher<'_, '_>, count: u32) {
    cgn(bencher, CgnMake::Cisco, count, |n| {
        format!("1 - - NAT44 - [UserbasedA - 100.64.0.{} INSIDE - 203.0.113.9 - 2048 3071 - -]", n % 256)
    });
}

#[divan::bench(args = [1_000, 10_000, 100_000])]
fn cgn_nfware(bencher: divan::Bencher<'_, '_>, count: u32) {
    cgn(bencher, CgnMake::Nfware, count, |n| {
        format!("- - - - A VRF 0 INT 100.64.0.{} EXT 203.0.113.9:1024-1535", n % 256)
    });
}

#[divan::bench(args = [1_000, 10_000, 100_000])]
fn kea_leases(bencher: divan::Bencher<'_, '_>, count: u32) {
    let context = r#"{ "ISC": { "relay-agent-info": { "sub-options": "0x0107706F6E2D332F310203743137" } } }"#;
    let header = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n";
    let row = |n: u32| {
        format!("198.51.100.{},00:53:00:00:00:14,,3600,1795349223,1,0,0,cpe{n},0,{context}\n", n % 256)
    };
    let text = header.to_owned() + &lines(count, row);
    bencher.counter(ItemsCount::new(count)).bench(|| {
        let leases = read_kea_leases(text.as_bytes(), &LeaseFormat::default());
        leases.filter(|lease| matches!(lease, Ok(Ok(_)))).count()
    });
}

#[divan::bench(args = [1_000, 10_000, 100_000])]
fn kea_legal(bencher: divan::Bencher<'_, '_>, count: u32) {
    let line = |n: u32| {
        format!(
            "2026-11-22 20:07:03 JST Address: 198.51.100.{} has been renewed for 1 hrs 52 min 15 secs to a device with \
             hardware address: hwtype=1 00:53:00:02:3f:4e, client-id: 17:34:e2:ff:09:92:54 connected via relay at address: \
             192.0.2.33, identified by circuit-id: 68:6f:77:64:79 (howdy) and remote-id: 87:f6:79:77:ef\n",
            n % 256
        )
    };
    let text = lines(count, line);
    bencher.counter(ItemsCount::new(count)).bench(|| {
        let log = read_kea_legal(text.as_bytes(), &KeaLegalFormat::default());
        log.filter(|line| matches!(line, Ok(Ok(_)))).count()
    });
}

/// A question to a MAP domain.
#[divan::bench]
fn nat_rules(bencher: divan::Bencher<'_, '_>) {
    let rules =
        r#"[{"kind":"map-e","ipv6-prefix":"2001:db8::/40","ipv4-prefix":"192.0.2.0/24","ea-length":16}]"#;
    let rules = NatRules::new(serde_json::from_str(rules).expect("rules")).expect("rules that hold");
    let at = "2026-11-22T11:07:52Z".parse().expect("a time");
    let ip = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 18));
    bencher
        .counter(ItemsCount::new(1u32))
        .bench(|| rules.inside(divan::black_box(ip), Some(1232), at).is_ok());
}

/// Packets of a telescope as a sensor sends them: SYNs of many senders to addresses next to each other.
fn packets(count: u32) -> Frames {
    let mut frames = Frames::default();
    for n in 0..count {
        let mut bytes =
            [0x45, 0, 0, 40, 0, 0, 0x40, 0, 50, 6, 0, 0, 60, 7, 0, 0, 198, 18, 0, 0, 0x12, 0x67, 0, 23]
                .into_iter()
                .chain([0; 8])
                .chain([0x50, 2, 4, 0, 0, 0, 0, 0])
                .collect::<Vec<u8>>();
        let hash = n.wrapping_mul(0x9e37_79b9);
        bytes[4..6].copy_from_slice(&hash.to_be_bytes()[..2]);
        bytes[13..16].copy_from_slice(&hash.to_be_bytes()[1..]);
        bytes[18..20].copy_from_slice(&n.to_be_bytes()[2..]);
        bytes[24..28].copy_from_slice(&hash.rotate_left(7).to_be_bytes());
        let at_ns = Some(1_795_737_600_000_000_000 + u64::from(n) * 200_000);
        frames.push(&Frame { at_ns, link: LinkType::RAW, length: 54, bytes: &bytes });
    }
    frames
}

fn batch_head() -> batch::Head {
    let (sensor, run) = ("north".parse().expect("a name"), batch::Run([1; 16]));
    batch::Head { sensor, run, number: 1, before: 1, made_ns: 1, lost: 0, left_out: 0 }
}

#[divan::bench(args = [100, 8192])]
fn batch_write(bencher: divan::Bencher<'_, '_>, count: u32) {
    let (frames, head) = (packets(count), batch_head());
    bencher.counter(ItemsCount::new(count)).bench(|| batch::write(&head, &frames).map(|bytes| bytes.len()));
}

#[divan::bench(args = [100, 8192])]
fn batch_read(bencher: divan::Bencher<'_, '_>, count: u32) {
    let packed = batch::write(&batch_head(), &packets(count)).expect("a batch");
    let mut frames = Frames::default();
    bencher.counter(ItemsCount::new(count)).bench_local(|| batch::read(&packed, &mut frames).is_ok());
}

/// Addresses for others, one after the other.
#[divan::bench]
fn cryptopan_v4(bencher: divan::Bencher<'_, '_>) {
    let pan = CryptoPan::new(b"32-char-str-for-AES-key-and-pad.");
    let all: Vec<Ipv4Addr> = (0..10_000u32).map(|n| n.wrapping_mul(0x9e37_79b9).into()).collect();
    let bencher = bencher.counter(ItemsCount::new(all.len()));
    bencher.bench(|| all.iter().fold(0, |sum, address| sum ^ u32::from(pan.v4(*address))));
}

#[divan::bench]
fn cryptopan_v6(bencher: divan::Bencher<'_, '_>) {
    let pan = CryptoPan::new(b"32-char-str-for-AES-key-and-pad.");
    let all: Vec<Ipv6Addr> =
        (0..10_000u128).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c) << 40).into()).collect();
    let bencher = bencher.counter(ItemsCount::new(all.len()));
    bencher.bench(|| all.iter().fold(0, |sum, address| sum ^ u128::from(pan.v6(*address))));
}

/// The table of a key.
#[divan::bench]
fn cryptopan_key() -> Ipv4Addr {
    CryptoPan::new(divan::black_box(b"32-char-str-for-AES-key-and-pad.")).v4(Ipv4Addr::LOCALHOST)
}
