//! Captures written here in every form there is, cut and damaged at every byte.

use proptest::prelude::*;

use super::*;

/// Gives a few bytes at a time.
#[derive(Clone)]
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let some = self.1.min(into.len()).min(self.0.len());
        into[..some].copy_from_slice(&self.0[..some]);
        self.0 = &self.0[some..];
        Ok(some)
    }
}

type Kept = (Option<u64>, u16, u32, Vec<u8>);

fn kept(f: Frame<'_>) -> Kept {
    (f.at_ns, f.link.0, f.length, f.bytes.to_vec())
}

/// All packets and what ended them: one by one and many at once, which is the same.
fn all(input: impl Read + Clone) -> (Vec<Kept>, Option<CaptureError>) {
    let (singly, at_once) = (one_by_one(input.clone()), many_at_once(input));
    assert_eq!(singly.0, at_once.0);
    assert_eq!(format!("{:?}", singly.1), format!("{:?}", at_once.1));
    singly
}

fn one_by_one(input: impl Read) -> (Vec<Kept>, Option<CaptureError>) {
    let mut all = Vec::new();
    let mut capture = match Capture::new(input) {
        Ok(capture) => capture,
        Err(e) => return (all, Some(e)),
    };
    loop {
        match capture.next_frame() {
            Ok(Some(frame)) => all.push(kept(frame)),
            Ok(None) => return (all, None),
            Err(e) => {
                assert!(matches!(capture.next_frame(), Ok(None)), "nothing comes after an error");
                return (all, Some(e));
            }
        }
    }
}

fn many_at_once(input: impl Read) -> (Vec<Kept>, Option<CaptureError>) {
    let mut all = Vec::new();
    let mut capture = match Capture::new(input) {
        Ok(capture) => capture,
        Err(e) => return (all, Some(e)),
    };
    let mut frames = Frames::default();
    loop {
        match capture.next_frames(&mut frames) {
            Ok(more) => {
                assert_eq!(more, !frames.is_empty());
                all.extend(frames.iter().map(kept));
                if !more {
                    return (all, None);
                }
            }
            Err(e) => {
                assert!(
                    matches!(capture.next_frames(&mut frames), Ok(false)),
                    "nothing comes after an error"
                );
                return (all, Some(e));
            }
        }
    }
}

fn put(order: Order, out: &mut Vec<u8>, value: u64, bytes: usize) {
    match order {
        Order::Little => out.extend(&value.to_le_bytes()[..bytes]),
        Order::Big => out.extend(&value.to_be_bytes()[8 - bytes..]),
    }
}

/// A second and a bit for each packet.
fn packets() -> Vec<(u64, Vec<u8>)> {
    (0..40)
        .map(|n| (1_790_000_000 * SECOND_NS + n * 1_001_001_000, vec![n as u8; n as usize * 7 % 61]))
        .collect()
}

fn pcap(order: Order, nanos: bool, packets: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    put(order, &mut out, if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }, 4);
    for (value, bytes) in [(2, 2), (4, 2), (0, 4), (0, 4), (65535, 4), (0x1400_0001, 4)] {
        put(order, &mut out, value, bytes);
    }
    for (at_ns, bytes) in packets {
        let fraction = at_ns % SECOND_NS / if nanos { 1 } else { 1000 };
        for value in [at_ns / SECOND_NS, fraction, bytes.len() as u64, bytes.len() as u64 + 4] {
            put(order, &mut out, value, 4);
        }
        out.extend(bytes);
    }
    out
}

fn block(order: Order, out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let whole = body.len().next_multiple_of(4) as u64 + 12;
    put(order, out, kind.into(), 4);
    put(order, out, whole, 4);
    out.extend(body);
    out.resize(out.len().next_multiple_of(4), 0);
    put(order, out, whole, 4);
}

