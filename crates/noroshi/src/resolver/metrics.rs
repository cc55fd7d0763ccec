//! A resolver's counters for a monitoring system, in the OpenMetrics 1.0 text format, over HTTP. Zones are the operator's own, so each has series;
//! names that were asked for and clients have none.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::net::TcpListener;

use super::status::{ForwardStatus, Status, ZoneStatus};
use crate::http;
use crate::metrics::{Labels, OPEN_METRICS, process};

/// How long it is until the port is tried again, when somebody has it: the resolver whose place is taken has it a moment longer.
const AGAIN: Duration = Duration::from_secs(1);

/// Serves `/metrics` until the runtime ends.
pub async fn serve(address: SocketAddr, status: impl Fn() -> Status + Send + Sync + 'static) {
    let status = Arc::new(status);
    let answer = move || {
        let text = text(&status());
        async move { ([(CONTENT_TYPE, OPEN_METRICS)], text) }
    };
    let router = Router::new().route("/metrics", get(answer));
    let mut is_told = false;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) if !is_told => {
                tracing::warn!(%address, %error, "metrics");
                is_told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    };
    http::serve(listener, router).await;
}

fn text(status: &Status) -> String {
    let mut registry = Registry::with_prefix("noroshi_resolver");
    counters(
        &mut registry,
        "queries",
        "Messages that came in",
        status.queries.iter().map(|(transport, count)| (vec![("transport", transport.clone())], *count)),
    );
    counters(
        &mut registry,
        "answers",
        "Answers by code",
        status.codes.iter().map(|(code, count)| (vec![("rcode", code.clone())], *count)),
    );
    let when = [("at-once", status.answered_at_once), ("later", status.answered_later)];
    counters(
        &mut registry,
        "answered",
        "Answers that waited for other servers, and that did not",
        when.map(|(when, count)| (vec![("when", when.to_owned())], count)),
    );
    let why = [("silent", status.silent), ("full", status.refused_full)];
    counters(
        &mut registry,
        "unanswered",
        "Messages without an answer: a rule says so or they are none (silent), or too many wait (full)",
        why.map(|(why, count)| (vec![("why", why.to_owned())], count)),
    );
    let stale = Counter::<u64>::default();
    stale.inc_by(status.stale);
    registry.register("stale_answers", "Answers that were too old", stale);
    let lost = Counter::<u64>::default();
    lost.inc_by(status.hits_lost);
    registry.register("hits_lost", "Hits that were not recorded because there were too many", lost);
    gauges(
        &mut registry,
        "agreed_lines",
        "Lines that have agreed to a measure",
        status.agreed.iter().map(|(measure, lines)| (vec![("measure", measure.clone())], *lines)),
    );
    zones(&mut registry, &status.zones);
    forward(&mut registry, &status.forward);
    sizes(&mut registry, status);
    let mut text = String::new();
    // Writing to memory does not fail.
    let _ = encode(&mut text, &registry);
    let mut of_process = Registry::default();
    process(&mut of_process);
    let end = text.trim_end_matches("# EOF\n").len();
    text.truncate(end);
    let _ = encode(&mut text, &of_process);
    text
}

fn zones(registry: &mut Registry, all: &[ZoneStatus]) {
    let zone = |zone: &ZoneStatus| vec![("zone", zone.zone.clone())];
    counters(
        registry,
        "policy_hits",
        "Answers that a policy zone decided",
        all.iter().map(|of| (zone(of), of.hits)),
    );
    gauges(registry, "policy_rules", "Rules in force", all.iter().map(|of| (zone(of), of.rules)));
    gauges(
        registry,
        "policy_serial",
        "A policy zone's version",
        all.iter().filter_map(|of| Some((zone(of), of.serial?.into()))),
    );
    let transfers = all.iter().filter_map(|of| Some((of, of.transfers.as_ref()?)));
    counters(
        registry,
        "transfers",
        "Times that a policy zone was fetched",
        transfers.clone().flat_map(|(of, transfers)| {
            [("whole", transfers.whole), ("changes", transfers.changes)]
                .map(|(what, count)| ([zone(of), vec![("what", what.to_owned())]].concat(), count))
        }),
    );
    gauges(
        registry,
        "transfer_failing",
        "Whether the last attempt to fetch a policy zone failed",
        transfers.map(|(of, transfers)| (zone(of), transfers.failure.is_some().into())),
    );
}

fn forward(registry: &mut Registry, all: &[ForwardStatus]) {
    let server = |of: &ForwardStatus| vec![("server", of.address.to_string())];
    let help = "Whether a resolver answered when it was last asked";
    gauges(registry, "forward_answers", help, all.iter().map(|of| (server(of), of.answers.into())));
}

fn sizes(registry: &mut Registry, status: &Status) {
    for (name, help, value) in [
        ("waiting", "Questions that wait for other servers", status.waiting),
        ("cache_entries", "Answers that are known", status.cache_entries),
    ] {
        let gauge = Gauge::<i64>::default();
        gauge.set(signed(value));
        registry.register(name, help, gauge);
    }
    for (name, help, octets) in [
        ("cache", "Memory of the cache", status.cache_octets),
        ("policy_table", "Memory of rules by name", status.table_octets),
    ] {
        let gauge = Gauge::<i64>::default();
        gauge.set(signed(octets));
        registry.register_with_unit(name, help, Unit::Bytes, gauge);
    }
}

fn counters(
    registry: &mut Registry,
    name: &str,
    help: &str,
    counts: impl IntoIterator<Item = (Labels, u64)>,
) {
    let family = Family::<Labels, Counter>::default();
    for (labels, count) in counts {
        family.get_or_create(&labels).inc_by(count);
    }
    registry.register(name, help, family);
}

fn gauges(registry: &mut Registry, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, u64)>) {
    let family = Family::<Labels, Gauge>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).set(signed(value));
    }
    registry.register(name, help, family);
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
