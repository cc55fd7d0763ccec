//! Improve, driven: cases of which nothing was seen for the quiet time are closed, and it is counted how infected each network is.

use jiff::Timestamp;
use noroshi_improve::close_if_quiet;
use noroshi_improve::networks::{Tally, WEEKS_MAX, due};
use noroshi_model::case::QUIET;
use noroshi_model::network::Week;
use noroshi_store::StoreError;
use noroshi_store::networks::After;

use super::{BATCH, StageError};
use crate::house::House;

/// Cases read at once while a week is counted: others write in between.
const PAGE: u32 = 5000;

/// Closes what has stayed quiet, and counts the networks' week where it is time.
pub fn step(house: &House) -> Result<usize, StageError> {
    let now = house.clock.now();
    // Whoever has nothing to close takes nobody's turn.
    if house.store.look("improve.quiet", |tx| tx.quiet_cases(now - QUIET, 1))?.is_empty() {
        return Ok(count_networks(house, now)?);
    }
    let closed = house.store.tx("improve.close", |tx| {
        let quiet = tx.quiet_cases(now - QUIET, BATCH)?;
        let closed: Vec<_> = quiet.iter().filter_map(|case| close_if_quiet(case, now)).collect();
        for case in &closed {
            tx.put_case(case)?;
            tx.stop_steps(&case.id, "the case is closed", now)?;
            tx.forget_addressee(&case.id)?;
            tx.ask_out(&case.id, "the case is closed as clean", now)?;
        }
        Ok::<_, StoreError>(closed.len())
    })?;
    Ok(closed + count_networks(house, now)?)
}

/// Counts one week of the operator's networks, where one is due.
fn count_networks(house: &House, now: Timestamp) -> Result<usize, StoreError> {
    let (networks, from) = (&house.config.networks, Week::of(now).before(WEEKS_MAX));
    let key = networks.key();
    let (counted, first, forgotten_until) = house.store.look("improve.weeks", |tx| {
        Ok::<_, StoreError>((tx.weeks_counted(from)?, tx.first_opened()?, tx.forgotten_until()?))
    })?;
    let Some(week) = due(&counted, &key, first, forgotten_until, now) else { return Ok(0) };
    let mut tally = Tally::new(networks, week);
    let mut after = After::NOTHING;
    while after != After::Everything {
        let (cases, next) =
            house.store.look("improve.week-cases", |tx| tx.infected_in(week, &after, PAGE))?;
        cases.iter().for_each(|case| tally.add(case));
        after = next;
    }
    let counts = tally.counts(now);
    house.store.tx("improve.week", |tx| tx.put_counted(week, &key, &counts, now))?;
    Ok(1)
}
