//! Captures into the lake. A capture is read twice: first through the telescope, which says what each sender is, then packet by packet into
//! rows.
//!
//! A capture's number is its time, from its first packet to its last: taken again it replaces itself, and one that has a time in common with
//! another of the same sensor is refused, because its packets would count twice.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use ipnet::IpNet;
use noroshi_lake::{Lake, MinuteRow, Numbers, PacketRow, Sensor, Writer, Written};
use noroshi_observe::telescope::{Glance, Telescope};
use noroshi_wire::capture::{Capture, Frames};
use noroshi_wire::packet::Packet;
use noroshi_wire::unpack::unpack;

use crate::rows::{Counts, row};

/// Bytes read at once.
const READ_BYTES: usize = 512 << 10;

/// Take captures in: headers and counts by the minute
#[derive(Debug, Args)]
pub struct Take {
    /// Captures: pcap or pcapng, plain, gzip or zstd
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Which sensor they are of
    #[arg(long, value_name = "NAME")]
    sensor: Sensor,
    /// The telescope's networks; packets to other addresses are left out [default: every address]
    #[arg(long = "network", value_name = "PREFIX")]
    networks: Vec<IpNet>,
    /// Counts by the minute only, no headers
    #[arg(long)]
    minutes_only: bool,
}

/// Does it.
pub fn run(lake: &Lake, wish: &Take) -> anyhow::Result<()> {
    let writer = lake.writer()?;
    for file in &wish.files {
        let taken = take(&writer, wish, file).with_context(|| file.display().to_string())?;
        let [packets, minutes] = taken.written;
        println!(
            "{}: {} packets; headers {} bytes, {} counts by the minute {} bytes",
            file.display(),
            taken.packets,
            packets.bytes,
            minutes.rows,
            minutes.bytes
        );
    }
    Ok(())
}

struct Taken {
    packets: u64,
    written: [Written; 2],
}

fn take(writer: &Writer, wish: &Take, file: &Path) -> anyhow::Result<Taken> {
    let telescope = Telescope::new(wish.networks.clone());
    let (first, last) = look(&telescope, file)?;
    let numbers = Numbers::new(first, last)?;
    let mut packets = writer.batch::<PacketRow>(wish.sensor.clone(), numbers);
    let mut minutes = writer.batch::<MinuteRow>(wish.sensor.clone(), numbers);
    let mut counts = Counts::default();
    let mut all = 0;
    each(file, |packet, at_ns| {
        if !wish.networks.is_empty() && !telescope.is_ours(packet.addresses.destination()) {
            return Ok(());
        }
        all += 1;
        let row = row(packet, i64::try_from(at_ns)?);
        counts.add(&row, &telescope, |row| Ok(minutes.push(row)?))?;
        if !wish.minutes_only {
            packets.push(row)?;
        }
        Ok(())
    })?;
    counts.end(|row| Ok(minutes.push(row)?))?;
    let headers = if wish.minutes_only { Written::default() } else { packets.commit()? };
    Ok(Taken { packets: all, written: [headers, minutes.commit()?] })
}

/// What each sender is, and from when to when it goes.
fn look(telescope: &Telescope, file: &Path) -> anyhow::Result<(u64, u64)> {
    let (mut frames, mut glance, mut turn, mut span) = (Frames::default(), Glance::default(), 0, None);
    for member in unpack(Box::new(BufReader::with_capacity(READ_BYTES, File::open(file)?)))? {
        let mut capture = Capture::new(member?.input)?;
        while capture.next_frames(&mut frames)? {
            telescope.look(&frames, &mut glance);
            telescope.take(turn, &mut glance);
            turn += 1;
            span = match (span, glance.counts.span_ns) {
                (Some((first, last)), Some((other, latest))) => {
                    Some((u64::min(first, other), u64::max(last, latest)))
                }
                (one, other) => one.or(other),
            };
        }
    }
    span.context("no packet has a time")
}

fn each(file: &Path, mut what: impl FnMut(&Packet<'_>, u64) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut before = None;
    for member in unpack(Box::new(BufReader::with_capacity(READ_BYTES, File::open(file)?)))? {
        let mut capture = Capture::new(member?.input)?;
        while let Some(frame) = capture.next_frame()? {
            before = frame.at_ns.or(before);
            if let (Ok(packet), Some(at_ns)) = (Packet::read(frame.link, frame.bytes), before) {
                what(&packet, at_ns)?;
            }
        }
    }
    Ok(())
}
