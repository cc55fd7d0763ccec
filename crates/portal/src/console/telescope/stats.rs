//! What telescopes counted within a day: how much, for which ports, from where, by what; and what is new.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use noroshi_model::telescope::{Campaign, Counted, SpanCount, TelescopeState};
use serde::Serialize;
use serde_json::json;

use super::super::asked::{Asked, Here};
use crate::counter::Counter;
use crate::desk::TelescopePage;

/// Rows of each table on the page; its twin has all.
const ROWS_MAX: usize = 15;
/// Senders within an hour, at least, and how many times as many as in any hour of the week before, for a port to be new.
const NEW_HOSTS_MIN: u64 = 20;
const NEW_RATIO_MIN: u64 = 3;

#[derive(Template)]
#[template(path = "console/telescope.html")]
struct StatsView<'a> {
    here: Here<'a>,
    page: &'a TelescopePage,
    stats: &'a Stats<'a>,
}

impl StatsView<'_> {
    fn share(&self, hosts: &u64) -> String {
        crate::show::share(hosts, &self.stats.hosts())
    }

    fn is_there(&self, telescope: &TelescopeState) -> bool {
        self.page.at.duration_since(telescope.seen).as_secs() < 120
    }

    fn country<'b>(&self, name: &'b str) -> &'b str {
        if name.is_empty() { "unknown" } else { name }
    }

    fn skill(&self, error: &f64) -> String {
        format!("{error:.2}")
    }

    fn percent(&self, part: &f64) -> String {
        format!("{:.0} %", part * 100.0)
    }

    fn what(&self, campaign: &Campaign) -> String {
        format!("{}/{} {}", campaign.protocol, campaign.port, campaign.tool).trim().to_owned()
    }
}

/// The day's counts, sorted out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Stats<'a> {
    all: Option<&'a SpanCount>,
    ports_by_hosts: Vec<&'a SpanCount>,
    ports_by_packets: Vec<&'a SpanCount>,
    countries: Vec<&'a SpanCount>,
    classes: Vec<&'a SpanCount>,
    tools: Vec<&'a SpanCount>,
    new: Vec<New<'a>>,
}

/// A port for which many more ask than in the week before.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
struct New<'a> {
    #[serde(flatten)]
    count: &'a SpanCount,
    /// Senders in the busiest hour of the week before.
    hosts_before: u64,
}

impl<'a> Stats<'a> {
    fn of(page: &'a TelescopePage) -> Self {
        // Most senders first, as they come.
        let by = |these: &[Counted]| -> Vec<&'a SpanCount> {
            page.day.iter().filter(|count| these.contains(&count.by)).collect()
        };
        let ports_by_hosts = by(&[Counted::Tcp, Counted::Udp]);
        let mut ports_by_packets = ports_by_hosts.clone();
        ports_by_packets.sort_by_key(|count| std::cmp::Reverse(count.packets));
        Self {
            all: page.day.iter().find(|count| count.by == Counted::All),
            new: new(&ports_by_hosts, &page.week),
            ports_by_hosts,
            ports_by_packets,
            countries: by(&[Counted::Country]),
            classes: by(&[Counted::Class]),
            tools: by(&[Counted::Tool]),
        }
    }

    fn hosts(&self) -> u64 {
        self.all.map_or(0, |all| all.hosts)
    }

    fn some<'b>(&self, rows: &'b [&'a SpanCount]) -> &'b [&'a SpanCount] {
        &rows[..rows.len().min(ROWS_MAX)]
    }
}

/// Which ports are asked for by many more than in the week before; none where nothing was counted then.
fn new<'a>(ports: &[&'a SpanCount], week: &[SpanCount]) -> Vec<New<'a>> {
    if week.is_empty() {
        return Vec::new();
    }
    let before: HashMap<(Counted, &str), u64> =
        week.iter().map(|count| ((count.by, count.name.as_str()), count.hosts)).collect();
    let all = ports.iter().filter(|count| count.hosts >= NEW_HOSTS_MIN).map(|count| New {
        count,
        hosts_before: before.get(&(count.by, count.name.as_str())).copied().unwrap_or(0),
    });
    all.filter(|new| new.count.hosts >= new.hosts_before.saturating_mul(NEW_RATIO_MIN)).collect()
}

pub(in super::super) async fn stats(State(counter): State<Counter>, asked: Asked) -> Response {
    let page = match counter.ask(|desk| desk.telescope()).await {
        Ok(page) => page,
        Err(error) => return asked.trouble(&error),
    };
    let stats = Stats::of(&page);
    let twin = json!({
        "at": page.at, "telescopes": page.telescopes, "minutes": page.minutes, "counts": &stats, "campaigns": page.campaigns,
        "expected": page.expected
    });
    asked.answer(&StatsView { here: asked.here("telescope"), page: &page, stats: &stats }, &twin)
}

/// The day as a picture, drawn by the program behind the desk.
pub(in super::super) async fn day(State(counter): State<Counter>, asked: Asked) -> Response {
    match counter.ask(|desk| desk.telescope_svg()).await {
        Ok(svg) => ([(header::CONTENT_TYPE, "image/svg+xml; charset=utf-8")], svg).into_response(),
        Err(error) => asked.trouble(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_new_when_many_more_ask_than_in_the_week_before() {
        let port = |name: &str, hosts| SpanCount { by: Counted::Tcp, name: name.into(), hosts, packets: 0 };
        let day = [port("23", 900), port("49152", 60), port("8080", 60), port("9", 19)];
        let day: Vec<_> = day.iter().collect();
        let week = [port("23", 800), port("8080", 20), SpanCount { by: Counted::Udp, ..port("49152", 99) }];
        let told: Vec<_> = new(&day, &week).iter().map(|n| (n.count.name.clone(), n.hosts_before)).collect();
        assert_eq!(told, [("49152".into(), 0), ("8080".into(), 20)]);
        assert!(new(&day, &[]).is_empty(), "there is nothing to compare with");
    }
}
