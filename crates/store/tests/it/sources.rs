//! What is known of sources: empty at first, then as written, on both databases.

use noroshi_model::Tally;
use noroshi_store::StoreError;
use noroshi_store::sources::{ERROR_CHARS_MAX, SourceState};

use super::{at, on_both};

#[test]
fn a_source_is_known_as_it_was_written_last() {
    on_both(|store| {
        let new = store.tx("t", |tx| tx.source("web")).unwrap();
        assert_eq!(new, SourceState { name: "web".into(), ..SourceState::default() });
        let failed = SourceState {
            tried: Some(at(1)),
            retry: Some(at(31)),
            failures: 1,
            error: "あ".repeat(ERROR_CHARS_MAX + 1),
            runs: 1,
            ..new
        };
        let fine = SourceState {
            succeeded: Some(at(40)),
            retry: None,
            failures: 0,
            error: String::new(),
            setting: "s".into(),
            etag: Some("W/\"1\"".into()),
            modified: Some("Sun, 06 Nov 1994 08:49:37 GMT".into()),
            unchanged: 2,
            items: 3,
            bytes: u64::from(u32::MAX) * 9,
            counts: Tally { read: 10, stored: 4, duplicate: 3, filtered: 2, aggregated: 1, quarantined: 1 },
            ..failed.clone()
        };
        store
            .tx("t", |tx| {
                tx.put_source(&failed)?;
                assert_eq!(tx.source("web")?.error.chars().count(), ERROR_CHARS_MAX);
                tx.put_source(&fine)?;
                assert_eq!(tx.source("web")?, fine);
                assert_eq!(tx.source("other")?.runs, 0);
                Ok::<_, StoreError>(())
            })
            .unwrap();
    });
}
