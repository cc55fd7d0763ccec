//! Lists as they are read, and which of them has a URL.

use proptest::prelude::*;

use super::*;

fn list(name: &str, text: &str) -> List {
    let (list, refused) = List::read(name, text.as_bytes()).unwrap();
    assert_eq!(refused, []);
    list
}

fn url(text: &str) -> Canonical {
    Canonical::of(text.as_bytes()).unwrap()
}

#[test]
fn one_page_of_a_shared_host_is_listed_and_nothing_else() {
    let lists = Lists::new(vec![list("phish", "https://pages.example/~bad/login\n")]).unwrap();
    assert_eq!(lists.find(&url("http://pages.example:8080/~bad/./login?from=mail#top")), Some(0));
    assert_eq!(lists.find(&url("https://pages.example/%7Ebad/login")), Some(0));
    for other in
        ["https://pages.example/", "https://pages.example/~bad/", "https://pages.example/~bad/login/x"]
    {
        assert_eq!(lists.find(&url(other)), None, "{other}");
    }
    // As the documentation has it, hosts below are meant, too.
    assert_eq!(lists.find(&url("https://www.pages.example/~bad/login")), Some(0));
}

#[test]
fn all_of_a_host_is_listed_with_a_slash_only() {
    let text = "# a comment\n\nevil.test/\nhttp://other.test # not without the slash\nhttp://third.test?\nhttp://fourth.test?x=1\n  fifth.test/a\t# trimmed\r\nmailto:a@b.c";
    let (list, refused) = List::read("hosts", text.as_bytes()).unwrap();
    assert_eq!(
        refused,
        [
            Refused { line: 4, why: LineError::HostOnly },
            Refused { line: 5, why: LineError::HostOnly },
            Refused { line: 8, why: LineError::Url(UrlError::NoHost) }
        ]
    );
    assert_eq!((list.len(), list.refused_count()), (3, 3));
    let lists = Lists::new(vec![list]).unwrap();
    assert_eq!(lists.find(&url("http://a.b.evil.test/x?y")), Some(0));
    assert_eq!(lists.find(&url("http://other.test/")), None);
    assert_eq!(lists.find(&url("http://fourth.test/?x=1")), Some(0));
    assert_eq!(lists.find(&url("http://fourth.test/")), None);
    assert_eq!(lists.find(&url("http://fifth.test/a")), Some(0));
}

#[test]
fn what_is_under_a_public_suffix_is_everybodys() {
    let text = "co.jp/\nhttps://co.jp/login\nweb.app/\nweb.app/terms\nweb.app/?a=/\nevil.web.app/\nevil.co.jp/\nintranet/\n192.0.2.1/\n";
    let (list, refused) = List::read("a", text.as_bytes()).unwrap();
    let suffix = |line, host: &str| Refused { line, why: LineError::PublicSuffix(host.into()) };
    assert_eq!(refused, [suffix(1, "co.jp"), suffix(2, "co.jp"), suffix(3, "web.app")]);
    let lists = Lists::new(vec![list]).unwrap();
    assert_eq!(lists.find(&url("https://bank.co.jp/login")), None);
    assert_eq!(lists.find(&url("https://good.web.app/")), None);
    for listed in [
        "https://web.app/?a=/",
        "https://a.evil.web.app/x",
        "https://evil.co.jp/",
        "http://intranet/",
        "http://192.0.2.1/a",
    ] {
        assert_eq!(lists.find(&url(listed)), Some(0), "{listed}");
    }
}

