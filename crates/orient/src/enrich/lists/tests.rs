//! Each kind of list by small examples, and against comparing with every entry.

use proptest::prelude::*;

use super::*;

fn list(name: &str, kind: &str, on: &[&str], entries: &[&str]) -> Vec<u8> {
    serde_json::json!({
        "name": name, "type": kind, "version": 1, "description": "", "list": entries, "matching_attributes": on
    })
    .to_string()
    .into_bytes()
}

fn lists(all: &[Vec<u8>]) -> WarningLists {
    let mut builder = ListsBuilder::default();
    all.iter().for_each(|json| assert!(builder.add(json).is_ok()));
    builder.build().unwrap()
}

fn of<'a>(lists: &'a WarningLists, ip: &str, fqdn: &str, url: &str) -> Vec<&'a str> {
    let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
    lists.check(&Subject { ip: ip.parse().ok(), fqdn: some(fqdn), url: some(url) })
}

#[test]
fn addresses_are_on_their_own_list_and_on_those_around() {
    let on = &["ip-src", "domain|ip"];
    let lists = lists(&[
        list("wide", "cidr", on, &["10.0.0.0/8", "2001:db8::/32"]),
        list("narrow", "cidr", on, &["10.1.0.0/16", "2001:db8::1"]),
        list("same", "cidr", on, &["10.1.0.0/16", "192.0.2.7"]),
    ]);
    assert_eq!(of(&lists, "10.9.0.1", "", ""), ["wide"]);
    assert_eq!(of(&lists, "10.1.0.1", "", ""), ["wide", "narrow", "same"]);
    assert_eq!(of(&lists, "2001:db8::1", "", ""), ["wide", "narrow"]);
    assert_eq!(of(&lists, "2001:db8::2", "", ""), ["wide"]);
    assert_eq!(of(&lists, "192.0.2.7", "", ""), ["same"]);
    assert_eq!(of(&lists, "192.0.2.8", "", ""), [""; 0]);
    assert_eq!(of(&lists, "", "", "http://u:p@192.0.2.7:8080/x"), ["same"]);
    assert_eq!(of(&lists, "", "", "https://[2001:db8::1]/x"), ["wide", "narrow"]);
}

#[test]
fn names_are_compared_as_their_list_says() {
    let on = &["domain", "hostname"];
    let lists = lists(&[
        list("exact", "string", on, &["Example.com"]),
        list("below", "hostname", on, &[".example.net", "*.example.org", "example.com"]),
        list("part", "substring", on, &["SANDBOX"]),
        list("pattern", "regex", &["url", "domain"], &["/^(dns|ns)[0-9]\\./i"]),
        list("urls", "string", &["url"], &["http://example.info/"]),
    ]);
    assert_eq!(of(&lists, "", "EXAMPLE.com.", ""), ["exact", "below"]);
    assert_eq!(of(&lists, "", "www.example.com", ""), ["below"]);
    assert_eq!(of(&lists, "", "a.b.example.net", ""), ["below"]);
    assert_eq!(of(&lists, "", "notexample.net", ""), [""; 0]);
    assert_eq!(of(&lists, "", "my-sandbox-1.example.info", ""), ["part"]);
    assert_eq!(of(&lists, "", "NS1.example.info", ""), ["pattern"]);
    assert_eq!(of(&lists, "", "", "http://www.example.org/sandbox"), ["below"]);
    assert_eq!(of(&lists, "", "", "HTTP://example.info/"), ["urls"]);
    assert_eq!(of(&lists, "", "", "http://sandbox.example/"), ["part"]);
}

#[test]
fn bad_entries_are_told_and_bad_lists_leave_no_trace() {
    let mut builder = ListsBuilder::default();
    let json = br#"{"name":"n","type":"cidr","list":["10.0.0.0/8",7,"x","1.2.3.4/24"]}"#;
    let report = builder.add(json).unwrap();
    assert_eq!((report.kept, report.bad), (2, 2));
    assert_eq!(report.examples[1].why, "'x' is no prefix");
    let patterns = list("p", "regex", &[], &["/(/", "/a/k", "/b{1000}{1000}{1000}/", "[0-9]x"]);
    assert!(builder.add(&patterns).is_err());
    for json in [
        "",
        "{}",
        "[]",
        r#"{"name":"n","type":"colour","list":[]}"#,
        r#"{"name":"n","type":"cidr","list":[]}"#,
    ] {
        assert!(builder.add(json.as_bytes()).is_err(), "{json}");
    }
    let hashes = list("hashes", "string", &["md5", "sha1"], &["d41d8cd98f00b204e9800998ecf8427e"]);
    assert_eq!(builder.add(&hashes).unwrap(), Report::default());
    assert_eq!(builder.build().unwrap().names().collect::<Vec<_>>(), ["n"]);
}

proptest! {
    #[test]
    fn addresses_are_found_as_by_looking_at_every_entry(
        all in prop::collection::vec(prop::collection::vec((any::<u32>(), 0u8..=32), 1..12), 1..8),
        asked in prop::collection::vec(any::<u32>(), 32),
    ) {
        let mask = 0x0101_0303;
        let nets: Vec<Vec<ipnet::Ipv4Net>> = all.iter()
            .map(|nets| nets.iter().map(|(ip, len)| ipnet::Ipv4Net::new((ip & mask).into(), *len).unwrap()).collect())
            .collect();
        let jsons: Vec<Vec<u8>> = nets.iter().enumerate().map(|(n, nets)| {
            let texts: Vec<String> = nets.iter().map(ToString::to_string).collect();
            list(&n.to_string(), "cidr", &[], &texts.iter().map(String::as_str).collect::<Vec<_>>())
        }).collect();
        let lists = lists(&jsons);
        for ip in asked {
            let ip = std::net::Ipv4Addr::from(ip & mask);
            let naive: Vec<String> = nets.iter().enumerate()
                .filter(|(_, nets)| nets.iter().any(|net| net.contains(&ip)))
                .map(|(n, _)| n.to_string()).collect();
            prop_assert_eq!(lists.check(&Subject { ip: Some(ip.into()), ..Subject::default() }), naive);
        }
    }

    #[test]
    fn nothing_asked_or_read_makes_it_panic(fqdn in ".{0,40}", url in "(http|)(://|)[\\[\\]@:/?#.a-c]{0,12}.{0,8}",
                                            json in ".{0,60}", pattern in ".{0,20}") {
        let mut builder = ListsBuilder::default();
        let _ = builder.add(json.as_bytes());
        let _ = builder.add(&list("p", "regex", &[], &[&pattern]));
        let _ = builder.add(&list("h", "hostname", &[], &[&pattern]));
        let _ = builder.add(&list("s", "substring", &[], &[&pattern, "a"]));
        let lists = builder.build().unwrap();
        lists.check(&Subject { ip: None, fqdn: Some(&fqdn), url: Some(&url) });
    }
}
