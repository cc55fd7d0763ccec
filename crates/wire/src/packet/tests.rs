//! Packets built by hand, and any bytes at all, held against etherparse.

use etherparse::{LaxLinkExtSlice, LaxNetSlice, LaxSlicedPacket, PacketBuilder, TransportSlice};
use proptest::prelude::*;

use super::*;

const A: [u8; 4] = [192, 0, 2, 7];
const B: [u8; 4] = [198, 18, 0, 9];
const A6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const B6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];

fn syn() -> Vec<u8> {
    let mut bytes = Vec::new();
    let tcp = PacketBuilder::ipv4(A, B, 57).tcp(4711, 23, 0xc612_0009, 1024).syn();
    let tcp = tcp.options_raw(&[2, 4, 5, 0xb4]).unwrap();
    tcp.write(&mut bytes, &[]).unwrap();
    bytes
}

fn ethernet(kind: &[u8], packet: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], kind, packet].concat()
}

fn read(link: LinkType, bytes: &[u8]) -> Packet<'_> {
    Packet::read(link, bytes).unwrap()
}

#[test]
fn a_packet_is_found_behind_every_link() {
    let packet = syn();
    let wanted = read(LinkType::RAW, &packet);
    let Transport::Tcp(tcp) = wanted.transport else { panic!("{wanted:?}") };
    assert_eq!((tcp.source_port, tcp.destination_port, tcp.flags), (4711, 23, flags::SYN));
    assert_eq!((tcp.sequence, tcp.window, tcp.options), (0xc612_0009, 1024, &[2, 4, 5, 0xb4][..]));
    assert_eq!((wanted.addresses.source().to_string(), wanted.ttl), ("192.0.2.7".into(), 57));
    let pppoe = [&[0x11, 0, 0, 7, 0, packet.len() as u8 + 2, 0, 0x21][..], &packet].concat();
    let frames: [(LinkType, Vec<u8>); 14] = [
        (LinkType::ETHERNET, ethernet(&[8, 0], &packet)),
        (LinkType::ETHERNET, ethernet(&[0x81, 0, 0, 5, 8, 0], &packet)),
        (LinkType::ETHERNET, ethernet(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0], &packet)),
        (LinkType::ETHERNET, ethernet(&[0x88, 0x64], &pppoe)),
        (LinkType::ETHERNET, ethernet(&[0x81, 0, 0, 5, 0x88, 0x64], &pppoe)),
        (LinkType::ETHERNET, [ethernet(&[8, 0], &packet), vec![0; 20]].concat()),
        (LinkType::LINUX_SLL, [&[0; 14][..], &[8, 0], &packet].concat()),
        (LinkType::LINUX_SLL2, [&[8, 0][..], &[0; 18], &packet].concat()),
        (LinkType::NULL, [&[2, 0, 0, 0][..], &packet].concat()),
        (LinkType::LOOP, [&[0, 0, 0, 2][..], &packet].concat()),
        (LinkType::PPP, [&[0xff, 3, 0, 0x21][..], &packet].concat()),
        (LinkType::PPP, [&[0x21][..], &packet].concat()),
        (LinkType::IPV4, packet.clone()),
        (LinkType(12), packet.clone()),
    ];
    for (link, frame) in &frames {
        assert_eq!(read(*link, frame), wanted, "{link:?}");
        for end in 0..frame.len() {
            if let Ok(cut) = Packet::read(*link, &frame[..end]) {
                assert_eq!(cut.addresses, wanted.addresses);
            }
        }
    }
    for (link, frame, why) in [
        (LinkType(105), packet.clone(), NoPacket::Link),
        (LinkType::ETHERNET, ethernet(&[8, 6], &[0; 28]), NoPacket::NotIp),
        (LinkType::ETHERNET, ethernet(&[0x88, 0x64], &[0x11, 0xa7, 0, 0, 0, 0]), NoPacket::NotIp),
        (LinkType::ETHERNET, ethernet(&[8, 0], &packet[..19]), NoPacket::Cut),
        (LinkType::ETHERNET, vec![0; 13], NoPacket::Cut),
        (LinkType::RAW, [&[0x41][..], &packet[1..]].concat(), NoPacket::Malformed),
        (LinkType::RAW, vec![0x55; 60], NoPacket::Malformed),
        (LinkType::RAW, vec![], NoPacket::Cut),
    ] {
        assert_eq!(Packet::read(link, &frame), Err(why), "{link:?}");
    }
}

