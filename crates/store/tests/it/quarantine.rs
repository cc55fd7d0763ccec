//! The quarantine: whole lines, kept once, found again, read again, removed.

use noroshi_store::StoreError;
use noroshi_store::quarantine::{KEPT_MAX, NewQuarantine, QuarantineFilter};

use super::{at, on_both};

fn bad(line: u64) -> NewQuarantine {
    NewQuarantine {
        campaign: "takedown".into(),
        feed: if line.is_multiple_of(2) { "even".into() } else { "odd".into() },
        source: "gate.csv".into(),
        line,
        reason: format!("100%_ torn, like {}", line % 10),
        content: Some(vec![0xff, b'"', 0, line as u8]),
        bytes: 4,
        how: "{\"format\":\"gate\"}".into(),
    }
}

#[test]
fn thousands_of_lines_are_kept_once_and_found_by_feed_and_reason() {
    on_both(|store| {
        let lines: Vec<NewQuarantine> = (1..=5000).map(bad).collect();
        let keep = |second: i64| store.tx("t", |tx| tx.insert_quarantined(&lines, at(second))).unwrap();
        assert_eq!((keep(0), keep(1)), (5000, 0));
        store
            .tx("t", |tx| {
                let all = QuarantineFilter::default();
                let even = QuarantineFilter { feed: Some("even".into()), ..all.clone() };
                let like = QuarantineFilter { reason: Some("%_ TORN, like 4".into()), ..all.clone() };
                let wild = QuarantineFilter { reason: Some("100_".into()), ..all.clone() };
                assert_eq!(tx.quarantine_count(&all)?, 5000);
                assert_eq!(tx.quarantine_count(&even)?, 2500);
                assert_eq!(tx.quarantine_count(&like)?, 500);
                assert_eq!(tx.quarantine_count(&wild)?, 0);
                let page = tx.quarantine_where(&even, 10, 3)?;
                assert!(page.iter().map(|q| q.line).eq([22, 24, 26]), "in order of the lines");
                let ids = lines[..3].iter().map(NewQuarantine::id).collect::<Vec<_>>();
                assert_eq!(tx.mark_replayed(&ids, at(5))?, 3);
                let waiting = QuarantineFilter { replayed: Some(false), ..all.clone() };
                assert_eq!(tx.quarantine_count(&waiting)?, 4997);
                assert_eq!(tx.quarantined(&ids[0])?.unwrap().entry.replayed, Some(at(5)));
                assert_eq!(tx.remove_quarantined(&ids)?, 3);
                assert_eq!(tx.remove_quarantined(&ids)?, 0);
                assert_eq!(tx.quarantined(&ids[0])?, None);
                Ok::<_, StoreError>(())
            })
            .unwrap();
    });
}

#[test]
fn a_line_is_kept_whole_up_to_a_limit_and_a_sealed_one_not_at_all() {
    on_both(|store| {
        let long =
            NewQuarantine { content: Some(vec![b'x'; KEPT_MAX + 1]), bytes: KEPT_MAX as u64 + 1, ..bad(1) };
        let sealed = NewQuarantine { content: None, ..bad(2) };
        let lines = [bad(3), long, sealed];
        store.tx("t", |tx| tx.insert_quarantined(&lines, at(0))).unwrap();
        let kept = lines.map(|q| store.tx("t", |tx| tx.quarantined(&q.id())).unwrap().unwrap());
        assert_eq!((kept[0].content.clone(), kept[0].entry.cut), (bad(3).content, false));
        assert_eq!(kept[0].how, bad(3).how);
        assert_eq!((kept[1].content.as_ref().map(Vec::len), kept[1].entry.cut), (Some(KEPT_MAX), true));
        assert_eq!((&kept[2].content, &kept[2].entry.snippet, kept[2].entry.cut), (&None, &None, false));
        let listed = store.tx("t", |tx| tx.quarantine_behind("", None, 10)).unwrap();
        let of = |line: u64| listed.iter().find(|q| q.line == line).unwrap().snippet.clone();
        assert_eq!(of(1).map(|shown| shown.len()), Some(4096));
        assert_eq!(of(3), kept[0].entry.snippet);
    });
}
