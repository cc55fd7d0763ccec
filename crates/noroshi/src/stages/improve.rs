//! Improve, driven: cases of which nothing was seen for the quiet time are closed.

use noroshi_improve::close_if_quiet;
use noroshi_model::case::QUIET;
use noroshi_store::StoreError;

use super::{BATCH, StageError};
use crate::house::House;

/// Closes what has stayed quiet.
pub fn step(house: &House) -> Result<usize, StageError> {
    let now = house.clock.now();
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
    Ok(closed)
}