#[test]
fn behind_extension_headers_is_what_they_lead_to() {
    let mut bytes = Vec::new();
    PacketBuilder::ipv6(A6, B6, 9).udp(53, 4711).write(&mut bytes, b"answer").unwrap();
    let wanted = read(LinkType::IPV6, &bytes);
    let Transport::Udp(udp) = wanted.transport else { panic!("{wanted:?}") };
    assert_eq!((udp.source_port, udp.destination_port, udp.payload), (53, 4711, &b"answer"[..]));
    // Hop-by-hop, then destination options, then a first fragment.
    let chain: [(u8, Vec<u8>); 3] = [
        (0, vec![60, 0, 1, 4, 0, 0, 0, 0]),
        (60, vec![44, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (44, vec![17, 0, 0, 1, 0, 0, 0, 7]),
    ];
    let body = [chain.iter().flat_map(|(_, header)| header.clone()).collect(), bytes[40..].to_vec()].concat();
    let with = |first: u8, body: &[u8]| {
        let mut packet = bytes[..40].to_vec();
        packet[4..6].copy_from_slice(&(body.len() as u16).to_be_bytes());
        packet[6] = first;
        [packet, body.to_vec()].concat()
    };
    assert_eq!(read(LinkType::RAW, &with(0, &body)).transport, wanted.transport);
    let later = with(44, &[&[17, 0, 0, 8, 0, 0, 0, 7][..], b"middle"].concat());
    assert_eq!(read(LinkType::RAW, &later).transport, Transport::Fragment(17));
    assert_eq!(read(LinkType::RAW, &with(0, &[60])).transport, Transport::Cut(0));
    assert_eq!(
        read(LinkType::RAW, &with(0, &[0; 400])).transport,
        Transport::Other(0),
        "a chain without an end"
    );
    assert_eq!(read(LinkType::RAW, &with(50, b"secret")).transport, Transport::Other(50));
}

#[test]
fn an_error_quotes_the_packet_that_it_is_about() {
    let about = syn();
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(B, A, 50).icmpv4_raw(3, 3, [0; 4]).write(&mut bytes, &about[..28]).unwrap();
    let Transport::Icmp(icmp) = read(LinkType::RAW, &bytes).transport else { panic!() };
    let quote = icmp.quote.unwrap();
    assert_eq!((icmp.kind, icmp.code, quote.protocol, quote.ports), (3, 3, 6, Some((4711, 23))));
    assert_eq!(quote.addresses.source().to_string(), "192.0.2.7");
    let mut echo = Vec::new();
    PacketBuilder::ipv4(A, B, 50).icmpv4_echo_request(1, 1).write(&mut echo, &about).unwrap();
    let Transport::Icmp(icmp) = read(LinkType::RAW, &echo).transport else { panic!() };
    assert_eq!((icmp.kind, icmp.quote), (8, None), "what an echo carries is no quote");
    let mut six = Vec::new();
    PacketBuilder::ipv6(B6, A6, 50).icmpv6_raw(1, 4, [0; 4]).write(&mut six, &about).unwrap();
    let Transport::Icmp(icmp) = read(LinkType::RAW, &six).transport else { panic!() };
    assert_eq!(icmp.quote.unwrap().ports, Some((4711, 23)));
}

#[test]
fn behind_an_authentication_header_is_what_it_vouches_for() {
    let plain = syn();
    let header = [6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2];
    let mut packet = [&plain[..20], &header, &plain[20..]].concat();
    packet[9] = 51;
    packet[2..4].copy_from_slice(&(plain.len() as u16 + 24).to_be_bytes());
    assert_eq!(read(LinkType::RAW, &packet).transport, read(LinkType::RAW, &plain).transport);
    assert_eq!(read(LinkType::RAW, &packet[..40]).transport, Transport::Cut(51));
}

#[test]
fn a_later_fragment_has_no_ports() {
    let mut packet = syn();
    packet[7] = 9;
    assert_eq!(read(LinkType::RAW, &packet).transport, Transport::Fragment(6));
    packet[6..8].copy_from_slice(&[0x20, 0]);
    assert!(matches!(read(LinkType::RAW, &packet).transport, Transport::Tcp(_)), "the first has");
}

/// What etherparse reads of an Ethernet frame, ours is the same; nothing panics.
pub fn agrees(frame: &[u8]) {
    let ours = Packet::read(LinkType::ETHERNET, frame);
    let Ok(theirs) = LaxSlicedPacket::from_ethernet(frame) else { return };
    // MACsec is sealed, as a rule; they look behind it where it is not.
    if theirs.link_exts.iter().any(|ext| matches!(ext, LaxLinkExtSlice::Macsec(_))) {
        return;
    }
    let (source, destination, ttl, fragmented) = match &theirs.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let header = ip.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
                header.ttl(),
                ip.is_payload_fragmented(),
            )
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let ends: [IpAddr; 2] = [header.source_addr().into(), header.destination_addr().into()];
            (ends[0], ends[1], header.hop_limit(), ip.is_payload_fragmented())
        }
        _ => return,
    };
    // A total length that is less than the header is theirs to forgive.
    let Ok(ours) = ours else {
        assert_eq!(ours, Err(NoPacket::Malformed), "{frame:02x?}");
        return;
    };
    assert_eq!((ours.addresses.source(), ours.addresses.destination(), ours.ttl), (source, destination, ttl));
    if fragmented {
        return;
    }
    match &theirs.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let Transport::Tcp(ours) = ours.transport else { panic!("{ours:?} for {frame:02x?}") };
            assert_eq!(
                (ours.source_port, ours.destination_port),
                (tcp.source_port(), tcp.destination_port())
            );
            assert_eq!(
                (ours.sequence, ours.acknowledgement),
                (tcp.sequence_number(), tcp.acknowledgment_number())
            );
            assert_eq!((ours.window, ours.options), (tcp.window_size(), tcp.options()));
            let flags =
                [tcp.fin(), tcp.syn(), tcp.rst(), tcp.psh(), tcp.ack(), tcp.urg(), tcp.ece(), tcp.cwr()];
            assert_eq!(
                ours.flags,
                flags.iter().enumerate().map(|(bit, set)| u8::from(*set) << bit).sum::<u8>()
            );
        }
        Some(TransportSlice::Udp(udp)) => {
            let Transport::Udp(ours) = ours.transport else { panic!("{ours:?} for {frame:02x?}") };
            assert_eq!(
                (ours.source_port, ours.destination_port),
                (udp.source_port(), udp.destination_port())
            );
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            let Transport::Icmp(ours) = ours.transport else { panic!("{ours:?} for {frame:02x?}") };
            assert_eq!((ours.kind, ours.code), (icmp.type_u8(), icmp.code_u8()));
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            let Transport::Icmp(ours) = ours.transport else { panic!("{ours:?} for {frame:02x?}") };
            assert_eq!((ours.kind, ours.code), (icmp.type_u8(), icmp.code_u8()));
        }
        _ => {}
    }
}

