//! Counters for a monitoring system, in the OpenMetrics 1.0 text format. They are read from the database when asked for,
//! so that every process tells the same, and a restart forgets none of those that are stored.
//!
//! Whoever sends feeds can make up feed names; a monitoring system keeps a series for each for ever. So the first
//! [`FEEDS_MAX`] feeds have series of their own, in the order in which they were first counted, and the rest is one.

use std::collections::BTreeMap;

use noroshi_model::Tally;
use noroshi_store::StoreError;
use noroshi_store::events::FeedCount;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::cost::Cost;
use crate::counters;
use crate::house::House;

/// Feeds with series of their own.
const FEEDS_MAX: usize = 500;
/// The name that the rest of them share.
const OTHERS: &str = "(others)";
/// Longest label, in characters.
const LABEL_CHARS_MAX: usize = 128;
/// Cursors with a series of their own.
const CURSORS_MAX: u32 = 100;

/// What the text is called.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a series is of.
pub type Labels = Vec<(&'static str, String)>;

/// The text.
pub fn text(house: &House) -> Result<String, StoreError> {
    let now = house.clock.now();
    let (feeds, cursors, newest) = house.store.tx("metrics", |tx| {
        let feeds = tx.feed_counts(now, counters::FEEDS_MAX)?;
        Ok::<_, StoreError>((feeds, tx.cursors(CURSORS_MAX)?, tx.last_event()?))
    })?;
    let mut registry = Registry::default();
    intake(&mut registry, &feeds);
    store(&mut registry, house)?;
    let exports = Family::<Labels, Gauge>::default();
    for cursor in cursors {
        let behind = newest.saturating_sub(cursor.sent);
        exports.get_or_create(&vec![("cursor", cursor.name)]).set(signed(behind));
    }
    registry.register(
        "noroshi_export_behind_events",
        "Events that an export's receiver has not acknowledged",
        exports,
    );
    webhooks(&mut registry, house)?;
    process(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    Ok(text)
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn label(text: &str) -> String {
    text.chars().take(LABEL_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn intake(registry: &mut Registry, feeds: &[FeedCount]) {
    // Names that are the same once cut are counted together; a series may occur only once.
    let mut series: BTreeMap<(String, String), (Tally, i64)> = BTreeMap::new();
    for (at, feed) in feeds.iter().enumerate() {
        let name = if at < FEEDS_MAX { label(&feed.feed) } else { OTHERS.to_owned() };
        let known = series.entry((name, label(&feed.kind))).or_default();
        known.0 += feed.counts;
        known.1 = known.1.max(feed.last.as_second());
    }
    let (read, records) = (Family::<Labels, Counter>::default(), Family::<Labels, Counter>::default());
    let last = Family::<Labels, Gauge>::default();
    for ((feed, kind), (counts, at)) in series {
        let labels = vec![("feed", feed), ("kind", kind)];
        read.get_or_create(&labels).inc_by(counts.read);
        last.get_or_create(&labels).set(at);
        for (outcome, n) in [
            ("stored", counts.stored),
            ("duplicate", counts.duplicate),
            ("filtered", counts.filtered),
            ("quarantined", counts.quarantined),
        ] {
            let mut labels = labels.clone();
            labels.push(("outcome", outcome.to_owned()));
            records.get_or_create(&labels).inc_by(n);
        }
    }
    registry.register("noroshi_intake_read_records", "Records read", read);
    registry.register("noroshi_intake_records", "What became of the records read; adds up to them", records);
    registry.register_with_unit(
        "noroshi_intake_last_timestamp",
        "When records were last read",
        Unit::Seconds,
        last,
    );
}

fn store(registry: &mut Registry, house: &House) -> Result<(), StoreError> {
    let gauges = house.store.gauges()?;
    let mut gauge = |name: &str, help: &str, unit: Option<Unit>, n: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(signed(n));
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, gauge),
            None => registry.register(name, help, gauge),
        }
    };
    gauge("noroshi_event_log_events", "Events in the log", None, gauges.events);
    gauge("noroshi_event_log_blocks", "Blocks they lie in", None, gauges.blocks);
    gauge("noroshi_event_log_runs", "Runs of the log's index", None, gauges.runs);
    gauge("noroshi_event_log_index", "Size of the log's index, about", Some(Unit::Bytes), gauges.index_bytes);
    gauge("noroshi_database_size", "Size of the database", Some(Unit::Bytes), gauges.database_bytes);
    let waiting = Family::<Labels, Gauge>::default();
    for (topic, n) in gauges.queues {
        waiting.get_or_create(&vec![("topic", label(topic))]).set(signed(n));
    }
    registry.register(
        "noroshi_queue_waiting_jobs",
        "Jobs between the stages, those being worked on among them",
        waiting,
    );
    let (steps, stopped) = house
        .store
        .tx("metrics.steps", |tx| Ok::<_, StoreError>((tx.steps_waiting()?, tx.stopped()?.len())))?;
    let waiting = Family::<Labels, Gauge>::default();
    for (channel, state, n) in steps {
        waiting.get_or_create(&vec![("channel", channel), ("state", state)]).set(signed(n));
    }
    registry.register(
        "noroshi_ladder_steps",
        "Steps of the ladder that are not over, by way and state",
        waiting,
    );
    let switches = Gauge::<i64>::default();
    switches.set(i64::try_from(stopped).unwrap_or(i64::MAX));
    registry.register(
        "noroshi_ladder_stopped",
        "Switches that stop telling: everything, a way, a campaign",
        switches,
    );
    let transactions = Family::<Labels, Counter>::default();
    for (name, counted) in house.store.counted() {
        for (outcome, n) in
            [("committed", counted.committed), ("retried", counted.retried), ("failed", counted.failed)]
        {
            let labels = vec![("name", name.to_owned()), ("outcome", outcome.to_owned())];
            transactions.get_or_create(&labels).inc_by(n);
        }
    }
    registry.register("noroshi_transactions", "Transactions of this process by name", transactions);
    Ok(())
}

/// How those do who are told what happens; their number is the configuration's, so it is bounded.
fn webhooks(registry: &mut Registry, house: &House) -> Result<(), StoreError> {
    let (waiting, failures) = (Family::<Labels, Gauge>::default(), Family::<Labels, Gauge>::default());
    let messages = Family::<Labels, Counter>::default();
    for webhook in house.store.look("metrics.webhooks", |tx| tx.webhooks())? {
        let labels = vec![("webhook", label(&webhook.name))];
        waiting.get_or_create(&labels).set(signed(webhook.waiting));
        failures.get_or_create(&labels).set(signed(webhook.failures));
        for (outcome, n) in [("delivered", webhook.delivered), ("given-up", webhook.given_up)] {
            let mut labels = labels.clone();
            labels.push(("outcome", outcome.to_owned()));
            messages.get_or_create(&labels).inc_by(n);
        }
    }
    registry.register("noroshi_webhook_waiting_messages", "Messages that wait for a webhook", waiting);
    registry.register("noroshi_webhook_failures", "Failures of a webhook in a row", failures);
    registry.register("noroshi_webhook_messages", "What became of messages to webhooks", messages);
    Ok(())
}

/// Of the process: version, memory, processor time.
pub fn process(registry: &mut Registry) {
    let version = prometheus_client::metrics::info::Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("noroshi_build", "The program", version);
    if let Some(bytes) = resident_bytes() {
        let resident = Gauge::<i64>::default();
        resident.set(signed(bytes));
        registry.register_with_unit("process_resident_memory", "Memory in use", Unit::Bytes, resident);
    }
    if let Ok(Cost { cpu_s, .. }) = Cost::so_far() {
        let cpu = Counter::<f64, std::sync::atomic::AtomicU64>::default();
        cpu.inc_by(cpu_s);
        registry.register_with_unit("process_cpu", "Processor time spent", Unit::Seconds, cpu);
    }
}

/// What of this process is in memory, where the system says.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(name: &str, n: u64) -> FeedCount {
        let counts = Tally {
            read: 10 * n,
            stored: 4 * n,
            duplicate: 3 * n,
            filtered: 2 * n,
            quarantined: n,
            aggregated: 0,
        };
        let at = jiff::Timestamp::UNIX_EPOCH;
        FeedCount { feed: name.into(), kind: "feed".into(), counts, since: at, last: at, hour: 0, day: 0 }
    }

    fn encoded(feeds: &[FeedCount]) -> String {
        let mut registry = Registry::default();
        intake(&mut registry, feeds);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn names_from_outside_break_no_line() {
        let text = encoded(&[feed("a\"b\\c\nd", 1)]);
        let line = text.lines().find(|line| line.contains("outcome=\"stored\"")).unwrap();
        assert_eq!(
            line,
            "noroshi_intake_records_total{feed=\"a\\\"b\\\\c\u{fffd}d\",kind=\"feed\",outcome=\"stored\"} 4"
        );
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn however_many_feeds_there_are_the_series_are_bounded_and_add_up() {
        let feeds: Vec<FeedCount> = (0..2000).map(|n| feed(&format!("feed {n}"), n)).collect();
        let text = encoded(&feeds);
        let of = |name: &str| -> Vec<u64> {
            let lines = text.lines().filter(|line| line.starts_with(name));
            lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
        };
        let (read, records) = (of("noroshi_intake_read_records_total{"), of("noroshi_intake_records_total{"));
        assert_eq!((read.len(), records.len()), (FEEDS_MAX + 1, 4 * (FEEDS_MAX + 1)));
        assert_eq!(read.iter().sum::<u64>(), records.iter().sum::<u64>());
        assert_eq!(read.iter().sum::<u64>(), (0..2000).map(|n| 10 * n).sum::<u64>());
    }
}
