//! Batches written, read, damaged.

use proptest::prelude::*;

use super::*;
use crate::packet::{Headers, Packet};

fn head(number: u64) -> Head {
    Head {
        sensor: "north-1".parse().unwrap(),
        run: Run([7; 16]),
        number,
        before: number * 3,
        made_ns: 1_795_737_600_000_000_000,
        lost: 4,
        left_out: 5,
    }
}

fn frames_of(all: &[(u64, u32, Vec<u8>)]) -> Frames {
    let mut frames = Frames::default();
    for (at_ns, length, bytes) in all {
        frames.push(&Frame { at_ns: Some(*at_ns), link: LinkType::RAW, length: *length, bytes });
    }
    frames
}

fn listed(frames: &Frames) -> Vec<(u64, u32, Vec<u8>)> {
    frames.iter().map(|frame| (frame.at_ns.unwrap(), frame.length, frame.bytes.to_vec())).collect()
}

fn packets() -> impl Strategy<Value = Vec<(u64, u32, Vec<u8>)>> {
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..=PACKET_BYTES_MAX),
        proptest::collection::vec(any::<u8>(), 36..=44),
    ];
    proptest::collection::vec((any::<u64>(), any::<u32>(), bytes), 0..40)
}

proptest! {
    #[test]
    fn what_is_written_is_read(all in packets(), number in 0..=NUMBER_MAX) {
        let packed = write(&Head { number, before: 1, ..head(0) }, &frames_of(&all)).unwrap();
        let mut frames = frames_of(&all);
        let told = read(&packed, &mut frames).unwrap();
        prop_assert_eq!(&told, &Head { number, before: 1, ..head(0) });
        prop_assert_eq!(listed(&frames), all);
        prop_assert_eq!(read_head(&packed).unwrap(), told);
    }

    #[test]
    fn what_is_damaged_is_refused_or_read_and_never_ends_the_program(
        all in packets(), at: prop::sample::Index, to: u8, cut: prop::sample::Index
    ) {
        let whole = write(&head(1), &frames_of(&all)).unwrap();
        let (place, end) = (at.index(whole.len()), cut.index(whole.len()));
        let mut frames = Frames::default();
        prop_assert!(read(&whole[..end], &mut frames).is_err(), "what is cut off is refused");
        let mut damaged = whole;
        damaged[place] = to;
        let _read = read(&damaged, &mut frames);
        let _read = read(&damaged[..end], &mut frames);
    }

    #[test]
    fn columns_are_never_read_beyond_their_end(bytes: Vec<u8>, count in 0..50usize) {
        let mut frames = Frames::default();
        if rows(&bytes, count, &mut frames).is_ok() {
            prop_assert_eq!(frames.len(), count);
        }
    }

    #[test]
    fn what_is_kept_of_a_packet_is_read_as_the_whole_of_it(
        payload in proptest::collection::vec(any::<u8>(), 0..300), options in 0..11usize, kind in 0..3u8
    ) {
        use etherparse::{PacketBuilder, TcpOptionElement};
        let mut bytes = vec![];
        let v4 = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([192, 0, 2, 1], [198, 51, 100, 2], 9);
        match kind {
            0 => {
                let options = vec![TcpOptionElement::Noop; options * 4 % 40];
                v4.tcp(1, 2, 3, 4).options(&options).unwrap().write(&mut bytes, &payload).unwrap();
            }
            1 => v4.udp(1, 2).write(&mut bytes, &payload).unwrap(),
            _ => PacketBuilder::ethernet2([1; 6], [2; 6])
                .ipv6([1; 16], [2; 16], 9)
                .udp(1, 53)
                .write(&mut bytes, &payload)
                .unwrap(),
        }
        let whole = Packet::read(LinkType::ETHERNET, &bytes).unwrap();
        let kept = Headers::read(LinkType::ETHERNET, &bytes).unwrap();
        prop_assert!(kept.bytes().len() <= 60 + 60 + 64 && bytes.ends_with(&payload));
        let again = Packet::read(LinkType::RAW, kept.bytes()).unwrap();
        prop_assert_eq!((again.addresses, again.ttl, again.id, again.length), (whole.addresses, whole.ttl, whole.id, whole.length));
        match (again.transport, whole.transport) {
            (crate::packet::Transport::Udp(again), crate::packet::Transport::Udp(whole)) => {
                let first = &whole.payload[..whole.payload.len().min(64)];
                prop_assert!(again.payload.starts_with(first) && again.source_port == whole.source_port);
            }
            (again, whole) => prop_assert_eq!(again, whole),
        }
    }
}