/// A frame that is one, with some bytes changed and its end cut off.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let change = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let whole = (
        any::<[u8; 4]>(),
        any::<[u16; 2]>(),
        any::<u32>(),
        0..6usize,
        prop::collection::vec(any::<u8>(), 0..60),
    );
    (whole, change, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |((from, ports, n, shape, payload), changes, end, cut)| {
            let ends = PacketBuilder::ethernet2([1; 6], [2; 6]);
            let mut frame = Vec::new();
            let done = match shape {
                0 => ends.ipv4(from, B, 9).tcp(ports[0], ports[1], n, 9).write(&mut frame, &payload),
                1 => ends.ipv4(from, B, 9).udp(ports[0], ports[1]).write(&mut frame, &payload),
                2 => ends.ipv4(from, B, 9).icmpv4_raw(n as u8, 1, [0; 4]).write(&mut frame, &payload),
                3 => ends.ipv6(A6, B6, 9).tcp(ports[0], ports[1], n, 9).write(&mut frame, &payload),
                4 => ends
                    .single_vlan(7.try_into().unwrap())
                    .ipv4(from, B, 9)
                    .udp(ports[0], ports[1])
                    .write(&mut frame, &payload),
                _ => ends.ipv6(A6, B6, 9).udp(ports[0], ports[1]).write(&mut frame, &payload),
            };
            done.unwrap();
            for (at, byte) in changes {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
            if cut {
                frame.truncate(end.index(frame.len()));
            }
            frame
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn every_frame_is_read_as_another_reads_it(frame in frames()) {
        agrees(&frame);
    }

    #[test]
    fn any_bytes_do_no_harm(link in 0u16..300, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _read = Packet::read(LinkType(link), &bytes);
        agrees(&bytes);
    }
}
