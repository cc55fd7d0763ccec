//! Senders of every kind, packet by packet.

use etherparse::PacketBuilder;
use noroshi_wire::capture::{Frame, LinkType};
use proptest::prelude::*;

use super::*;

const SENDER: [u8; 4] = [192, 0, 2, 7];

fn at(n: u8) -> [u8; 4] {
    [198, 18, n, n]
}

fn ours() -> Telescope {
    Telescope::new(vec!["198.18.0.0/16".parse().unwrap(), "2001:db8:18::/48".parse().unwrap()])
}

/// IP packets, each at its time in milliseconds.
fn frames(packets: &[(u64, Vec<u8>)]) -> Frames {
    let mut frames = Frames::default();
    for (at_ms, bytes) in packets {
        let (at_ns, length) = (Some(at_ms * 1_000_000), bytes.len() as u32);
        frames.push(&Frame { at_ns, link: LinkType::RAW, length, bytes });
    }
    frames
}

/// What came of some packets.
struct Seen {
    telescope: Telescope,
    counts: Counts,
    arrivals: Vec<Arrival>,
    attacks: Vec<Attack>,
}

impl Seen {
    /// Sees IP packets, each at its time in milliseconds, so many in a batch.
    fn of(telescope: Telescope, packets: &[(u64, Vec<u8>)], batch: usize) -> Self {
        let (mut glance, mut counts) = (Glance::default(), Counts::default());
        let (mut arrivals, mut attacks) = (Vec::new(), Vec::new());
        for (some, turn) in packets.chunks(batch).zip(0..) {
            telescope.look(&frames(some), &mut glance);
            telescope.take(turn, &mut glance);
            counts.add(&glance.counts);
            arrivals.append(&mut glance.news.arrivals);
            attacks.append(&mut glance.news.attacks);
        }
        assert!(counts.adds_up());
        Self { telescope, counts, arrivals, attacks }
    }

    fn sources(&self) -> Vec<(IpAddr, Source)> {
        let mut all = Vec::new();
        self.telescope.each_source(|ip, source| all.push((ip, source.clone())));
        all.sort_by_key(|(ip, _)| *ip);
        all
    }
}

/// Sees IP packets, a second apart.
fn seen(packets: impl IntoIterator<Item = Vec<u8>>) -> Seen {
    let packets: Vec<_> = (1..).map(|n| n * 1000).zip(packets).collect();
    Seen::of(ours(), &packets, 5)
}

fn judged(packets: impl IntoIterator<Item = Vec<u8>>) -> (Class, Option<Tool>) {
    let seen = seen(packets);
    let (ip, source) = seen.sources().remove(0);
    (seen.telescope.class_of(ip, &source), Tool::of(&source))
}

type TcpStep = etherparse::PacketBuilderStep<etherparse::TcpHeader>;

fn tcp(
    n: u8,
    sequence: u32,
    window: u16,
    options: &[u8],
    change: impl FnOnce(TcpStep) -> TcpStep,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let packet = PacketBuilder::ipv4(SENDER, at(n), 50).tcp(4711, 23, sequence, window);
    change(packet).options_raw(options).unwrap().write(&mut bytes, &[]).unwrap();
    bytes
}

fn udp(n: u8, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(SENDER, at(n), 50).udp(ports.0, ports.1).write(&mut bytes, payload).unwrap();
    bytes
}

fn with_id(mut packet: Vec<u8>, id: u16) -> Vec<u8> {
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    packet
}

fn usual(n: u8) -> Vec<u8> {
    tcp(n, 7 + u32::from(n), 64240, &[2, 4, 5, 0xb4, 4, 2, 1, 1], |tcp| tcp.syn())
}

#[test]
fn a_tool_is_named_by_its_mark_and_not_by_one_packet() {
    let mirai = |n| tcp(n, u32::from_be_bytes(at(n)), 999, &[], |tcp| tcp.syn());
    let zmap = |n| with_id(tcp(n, 5, 65535, &[], |tcp| tcp.syn()), 54_321);
    let folded = |n| (u32::from_be_bytes(at(n)) ^ 23 ^ 5) as u16;
    let masscan = move |n| with_id(tcp(n, 5, 1025, &[], |tcp| tcp.syn()), folded(n));
    let nmap = |n| tcp(n, 5, 2048, &[2, 4, 5, 0xb4], |tcp| tcp.syn());
    let bare = |n| tcp(n, 5, 5000, &[], |tcp| tcp.syn());
    type Made = Box<dyn Fn(u8) -> Vec<u8>>;
    let tools: [(Made, Tool); 5] = [
        (Box::new(mirai), Tool::Mirai),
        (Box::new(zmap), Tool::Zmap),
        (Box::new(masscan), Tool::Masscan),
        (Box::new(nmap), Tool::Nmap),
        (Box::new(bare), Tool::NoOptions),
    ];
    for (packet, tool) in &tools {
        assert_eq!(judged((1..9).map(packet)), (Class::Scanner, Some(*tool)));
        assert_eq!(judged([packet(1)]), (Class::Scanner, None), "one may be chance");
        let mixed = (1..9).map(|n| if n % 3 == 0 { packet(n) } else { usual(n) });
        assert_eq!(judged(mixed), (Class::Scanner, None), "most are others");
    }
    assert_eq!(judged((1..9).map(usual)), (Class::Scanner, None));
}

