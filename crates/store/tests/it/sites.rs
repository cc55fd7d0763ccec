//! Sites: seen again they stay what was decided, lists are counted, what is due comes once.

use noroshi_store::site_words::SiteWord;
use noroshi_store::sites::{Site, SiteListing, SiteObjection, SiteSource, SiteState, SitesAsked};

use crate::{at, on_both};
use noroshi_model::Id;

fn site(address: &str, host: &str, when: i64) -> Site {
    Site {
        address: address.into(),
        host: host.into(),
        place: address != host,
        state: SiteState::Candidate,
        why: String::new(),
        person: String::new(),
        first: at(when),
        last: at(when),
        changed: at(when),
        life: None,
        checked: None,
        due: at(when),
    }
}

fn listing(address: &str, source: &str, when: i64) -> SiteListing {
    SiteListing {
        address: address.into(),
        source: source.into(),
        threat: "phishing".into(),
        first: at(when),
        last: at(when),
    }
}

#[test]
fn seen_again_a_site_keeps_what_was_decided_of_it() {
    on_both(|store| {
        let (one, place) = (site("a.example", "a.example", 10), site("a.example/x", "a.example", 20));
        assert!(store.tx("t", |tx| tx.see_site(&one)).unwrap());
        assert!(store.tx("t", |tx| tx.see_site(&place)).unwrap());
        let decided = |address: &str| {
            let why = "two lists";
            store.tx("t", |tx| tx.decide_site(address, SiteState::Listed, why, "aoki", at(30))).unwrap()
        };
        assert!(decided("a.example") && !decided("b.example"));
        assert!(!store.tx("t", |tx| tx.see_site(&site("a.example", "a.example", 40))).unwrap());
        let kept = store.tx("t", |tx| tx.site("a.example")).unwrap().unwrap();
        assert_eq!(
            (kept.state, kept.first, kept.last, kept.changed),
            (SiteState::Listed, at(10), at(40), at(30))
        );
        let of = |state, after: &str| {
            let found = store.tx("t", |tx| tx.sites(state, after, 10)).unwrap();
            found.into_iter().map(|site| site.address).collect::<Vec<_>>()
        };
        assert_eq!(of(None, ""), ["a.example", "a.example/x"]);
        assert_eq!(of(None, "a.example"), ["a.example/x"]);
        assert_eq!(of(Some(SiteState::Candidate), ""), ["a.example/x"]);
        assert_eq!(store.tx("t", |tx| tx.sites_of_host("a.example", 10)).unwrap().len(), 2);
    });
}

#[test]
fn sites_are_found_by_state_list_and_what_is_in_their_address() {
    on_both(|store| {
        store
            .tx("t", |tx| {
                for (at, name) in
                    ["a.example", "a_b.example", "axb.example", "b.example/100%"].iter().enumerate()
                {
                    tx.see_site(&site(name, name, 1))?;
                    tx.put_site_listing(&listing(name, ["one", "two"][at % 2], 1))?;
                }
                tx.decide_site("b.example/100%", SiteState::Listed, "two lists", "", at(2))
            })
            .unwrap();
        let find = |asked: SitesAsked, after: &str| {
            let found = store.tx("t", |tx| tx.find_sites(&asked, after, 3)).unwrap();
            found.into_iter().map(|site| site.address).collect::<Vec<_>>()
        };
        let none = SitesAsked::default;
        let text = |text: &str| SitesAsked { text: Some(text.into()), ..none() };
        assert_eq!(find(none(), "").len(), 3, "no more than were asked for");
        assert_eq!(find(text("a_b"), ""), ["a_b.example"], "no character stands for another");
        assert_eq!(find(text("%"), ""), ["b.example/100%"]);
        assert_eq!(find(text("\\"), ""), [""; 0]);
        assert_eq!(find(text("example"), "axb.example"), ["b.example/100%"]);
        assert_eq!(
            find(SitesAsked { source: Some("one".into()), ..none() }, ""),
            ["a.example", "axb.example"]
        );
        assert_eq!(find(SitesAsked { state: Some(SiteState::Listed), ..none() }, ""), ["b.example/100%"]);
        let listed_by_one =
            SitesAsked { state: Some(SiteState::Listed), source: Some("one".into()), text: None };
        assert_eq!(find(listed_by_one, ""), [""; 0]);
    });
}

