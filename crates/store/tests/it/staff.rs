//! Who works here: names are for ever, links count once, and whoever's access ends is out.

use jiff::SignedDuration;
use noroshi_model::staff::read_roles;
use noroshi_model::{Id, Person};
use noroshi_store::staff::Passkey;

use super::{at, id, on_both};

fn person(n: u64, name: &str, roles: &str) -> Person {
    Person { id: id(n), name: name.into(), roles: read_roles(roles).unwrap(), since: at(0), ended: None }
}

fn passkey(credential: &str, staff: Id) -> Passkey {
    Passkey {
        credential: credential.into(),
        staff,
        fixed: vec![0, 1, 2, 255],
        changing: vec![7; 7],
        transports: 3,
        added: at(1),
        used: None,
    }
}

#[test]
fn a_name_is_somebodys_for_ever() {
    on_both(|store| {
        let aoki = person(1, "青木 花子", "analyst,legal");
        assert!(store.tx("t", |tx| tx.insert_person(&aoki, None)).unwrap());
        let gone = Person { ended: Some(at(9)), ..aoki };
        assert!(store.tx("t", |tx| tx.put_person(&gone)).unwrap());
        assert!(!store.tx("t", |tx| tx.insert_person(&person(2, "青木 花子", "admin"), None)).unwrap());
        assert_eq!(store.look("t", |tx| tx.person_named("青木 花子")).unwrap(), Some(gone));
        let sub = Some("https://id.example#17");
        assert!(store.tx("t", |tx| tx.insert_person(&person(3, "Baba", "admin"), sub)).unwrap());
        assert!(!store.tx("t", |tx| tx.insert_person(&person(4, "Chiba", "admin"), sub)).unwrap());
        let found = store.look("t", |tx| tx.person_of_subject("https://id.example#17")).unwrap();
        assert_eq!(found.unwrap().name, "Baba");
        let staff = store.look("t", |tx| tx.staff()).unwrap();
        assert_eq!(staff.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["Baba", "青木 花子"]);
    });
}

#[test]
fn a_link_invites_once_and_the_newest_alone() {
    on_both(|store| {
        let baba = person(1, "Baba", "analyst");
        store.tx("t", |tx| tx.insert_person(&baba, None)).unwrap();
        store.tx("t", |tx| tx.invite("one", &baba.id, "aoki", at(0), at(100))).unwrap();
        store.tx("t", |tx| tx.invite("two", &baba.id, "aoki", at(1), at(100))).unwrap();
        let invited = |hash: &str, now| store.look("t", |tx| tx.invited(hash, at(now))).unwrap();
        assert_eq!(invited("one", 2), None, "a newer link was made");
        assert_eq!(invited("two", 2), Some(baba));
        assert_eq!(invited("two", 100), None, "expired");
        assert!(store.tx("t", |tx| tx.use_invitation("two", at(3))).unwrap());
        assert!(!store.tx("t", |tx| tx.use_invitation("two", at(3))).unwrap());
        assert_eq!(invited("two", 3), None);
    });
}

#[test]
fn whoever_leaves_is_out_at_once() {
    on_both(|store| {
        let (aoki, baba) = (person(1, "Aoki", "admin"), person(2, "Baba", "analyst"));
        for one in [&aoki, &baba] {
            store.tx("t", |tx| tx.insert_person(one, None)).unwrap();
            let until = at(0) + SignedDuration::from_hours(12);
            store.tx("t", |tx| tx.open_session(&one.name, &one.id, "passkey", at(0), until)).unwrap();
        }
        let inside = |now| {
            let sessions = store.look("t", |tx| tx.sessions(at(now))).unwrap();
            sessions.into_iter().map(|session| session.person.name).collect::<Vec<_>>()
        };
        assert_eq!(inside(1), ["Aoki", "Baba"]);
        store.tx("t", |tx| tx.invite("link", &baba.id, "aoki", at(0), at(100))).unwrap();
        let gone = Person { ended: Some(at(2)), ..baba };
        store.tx("t", |tx| tx.put_person(&gone).and_then(|_| tx.end_sessions_of(&gone.id))).unwrap();
        assert_eq!(inside(2), ["Aoki"]);
        assert_eq!(store.look("t", |tx| tx.session("Baba", at(2))).unwrap(), None);
        assert_eq!(store.look("t", |tx| tx.invited("link", at(2))).unwrap(), None);
        store.tx("t", |tx| tx.end_session("Aoki")).unwrap();
        assert!(inside(2).is_empty());
        assert_eq!(inside(12 * 3600), Vec::<String>::new());
    });
}

#[test]
fn a_passkey_is_kept_as_it_was_and_is_one_persons() {
    on_both(|store| {
        let kept = passkey("AAEC", id(1));
        assert!(store.tx("t", |tx| tx.insert_passkey(&kept)).unwrap());
        assert!(!store.tx("t", |tx| tx.insert_passkey(&passkey("AAEC", id(2)))).unwrap(), "known already");
        assert_eq!(store.look("t", |tx| tx.passkey("AAEC")).unwrap(), Some(kept.clone()));
        store.tx("t", |tx| tx.use_passkey("AAEC", &[8; 7], at(5))).unwrap();
        let used = Passkey { changing: vec![8; 7], used: Some(at(5)), ..kept };
        assert_eq!(store.look("t", |tx| tx.passkeys(&id(1))).unwrap(), [used]);
        assert!(!store.tx("t", |tx| tx.remove_passkey(&id(2), "AAEC")).unwrap(), "another's");
        assert!(store.tx("t", |tx| tx.remove_passkey(&id(1), "AAEC")).unwrap());
    });
}

#[test]
fn whoever_only_looks_cannot_write_and_the_next_can() {
    on_both(|store| {
        let baba = person(1, "Baba", "analyst");
        assert!(store.look("t", |tx| tx.insert_person(&baba, None)).is_err());
        assert_eq!(store.look("t", |tx| tx.staff()).unwrap(), []);
        // On every connection there is, the one that looked among them.
        for n in 1..10 {
            let one = person(n, &format!("person {n}"), "analyst");
            assert!(store.tx("t", |tx| tx.insert_person(&one, None)).unwrap());
            assert_eq!(store.look("t", |tx| tx.staff()).unwrap().len() as u64, n);
        }
    });
}