#[test]
fn who_answers_is_never_a_scanner() {
    let syn_ack = |n| tcp(n, 5, 29200, &[2, 4, 5, 0xb4], |tcp| tcp.syn().ack(9));
    let rst = |n| tcp(n, 0, 0, &[], |tcp| tcp.rst().ack(9));
    let unreachable = |n| unreachable(n, SENDER, at(n));
    let echo = |n| {
        let mut bytes = Vec::new();
        PacketBuilder::ipv4(SENDER, at(n), 50).icmpv4_echo_reply(1, 1).write(&mut bytes, &[]).unwrap();
        bytes
    };
    let dns = |n| udp(n, (53, 4711), b"\x12\x34\x84\x00\x00\x01\x00\x09\x00\x00\x00\x00 and so on");
    let ntp = |n| udp(n, (123, 4711), &[&[0x97, 0, 3, 0x2a][..], &[0; 60]].concat());
    let ssdp = |n| udp(n, (1900, 4711), b"HTTP/1.1 200 OK\r\n");
    for packets in [
        (1..9).map(syn_ack).collect::<Vec<_>>(),
        (1..9).map(rst).collect(),
        (1..9).map(unreachable).collect(),
        (1..9).map(echo).collect(),
        (1..9).map(dns).collect(),
        (1..9).map(ntp).collect(),
        (1..9).map(ssdp).collect(),
        vec![syn_ack(1)],
    ] {
        assert_eq!(judged(packets), (Class::Backscatter, None));
    }
}

