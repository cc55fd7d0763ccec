//! Canonical forms and expressions: what the protocol's documentation says of URLs, and URLs that try to be none.

use proptest::prelude::*;

use super::*;

fn check(url: impl AsRef<[u8]>, expected: &str) {
    let url = url.as_ref();
    let canonical = Canonical::of(url).unwrap_or_else(|error| panic!("{}: {error}", url.escape_ascii()));
    assert_eq!(canonical.as_str(), expected, "{}", url.escape_ascii());
}

fn expressions(url: &str) -> Vec<String> {
    let canonical = Canonical::of(url.as_bytes()).unwrap();
    canonical.expressions().map(|(host, path)| format!("{host}{path}")).collect()
}

#[test]
fn the_published_urls_become_what_is_published() {
    let ebay =
        "uploads/%20%20%20%20/.verify/.eBaysecure=updateuserdataxplimnbqmn-xplmvalidateinfoswqpcmlx=hgplmcx/";
    check("http://host/%25%32%35", "http://host/%25");
    check("http://host/%25%32%35%25%32%35", "http://host/%25%25");
    check("http://host/%2525252525252525", "http://host/%25");
    check("http://host/asdf%25%32%35asd", "http://host/asdf%25asd");
    check("http://host/%%%25%32%35asd%%", "http://host/%25%25%25asd%25%25");
    check("http://www.google.com/", "http://www.google.com/");
    check(
        "http://%31%36%38%2e%31%38%38%2e%39%39%2e%32%36/%2E%73%65%63%75%72%65/%77%77%77%2E%65%62%61%79%2E%63%6F%6D/",
        "http://168.188.99.26/.secure/www.ebay.com/",
    );
    check(format!("http://195.127.0.11/{ebay}"), &format!("http://195.127.0.11/{ebay}"));
    check(
        "http://host%23.com/%257Ea%2521b%2540c%2523d%2524e%25f%255E00%252611%252A22%252833%252944_55%252B",
        "http://host%23.com/~a!b@c%23d$e%25f^00&11*22(33)44_55+",
    );
    check("http://3279880203/blah", "http://195.127.0.11/blah");
    check("http://www.google.com/blah/..", "http://www.google.com/");
    check("www.google.com/", "http://www.google.com/");
    check("www.google.com", "http://www.google.com/");
    check("http://www.evil.com/blah#frag", "http://www.evil.com/blah");
    check("http://www.GOOgle.com/", "http://www.google.com/");
    check("http://www.google.com.../", "http://www.google.com/");
    check("http://www.google.com/foo\tbar\rbaz\n2", "http://www.google.com/foobarbaz2");
    check("http://www.google.com/q?", "http://www.google.com/q?");
    check("http://www.google.com/q?r?", "http://www.google.com/q?r?");
    check("http://www.google.com/q?r?s", "http://www.google.com/q?r?s");
    check("http://evil.com/foo#bar#baz", "http://evil.com/foo");
    check("http://evil.com/foo;", "http://evil.com/foo;");
    check("http://evil.com/foo?bar;", "http://evil.com/foo?bar;");
    check(b"http://\x01\x80.com/", "http://%01%80.com/");
    check("http://notrailingslash.com", "http://notrailingslash.com/");
    check("http://www.gotaport.com:1234/", "http://www.gotaport.com/");
    check("  http://www.google.com/  ", "http://www.google.com/");
    check("http:// leadingspace.com/", "http://%20leadingspace.com/");
    check("http://%20leadingspace.com/", "http://%20leadingspace.com/");
    check("%20leadingspace.com/", "http://%20leadingspace.com/");
    check("https://www.securesite.com/", "https://www.securesite.com/");
    check("http://host.com/ab%23cd", "http://host.com/ab%23cd");
    check("http://host.com//twoslashes?more//slashes", "http://host.com/twoslashes?more//slashes");
}

