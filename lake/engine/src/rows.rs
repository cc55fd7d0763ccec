//! What a row of each table is, and the columns it becomes. Whoever fills the lake speaks of packets and minutes and never of Arrow;
//! whoever reads the files with another tool finds plain columns, because nothing is folded into anything else.
//!
//! ```text
//!   PacketRow ─┐                                        ┌▶ at, source, destination, protocol, ports, sequence, …
//!              ├─ sorted by sender ─▶ Row::columns() ───┤
//!   MinuteRow ─┘                                        └▶ minute, source, protocol, port, flags, class, tool, …
//! ```
//!
//! An address is four bytes or sixteen, in network order, in one column: `ip_address(bytes)` of Python takes it as it is, bytes are
//! compared as addresses are, and it is known from the length which version it is.
//!
//! A packet's time is in two columns: microseconds, which every reader of Parquet knows, and the nanoseconds beyond. Most captures have
//! none, and then the second column costs nothing, while a thousand times the same number would cost more than a byte per packet.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, RecordBatch, StringBuilder, TimestampMicrosecondArray,
    TimestampMillisecondArray, UInt8Array, UInt16Array, UInt32Array,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::error::ArrowError;

use crate::Table;

const NANOSECONDS_OF_MICROSECOND: i64 = 1000;
const NANOSECONDS_OF_DAY: i64 = 86_400_000_000_000;
const MINUTES_OF_DAY: i64 = 24 * 60;
const MILLISECONDS_OF_MINUTE: i64 = 60_000;
const UTC: &str = "UTC";

/// A row of one of the two tables that are filled; the third is counted from them.
pub trait Row: Sized + private::Row {}
impl Row for PacketRow {}
impl Row for MinuteRow {}

/// What the writer needs of a row. Private, because another table would need more than this.
pub(crate) mod private {
    use super::{ArrowError, Ordering, RecordBatch, Table};

    pub trait Row: Send + 'static {
        /// Where it belongs.
        const TABLE: Table;
        /// Days since 1970 (UTC).
        fn day(&self) -> i64;
        /// The order within a row group: rows of one sender together, because then nearly every other column repeats itself.
        fn order(&self, other: &Self) -> Ordering;
        /// As columns.
        fn columns(rows: &[Self]) -> Result<RecordBatch, ArrowError>
        where
            Self: Sized;
    }
}

/// What a packet carries, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// TCP.
    Tcp {
        /// From which port.
        source_port: u16,
        /// To which.
        destination_port: u16,
        /// Sequence number.
        sequence: u32,
        /// FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
        flags: u8,
        /// Window.
        window: u16,
    },
    /// UDP.
    Udp {
        /// From which port.
        source_port: u16,
        /// To which.
        destination_port: u16,
    },
    /// ICMP of either version.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
    /// Neither, or not enough of it.
    Other,
}

/// A row of `packets`: the headers of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketRow {
    /// When, in nanoseconds since 1970 (UTC).
    pub at_ns: i64,
    /// From where.
    pub source: IpAddr,
    /// To where.
    pub destination: IpAddr,
    /// Protocol number of IP.
    pub protocol: u8,
    /// Identification of IPv4; 0 with IPv6.
    pub ip_id: u16,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Length by the IP header, in bytes.
    pub length: u32,
    /// What it carries.
    pub kind: Kind,
}

impl PacketRow {
    fn ports(&self) -> Option<(u16, u16)> {
        match self.kind {
            Kind::Tcp { source_port, destination_port, .. } | Kind::Udp { source_port, destination_port } => {
                Some((source_port, destination_port))
            }
            Kind::Icmp { .. } | Kind::Other => None,
        }
    }

    fn tcp(&self) -> Option<(u32, u8, u16)> {
        match self.kind {
            Kind::Tcp { sequence, flags, window, .. } => Some((sequence, flags, window)),
            _ => None,
        }
    }

