//! How large a capture becomes: `cargo run --release -p noroshi-lake --example lake_sizes -- CAPTURE FOLDER` fills a new lake and says what
//! each column of each table takes per packet.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fs::File;
use std::time::Instant;

use noroshi_lake::{Kind, Lake, MinuteRow, Numbers, PacketRow, Table};
use noroshi_wire::capture::Capture;
use noroshi_wire::packet::{Packet, Transport, protocol};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

type Outcome<T> = Result<T, Box<dyn Error>>;
/// What makes packets of a minute one row.
type Alike = (std::net::IpAddr, u8, Option<u16>, Option<(u8, u8)>, Option<u8>, Option<&'static str>);

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [capture, folder] = words.as_slice() else { return Err("CAPTURE FOLDER".into()) };
    let lake = Lake::open(folder)?;
    let rows = read(capture)?;
    write(&lake, &rows)?;
    for table in Table::ALL {
        tell(&lake, table, rows.len())?;
    }
    Ok(())
}

fn read(capture: &str) -> Outcome<Vec<PacketRow>> {
    let mut capture = Capture::new(File::open(capture)?)?;
    let mut rows = Vec::new();
    while let Some(frame) = capture.next_frame()? {
        if let (Ok(packet), Some(at_ns)) = (Packet::read(frame.link, frame.bytes), frame.at_ns) {
            rows.push(row(&packet, i64::try_from(at_ns)?));
        }
    }
    Ok(rows)
}

fn row(packet: &Packet<'_>, at_ns: i64) -> PacketRow {
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
        Transport::Icmp(icmp) => (protocol::ICMP, Kind::Icmp { kind: icmp.kind, code: icmp.code }),
        Transport::Fragment(protocol) | Transport::Other(protocol) | Transport::Cut(protocol) => {
            (protocol, Kind::Other)
        }
    };
    let (source, destination) = (packet.addresses.source(), packet.addresses.destination());
    PacketRow {
        at_ns,
        source,
        destination,
        protocol,
        ip_id: packet.id,
        ttl: packet.ttl,
        length: packet.length,
        kind,
    }
}

fn write(lake: &Lake, rows: &[PacketRow]) -> Outcome<()> {
    let writer = lake.writer()?;
    let begun = Instant::now();
    let mut batch = writer.batch("bench".parse()?, Numbers::one(1));
    rows.iter().try_for_each(|row| batch.push(*row))?;
    let packets = batch.commit()?;
    println!("packets: {packets:?} in {:.1} s", begun.elapsed().as_secs_f64());
    let minutes = minutes(rows);
    let begun = Instant::now();
    let mut batch = writer.batch("bench".parse()?, Numbers::one(1));
    minutes.into_iter().try_for_each(|row| batch.push(row))?;
    let minutes = batch.commit()?;
    println!("minutes: {minutes:?} in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// As the telescope would count them, with a country by the first byte.
fn minutes(rows: &[PacketRow]) -> Vec<MinuteRow> {
    let mut all = Vec::new();
    let mut counts: HashMap<Alike, u32> = HashMap::new();
    let mut now = i64::MIN;
    for row in rows {
        let minute = row.at_ns / 60_000_000_000;
        if minute != now {
            all.extend(counts.drain().map(|(alike, packets)| minute_row(now, alike, packets)));
            now = minute;
        }
        *counts.entry(alike(row)).or_default() += 1;
    }
    all.extend(counts.drain().map(|(alike, packets)| minute_row(now, alike, packets)));
    all
}

fn alike(row: &PacketRow) -> Alike {
    let (port, icmp, flags) = match row.kind {
        Kind::Tcp { destination_port, flags, .. } => (Some(destination_port), None, Some(flags)),
        Kind::Udp { destination_port, .. } => (Some(destination_port), None, None),
        Kind::Icmp { kind, code } => (None, Some((kind, code)), None),
        Kind::Other => (None, None, None),
    };
    let is_mirai = matches!((row.kind, row.destination), (Kind::Tcp { sequence, .. }, std::net::IpAddr::V4(ip)) if u32::from(ip) == sequence);
    let tool = if is_mirai { Some("mirai") } else { (row.ip_id == 54321).then_some("zmap") };
    (row.source, row.protocol, port, icmp, flags, tool)
}

fn minute_row(minute: i64, alike: Alike, packets: u32) -> MinuteRow {
    let (source, protocol, destination_port, icmp, flags, tool) = alike;
    let class = if flags == Some(18) || icmp.is_some() { "backscatter" } else { "scanner" };
    let first = match source {
        std::net::IpAddr::V4(ip) => ip.octets()[0],
        std::net::IpAddr::V6(ip) => ip.octets()[0],
    };
    let country = Some([b'A' + first % 26, b'A' + first / 26]);
    MinuteRow { minute, source, protocol, destination_port, icmp, flags, class, tool, country, packets }
}

fn tell(lake: &Lake, table: Table, packets: usize) -> Outcome<()> {
    let mut columns: BTreeMap<String, i64> = BTreeMap::new();
    let (mut bytes, mut rows) = (0, 0);
    for (partition, size) in lake.partitions()?.into_iter().filter(|(partition, _)| partition.table == table)
    {
        bytes += size;
        let folder = lake
            .folder()
            .join(table.name())
            .join(format!("day={}/sensor={}", partition.day, partition.sensor));
        for entry in std::fs::read_dir(folder)? {
            let file = ParquetRecordBatchReaderBuilder::try_new(File::open(entry?.path())?)?;
            rows += file.metadata().file_metadata().num_rows();
            for column in file.metadata().row_groups().iter().flat_map(|group| group.columns()) {
                *columns.entry(column.column_path().string()).or_default() += column.compressed_size();
            }
        }
    }
    println!(
        "{}: {rows} rows, {bytes} bytes, {:.3} bytes per packet",
        table.name(),
        bytes as f64 / packets as f64
    );
    for (column, bytes) in columns {
        println!("  {column:18} {:.3}", bytes as f64 / packets as f64);
    }
    Ok(())
}
