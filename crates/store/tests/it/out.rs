//! What goes out: cursors move for one export at a time, and rates and gauges tell what is there.

use jiff::SignedDuration;
use noroshi_model::Tally;
use noroshi_store::cursors::Cursor;
use noroshi_store::events::Intake;
use noroshi_store::queue::OBSERVED;

use super::{at, id, on_both};

fn cursor(sent: u64, until: u64) -> Cursor {
    Cursor { name: "siem".into(), what: "jsonl".into(), sent, until, place: 0, at: at(0) }
}

#[test]
fn of_two_exports_that_share_a_cursor_one_goes_on() {
    on_both(|store| {
        let put = |was: Option<&Cursor>, now: &Cursor| store.tx("t", |tx| tx.put_cursor(was, now)).unwrap();
        assert!(put(None, &cursor(0, 0)));
        assert!(!put(None, &cursor(0, 9)), "it is there already");
        assert!(put(Some(&cursor(0, 0)), &cursor(0, 500)));
        assert!(!put(Some(&cursor(0, 0)), &cursor(0, 700)), "the other one was quicker");
        let other = Cursor { what: "csv".into(), ..cursor(0, 500) };
        assert!(!put(Some(&other), &cursor(500, 500)), "it is another selection's");
        assert!(put(Some(&cursor(0, 500)), &cursor(500, 500)));
        assert_eq!(store.tx("t", |tx| tx.cursor("siem")).unwrap(), Some(cursor(500, 500)));
        assert_eq!(store.tx("t", |tx| tx.cursors(10)).unwrap().len(), 1);
        assert!(store.tx("t", |tx| tx.drop_cursor("siem")).unwrap());
        assert!(!store.tx("t", |tx| tx.drop_cursor("siem")).unwrap());
        assert_eq!(store.tx("t", |tx| tx.cursor("siem")).unwrap(), None);
    });
}

#[test]
fn feeds_are_told_in_the_order_they_came_with_what_they_bring_in_an_hour_and_a_day() {
    on_both(|store| {
        let count = |campaign: &str, read: u64, second: i64| {
            let intake = Intake {
                id: id(read),
                kind: "feed".into(),
                source: "x".into(),
                campaign: campaign.into(),
                measure: None,
                position: 0,
                done: false,
            };
            let counts = Tally { read, stored: read, ..Tally::default() };
            store.tx("t", |tx| tx.advance(&intake, &counts, at(second))).unwrap();
        };
        const HOUR: i64 = 3600;
        count("z", 1, 0);
        count("z", 10, 20 * HOUR);
        count("z", 100, 23 * HOUR + 600);
        count("a", 5, 23 * HOUR + 1200);
        let now = at(24 * HOUR);
        let feeds = store.tx("t", |tx| tx.feed_counts(now, 10)).unwrap();
        let told: Vec<_> =
            feeds.iter().map(|f| (f.feed.as_str(), f.counts.read, f.hour, f.day, f.since, f.last)).collect();
        assert_eq!(
            told,
            [
                ("z", 111, 100, 111, at(0), at(23 * HOUR + 600)),
                ("a", 5, 5, 5, at(23 * HOUR + 1200), at(23 * HOUR + 1200))
            ]
        );
        // A day later the first slots are gone, and the counts are not.
        count("z", 1000, 49 * HOUR);
        let feeds = store.tx("t", |tx| tx.feed_counts(at(49 * HOUR), 1)).unwrap();
        assert_eq!((feeds.len(), feeds[0].counts.read, feeds[0].day), (1, 1111, 1000));
        assert_eq!(
            store
                .tx("t", |tx| tx.number("SELECT COUNT(*) FROM tally_slot WHERE campaign = 'z'", &[]))
                .unwrap(),
            1
        );
    });
}

#[test]
fn gauges_measure_what_is_there() {
    on_both(|store| {
        let now = at(0);
        store
            .tx("t", |tx| {
                tx.publish(OBSERVED, &id(1), &1, now)?;
                tx.publish(OBSERVED, &id(2), &2, now + SignedDuration::from_hours(1))
            })
            .unwrap();
        let gauges = store.gauges().unwrap();
        assert_eq!(
            (gauges.events, gauges.queues),
            (0, vec![("observed", 2), ("oriented", 0), ("decided", 0)])
        );
        assert!(gauges.database_bytes > 10_000);
        assert_eq!(store.tx("t", |tx| tx.last_event()).unwrap(), 0);
    });
}
