//! Aggregate, driven: groups of repeats that are over, by their feed's time or because nothing came of it for a day, leave
//! their summaries in the log.

use super::StageError;
use crate::house::House;
use crate::intake::flush_some;

/// Tells of groups that are over, some of each feed.
pub fn step(house: &House) -> Result<usize, StageError> {
    let mut done = 0;
    for feed in house.store.look("aggregate.feeds", |tx| tx.aggregate_feeds())? {
        done += flush_some(house, &feed.feed, false)?.looked_at;
    }
    Ok(usize::try_from(done).unwrap_or(usize::MAX))
}
