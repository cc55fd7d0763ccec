//! Packets into rows: headers as they were, and counts by the minute, with what the telescope and the table of countries say of their sender.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use noroshi_lake::{Kind, MinuteRow, PacketRow};
use noroshi_observe::telescope::{Telescope, Tool};
use noroshi_orient::enrich::{Table, embedded};
use noroshi_wire::packet::{Packet, Transport, protocol};

/// A minute in nanoseconds.
const MINUTE_NS: i64 = 60_000_000_000;
/// What makes packets of a minute one row.
type Alike = (IpAddr, u8, Option<u16>, Option<(u8, u8)>, Option<u8>, &'static str, Option<&'static str>);

/// The headers of a packet.
pub fn row(packet: &Packet<'_>, at_ns: i64) -> PacketRow {
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

/// Counts of the minute at hand, and of those before it whose packets come late. These become rows of their own, and questions add them up.
#[derive(Default)]
pub struct Counts {
    newest: i64,
    counts: HashMap<(i64, Alike), u32>,
}

impl Counts {
    /// Counts a packet. What is complete, as far as that is known, is put.
    pub fn add(
        &mut self,
        row: &PacketRow,
        telescope: &Telescope,
        put: impl FnMut(MinuteRow) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let minute = row.at_ns.div_euclid(MINUTE_NS);
        if minute > self.newest {
            self.end(put)?;
            self.newest = minute;
        }
        let count = self.counts.entry((minute, alike(row, telescope))).or_default();
        *count = count.saturating_add(1);
        Ok(())
    }

    /// Puts what there is.
    pub fn end(&mut self, mut put: impl FnMut(MinuteRow) -> anyhow::Result<()>) -> anyhow::Result<()> {
        for ((minute, alike), packets) in self.counts.drain() {
            let (source, protocol, destination_port, icmp, flags, class, tool) = alike;
            let country = country_of(source);
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

/// By the table that comes with the program: where the block is registered.
fn country_of(ip: IpAddr) -> Option<[u8; 2]> {
    static COUNTRIES: LazyLock<Arc<Table>> = LazyLock::new(embedded::country);
    COUNTRIES.look_up(ip)?.cc?.as_str().as_bytes().try_into().ok()
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
