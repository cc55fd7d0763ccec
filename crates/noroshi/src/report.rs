//! What the program prints: the loop in numbers, cases, funnels, evidence. Data on stdout, as tables for people or as JSON.

use noroshi_act::clocks::Clocks;
use noroshi_improve::funnel::table;
use serde::Serialize;

use crate::house::House;

/// Prints a value as one line of JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}

/// The loop in numbers: totals, who could be named and who could not and why, clocks that are wrong, refusals, funnels.
pub fn loop_in_numbers(house: &House, as_json: bool) -> anyhow::Result<()> {
    let (totals, identified, samples, refusals, funnels) = house.store.tx("report.loop", |tx| {
        Ok::<_, noroshi_store::StoreError>((
            tx.totals()?,
            tx.identification_totals()?,
            tx.clock_samples()?,
            tx.refusals(0, 20)?,
            tx.funnels()?,
        ))
    })?;
    if as_json {
        return json(&totals);
    }
    println!(
        "events {:>6}   (duplicates {}, filtered {}, quarantined {})",
        totals.events, totals.duplicates, totals.filtered, totals.quarantined
    );
    println!(
        "findings {:>4}   decisions {}   refusals {}",
        totals.findings, totals.decisions, totals.refusals
    );
    println!("mails {:>7}   visits {}", totals.mails, totals.visits);
    println!(
        "cases {:>7}   open {}, closed as clean {}",
        totals.cases_open + totals.cases_closed,
        totals.cases_open,
        totals.cases_closed
    );
    println!("evidence {:>4}   entries, one for each look\n", totals.evidence);
    println!("who held the address, by sighting:");
    for (verdict, reason, sightings) in identified {
        println!("  {sightings:>5} {verdict:<10} {reason}");
    }
    for clock in Clocks::estimate(samples).iter().filter(|c| c.is_wrong()) {
        println!(
            "\nthe clock of access server {} is {:+} s off ({} records): corrected by the RADIUS server's time",
            clock.nas, clock.offset_s, clock.samples
        );
    }
    if !refusals.is_empty() {
        println!("\nrefused:");
        for r in refusals {
            println!("  {} by rule {}: {}", r.measure, r.rule, r.reason);
        }
    }
    println!("\n{}", table(&funnels));
    Ok(())
}
