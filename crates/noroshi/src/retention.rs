//! What may be kept no longer goes by itself: for each measure, events and findings that came in, and cases that were closed, longer
//! ago than its dossier allows. An entry in the evidence log says what is about to go, another what went; a crash between the two
//! leaves the first alone, and the next look does what is left. The session book forgets by days and keys:
//! [`crate::sessions`].
//!
//! What came in under no measure is knowledge, and kept for as long as `[retention]` says.

use std::process::ExitCode;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use noroshi_law::Use;
use noroshi_law::dossier::Dossier;
use noroshi_store::forgetting::TooOld;
use noroshi_store::log::Forget;
use serde::{Deserialize, Serialize};

use crate::house::House;
use crate::report::{self, say};

/// `[retention]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RetentionFile {
    /// Seconds between two looks for what is too old, and before the first one.
    pub forget_every_s: u64,
    /// Days for which events are kept that came in under no measure, counted from when they happened; by default for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_days: Option<u32>,
    /// Days for which the content of quarantined lines is kept.
    pub quarantine_days: u32,
    /// Days for which a telescope's counts and campaigns are kept.
    pub telescope_days: u32,
    /// Hours for which it is kept who was seen by a telescope, one by one.
    pub sighting_hours: u32,
}

impl Default for RetentionFile {
    fn default() -> Self {
        Self {
            forget_every_s: 600,
            event_days: None,
            quarantine_days: 90,
            telescope_days: 400,
            sighting_hours: 2,
        }
    }
}

/// What was forgotten of one measure.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Forgotten {
    /// The measure.
    pub measure: String,
    /// How many days its dossier allows.
    pub retention_days: u32,
    /// Before when it came in, or was closed.
    pub before: Timestamp,
    /// Events.
    pub events: u64,
    /// Findings.
    pub findings: u64,
    /// Cases.
    pub cases: u64,
}

impl std::fmt::Display for Forgotten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { events, findings, cases, before, .. } = self;
        write!(f, "{events} events, {findings} findings, {cases} cases of before {before:.0}")
    }
}

fn days_before(now: Timestamp, days: u32) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MIN)
}

/// Before when what came in under a measure is too old.
fn limit(house: &House, dossier: &Dossier) -> Timestamp {
    days_before(house.clock.now(), dossier.retention_days)
}

fn remark(house: &House, dossier: &Dossier, note: String) -> anyhow::Result<()> {
    let now = house.clock.now();
    house.gate().remark(dossier, Use::Forget, note, None, now, &mut house.evidence())?;
    Ok(())
}

/// Forgets what is too old of each measure, with its entries in the evidence log; nothing is written where nothing is too old.
pub fn forget_old(house: &House) -> anyhow::Result<Vec<Forgotten>> {
    let mut all = Vec::new();
    for dossier in house.register.iter() {
        let before = limit(house, dossier);
        let which = TooOld { measure: &dossier.id, before };
        if house.store.look("retention.look", |tx| tx.is_too_old(which))? == [false; 3] {
            continue;
        }
        remark(
            house,
            dossier,
            format!("about to be forgotten: what came in or was closed before {before:.0}"),
        )?;
        let forgotten = Forgotten {
            measure: dossier.id.clone(),
            retention_days: dossier.retention_days,
            before,
            events: house.store.forget_events(Forget::Under(which))?,
            findings: until_none(|| house.store.tx("retention.findings", |tx| tx.forget_findings(which)))?,
            cases: until_none(|| {
                house.store.tx("retention.cases", |tx| tx.forget_cases(which, house.clock.now()))
            })?,
        };
        remark(house, dossier, format!("forgotten: {forgotten}"))?;
        all.push(forgotten);
    }
    forget_knowledge(house)?;
    Ok(all)
}

/// Does again what does some, until there is none.
fn until_none<E>(mut some: impl FnMut() -> Result<u64, E>) -> Result<u64, E> {
    let mut all = 0;
    loop {
        match some()? {
            0 => return Ok(all),
            done => all += done,
        }
    }
}

/// Forgets what came in under no measure, as the configuration says.
fn forget_knowledge(house: &House) -> anyhow::Result<()> {
    let (wish, now) = (&house.config.retention, house.clock.now());
    if let Some(days) = wish.event_days {
        let events = house.store.forget_events(Forget::Before(days_before(now, days)))?;
        if events > 0 {
            tracing::info!(events, days, "events forgotten");
        }
    }
    let before = days_before(now, wish.quarantine_days);
    let lines = until_none(|| house.store.tx("retention.quarantine", |tx| tx.forget_quarantined(before)))?;
    if lines > 0 {
        tracing::info!(lines, days = wish.quarantine_days, "content of quarantined lines forgotten");
    }
    Ok(())
}

/// Forgets what is too old, again and again, in the background of `noroshi run`.
pub fn keep_forgetting(house: &House) {
    loop {
        std::thread::sleep(Duration::from_secs(house.config.retention.forget_every_s.max(1)));
        match forget_old(house) {
            Ok(all) => {
                for done in all {
                    tracing::info!(measure = done.measure, "forgotten: {done}");
                }
            }
            Err(e) => tracing::error!("forgetting what is too old: {e:#}"),
        }
    }
}

/// `noroshi law forget`
pub fn forget(house: &House, dry_run: bool, as_json: bool) -> anyhow::Result<ExitCode> {
    if !dry_run {
        for done in forget_old(house)? {
            if as_json {
                report::json(&done)?;
            } else {
                say!("{:<18} {done}", done.measure);
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    for dossier in house.register.iter() {
        let before = limit(house, dossier);
        let which = TooOld { measure: &dossier.id, before };
        let [events, findings, cases] = house.store.look("retention.look", |tx| tx.is_too_old(which))?;
        if as_json {
            report::json(&serde_json::json!({
                "measure": dossier.id, "retention_days": dossier.retention_days, "before": before,
                "events": events, "findings": findings, "cases": cases,
            }))?;
        } else {
            let some = [(events, "events"), (findings, "findings"), (cases, "cases")];
            let some: Vec<&str> = some.into_iter().filter(|(some, _)| *some).map(|(_, what)| what).collect();
            let told = if some.is_empty() { "nothing".to_owned() } else { some.join(", ") };
            say!("{:<18} before {before:.0}: {told}", dossier.id);
        }
    }
    Ok(ExitCode::SUCCESS)
}
