//! Organisations, what was seen of their addresses, and messages that tell each alert once.

use jiff::Timestamp;
use noroshi_model::case::StepState;
use noroshi_model::organisation::{Alert, Contact, Mute, Organisation, Proof, Range, Role, Seen, Way};
use noroshi_model::{Lang, Mark};
use noroshi_store::{Store, StoreError};

use crate::{at, on_both};

fn organisation(key: &str) -> Organisation {
    Organisation {
        key: key.into(),
        name: "例示市".into(),
        lang: Lang::JA,
        since: at(0),
        messages: 0,
        next: None,
        pause_s: 0,
    }
}

fn alert(key: &str, n: u8, last: Timestamp) -> Alert {
    let (ip, role) = ([203, 0, 113, n].into(), Role::Sender);
    Alert {
        id: Alert::id(key, ip, role),
        organisation: key.into(),
        seen: Seen {
            ip,
            role,
            class: "scanner".into(),
            tool: "mirai".into(),
            protocol: "tcp".into(),
            source_port: Some(65_535),
            port: None,
            packets: u64::from(n),
            sensors: 2,
            first: at(1),
            last,
        },
        episode: 1,
        alerted: at(2),
        message: None,
        muted: false,
    }
}

fn registered(store: &Store) {
    store
        .tx("t", |tx| {
            assert!(tx.insert_organisation(&organisation("city"))?);
            assert!(!tx.insert_organisation(&organisation("city"))?);
            assert!(tx.insert_organisation(&organisation("school"))?);
            for (way, target) in [(Way::Mail, "a@example.jp"), (Way::Webhook, "https://example.jp/hook")] {
                let secret_file = (way != Way::Mail).then(|| "/secret".to_owned());
                let contact =
                    Contact { organisation: "city".into(), way, target: target.into(), secret_file };
                assert!(tx.insert_contact(&contact)? && !tx.insert_contact(&contact)?);
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

#[test]
fn a_prefix_is_one_organisations_and_its_proof_is_read_back() {
    on_both(|store| {
        registered(store);
        let range = Range {
            prefix: "2001:db8:12::/48".parse().unwrap(),
            organisation: "city".into(),
            token: "t".into(),
            proof: None,
            found: String::new(),
            proven: None,
            checked: None,
            missing: 0,
        };
        let other = Range { organisation: "school".into(), ..range.clone() };
        let proven = Range {
            proof: Some(Proof::Rdap),
            found: "NET".into(),
            proven: Some(at(3)),
            checked: Some(at(4)),
            missing: 1,
            ..range.clone()
        };
        store
            .tx("t", |tx| {
                assert!(tx.insert_range(&range)? && !tx.insert_range(&other)?);
                assert_eq!(tx.ranges(Some("city"))?, std::slice::from_ref(&range));
                tx.put_range(&proven)?;
                assert_eq!(tx.ranges(None)?, std::slice::from_ref(&proven));
                assert!(tx.ranges(Some("school"))?.is_empty());
                let until = Some(at(9));
                let mute =
                    Mute { organisation: "city".into(), prefix: range.prefix, why: "own".into(), until };
                tx.put_mute(&mute)?;
                tx.put_mute(&Mute { until: None, ..mute.clone() })?;
                assert_eq!(tx.mutes("city", at(99))?.len(), 1, "the second word counts");
                tx.put_mute(&mute)?;
                assert_eq!((tx.mutes("city", at(8))?.len(), tx.mutes("city", at(9))?.len()), (1, 0));
                assert!(!tx.remove_range("school", range.prefix)? && tx.remove_range("city", range.prefix)?);
                assert!(tx.remove_mute("city", range.prefix)? && !tx.remove_mute("city", range.prefix)?);
                Ok::<_, StoreError>(())
            })
            .unwrap();
    });
}

#[test]
fn each_alert_is_in_one_message_and_each_message_goes_once_by_each_way() {
    on_both(|store| {
        registered(store);
        let muted = Alert { muted: true, ..alert("city", 9, at(5)) };
        let told = Organisation { messages: 1, next: Some(at(60)), pause_s: 50, ..organisation("city") };
        store
            .tx("t", |tx| {
                for one in [alert("city", 1, at(10)), alert("city", 2, at(20)), muted.clone()] {
                    tx.put_alert(&one)?;
                    assert_eq!(tx.alert(&one.id)?, Some(one));
                }
                tx.put_alert(&alert("school", 3, at(20)))?;
                assert_eq!((tx.alerts_count("city")?, tx.alerts_count("none")?), ((3, 2), (0, 0)));
                let due: Vec<String> = tx.organisations_due(at(10))?.into_iter().map(|o| o.key).collect();
                assert_eq!(due, ["city", "school"]);
                assert_eq!(tx.tell_organisation(&told, at(10))?, 2);
                assert_eq!(tx.tell_organisation(&told, at(10))?, 0, "all is told");
                let (alerts, all) = tx.alerts_of_message("city", 1, 1)?;
                assert_eq!((alerts.len(), all), (1, 2));
                // Another, while it is left in peace.
                tx.put_alert(&alert("city", 4, at(30)))?;
                let due = |tx: &mut noroshi_store::Tx<'_>, second| {
                    Ok::<_, StoreError>(tx.organisations_due(at(second))?.iter().any(|o| o.key == "city"))
                };
                assert!(!due(tx, 59)? && due(tx, 60)?);
                Ok::<_, StoreError>(())
            })
            .unwrap();
        let claim =
            |ways: &[Way], second| store.tx("t", |tx| tx.claim_alert_message(ways, at(second))).unwrap();
        let mail = claim(&[Way::Mail], 11).unwrap();
        assert_eq!((&*mail.target, mail.attempts, mail.handed), ("a@example.jp", 1, Some(at(11))));
        assert!(claim(&[Way::Mail], 11).is_none(), "it is being sent");
        let post = claim(&[Way::Webhook, Way::Stix], 11).unwrap();
        assert_eq!((post.secret_file.as_deref(), post.number), (Some("/secret"), 1));
        assert_ne!(mail.id, post.id);
        store
            .tx("t", |tx| {
                let sent = noroshi_store::alerts::AlertMessage { state: StepState::Sent, ..mail.clone() };
                assert!(tx.put_alert_message(StepState::Sending, &sent)?);
                assert!(!tx.put_alert_message(StepState::Sending, &sent)?, "it is settled");
                let later = noroshi_store::alerts::AlertMessage {
                    state: StepState::Pending,
                    due: at(500),
                    ..post.clone()
                };
                assert!(tx.put_alert_message(StepState::Sending, &later)?);
                // What else waits for whoever does not take anything now waits as long.
                tx.tell_organisation(&Organisation { messages: 2, ..told.clone() }, at(61))?;
                tx.put_off_contact(&later, at(500))?;
                assert!(!tx.alert_message_is_due(&[Way::Webhook], at(499))?);
                assert!(tx.alert_message_is_due(&[Way::Mail], at(61))?);
                assert_eq!(tx.alert_messages_in(StepState::Pending, 10)?.len(), 3);
                assert_eq!(tx.alert_messages("city", 10)?[0].number, 2);
                assert!(tx.remove_contact("city", Way::Mail, "a@example.jp")?);
                assert!(!tx.alert_message_is_due(&[Way::Mail], at(61))?, "nobody is there any more");
                Ok::<_, StoreError>(())
            })
            .unwrap();
    });
}

#[test]
fn alerts_are_read_on_from_a_place_and_forgotten_when_they_are_old() {
    on_both(|store| {
        registered(store);
        store
            .tx("t", |tx| {
                for n in 1..=5 {
                    tx.put_alert(&alert("city", n, at(i64::from(n) / 2)))?;
                }
                let (mut seen, mut behind) = (Vec::new(), None);
                loop {
                    let page = tx.alerts(None, behind.as_ref(), 2)?;
                    let Some(last) = page.last() else { break };
                    behind = Some(Mark { at: last.seen.last, id: last.id.clone() });
                    seen.extend(page.iter().map(|one| one.seen.packets));
                }
                assert_eq!(seen.len(), 5);
                seen.sort_unstable();
                assert_eq!(seen, [1, 2, 3, 4, 5]);
                assert_eq!(tx.alerts_since(at(2), 10)?.len(), 2);
                assert_eq!(tx.forget_alerts(at(1))?, 1);
                tx.put_telescope("north", 65_536, at(3))?;
                tx.put_telescope("north", 256, at(4))?;
                let known = tx.telescopes(at(4))?;
                assert_eq!((known.len(), known[0].addresses, known[0].since), (1, 256, at(3)));
                assert!(tx.telescopes(at(5))?.is_empty());
                assert!(tx.remove_organisation("city")? && !tx.remove_organisation("city")?);
                assert!(tx.alerts(None, None, 10)?.is_empty() && tx.contacts("city")?.is_empty());
                Ok::<_, StoreError>(())
            })
            .unwrap();
    });
}
