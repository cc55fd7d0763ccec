//! What a packet costs on its way into the telescope: looked at, added to its sender's row, and both, of few senders and of many.

use divan::counter::ItemsCount;
use noroshi_observe::telescope::{Glance, Telescope};
use noroshi_wire::capture::{Frame, Frames, LinkType};

/// Packets of a batch, as a buffer of a capture holds them.
const BATCH: usize = 7000;
const BATCHES: usize = 30;

fn main() {
    divan::main();
}

/// A SYN of one of so many senders, each sending as often; every fourth is Mirai's.
fn packet(n: u64, senders: u64) -> [u8; 54] {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
    let source = 0x0b00_0000 + (mixed % senders) as u32;
    let destination = 0xc612_0000 | (mixed >> 8) as u32 & 0xffff;
    let mut bytes = [0; 54];
    bytes[12..24].copy_from_slice(&[8, 0, 0x45, 0, 0, 40, n as u8, 0, 0, 0, 50, 6]);
    bytes[26..30].copy_from_slice(&source.to_be_bytes());
    bytes[30..34].copy_from_slice(&destination.to_be_bytes());
    bytes[36..38].copy_from_slice(&[23u16, 80, 2323, 445][n as usize % 4].to_be_bytes());
    let sequence = if n.is_multiple_of(4) { destination } else { mixed as u32 };
    bytes[38..42].copy_from_slice(&sequence.to_be_bytes());
    bytes[46..50].copy_from_slice(&[0x50, 2, 4, 0]);
    bytes
}

fn batches(senders: u64) -> Vec<Frames> {
    let batch = |first: usize| {
        let mut frames = Frames::default();
        for n in first as u64..(first + BATCH) as u64 {
            let (at_ns, bytes) = (Some(n * 200_000), packet(n, senders));
            frames.push(&Frame { at_ns, link: LinkType::ETHERNET, length: 54, bytes: &bytes });
        }
        frames
    };
    (0..BATCHES).map(|n| batch(n * BATCH)).collect()
}

fn telescope() -> Telescope {
    Telescope::new(vec!["198.18.0.0/16".parse().expect("a prefix")])
}

/// Packets looked at only.
#[divan::bench]
fn look(bencher: divan::Bencher<'_, '_>) {
    let (telescope, batches) = (telescope(), batches(100_000));
    let mut glance = Glance::default();
    bencher.counter(ItemsCount::new(BATCH * BATCHES)).bench_local(|| {
        batches.iter().for_each(|frames| telescope.look(frames, &mut glance));
    });
}

/// Packets looked at and added to rows that are there.
#[divan::bench(args = [1000, 100_000, 1_000_000])]
fn look_and_take(bencher: divan::Bencher<'_, '_>, senders: u64) {
    let (telescope, batches) = (telescope(), batches(senders));
    let (mut glance, mut turn) = (Glance::default(), 0);
    let mut all = || {
        for frames in &batches {
            telescope.look(frames, &mut glance);
            telescope.take(turn, &mut glance);
            turn += 1;
        }
    };
    all();
    bencher.counter(ItemsCount::new(BATCH * BATCHES)).bench_local(all);
}