    fn icmp(&self) -> Option<(u8, u8)> {
        match self.kind {
            Kind::Icmp { kind, code } => Some((kind, code)),
            _ => None,
        }
    }
}

impl private::Row for PacketRow {
    const TABLE: Table = Table::Packets;

    fn day(&self) -> i64 {
        self.at_ns.div_euclid(NANOSECONDS_OF_DAY)
    }

    fn order(&self, other: &Self) -> Ordering {
        (self.source, self.at_ns).cmp(&(other.source, other.at_ns))
    }

    fn columns(rows: &[Self]) -> Result<RecordBatch, ArrowError> {
        let ports = |pick: fn((u16, u16)) -> u16| -> ArrayRef {
            Arc::new(rows.iter().map(|row| row.ports().map(pick)).collect::<UInt16Array>())
        };
        let icmp = |pick: fn((u8, u8)) -> u8| -> ArrayRef {
            Arc::new(rows.iter().map(|row| row.icmp().map(pick)).collect::<UInt8Array>())
        };
        let at = rows.iter().map(|row| row.at_ns.div_euclid(NANOSECONDS_OF_MICROSECOND));
        let at = TimestampMicrosecondArray::from_iter_values(at);
        let at_ns = rows.iter().map(|row| row.at_ns.rem_euclid(NANOSECONDS_OF_MICROSECOND) as u16);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(at.with_timezone(UTC)),
            Arc::new(UInt16Array::from_iter_values(at_ns)),
            addresses(rows.iter().map(|row| row.source)),
            addresses(rows.iter().map(|row| row.destination)),
            Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| row.protocol))),
            ports(|(source, _)| source),
            ports(|(_, destination)| destination),
            Arc::new(rows.iter().map(|row| row.tcp().map(|tcp| tcp.0)).collect::<UInt32Array>()),
            Arc::new(UInt16Array::from_iter_values(rows.iter().map(|row| row.ip_id))),
            Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| row.ttl))),
            Arc::new(rows.iter().map(|row| row.tcp().map(|tcp| tcp.1)).collect::<UInt8Array>()),
            Arc::new(rows.iter().map(|row| row.tcp().map(|tcp| tcp.2)).collect::<UInt16Array>()),
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.length))),
            icmp(|(kind, _)| kind),
            icmp(|(_, code)| code),
        ];
        RecordBatch::try_new(Table::Packets.schema(), columns)
    }
}

/// A row of `minutes`: how many packets of one kind a sender sent within a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinuteRow {
    /// Which minute, counted since 1970 (UTC).
    pub minute: i64,
    /// From where.
    pub source: IpAddr,
    /// Protocol number of IP.
    pub protocol: u8,
    /// To which port; none where there are no ports.
    pub destination_port: Option<u16>,
    /// Type and code of ICMP.
    pub icmp: Option<(u8, u8)>,
    /// Flags of TCP.
    pub flags: Option<u8>,
    /// What the sender is (`scanner`, `backscatter`, …).
    pub class: &'static str,
    /// By which tool the packets were made (`zmap`, …), where that is known.
    pub tool: Option<&'static str>,
    /// Country, two capital letters of ISO 3166-1, where it is known.
    pub country: Option<[u8; 2]>,
    /// How many packets.
    pub packets: u32,
}

impl private::Row for MinuteRow {
    const TABLE: Table = Table::Minutes;

    fn day(&self) -> i64 {
        self.minute.div_euclid(MINUTES_OF_DAY)
    }

    fn order(&self, other: &Self) -> Ordering {
        let key =
            |row: &Self| (row.source, row.protocol, row.destination_port, row.icmp, row.flags, row.minute);
        key(self).cmp(&key(other))
    }