#[test]
fn questions_with_large_answers_tell_who_looks_for_amplifiers() {
    let questions: [(u16, &[u8]); 8] = [
        (53, b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x07example\x03com\x00\x00\xff\x00\x01"),
        (123, b"\x17\x00\x03\x2a\x00\x00\x00\x00"),
        (1900, b"M-SEARCH * HTTP/1.1\r\n"),
        (11211, b"\x00\x01\x00\x00\x00\x01\x00\x00stats\r\n"),
        (389, b"\x30\x25\x02\x01\x01\x63\x20"),
        (161, b"\x30\x26\x02\x01\x01\x04\x06public"),
        (19, b"\x01"),
        (3283, b"\x00\x14\x00\x00"),
    ];
    for (port, question) in questions {
        assert_eq!(
            judged((1..9).map(|n| udp(n, (4711, port), question))),
            (Class::AmplifierProbe, None),
            "{port}"
        );
    }
    let client = [&[0x23][..], &[0; 47]].concat();
    assert_eq!(
        judged((1..9).map(|n| udp(n, (123, 123), &client))).0,
        Class::Scanner,
        "asks for the time, of many"
    );
}

#[test]
fn the_same_to_many_is_a_look_around_and_something_else_to_each_is_not() {
    assert_eq!(judged((1..9).map(|n| udp(n, (9, 5060), b"OPTIONS sip:x"))).0, Class::Scanner);
    assert_eq!(judged((1..9).map(|n| udp(n, (9, 6881), &[n; 20]))).0, Class::Misconfiguration);
    assert_eq!(
        judged((1..9).map(|_| udp(3, (9, 514), b"<13>the same"))).0,
        Class::Misconfiguration,
        "to one"
    );
    let ack = |n| tcp(n, 5, 900, &[], |tcp| tcp.ack(7));
    assert_eq!(judged((1..9).map(ack)).0, Class::Misconfiguration);
    for change in [|tcp: TcpStep| tcp.fin(), |tcp: TcpStep| tcp, |tcp: TcpStep| tcp.fin().psh().urg(0)] {
        assert_eq!(
            judged((1..9).map(|n| tcp(n, 5, 900, &[], change))).0,
            Class::Scanner,
            "by what does not come back"
        );
    }
}

#[test]
fn an_address_that_nobody_has_is_not_the_senders() {
    for from in
        [[10, 0, 0, 1], [127, 0, 0, 1], [198, 18, 9, 9], [240, 0, 0, 1], [0, 0, 0, 0], [100, 64, 0, 1]]
    {
        let mut packet = usual(1);
        packet[12..16].copy_from_slice(&from);
        assert_eq!(judged([packet]).0, Class::Spoofed, "{from:?}");
    }
}

#[test]
fn a_sender_is_described_by_ports_rate_spread_and_times() {
    let seen = seen((0..120).map(|n| {
        let mut packet = usual(n);
        if n % 3 == 0 {
            packet[22..24].copy_from_slice(&(1000 + u16::from(n)).to_be_bytes());
        }
        packet
    }));
    let (ip, source) = seen.sources().remove(0);
    assert_eq!((ip.to_string(), source.packets, source.port), ("192.0.2.7".into(), 120, 23));
    assert_eq!((source.first_ns, source.last_ns), (1_000_000_000, 120_000_000_000));
    assert!((source.rate().unwrap() - 120.0 / 119.0).abs() < 1e-9);
    assert!((30..60).contains(&source.ports()), "41 are {}", source.ports());
    assert!((80..200).contains(&source.destinations()), "120 are {}", source.destinations());
    let first: Vec<_> = seen.arrivals.iter().take(3).map(|new| new.asked.unwrap().port).collect();
    assert_eq!(first, [1000, 23, 1003], "each port is new once");
    assert!((30..=41).contains(&seen.arrivals.len()), "41 are {}", seen.arrivals.len());
}

#[test]
fn what_is_not_ours_or_has_no_room_is_counted_and_not_told_apart() {
    let elsewhere = {
        let mut packet = usual(1);
        packet[16..20].copy_from_slice(&[203, 0, 113, 1]);
        packet
    };
    let counts = seen([usual(1), elsewhere, vec![0x60; 7], vec![0; 40]]).counts;
    let not_read = NotRead { cut: 1, malformed: 1, ..NotRead::default() };
    assert_eq!((counts.packets, counts.elsewhere, counts.not_read), (1, 1, not_read));
    let many: Vec<_> = (0..10_000u32)
        .map(|n| {
            let mut packet = usual(1);
            packet[12..16].copy_from_slice(&(0x0100_0000 + n % 5000).to_be_bytes());
            (0, packet)
        })
        .collect();
    let small = Seen::of(Telescope::with_room_for(ours().networks, 1600), &many, 100);
    assert_eq!((small.telescope.len(), small.counts.beyond), (1600, 6800));
    let beyond = small.telescope.beyond();
    assert!((3230..3570).contains(&beyond), "3400 are estimated as {beyond}");
}

/// A router says that what was sent to `victim` in the name of one of our addresses did not get there.
fn unreachable(n: u8, victim: [u8; 4], named: [u8; 4]) -> Vec<u8> {
    let mut quoted = udp(n, (4711, 53), b"");
    quoted[12..16].copy_from_slice(&named);
    quoted[16..20].copy_from_slice(&victim);
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(SENDER, at(n), 50).icmpv4_raw(3, 1, [0; 4]).write(&mut bytes, &quoted).unwrap();
    bytes
}

#[test]
fn who_is_attacked_is_whom_the_packets_were_sent_to_and_not_the_router_that_answers() {
    let victim = [192, 0, 2, 99];
    let every_ten_seconds = |make: &dyn Fn(u8) -> Vec<u8>| -> Vec<_> {
        (1..20u8).map(|n| (u64::from(n) * 10_000, make(n))).collect()
    };
    let attack = every_ten_seconds(&|n| unreachable(n, victim, at(n)));
    for batch in [1, 4, 100] {
        let told = Seen::of(ours(), &attack, batch).attacks;
        assert_eq!((told.len(), told[0].victim, told[0].goes_on), (1, IpAddr::from(victim), true));
        assert_eq!(told[0].ports, [(17, Some(53))]);
    }
    let of_others = every_ten_seconds(&|n| unreachable(n, victim, [9, 9, 9, n]));
    assert_eq!(Seen::of(ours(), &of_others, 3).attacks, [], "quotes what nobody sent in our name");
    let ourselves = every_ten_seconds(&|n| unreachable(n, at(200), at(n)));
    assert_eq!(Seen::of(ours(), &ourselves, 3).attacks, [], "says that we are attacked");
    let reflector = every_ten_seconds(&|_| udp(7, (53, 4711), b"\x12\x34\x84\0\0\x01\0\x09\0\0\0\0"));
    assert_eq!(Seen::of(ours(), &reflector, 3).attacks, [], "answers one of ours only");
}

#[test]
fn what_comes_out_does_not_depend_on_how_many_threads_look() {
    let packets: Vec<_> = (0..4000u32)
        .map(|n| {
            let mut packet = usual(n as u8);
            packet[12..16].copy_from_slice(&(0x0100_0000 + n % 97).to_be_bytes());
            packet[22..24].copy_from_slice(&(n as u16 % 31).to_be_bytes());
            (u64::from(n) * 10, packet)
        })
        .collect();
    let mut alone = Seen::of(ours(), &packets, 50);
    let (telescope, turns) = (ours(), std::sync::Mutex::new(packets.chunks(50).zip(0..)));
    let arrivals = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut glance = Glance::default();
                while let Some((some, turn)) = { turns.lock().unwrap().next() } {
                    telescope.look(&frames(some), &mut glance);
                    telescope.take(turn, &mut glance);
                    arrivals.lock().unwrap().append(&mut glance.news.arrivals);
                }
            });
        }
    });
    let together =
        Seen { telescope, counts: alone.counts, arrivals: arrivals.into_inner().unwrap(), attacks: vec![] };
    assert_eq!(alone.sources(), together.sources());
    let mut arrivals = together.arrivals;
    arrivals.sort();
    alone.arrivals.sort();
    assert_eq!(alone.arrivals, arrivals);
}