/// Those that Google's own client tests besides.
#[test]
fn what_googles_client_takes_becomes_the_same() {
    check("ftp://ftp.myfiles.com/", "ftp://ftp.myfiles.com/");
    check("http://some%1bhost.com/%1b", "http://some%1Bhost.com/%1B");
    check("http://www.google.com/q?r?s%3F", "http://www.google.com/q?r?s?");
    check("http://www.\u{fc}mlat.com/", "http://www.xn--mlat-zra.com/");
    check("http://[2001:470:1:18::114]/", "http://[2001:470:1:18::114]/");
    check("http%3A%2F%2Fwackyurl.com:80/", "http://wackyurl.com/");
    check("http://W!eird<>Ho$^.com/", "http://w!eird<>ho$^.com/");
    check("http://i.have.way.too.many.dots.com/", "http://i.have.way.too.many.dots.com/");
    check("http://google.com.:8080/foo.html", "http://google.com/foo.html");
    check("http://google...com/foo.html", "http://google.com/foo.html");
    check("http://..google.com/foo.html", "http://google.com/foo.html");
    check("http://0x12.0x43.0x44.0x01", "http://18.67.68.1/");
    check("http://a.com/foo/.././bar/./../foo.html", "http://a.com/foo.html");
    check("http://a.com//a//b///c////", "http://a.com/a/b/c/");
    check("www.google.com:8080/foo.html", "http://www.google.com/foo.html");
}

#[test]
fn what_has_no_host_is_none() {
    for url in [
        "",
        ":",
        "/blah",
        "#ref",
        "/blah#ref",
        "?query#ref",
        "/blah?query#ref",
        "/blah;param",
        "http://#ref",
        "http:///blah#ref",
        "http://?query#ref",
        "http:///blah;param?query#ref",
        "mailto:bryner@google.com",
        ":8080/foo.html",
        "http://.../",
        "file:///etc/passwd",
    ] {
        assert_eq!(Canonical::of(url.as_bytes()), Err(UrlError::NoHost), "{url}");
    }
    for url in ["www.google.com:xxyy/foo.html:80", "javascript:alert(1)", "http://host:8o/"] {
        assert_eq!(Canonical::of(url.as_bytes()), Err(UrlError::Port), "{url}");
    }
    for url in
        ["http://a%2Fb/", "http://a%40b/", "http://[::1/", "http://[::g]/", "http://a[b]/", "http://a%3A1/"]
    {
        assert_eq!(Canonical::of(url.as_bytes()), Err(UrlError::Host), "{url}");
    }
    assert_eq!(Canonical::of(&[b'a'; URL_OCTETS_MAX + 1]), Err(UrlError::Long));
    assert_eq!(Canonical::of(&[b'a'; HOST_OCTETS_MAX + 1]), Err(UrlError::Host));
}

#[test]
fn an_address_is_the_same_in_every_notation() {
    for (written, meant) in [
        ("255.0.0.1", "255.0.0.1"),
        ("12.0x12.01234", "12.18.2.156"),
        ("012.034.01.055", "10.28.1.45"),
        ("0x12.0x43.0x44.0x01", "18.67.68.1"),
        ("167838211", "10.1.2.3"),
        ("4294967295", "255.255.255.255"),
        ("0X7F.1", "127.0.0.1"),
        ("0x7f.0x.0.1.", "127.0.0.1"),
        ("1.2.772", "1.2.3.4"),
        ("\u{ff11}27.0.0.1", "127.0.0.1"),
        ("127\u{3002}0\u{3002}0\u{3002}1", "127.0.0.1"),
        ("[::ffff:192.0.2.1]", "192.0.2.1"),
        ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
        // None of these is an address.
        ("123.123.0.0.1", "123.123.0.0.1"),
        ("4294967296", "4294967296"),
        ("256.2.3.4", "256.2.3.4"),
        ("1.2.3.00x0", "1.2.3.00x0"),
        ("1.2.3.08", "1.2.3.08"),
        ("+1.2.3.4", "+1.2.3.4"),
        ("0x1.g", "0x1.g"),
    ] {
        check(format!("http://{written}/"), &format!("http://{meant}/"));
    }
}

#[test]
fn who_is_logged_in_does_not_hide_the_host() {
    check("http://user:password@evil.test/x", "http://evil.test/x");
    check("http://good.test%2F@evil.test/x", "http://evil.test/x");
    check("http://good.test%2F@a@evil.test:80/x", "http://evil.test/x");
    // Browsers end the host at a backslash.
    assert_eq!(Canonical::of(br"http://evil.test\@good.test/").unwrap().host(), "evil.test");
}

