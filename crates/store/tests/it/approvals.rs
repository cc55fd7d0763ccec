//! Approvals that end, people that count once, and a queue that only a review empties.

use noroshi_law::Use;
use noroshi_law::evidence::Digest;
use noroshi_store::approvals::{Approval, Review};

use crate::{at, on_both};

fn approval(entry: u64, person: &str, dossier: &[u8], from: i64, until: i64) -> Approval {
    Approval {
        entry,
        measure: "takedown-notice".into(),
        dossier: Digest::of(dossier),
        person: person.into(),
        why: "the takedown of November".into(),
        at: at(from),
        until: at(until),
    }
}

#[test]
fn people_count_once_while_their_approval_of_this_very_dossier_stands() {
    on_both(|store| {
        let given = [
            approval(1, "aoki", b"v1", 0, 100),
            approval(2, "aoki", b"v1", 10, 110),
            approval(3, "baba", b"v1", 50, 150),
            approval(4, "chiba", b"v2", 0, 1000),
        ];
        store.tx("t", |tx| given.iter().try_for_each(|a| tx.put_approval(a))).unwrap();
        let people = |dossier: &[u8], second| {
            store.tx("t", |tx| tx.approvers("takedown-notice", Digest::of(dossier), at(second))).unwrap()
        };
        assert_eq!([-1, 0, 49, 50, 109, 110, 149, 150].map(|s| people(b"v1", s)), [0, 1, 1, 2, 2, 1, 1, 0]);
        assert_eq!(people(b"v2", 60), 1);
        let by =
            |person: &str| store.tx("t", |tx| tx.approved_by("takedown-notice", person, at(60))).unwrap();
        assert!(by("aoki") && by("chiba") && !by("dan"));
        let listed = store.tx("t", |tx| tx.approvals(0, 10)).unwrap();
        assert_eq!((listed.len(), &listed[0]), (4, &given[3]));
    });
}

#[test]
fn an_emergency_use_waits_until_it_is_reviewed_and_is_reviewed_once() {
    on_both(|store| {
        store
            .tx("t", |tx| {
                tx.put_emergency_use(7, "takedown-notice", Use::Identify, at(1))?;
                tx.put_emergency_use(9, "takedown-notice", Use::Notify, at(2))
            })
            .unwrap();
        let review = Review {
            at: at(5),
            reviewer: "dan".into(),
            verdict: "justified".into(),
            why: "as argued".into(),
            entry: 12,
        };
        let write = |entry| store.tx("t", |tx| tx.put_review(entry, &review)).unwrap();
        assert!(write(7) && !write(7) && !write(8));
        let (open, all, count) = store
            .tx("t", |tx| {
                Ok::<_, noroshi_store::StoreError>((
                    tx.emergency_uses(true, None, 10)?,
                    tx.emergency_uses(false, None, 10)?,
                    tx.unreviewed()?,
                ))
            })
            .unwrap();
        assert_eq!((open.len(), open[0].entry, count), (1, 9, 1));
        assert_eq!(all.iter().map(|u| u.entry).collect::<Vec<_>>(), [9, 7]);
        assert_eq!(all[1].review.as_ref(), Some(&review));
        assert_eq!(store.tx("t", |tx| tx.emergency_use(9)).unwrap().unwrap().usage, "notify");
    });
}