    fn columns(rows: &[Self]) -> Result<RecordBatch, ArrowError> {
        let minute = rows.iter().map(|row| row.minute.saturating_mul(MILLISECONDS_OF_MINUTE));
        let minute = TimestampMillisecondArray::from_iter_values(minute);
        let texts = |text: &dyn for<'a> Fn(&'a Self) -> Option<&'a str>| -> ArrayRef {
            let mut column = StringBuilder::with_capacity(rows.len(), rows.len() * 8);
            rows.iter().for_each(|row| column.append_option(text(row)));
            Arc::new(column.finish())
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(minute.with_timezone(UTC)),
            addresses(rows.iter().map(|row| row.source)),
            Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| row.protocol))),
            Arc::new(rows.iter().map(|row| row.destination_port).collect::<UInt16Array>()),
            Arc::new(rows.iter().map(|row| row.icmp.map(|icmp| icmp.0)).collect::<UInt8Array>()),
            Arc::new(rows.iter().map(|row| row.icmp.map(|icmp| icmp.1)).collect::<UInt8Array>()),
            Arc::new(rows.iter().map(|row| row.flags).collect::<UInt8Array>()),
            texts(&|row| Some(row.class)),
            texts(&|row| row.tool),
            texts(&|row| row.country.as_ref().and_then(|letters| std::str::from_utf8(letters).ok())),
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.packets))),
        ];
        RecordBatch::try_new(Table::Minutes.schema(), columns)
    }
}

/// An address as its bytes in network order.
fn addresses(all: impl ExactSizeIterator<Item = IpAddr>) -> ArrayRef {
    let mut column = BinaryBuilder::with_capacity(all.len(), all.len() * 4);
    for ip in all {
        match ip {
            IpAddr::V4(ip) => column.append_value(ip.octets()),
            IpAddr::V6(ip) => column.append_value(ip.octets()),
        }
    }
    Arc::new(column.finish())
}

/// The columns of `packets` as they are in the files.
pub(crate) fn packets() -> SchemaRef {
    let at = DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
    Arc::new(Schema::new(vec![
        Field::new("at", at, false),
        Field::new("at_ns", DataType::UInt16, false),
        Field::new("source", DataType::Binary, false),
        Field::new("destination", DataType::Binary, false),
        Field::new("protocol", DataType::UInt8, false),
        Field::new("source_port", DataType::UInt16, true),
        Field::new("destination_port", DataType::UInt16, true),
        Field::new("sequence", DataType::UInt32, true),
        Field::new("ip_id", DataType::UInt16, false),
        Field::new("ttl", DataType::UInt8, false),
        Field::new("flags", DataType::UInt8, true),
        Field::new("window", DataType::UInt16, true),
        Field::new("length", DataType::UInt32, false),
        Field::new("icmp_type", DataType::UInt8, true),
        Field::new("icmp_code", DataType::UInt8, true),
    ]))
}

/// The columns of `minutes` as they are in the files.
pub(crate) fn minutes() -> SchemaRef {
    let minute = DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into()));
    Arc::new(Schema::new(vec![
        Field::new("minute", minute, false),
        Field::new("source", DataType::Binary, false),
        Field::new("protocol", DataType::UInt8, false),
        Field::new("destination_port", DataType::UInt16, true),
        Field::new("icmp_type", DataType::UInt8, true),
        Field::new("icmp_code", DataType::UInt8, true),
        Field::new("flags", DataType::UInt8, true),
        Field::new("class", DataType::Utf8, false),
        Field::new("tool", DataType::Utf8, true),
        Field::new("country", DataType::Utf8, true),
        Field::new("packets", DataType::UInt32, false),
    ]))
}

/// The columns of `counts` as they are in the files. Numbers are as the engine's own `count` and `sum` give them.
pub(crate) fn counts() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("sensor", DataType::Utf8, true),
        Field::new("protocol", DataType::UInt8, true),
        Field::new("destination_port", DataType::UInt16, true),
        Field::new("tool", DataType::Utf8, true),
        Field::new("hosts", DataType::Int64, false),
        Field::new("packets", DataType::UInt64, false),
        Field::new("asking_hosts", DataType::Int64, false),
        Field::new("asking_packets", DataType::UInt64, false),
    ]))
}