#[test]
fn who_sends_more_than_can_be_counted_stops_nothing() {
    let mut source = Source::default();
    let bytes = usual(1);
    let packet = Packet::ip(&bytes).unwrap();
    let at = |at_ns| Sighting::of(&packet, Ipv4Addr::from(SENDER), 7, at_ns);
    source.add(&at(1), 0);
    source.packets = u32::MAX - 1;
    let added: Vec<_> = (2..5).map(|at_ns| source.add(&at(at_ns), 0)).collect();
    use source::Added::{Beyond, Known};
    assert_eq!(added, [Known, Beyond, Beyond]);
    assert_eq!((source.packets, source.count(Trait::Syn), source.last_ns), (u32::MAX, 2, 4));
}

#[test]
fn which_sensors_saw_a_sender_is_counted_and_one_sender_is_found() {
    let telescope = Telescope::new(Vec::new());
    let mut glance = Glance::default();
    for (turn, sensor) in [0, 3, 3, 63, 67].into_iter().enumerate() {
        telescope.look(&frames(&[(7, usual(1))]), &mut glance);
        glance.sensor = sensor;
        telescope.take(turn as u64, &mut glance);
    }
    let source = telescope.source(Ipv4Addr::from(SENDER).into()).unwrap();
    assert_eq!((source.packets, source.sensors()), (5, 3), "67 is 3 of 64");
    assert!(telescope.source([192, 0, 2, 99].into()).is_none());
    assert_eq!(Telescope::new(vec!["198.18.0.0/16".parse().unwrap()]).addresses(), 65_536);
}

#[test]
fn senders_of_ipv6_are_told_apart_as_well() {
    let from = |n: u8| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n];
    let to = [0x20, 1, 0xd, 0xb8, 0, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let seen = seen((0..4).map(|n| {
        let mut bytes = Vec::new();
        PacketBuilder::ipv6(from(n % 2), to, 9).tcp(9, 22, 1, 9).syn().write(&mut bytes, &[]).unwrap();
        bytes
    }));
    let sources = seen.sources();
    assert_eq!(sources.len(), 2);
    assert!(sources.iter().all(|(ip, source)| {
        seen.telescope.class_of(*ip, source) == Class::Scanner && source.packets == 2
    }));
}

proptest! {
    /// Whatever comes, the counts add up and every sender's packets are among them.
    #[test]
    fn counts_add_up_whatever_comes(
        packets in prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u8>(), 0..90)), 0..60),
        batch in 1usize..20,
    ) {
        let packets: Vec<_> = packets.into_iter().map(|(at, bytes)| (at / 1_000_000, bytes)).collect();
        let seen = Seen::of(Telescope::new(Vec::new()), &packets, batch);
        let told_apart: u64 = seen.sources().iter().map(|(_, source)| u64::from(source.packets)).sum();
        prop_assert_eq!(told_apart + seen.counts.beyond, seen.counts.packets);
        for (ip, source) in seen.sources() {
            let _judged = (seen.telescope.class_of(ip, &source), Tool::of(&source));
        }
    }
}

#[test]
fn who_sends_in_our_own_name_is_counted_and_never_told_as_somebody_new() {
    let syn = |from: [u8; 4]| {
        let mut bytes = Vec::new();
        PacketBuilder::ipv4(from, at(1), 50).tcp(4711, 23, 1, 900).syn().write(&mut bytes, &[]).unwrap();
        (1, bytes)
    };
    let seen = Seen::of(ours(), &[syn(SENDER), syn(at(9))], 2);
    let told: Vec<_> = seen.arrivals.iter().map(|arrival| arrival.source).collect();
    assert_eq!((seen.telescope.len(), told), (2, vec![IpAddr::from(SENDER)]));
}