#[test]
fn a_name_is_in_ascii() {
    check("http://\u{65e5}\u{672c}\u{8a9e}.JP/", "http://xn--wgv71a119e.jp/");
    check("http://%E6%97%A5%E6%9C%AC%E8%AA%9E.jp/", "http://xn--wgv71a119e.jp/");
    check("http://ev\u{ad}il.test/", "http://evil.test/");
    // A full-width percent sign does not begin an escape.
    check("http://a\u{ff05}41.test/", "http://a%EF%BC%8541.test/");
}

#[test]
fn the_published_expressions_are_made() {
    let of = expressions("http://a.b.c/1/2.html?param=1");
    let paths = ["/1/2.html?param=1", "/1/2.html", "/", "/1/"];
    let expected: Vec<String> = ["a.b.c", "b.c"]
        .iter()
        .flat_map(|host| paths.iter().map(move |path| format!("{host}{path}")))
        .collect();
    assert_eq!(of, expected);
    assert_eq!(
        expressions("http://a.b.c.d.e.f.g/1.html"),
        [
            "a.b.c.d.e.f.g/1.html",
            "a.b.c.d.e.f.g/",
            "c.d.e.f.g/1.html",
            "c.d.e.f.g/",
            "d.e.f.g/1.html",
            "d.e.f.g/",
            "e.f.g/1.html",
            "e.f.g/",
            "f.g/1.html",
            "f.g/"
        ]
    );
    assert_eq!(expressions("http://1.2.3.4/1/"), ["1.2.3.4/1/", "1.2.3.4/"]);
    assert_eq!(expressions("http://[2001:470:1:18::114]/a/b").len(), 3);
    assert_eq!(expressions("http://a.b/?"), ["a.b/"]);
    assert_eq!(expressions("http://b/"), ["b/"]);
    assert_eq!(expressions("http://a.b.c.d.e/").len(), 4);
    assert_eq!(
        expressions("http://a.com/a/b/c/d/e.html?123"),
        [
            "a.com/a/b/c/d/e.html?123",
            "a.com/a/b/c/d/e.html",
            "a.com/",
            "a.com/a/",
            "a.com/a/b/",
            "a.com/a/b/c/"
        ]
    );
    assert_eq!(expressions("http://a.b.c.d.e.f.g/1/2/3/4/5?6").len(), 30);
}

#[test]
fn a_hash_is_the_sha_256_of_the_expression() {
    let hash = Canonical::of(b"http://foo.com").unwrap().own_hash();
    let hex: String = hash.0.iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(hex, "af30010e4c011fc77e1ab03ef898ab2f8dec17c0bd178a875ad0cd9b7a6e5973");
}

/// Octets that mean something here are more frequent than by chance.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let special = proptest::sample::select(b"%%%2525aF/..?:@#\\[]0x:\t \xE3\x80\x82\xC3\xBC".to_vec());
    let text = proptest::collection::vec(prop_oneof![3 => special, 1 => any::<u8>()], 0..60);
    let before = proptest::sample::select(vec![
        "",
        "http://",
        "http://h/",
        "http://u@h:1/",
        "http://[::1]",
        "http://1.",
    ]);
    (before, text).prop_map(|(before, text)| [before.as_bytes(), &text].concat())
}

proptest! {
    #[test]
    fn a_canonical_form_is_its_own(url in octets()) {
        if let Ok(once) = Canonical::of(&url) {
            prop_assert!(once.as_str().is_ascii());
            let again = Canonical::of(once.as_str().as_bytes()).unwrap();
            prop_assert_eq!(again.as_str(), once.as_str());
            prop_assert!(again.expressions().eq(once.expressions()));
            prop_assert!((1..=30).contains(&once.expressions().count()));
            prop_assert!(once.path().starts_with('/') && !once.path().contains("//"));
            prop_assert!(!once.host().is_empty());
        }
    }

    #[test]
    fn unescaping_once_through_is_unescaping_again_and_again(text in octets()) {
        let mut again = text.clone();
        loop {
            let before = again;
            again = one_pass(&before);
            if again == before {
                break;
            }
        }
        prop_assert_eq!(unescaped(&text), again);
    }
}

fn one_pass(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped =
            after.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        match escaped {
            Some(digits) => {
                plain.push(u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
                rest = &after[2..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}
