//! The tables that come with the program: that they are whole, know what everybody knows, say where they come from, and
//! keep to the time and memory set for them.

use std::time::Instant;

use noroshi_orient::enrich::{Enricher, Subject, Table, Tables, embedded, packed};

#[test]
fn everybody_knows_these() {
    let tables = Enricher::new(Tables::embedded()).now();
    for (ip, asn, cc) in [
        ("8.8.8.8", 15_169, "US"),
        ("1.1.1.1", 13_335, "US"),
        ("202.232.2.1", 2497, "JP"),
        ("153.128.0.1", 4713, "JP"),
        ("106.128.0.1", 2516, "JP"),
        ("126.1.1.1", 17_676, "JP"),
        ("133.11.0.1", 2501, "JP"),
        ("193.0.6.139", 3333, "NL"),
        ("2001:200::1", 2500, "JP"),
        ("2400:4050::1", 4713, "JP"),
        ("240b:10::1", 2516, "JP"),
        ("2001:4860:4860::8888", 15_169, "US"),
    ] {
        let answer = tables.enrich(ip.parse().unwrap()).unwrap();
        assert_eq!(
            (answer.asn, answer.cc.map(|cc| cc.to_string())),
            (Some(asn), Some(cc.to_owned())),
            "{ip}"
        );
        assert!(answer.as_name.is_some_and(|name| (2..=48).contains(&name.len())), "{ip}: {answer:?}");
        assert!(
            answer.prefix.unwrap().contains(&ip.parse::<std::net::IpAddr>().unwrap()),
            "{ip}: {answer:?}"
        );
    }
    for nobody in ["10.0.0.1", "192.168.1.1", "127.0.0.1", "fe80::1", "::1"] {
        assert_eq!(tables.enrich(nobody.parse().unwrap()), None, "{nobody}");
    }
}

#[test]
fn the_lists_have_resolvers_sites_and_scanners() {
    let lists = embedded::lists();
    let of = |ip: &str, fqdn: Option<&str>| {
        lists.check(&Subject { ip: ip.parse().ok(), fqdn, url: None }).join(", ")
    };
    let resolvers = "Public DNS resolvers of well-known operators";
    assert_eq!(of("8.8.8.8", None), resolvers);
    assert_eq!(of("2606:4700:4700::1111", None), resolvers);
    assert_eq!(of("", Some("www.wikipedia.org")), "Top sites");
    // What is below a top site may be anybody's.
    assert_eq!(of("", Some("evil.github.io")), "");
    assert!(lists.names().any(|name| name.contains("Censys")) && lists.names().count() > 20);
    assert_eq!(of("198.51.100.7", Some("example.invalid")), "");
    let scanner = |ip: &str| lists.scanner(ip.parse().unwrap());
    assert_eq!(scanner("162.142.125.7"), Some("Censys IP Ranges Used for Scanning"));
    assert_eq!((scanner("8.8.8.8"), scanner("198.51.100.7")), (None, None));
}

#[test]
fn each_table_says_where_it_comes_from() {
    let about = embedded::about();
    assert_eq!(about.iter().map(|a| a.kind.as_str()).collect::<Vec<_>>(), ["asn", "country", "lists"]);
    for one in &about {
        assert!(
            ![&one.source, &one.version, &one.date, &one.licence].iter().any(|text| text.is_empty()),
            "{one:?}"
        );
        assert_eq!(one.attribution.is_empty(), !one.licence.starts_with("CC-BY"), "{one:?}");
    }
}

/// The time is printed and not asserted, for a busy machine is no fault; the memory is.
#[test]
fn the_tables_are_small_and_soon_ready() {
    let mut bytes = 0;
    for table in [embedded::asn(), embedded::country()] {
        if let Table::Prefixes(table) = &*table {
            bytes += table.bytes();
        }
    }
    for name in ["asn", "country"] {
        let path = format!("{}/../../tables/{name}.table", env!("CARGO_MANIFEST_DIR"));
        let file = std::fs::read(path).unwrap();
        let start = Instant::now();
        let (_, body) = packed::open(&file).unwrap();
        let unpacked = start.elapsed();
        packed::read(&file).unwrap();
        let all = start.elapsed() - unpacked;
        println!(
            "{name}: {} KiB, {} KiB unpacked, {unpacked:?} to unpack, {all:?} in all",
            file.len() / 1024,
            body.len() / 1024
        );
    }
    println!("in memory: {} KiB", bytes / 1024);
    assert!(bytes < 30 << 20, "{bytes}");
}