fn section(order: Order, out: &mut Vec<u8>) {
    let mut body = Vec::new();
    for (value, bytes) in [(0x1a2b_3c4d, 4), (1, 2), (0, 2), (u64::MAX, 8)] {
        put(order, &mut body, value, bytes);
    }
    block(order, out, SECTION, &body);
}

/// An interface; its time counts so many units a second (as the option says it), from so many seconds on.
fn interface(order: Order, out: &mut Vec<u8>, link: u16, resolution: Option<u8>, offset_s: i64) {
    let mut body = Vec::new();
    for (value, bytes) in [(u64::from(link), 2), (0, 2), (0, 4), (2, 2), (3, 2)] {
        put(order, &mut body, value, bytes);
    }
    body.extend(b"lo\0\0");
    if let Some(resolution) = resolution {
        for (value, bytes) in [
            (TIME_RESOLUTION.into(), 2),
            (1, 2),
            (u64::from(resolution) << if order == Order::Big { 24 } else { 0 }, 4),
        ] {
            put(order, &mut body, value, bytes);
        }
    }
    for (value, bytes) in [(TIME_OFFSET.into(), 2), (8, 2), (offset_s as u64, 8), (0, 4)] {
        put(order, &mut body, value, bytes);
    }
    block(order, out, INTERFACE, &body);
}

fn enhanced(order: Order, out: &mut Vec<u8>, interface: u32, units: u64, bytes: &[u8]) {
    let mut body = Vec::new();
    for value in
        [u64::from(interface), units >> 32, units & 0xffff_ffff, bytes.len() as u64, bytes.len() as u64 + 4]
    {
        put(order, &mut body, value, 4);
    }
    body.extend(bytes);
    block(order, out, ENHANCED, &body);
}

fn expected(packets: &[(u64, Vec<u8>)], link: u16) -> Vec<Kept> {
    packets.iter().map(|(at, bytes)| (Some(*at), link, bytes.len() as u32 + 4, bytes.clone())).collect()
}

#[test]
fn classic_captures_of_every_kind_are_read() {
    let wanted = expected(&packets(), 1);
    for order in [Order::Little, Order::Big] {
        for nanos in [true, false] {
            let file = pcap(order, nanos, &packets());
            for some in [1, 7, 100_000] {
                let (kept, error) = all(Slow(&file, some));
                assert!(error.is_none() && kept == wanted, "{order:?} {nanos} {error:?}");
            }
        }
    }
}

#[test]
fn sections_interfaces_and_times_of_pcapng_are_read() {
    for (order, other) in [(Order::Little, Order::Big), (Order::Big, Order::Little)] {
        let mut file = Vec::new();
        section(order, &mut file);
        interface(order, &mut file, 1, None, 0);
        interface(order, &mut file, 101, Some(9), 1_790_000_000);
        interface(order, &mut file, 113, Some(0x80 | 10), 0);
        let at = 1_790_000_000u64;
        enhanced(order, &mut file, 0, at * 1_000_000 + 5, b"micro");
        block(order, &mut file, 0x0bad, b"something else");
        enhanced(order, &mut file, 1, 7, b"nano");
        enhanced(order, &mut file, 2, at * 1024 + 512, b"two");
        let mut simple = Vec::new();
        put(order, &mut simple, 9, 4);
        simple.extend(b"kept");
        block(order, &mut file, SIMPLE, &simple);
        // Another section in the other order, with an old packet block.
        section(other, &mut file);
        interface(other, &mut file, 228, Some(3), 0);
        let mut old = Vec::new();
        let milli = at * 1000 + 1;
        for (value, bytes) in [(0, 2), (0, 2), (milli >> 32, 4), (milli & 0xffff_ffff, 4), (3, 4), (7, 4)] {
            put(other, &mut old, value, bytes);
        }
        old.extend(b"old");
        block(other, &mut file, OLD, &old);
        let (kept, error) = all(Slow(&file, 5));
        assert!(error.is_none(), "{error:?}");
        let told: Vec<(Option<u64>, u16, u32, &[u8])> =
            kept.iter().map(|(at, link, length, bytes)| (*at, *link, *length, bytes.as_slice())).collect();
        let second = at * SECOND_NS;
        assert_eq!(
            told,
            [
                (Some(second + 5000), 1, 9, &b"micro"[..]),
                (Some(second + 7), 101, 8, b"nano"),
                (Some(second + SECOND_NS / 2), 113, 7, b"two"),
                (None, 1, 9, b"kept"),
                (Some(second + 1_000_000), 228, 7, b"old"),
            ]
        );
    }
}

