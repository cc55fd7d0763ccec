//! What is written is what is read.

use std::net::IpAddr;

use noroshi_lake::{Kind, MinuteRow, PacketRow};
use proptest::prelude::*;

use super::*;

fn addresses() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        any::<(u16, u16, u32, u8, u16)>().prop_map(
            |(source_port, destination_port, sequence, flags, window)| {
                Kind::Tcp { source_port, destination_port, sequence, flags, window }
            }
        ),
        any::<(u16, u16)>()
            .prop_map(|(source_port, destination_port)| Kind::Udp { source_port, destination_port }),
        any::<(u8, u8)>().prop_map(|(kind, code)| Kind::Icmp { kind, code }),
        Just(Kind::Other),
    ]
}

prop_compose! {
    fn packets()(
        // Two days, one of them before 1970.
        at_ns in prop_oneof![-1_000_000_000_000i64..0, 1_700_000_000_000_000_000..1_700_000_900_000_000_000i64],
        source in addresses(), destination in addresses(), protocol in any::<u8>(), ip_id in any::<u16>(),
        ttl in any::<u8>(), length in any::<u32>(), kind in kinds(),
    ) -> PacketRow {
        PacketRow { at_ns, source, destination, protocol, ip_id, ttl, length, kind }
    }
}

prop_compose! {
    fn minutes()(
        n in 0i64..4000, source in addresses(), protocol in any::<u8>(), destination_port in any::<Option<u16>>(),
        icmp in any::<Option<(u8, u8)>>(), flags in any::<Option<u8>>(), tool in prop::bool::ANY,
        country in prop::option::of(prop::array::uniform2(b'A'..=b'Z')), packets in any::<u32>(),
    ) -> MinuteRow {
        MinuteRow {
            minute: MINUTE + n, source, protocol, destination_port, icmp, flags, class: "scanner",
            tool: tool.then_some("zmap"), country, packets,
        }
    }
}

fn or_nothing<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn packet_line(row: &PacketRow) -> String {
    let (ports, tcp, icmp) = match row.kind {
        Kind::Tcp { source_port, destination_port, sequence, flags, window } => {
            (Some((source_port, destination_port)), Some((sequence, flags, window)), None)
        }
        Kind::Udp { source_port, destination_port } => (Some((source_port, destination_port)), None, None),
        Kind::Icmp { kind, code } => (None, None, Some((kind, code))),
        Kind::Other => (None, None, None),
    };
    [
        row.at_ns.to_string(),
        row.source.to_string(),
        row.destination.to_string(),
        row.protocol.to_string(),
        or_nothing(ports.map(|ports| ports.0)),
        or_nothing(ports.map(|ports| ports.1)),
        or_nothing(tcp.map(|tcp| tcp.0)),
        row.ip_id.to_string(),
        row.ttl.to_string(),
        or_nothing(tcp.map(|tcp| tcp.1)),
        or_nothing(tcp.map(|tcp| tcp.2)),
        row.length.to_string(),
        or_nothing(icmp.map(|icmp| icmp.0)),
        or_nothing(icmp.map(|icmp| icmp.1)),
    ]
    .join(",")
}

fn minute_line(row: &MinuteRow) -> String {
    [
        (row.minute * 60_000).to_string(),
        row.source.to_string(),
        row.protocol.to_string(),
        or_nothing(row.destination_port),
        or_nothing(row.icmp.map(|icmp| icmp.0)),
        or_nothing(row.icmp.map(|icmp| icmp.1)),
        or_nothing(row.flags),
        row.class.to_owned(),
        or_nothing(row.tool),
        or_nothing(row.country.map(|letters| String::from_utf8_lossy(&letters).into_owned())),
        row.packets.to_string(),
    ]
    .join(",")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn packets_come_back(rows in prop::collection::vec(packets(), 1..200)) {
        let pond = pond();
        fill(&pond.lake, "a", 1, rows.clone());
        let mut found = lines(
            &pond.lake,
            "SELECT arrow_cast(at, 'Int64') * 1000 + at_ns, source, destination, protocol, source_port, \
             destination_port, sequence, ip_id, ttl, flags, \"window\", length, icmp_type, icmp_code FROM packets",
        );
        let mut expected: Vec<String> = rows.iter().map(packet_line).collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn minutes_come_back_joined_or_not(
        rows in prop::collection::vec(minutes(), 1..200), cut in 0usize..200
    ) {
        let pond = pond();
        let cut = cut.min(rows.len());
        fill(&pond.lake, "a", 1, rows[..cut].to_vec());
        fill(&pond.lake, "a", 2, rows[cut..].to_vec());
        let sql = "SELECT arrow_cast(minute, 'Int64'), source, protocol, destination_port, icmp_type, icmp_code, flags, \
                   class, tool, country, packets FROM minutes";
        let mut expected: Vec<String> = rows.iter().map(minute_line).collect();
        expected.sort();
        for day in ["", "2026-11-26", "2026-11-27", "2026-11-28"] {
            if let Ok(day) = day.parse() {
                pond.lake.writer().unwrap().compact(day).unwrap();
            }
            let mut found = lines(&pond.lake, sql);
            found.sort();
            prop_assert_eq!(&found, &expected);
        }
    }
}

#[test]
fn addresses_of_both_versions_lie_in_one_column() {
    let pond = pond();
    fill(
        &pond.lake,
        "a",
        1,
        [minute(0, "192.0.2.1", 23, 1), minute(0, "c000:201::1", 23, 2), minute(0, "2001:db8::5", 23, 4)],
    );
    let sum = |condition: &str| {
        lines(&pond.lake, &format!("SELECT sum(packets) FROM minutes WHERE {condition}")).join("")
    };
    assert_eq!(sum("source = ip('192.0.2.1')"), "1");
    assert_eq!(sum("source = ip('2001:DB8:0::5')"), "4");
    assert_eq!(sum("source = X'c0000201'"), "1");
    assert_eq!(sum("in_network(source, '192.0.0.0/8')"), "1");
    assert_eq!(sum("in_network(source, 'c000::/16')"), "2");
    assert_eq!(sum("in_network(source, '2001:db8::/32')"), "4");
    assert_eq!(sum("in_network(source, '0.0.0.0/0')"), "1");
    assert_eq!(sum("NOT in_network(source, '0.0.0.0/0')"), "6");
    assert_eq!(sum("ip_text(source) = '2001:db8::5'"), "4");
    assert_eq!(sum("octet_length(ip_text(source)) > 9"), "6");
}