#[test]
fn a_full_batch_of_what_cannot_be_compressed_is_below_a_mebibyte() {
    let mut frames = Frames::default();
    let mut seed = 1u64;
    while !is_full(&frames) {
        let mut bytes = [0; 42];
        bytes.iter_mut().for_each(|byte| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (seed >> 40) as u8;
        });
        frames.push(&Frame { at_ns: Some(seed), link: LinkType::RAW, length: seed as u32, bytes: &bytes });
    }
    let packed = write(&head(0), &frames).unwrap();
    assert!(packed.len() > 600_000 && packed.len() < 1_000_000, "{}", packed.len());
}

#[test]
fn what_is_no_batch_says_so() {
    let mut frames = Frames::default();
    assert_eq!(read(b"hello there", &mut frames), Err(BatchError::Other));
    assert_eq!(read(b"nrb\x02", &mut frames), Err(BatchError::Version(2)));
    assert_eq!(read(b"nrb\x01", &mut frames), Err(BatchError::Damaged("its end is missing")));
    let packed = write(&Head { before: NUMBER_MAX + 1, ..head(0) }, &Frames::default()).unwrap();
    assert_eq!(read(&packed, &mut frames), Err(BatchError::Damaged("its number")));
    // More than one may have, by its own word.
    let mut packed = write(&head(0), &Frames::default()).unwrap();
    packed[64..68].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(read(&packed, &mut frames), Err(BatchError::TooLarge));
}

#[test]
fn names_are_plain() {
    for bad in ["", "North", "a.b", "a b", "a/b", "*", &"a".repeat(33)] {
        assert!(bad.parse::<SensorName>().is_err(), "{bad}");
    }
    assert_eq!("tokyo-2".parse::<SensorName>().unwrap().to_string(), "tokyo-2");
    let run = Run([0xab; 16]);
    assert_eq!(run.to_string().parse::<Run>(), Ok(run));
    assert!("x".repeat(32).parse::<Run>().is_err() && "+b".repeat(16).parse::<Run>().is_err());
}

/// A packet of TCP with payload, its checksums right unless they are changed.
fn tcp(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let packet =
        etherparse::PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 2], 9).tcp(port, 23, 7, 900).syn();
    packet.write(&mut bytes, payload).unwrap();
    bytes
}

proptest! {
    #[test]
    fn checksums_come_back_as_they_were_right_or_wrong(
        payload in proptest::collection::vec(any::<u8>(), 0..70), wrong in 0..5usize, port: u16, cut in 0..3usize
    ) {
        let mut packet = tcp(port, &payload);
        let at = [10, 11, 36, 37, 12][wrong];
        packet[at] = packet[at].wrapping_add(u8::from(wrong < 4));
        packet.truncate(packet.len() - cut.min(payload.len()));
        let all = vec![(1, 2, packet), (2, 3, tcp(port, &payload))];
        let mut frames = Frames::default();
        read(&write(&head(0), &frames_of(&all)).unwrap(), &mut frames).unwrap();
        prop_assert_eq!(listed(&frames), all);
    }

    #[test]
    fn no_packet_has_left_out_what_it_cannot_have(mut bytes: Vec<u8>, left_out: u8) {
        let _done = checksum::put_back(&mut bytes, left_out);
        let before = bytes.clone();
        let left_out = checksum::leave_out(&mut bytes);
        prop_assert!(checksum::put_back(&mut bytes, left_out) && bytes == before);
    }
}

#[test]
fn right_checksums_are_not_sent() {
    let mut packet = tcp(4711, b"abc");
    assert_eq!((checksum::leave_out(&mut packet), packet[10], packet[36], packet[37]), (3, 0, 0, 0));
    assert!(!checksum::put_back(&mut [0x60; 60], 1) && !checksum::put_back(&mut [0x45; 60], 4));
}
