//! Forgetting: what is older than the dossier of session keeping allows is destroyed by itself, and the evidence log says so.
//!
//! A day's key is what is destroyed; without it no copy of the day's files can be read, wherever it lies. One entry says what
//! is about to go, another what went: a crash between the two leaves the first alone, and the next look does what is left.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use noroshi_book::Forgotten;
use noroshi_book::segment::{DAY_S, day_of};
use noroshi_law::dossier::Dossier;
use noroshi_law::{Purpose as _, SessionKeeping, Use};
use serde::{Deserialize, Serialize};

use crate::house::House;
use crate::report::{self, say};

/// The longest that a record stays out of its day, and so without the key of its day.
const CHECKPOINT: Duration = Duration::from_secs(24 * 60 * 60);

/// `[sessions]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SessionsFile {
    /// Seconds between two looks for what is too old, and before the first one.
    pub forget_every_s: u64,
}

impl Default for SessionsFile {
    fn default() -> Self {
        Self { forget_every_s: 600 }
    }
}

fn dossier(house: &House) -> anyhow::Result<&Dossier> {
    house.register.measure(SessionKeeping::MEASURE).context("there is no dossier of session keeping")
}

/// The first day that the dossier of session keeping lets us keep, as days since 1970-01-01 (UTC).
pub fn kept_from(house: &House) -> anyhow::Result<i32> {
    let days = i32::try_from(dossier(house)?.retention_days).unwrap_or(i32::MAX);
    Ok(day_of(house.clock.now().as_second()).saturating_sub(days))
}

/// Forgets what is too old, with its entries in the evidence log; nothing is written where nothing is too old.
pub fn forget_old(house: &House) -> anyhow::Result<Vec<Forgotten>> {
    let from = kept_from(house)?;
    if let Some(first) = house.book()?.stats().first_day.filter(|first| *first < from) {
        remark(house, format!("about to be destroyed: the keys of {} to {}", date(first), date(from - 1)))?;
    }
    // Also where nothing is too old: a crash may have left keys of an earlier time.
    let forgotten = house.book_to_keep()?.forget_before(from)?;
    if !forgotten.is_empty() {
        let rows: u64 = forgotten.iter().map(|day| day.rows).sum();
        let days = forgotten.len();
        remark(
            house,
            format!("destroyed: the keys of {days} days before {}, with {rows} sessions", date(from)),
        )?;
    }
    Ok(forgotten)
}

fn remark(house: &House, note: String) -> anyhow::Result<()> {
    house.gate().remark(
        dossier(house)?,
        Use::Forget,
        note,
        None,
        house.clock.now(),
        &mut house.evidence(),
    )?;
    Ok(())
}

/// A day as a date.
pub fn date(day: i32) -> String {
    let at = Timestamp::from_second(i64::from(day) * DAY_S).unwrap_or_default();
    at.strftime("%Y-%m-%d").to_string()
}

/// Forgets what is too old, again and again.
pub fn keep_forgetting(house: &House) -> anyhow::Result<()> {
    loop {
        std::thread::sleep(Duration::from_secs(house.config.sessions.forget_every_s.max(1)));
        house.book_to_keep()?.checkpoint_after(CHECKPOINT)?;
        for day in forget_old(house)? {
            tracing::info!(day = date(day.day), sessions = day.rows, "forgotten");
        }
    }
}

/// The command.
pub fn forget(house: &House, dry_run: bool, as_json: bool) -> anyhow::Result<ExitCode> {
    if dry_run {
        let from = kept_from(house)?;
        match house.book()?.stats().first_day.filter(|first| *first < from) {
            None => say!("nothing is older than the dossier allows"),
            Some(first) => say!("{} to {} would be forgotten", date(first), date(from - 1)),
        }
        return Ok(ExitCode::SUCCESS);
    }
    for forgotten in forget_old(house)? {
        if as_json {
            report::json(&forgotten)?;
        } else {
            say!("{}: {} sessions, key destroyed", date(forgotten.day), forgotten.rows);
        }
    }
    Ok(ExitCode::SUCCESS)
}