#[test]
fn lists_are_counted_with_what_people_took_out() {
    on_both(|store| {
        let source = SiteSource {
            name: "list".into(),
            family: "list".into(),
            reliability: 800,
            since: at(0),
            read: at(0),
        };
        store
            .tx("t", |tx| {
                tx.put_site_source(&source)?;
                for name in ["a.example", "b.example"] {
                    tx.see_site(&site(name, name, 1))?;
                    tx.put_site_listing(&listing(name, "list", 1))?;
                    // Read once more, and an older copy after it.
                    tx.put_site_listing(&listing(name, "list", 9))?;
                    tx.put_site_listing(&listing(name, "list", 5))?;
                }
                tx.decide_site("b.example", SiteState::Removed, "a shop", "aoki", at(10))?;
                tx.put_site_source(&SiteSource {
                    reliability: 900,
                    since: at(7),
                    read: at(7),
                    ..source.clone()
                })
            })
            .unwrap();
        let all = store.tx("t", |tx| tx.site_sources()).unwrap();
        assert_eq!(all, [(SiteSource { reliability: 900, read: at(7), ..source }, 2, 1)]);
        let has = store.tx("t", |tx| tx.site_listings("a.example")).unwrap();
        assert_eq!((has.len(), has[0].first, has[0].last), (1, at(1), at(9)));
    });
}

#[test]
fn what_is_due_is_asked_once_and_objections_are_answered_once() {
    on_both(|store| {
        store.tx("t", |tx| tx.see_site(&site("a.example", "a.example", 10))).unwrap();
        let due = |second| store.tx("t", |tx| tx.sites_due(at(second), 10)).unwrap().len();
        assert_eq!([due(9), due(10)], [0, 1]);
        store.tx("t", |tx| tx.put_site_life("a.example", "gone", at(11), at(100))).unwrap();
        assert_eq!([due(99), due(100)], [0, 1]);
        let objection = SiteObjection {
            id: Id::of("t", &[b"1"]),
            address: "a.example".into(),
            said: "we are a shop".into(),
            by_whom: "its owner".into(),
            at: at(20),
            answer: None,
            answered_by: None,
        };
        store.tx("t", |tx| tx.put_site_objection(&objection)).unwrap();
        let answer =
            || store.tx("t", |tx| tx.answer_site_objections("a.example", "so it is", "aoki", at(30)));
        assert_eq!([answer().unwrap(), answer().unwrap()], [1, 0]);
        let all = store.tx("t", |tx| tx.site_objections("a.example")).unwrap();
        assert_eq!(all[0].answer.as_deref(), Some("so it is"));
    });
}

#[test]
fn a_word_waits_for_somebody_else_who_says_the_same() {
    on_both(|store| {
        let word = |person: &str, threat: Option<&str>, second| SiteWord {
            address: "popular.example".into(),
            threat: threat.map(str::to_owned),
            person: person.into(),
            why: "seen".into(),
            at: at(second),
        };
        let put = |word: &SiteWord| store.tx("t", |tx| tx.put_site_word(word)).unwrap();
        let like = |word: &SiteWord, after| {
            store.tx("t", |tx| tx.site_word_like(word, at(after))).unwrap().map(|word| word.person)
        };
        let scam = Some("scam");
        put(&word("Aoki", scam, 10));
        for other in [word("aoki ", scam, 11), word("Baba", None, 11), word("Baba", Some("phishing"), 11)] {
            assert_eq!(like(&other, 0), None, "{other:?}");
        }
        assert_eq!(like(&word("Baba", scam, 11), 10), None, "it is too old");
        assert_eq!(like(&word("Baba", scam, 11), 9).as_deref(), Some("Aoki"));
        // Who says otherwise takes back what they said.
        put(&word("AOKI", None, 12));
        assert_eq!(like(&word("Baba", scam, 13), 0), None);
        assert_eq!(like(&word("Baba", None, 13), 0).as_deref(), Some("AOKI"));
        store.tx("t", |tx| tx.drop_site_words("popular.example")).unwrap();
        assert_eq!(store.tx("t", |tx| tx.site_words(at(0))).unwrap(), []);
        for n in 0..130 {
            put(&SiteWord { address: format!("{n}.example"), ..word("Aoki", None, 100 + n) });
        }
        let all = store.tx("t", |tx| tx.site_words(at(0))).unwrap();
        assert_eq!((all.len(), all[0].address.as_str()), (100, "129.example"));
        assert_eq!(store.tx("t", |tx| tx.site_words(at(228))).unwrap().len(), 1);
    });
}
