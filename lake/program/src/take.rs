//! Captures into the lake. A capture is read twice: first through the telescope, which says what each sender is, then packet by packet into
//! rows.
//!
//! A capture's number is its time, from its first packet to its last: taken again it replaces itself, and one that has a time in common with
//! another of the same sensor is refused, because its packets would count twice.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use ipnet::IpNet;
use noroshi_lake::{Kind, Lake, MinuteRow, Numbers, PacketRow, Sensor, Writer, Written};
use noroshi_observe::telescope::{Glance, Telescope, Tool};
use noroshi_wire::capture::{Capture, Frames};
use noroshi_wire::packet::{Packet, Transport, protocol};
use noroshi_wire::unpack::unpack;

/// Bytes read at once.
const READ_BYTES: usize = 512 << 10;
/// A minute in nanoseconds.
const MINUTE_NS: i64 = 60_000_000_000;

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

fn row(packet: &Packet<'_>, at_ns: i64) -> PacketRow {
    let source = packet.addresses.source();
    let icmp = if source.is_ipv4() { protocol::ICMP } else { protocol::ICMP6 };
    let (protocol, kind) = match packet.transport {
        Transport::Tcp(tcp) => (
            protocol::TCP,
            Kind::Tcp {
                source_port: tcp.source_port,
                destination_port: tcp.destination_port,
                sequence: tcp.sequence,
                flags: tcp.flags,
                window: tcp.window,
            },
        ),
        Transport::Udp(udp) => (
            protocol::UDP,
            Kind::Udp { source_port: udp.source_port, destination_port: udp.destination_port },
        ),
        Transport::Icmp(message) => (icmp, Kind::Icmp { kind: message.kind, code: message.code }),
        Transport::Fragment(protocol) | Transport::Other(protocol) | Transport::Cut(protocol) => {
            (protocol, Kind::Other)
        }
    };
    let (destination, ip_id) = (packet.addresses.destination(), packet.id);
    PacketRow { at_ns, source, destination, protocol, ip_id, ttl: packet.ttl, length: packet.length, kind }
}

/// What makes packets of a minute one row.
type Alike = (IpAddr, u8, Option<u16>, Option<(u8, u8)>, Option<u8>, &'static str, Option<&'static str>);

/// Counts of the minute at hand. What comes late is a row of its own, and questions add it up.
#[derive(Default)]
struct Counts {
    minute: i64,
    counts: HashMap<Alike, u32>,
}

impl Counts {
    fn add(
        &mut self,
        row: &PacketRow,
        telescope: &Telescope,
        put: impl FnMut(MinuteRow) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let minute = row.at_ns.div_euclid(MINUTE_NS);
        if minute != self.minute {
            self.end(put)?;
            self.minute = minute;
        }
        let count = self.counts.entry(alike(row, telescope)).or_default();
        *count = count.saturating_add(1);
        Ok(())
    }

    fn end(&mut self, mut put: impl FnMut(MinuteRow) -> anyhow::Result<()>) -> anyhow::Result<()> {
        for ((source, protocol, destination_port, icmp, flags, class, tool), packets) in self.counts.drain() {
            let (minute, country) = (self.minute, None);
            put(MinuteRow {
                minute,
                source,
                protocol,
                destination_port,
                icmp,
                flags,
                class,
                tool,
                country,
                packets,
            })?;
        }
        Ok(())
    }
}

fn alike(row: &PacketRow, telescope: &Telescope) -> Alike {
    let (port, icmp, flags) = match row.kind {
        Kind::Tcp { destination_port, flags, .. } => (Some(destination_port), None, Some(flags)),
        Kind::Udp { destination_port, .. } => (Some(destination_port), None, None),
        Kind::Icmp { kind, code } => (None, Some((kind, code)), None),
        Kind::Other => (None, None, None),
    };
    // One for whom there was no room is not judged.
    let (class, tool) = match telescope.source(row.source) {
        Some(source) => (telescope.class_of(row.source, &source).id(), Tool::of(&source).map(Tool::id)),
        None => ("unknown", None),
    };
    (row.source, row.protocol, port, icmp, flags, class, tool)
}
