//! What the program prints: the loop in numbers, cases, funnels, evidence. Data on stdout, as tables for people or as JSON.

use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::io::Write as _;

use noroshi_act::clocks::Clocks;
use noroshi_improve::funnel::table;
use noroshi_improve::networks;
use noroshi_model::Trial;
use noroshi_model::network::{NetworkRate, Week};
use noroshi_model::wording::WordingTrial;
use noroshi_orient::clock::{FeedClock, Forms};
use noroshi_store::StoreError;
use serde::Serialize;

use crate::house::House;

/// Prints a line. A reader that has gone away (`| head`) ends the program quietly, as it does for other programs.
macro_rules! say {
    ($($text:tt)*) => { $crate::report::print(format_args!("{}\n", format_args!($($text)*))) };
}
/// Prints without ending the line.
macro_rules! say_on {
    ($($text:tt)*) => { $crate::report::print(format_args!($($text)*)) };
}
pub(crate) use {say, say_on};

/// What [`say!`] does.
pub fn print(text: Arguments<'_>) {
    if std::io::stdout().lock().write_fmt(text).is_err() {
        std::process::exit(0);
    }
}

/// Prints a value as one line of JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    say!("{}", serde_json::to_string(value)?);
    Ok(())
}

/// What others wrote, fit for a terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Feeds of whose times some may be wrong as far as can be judged, and by how many seconds at most.
pub fn feeds_in_doubt(house: &House, clocks: BTreeMap<String, Forms>) -> impl Iterator<Item = (String, u32)> {
    clocks
        .into_iter()
        .filter(|(feed, _)| !house.config.clock_error_s.contains_key(feed))
        .map(|(feed, forms)| (feed, FeedClock::new(forms).worst_s()))
        .filter(|(_, off_s)| *off_s > 0)
}

/// The loop in numbers: totals, who could be named and who could not and why, clocks that are wrong, refusals, funnels.
pub fn loop_in_numbers(house: &House, as_json: bool) -> anyhow::Result<()> {
    let (totals, identified, samples, feed_clocks, refusals, funnels) =
        house.store.tx("report.loop", |tx| {
            Ok::<_, noroshi_store::StoreError>((
                tx.totals()?,
                tx.identification_totals()?,
                tx.clock_samples()?,
                tx.feed_clocks()?,
                tx.refusal_totals()?,
                tx.funnels()?,
            ))
        })?;
    if as_json {
        return json(&totals);
    }
    say!(
        "events {:>6}   (duplicates {}, filtered {}, quarantined {})",
        totals.events,
        totals.duplicates,
        totals.filtered,
        totals.quarantined
    );
    say!("findings {:>4}   decisions {}   refusals {}", totals.findings, totals.decisions, totals.refusals);
    say!("mails {:>7}   visits {}", totals.mails, totals.visits);
    say!(
        "cases {:>7}   open {}, closed as clean {}",
        totals.cases_open + totals.cases_closed,
        totals.cases_open,
        totals.cases_closed
    );
    say!("evidence {:>4}   entries: every permit, refusal and look\n", totals.evidence);
    say!("who held the address, by sighting:");
    for (verdict, reason, sightings) in identified {
        say!("  {sightings:>5} {verdict:<10} {reason}");
    }
    for clock in Clocks::estimate(samples).iter().filter(|c| c.is_wrong()) {
        say!(
            "\nthe clock of access server {} is {:+} s off ({} records): corrected by the RADIUS server's time",
            clock.nas,
            clock.offset_s,
            clock.samples
        );
    }
    for (feed, off_s) in feeds_in_doubt(house, feed_clocks) {
        say!(
            "\ntimes of {feed} may be wrong by {off_s} s: where the address changed hands so near, nobody is named"
        );
    }
    if !refusals.is_empty() {
        say!("\nrefused:");
    }
    for (measure, rule, reason, times) in refusals {
        say!("  {times:>5} {measure} by rule {rule}: {reason}");
    }
    say!("\n{}", table(&funnels));
    Ok(())
}

/// Which wording works, of every round of wordings, the newest first.
pub fn wordings(house: &House) -> Result<Vec<WordingTrial>, StoreError> {
    let (days, now) = (house.config.reach.outcome.hold_out_days, house.clock.now());
    let mut trials = house.store.look("outcome.wordings", |tx| tx.wording_trials(days, now))?;
    trials.iter_mut().for_each(noroshi_improve::wording::compare);
    Ok(trials)
}

/// How infected each network is, week by week: everything, or what the public may be told.
pub fn networks(house: &House, for_the_public: bool) -> Result<Vec<NetworkRate>, StoreError> {
    let from = Week::of(house.clock.now()).before(networks::WEEKS_MAX);
    let counted = house.store.look("outcome.networks", |tx| tx.counted_weeks(from))?;
    let mut rates = networks::rates(&counted);
    if for_the_public {
        networks::for_the_public(&mut rates);
    }
    Ok(rates)
}

/// What telling does, of every campaign of which chance held somebody out.
pub fn trials(house: &House) -> Result<Vec<Trial>, StoreError> {
    let (days, now) = (house.config.reach.outcome.hold_out_days, house.clock.now());
    let mut trials = house.store.look("outcome.trials", |tx| tx.trials(days, now))?;
    for trial in &mut trials {
        trial.effect = noroshi_improve::effect::effect(&trial.told, &trial.held_out);
    }
    Ok(trials)
}
