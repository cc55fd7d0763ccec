//! Any octets as a URL, as a list of URLs, as a Rice code and as a client's request: a canonical form is its own, what is on a list is found, a code is read to an end.
#![no_main]

use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;
use libfuzzer_sys::fuzz_target;
use noroshi_resolver::url::rice::Coded;
use noroshi_resolver::url::{Canonical, Desk, List, Lists};

static DESK: LazyLock<Desk> = LazyLock::new(|| {
    let (list, _) = List::read("a", &b"a.test/\nb.test/c?d\n"[..]).unwrap();
    Desk::new(Arc::new(ArcSwap::from_pointee(Lists::new(vec![list]).unwrap())))
});

fuzz_target!(|data: &[u8]| {
    if let Ok(once) = Canonical::of(data) {
        assert!(once.as_str().is_ascii() && once.path().starts_with('/'));
        assert!((1..=30).contains(&once.expressions().count()));
        match Canonical::of(once.as_str().as_bytes()) {
            Ok(again) => {
                assert_eq!(again.as_str(), once.as_str());
                assert!(again.expressions().eq(once.expressions()));
            }
            // Escapes may have made it longer than a URL may be.
            Err(_) => assert!(once.as_str().len() > noroshi_resolver::url::canonical::URL_OCTETS_MAX),
        }
    }
    let (list, refused) = List::read("a", data).unwrap();
    assert_eq!(refused.len(), list.refused_count().min(noroshi_resolver::url::lists::REFUSED_MAX));
    let len = list.len();
    let lists = Lists::new(vec![list]).unwrap();
    assert_eq!(lists.urls(0), len);
    for line in data.split(|octet| *octet == b'\n').filter(|line| !line.contains(&b'#')) {
        if let Ok(canonical) = Canonical::of(line) {
            assert_eq!(
                lists.find(&canonical).is_some(),
                canonical.hashes().any(|hash| !lists.with_prefix(&hash.0).is_empty())
            );
        }
    }
    if let [parameter, a, b, c, d, e, code @ ..] = data {
        let differences = u32::from_le_bytes([*a, *b, *c, *d]);
        let coded = Coded {
            first: u32::from(*e) << 24,
            parameter: (*parameter).into(),
            differences,
            data: code.to_vec(),
        };
        if let Ok(numbers) = coded.numbers() {
            assert!(numbers.is_sorted() && numbers.len() - 1 == differences as usize);
            assert_eq!(Coded::of(&numbers).unwrap().numbers(), Ok(numbers));
        }
    }
    for path in ["/v4/threatListUpdates:fetch", "/v4/fullHashes:find"] {
        assert!([200, 400].contains(&DESK.answer("POST", path, data).status));
    }
});