fn pcapng(packets: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    section(Order::Little, &mut file);
    interface(Order::Little, &mut file, 1, Some(9), 0);
    packets.iter().for_each(|(at, bytes)| enhanced(Order::Little, &mut file, 0, *at, bytes));
    file
}

#[test]
fn what_was_cut_off_gives_all_whole_packets_and_then_says_where() {
    let packets = packets();
    for (file, wanted) in [
        (pcap(Order::Little, true, &packets), expected(&packets, 1)),
        (pcapng(&packets), expected(&packets, 1)),
    ] {
        for end in 0..file.len() {
            let (kept, error) = all(&file[..end]);
            assert_eq!(kept, wanted[..kept.len()], "{end}");
            match error {
                None => assert!(kept.len() < wanted.len()),
                Some(CaptureError::Cut { offset }) => assert!(offset <= end as u64),
                Some(CaptureError::Other(_)) => assert!(end < 4),
                Some(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn what_cannot_be_is_told_with_its_place() {
    let told = |file: &[u8]| all(file).1.unwrap().to_string();
    assert!(told(b"GET / HTTP/1.1").starts_with("this is no capture"));
    assert_eq!(told(b""), "cut off: what begins at byte 0 is not whole");
    let mut file = pcap(Order::Little, true, &packets());
    file[24 + 16 + 8..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(told(&file), "damaged at byte 48: a packet of 4294967295 bytes");
    let good = pcapng(&packets());
    let first = pcapng(&[]).len();
    let mut file = good.clone();
    file[first + 4] = 33;
    assert_eq!(told(&file), format!("damaged at byte {}: a block of 33 bytes", first + 4));
    let mut file = good.clone();
    file[first + 8] = 9;
    assert_eq!(
        told(&file),
        format!("damaged at byte {first}: a packet of interface 9, which is not described")
    );
    let mut file = good.clone();
    file[first + 20] = 200;
    assert!(told(&file).contains("a packet of 200 bytes in a block that has 0"), "{}", told(&file));
    let mut file = good;
    let last = file.len() - 4;
    file[last] ^= 4;
    assert!(told(&file).contains("two lengths differ"));
}

#[test]
fn a_large_block_that_is_no_packet_is_passed_over_and_a_large_packet_is_held() {
    let mut file = pcapng(&[]);
    block(Order::Little, &mut file, 4, &vec![7; 3 << 20]);
    enhanced(Order::Little, &mut file, 0, 5, &vec![9; PACKET_BYTES_MAX]);
    enhanced(Order::Little, &mut file, 0, 6, b"after");
    let (kept, error) = all(Slow(&file, 10_000));
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        kept.iter().map(|(at, _, _, bytes)| (at.unwrap(), bytes.len())).collect::<Vec<_>>(),
        [(5, PACKET_BYTES_MAX), (6, 5)]
    );
    block(Order::Little, &mut file, ENHANCED, &vec![0; BLOCK_BYTES_MAX]);
    assert!(all(&file[..]).1.unwrap().to_string().contains("that is a packet or describes one"));
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(ng in any::<bool>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12), some in 1usize..500) {
        let mut file = if ng { pcapng(&packets()) } else { pcap(Order::Big, false, &packets()) };
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let (kept, _) = all(Slow(&file, some));
        prop_assert!(kept.iter().map(|(.., bytes)| bytes.len()).sum::<usize>() <= file.len());
    }
}