#[test]
fn the_first_list_decides() {
    let lists = vec![
        list("let-pass", "a.test/fine/\n"),
        list("bad", "a.test/\nb.test/x\n"),
        list("also", "b.test/x\n"),
    ];
    let lists = Lists::new(lists).unwrap();
    assert_eq!(lists.find(&url("http://a.test/fine/x")), Some(0));
    assert_eq!(lists.find(&url("http://a.test/other")), Some(1));
    assert_eq!(lists.find(&url("http://b.test/x")), Some(1));
    assert_eq!((lists.place("also"), lists.name(2), lists.urls(2)), (Some(2), Some("also"), 1));
    assert_eq!((lists.place("none"), lists.name(3), lists.urls(3)), (None, None, 0));

    let lists = lists.with(1, List::empty("bad")).unwrap();
    assert_eq!(lists.find(&url("http://a.test/fine/x")), Some(0));
    assert_eq!(lists.find(&url("http://a.test/other")), None);
    assert_eq!(lists.find(&url("http://b.test/x")), Some(2));
    assert_eq!(lists.with(3, List::empty("none")).unwrap_err(), ListsError::NoPlace(3));
}

#[test]
fn lists_have_names_of_their_own() {
    let names = |names: &[&str]| Lists::new(names.iter().map(|name| List::empty(name)).collect()).map(|_| ());
    assert_eq!(names(&["a", "b"]), Ok(()));
    assert_eq!(names(&["a", "a"]), Err(ListsError::Twice("a".into())));
    assert_eq!(names(&["a b"]), Err(ListsError::Name("a b".into())));
    assert_eq!(names(&[""]), Err(ListsError::Name("".into())));
    let many: Vec<String> = (0..=LISTS_MAX).map(|at| format!("l{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(names(&many), Err(ListsError::TooMany));
    assert_eq!(names(&many[1..]), Ok(()));
}

#[test]
fn a_line_without_an_end_is_read_over() {
    let long = "x".repeat(LINE_OCTETS_MAX * 3);
    let (list, refused) = List::read("l", format!("{long}\na.test/\n{long}").as_bytes()).unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(refused, [1, 3].map(|line| Refused { line, why: LineError::Long }));
    // A URL of the largest size fits, and one octet more is refused as what it is.
    let largest = "x".repeat(super::super::canonical::URL_OCTETS_MAX - 7);
    let (list, refused) =
        List::read("l", format!("a.test/{largest}\na.test/{largest}y\n").as_bytes()).unwrap();
    assert_eq!((list.len(), refused), (1, vec![Refused { line: 2, why: LineError::Url(UrlError::Long) }]));
}

#[test]
fn refused_lines_are_counted_beyond_those_that_are_kept() {
    let (list, refused) = List::read("l", "/none\n".repeat(REFUSED_MAX + 5).as_bytes()).unwrap();
    assert_eq!((refused.len(), list.refused_count()), (REFUSED_MAX, REFUSED_MAX + 5));
}

#[test]
fn hashes_are_found_by_what_they_begin_with() {
    let lists = Lists::new(vec![list("a", "a.test/\nb.test/\n"), list("b", "b.test/\n")]).unwrap();
    let hash = url("http://b.test/").own_hash();
    for octets in [4, 8, 32] {
        assert_eq!(lists.with_prefix(&hash.0[..octets]), [Listed { hash, lists: 0b11 }]);
    }
    assert_eq!(lists.with_prefix(&[hash.0[0], hash.0[1], hash.0[2], !hash.0[3]]), []);
    assert_eq!(lists.with_prefix(b"").len(), 2);
    assert_eq!(lists.hashes(1).collect::<Vec<_>>(), [hash]);
}

proptest! {
    #[test]
    fn the_table_finds_what_is_there(
        of in proptest::collection::vec(proptest::collection::btree_set(any::<[u8; 32]>(), 0..200), 1..4),
        absent in any::<[u8; 32]>(),
    ) {
        let entries = of.iter().enumerate().flat_map(|(place, hashes)| {
            hashes.iter().map(move |hash| Listed { hash: Hash(*hash), lists: 1 << place })
        });
        let table = Table::new(entries.collect());
        for (place, hashes) in of.iter().enumerate() {
            for hash in hashes {
                prop_assert!(table.lists(&Hash(*hash)) >> place & 1 == 1);
            }
        }
        prop_assert_eq!(table.lists(&Hash(absent)) != 0, of.iter().any(|hashes| hashes.contains(&absent)));
        prop_assert!(table.entries.is_sorted_by(|a, b| a.hash < b.hash));
    }
}
