//! How a resolver stands, as it is told: counters and zones, and which rules a name meets.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use noroshi_resolver::client::Transport;
use noroshi_resolver::consent::Consents;
use noroshi_resolver::forward::Health;
use noroshi_resolver::message::rcode;
use noroshi_resolver::name::Name;
use noroshi_resolver::policy::{Policy, Verdict, Zone};
use noroshi_resolver::resolver::Resolver;
use noroshi_resolver::serve::Serving;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::settings::name;
use super::zones::Zones;
use crate::consents::MEASURES;
use crate::report::{plain, say};

/// Counters, cache and zones, since the start.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// Messages by how they came.
    pub queries: BTreeMap<String, u64>,
    /// Answers that did not wait.
    pub answered_at_once: u64,
    /// Answers that waited for other servers.
    pub answered_later: u64,
    /// Messages without an answer: a rule says so, or they are none.
    pub silent: u64,
    /// Questions without an answer because too many wait.
    pub refused_full: u64,
    /// Answers that were too old.
    pub stale: u64,
    /// Questions that wait for other servers now.
    pub waiting: u64,
    /// Answers by code.
    pub codes: BTreeMap<String, u64>,
    /// Hits that were neither recorded nor given to a collector, because there were too many.
    pub hits_lost: u64,
    /// Lines that have agreed, by measure; nobody where nothing was heard of it for too long.
    pub agreed: BTreeMap<String, u64>,
    /// The operator's resolvers, where they are asked.
    pub forward: Vec<ForwardStatus>,
    /// Policy zones in their order.
    pub zones: Vec<ZoneStatus>,
    /// What is known.
    pub cache_entries: u64,
    /// And how large it is.
    pub cache_octets: u64,
    /// The table of rules by name.
    pub table_octets: u64,
}

/// A resolver that is asked.
#[derive(Debug, Serialize, Deserialize)]
pub struct ForwardStatus {
    /// Where it is.
    pub address: SocketAddr,
    /// Whether it answered when it was last asked.
    pub answers: bool,
    /// How long it takes, smoothed, in milliseconds.
    pub usual_ms: f64,
}

/// A policy zone.
#[derive(Debug, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// Its apex.
    pub zone: String,
    /// Its version.
    pub serial: Option<u32>,
    /// Rules in force.
    pub rules: u64,
    /// Answers that it decided.
    pub hits: u64,
    /// Of one that is fetched.
    pub transfers: Option<TransferStatus>,
}

/// How it is fetched.
#[derive(Debug, Serialize, Deserialize)]
pub struct TransferStatus {
    /// Whole transfers so far.
    pub whole: u64,
    /// Changes so far.
    pub changes: u64,
    /// What the last attempt failed with.
    pub failure: Option<String>,
}

/// How it stands.
pub fn status(resolver: &Resolver, serving: &Serving, zones: &Zones) -> Status {
    let sums = serving.counts.sums();
    let policy = resolver.policy();
    let zone = |(zone, hits): (&Zone, &u64)| {
        let fetched = zones.fetched().find(|fetched| *fetched.zone() == zone.settings.name);
        ZoneStatus {
            zone: zone.settings.name.to_string(),
            serial: zone.serial,
            rules: zone.rules as u64,
            hits: *hits,
            transfers: fetched.map(|fetched| {
                let standing = fetched.standing();
                TransferStatus { whole: standing.whole, changes: standing.changes, failure: standing.failure }
            }),
        }
    };
    let forward = |health: &Health| ForwardStatus {
        address: health.address,
        answers: health.answers,
        usual_ms: health.usual.as_secs_f64() * 1000.0,
    };
    let queries = Transport::ALL.iter().zip(sums.queries);
    let codes = sums.codes.iter().enumerate().filter(|(_, count)| **count > 0);
    Status {
        queries: queries.map(|((_, label), count)| ((*label).to_owned(), count)).collect(),
        answered_at_once: sums.answered_at_once,
        answered_later: sums.answered_later,
        silent: sums.silent,
        refused_full: sums.refused_full,
        stale: sums.stale,
        waiting: serving.waiting() as u64,
        codes: codes.map(|(code, count)| (rcode::label(code as u16).to_owned(), *count)).collect(),
        hits_lost: serving.lost(),
        agreed: agreed(resolver),
        forward: resolver.health().iter().map(forward).collect(),
        zones: policy.zones.iter().zip(&sums.hits).map(zone).collect(),
        cache_entries: resolver.cache().len() as u64,
        cache_octets: resolver.cache().octets(),
        table_octets: policy.table_octets() as u64,
    }
}

/// How many lines have agreed to each measure that a zone holds by.
fn agreed(resolver: &Resolver) -> BTreeMap<String, u64> {
    let (policy, now_s) = (resolver.policy(), resolver.clock().now_s());
    let of_zones = MEASURES.iter().zip(resolver.consents()).enumerate();
    let of_zones = of_zones.filter(|(number, _)| policy.needing(*number, !0) != 0);
    let count = |consents: &Consents| if consents.is_believed(now_s) { consents.count() } else { 0 };
    of_zones.map(|(_, (measure, consents))| ((*measure).to_owned(), count(consents))).collect()
}

impl Status {
    /// For people.
    pub fn tell(&self) {
        let list = |of: &BTreeMap<String, u64>| {
            of.iter()
                .filter(|(_, count)| **count > 0)
                .map(|(what, count)| format!("{what} {count}"))
                .collect::<Vec<_>>()
        };
        let or_none = |list: Vec<String>| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        say!("questions   {}", or_none(list(&self.queries)));
        say!(
            "answered    {} at once, {} after others were asked, {} too old",
            self.answered_at_once,
            self.answered_later,
            self.stale
        );
        say!(
            "not         {} by a rule or because they were none, {} because too many wait ({} wait now)",
            self.silent,
            self.refused_full,
            self.waiting
        );
        say!("codes       {}", or_none(list(&self.codes)));
        say!("cache       {} entries, {} MiB", self.cache_entries, self.cache_octets >> 20);
        say!("table       {} MiB", self.table_octets >> 20);
        for (measure, lines) in &self.agreed {
            say!("agreed      {lines} lines to {measure}");
        }
        if self.hits_lost > 0 {
            say!("lost        {} hits were not recorded: there were too many", self.hits_lost);
        }
        for ForwardStatus { address, answers, usual_ms } in &self.forward {
            let answers = if *answers { format!("{usual_ms:.1} ms") } else { "does not answer".to_owned() };
            say!("forward     {address}: {answers}");
        }
        for zone in &self.zones {
            let serial = zone.serial.map_or("not read".to_owned(), |serial| format!("serial {serial}"));
            say!("zone        {} {serial}: {} rules, {} hits", zone.zone, zone.rules, zone.hits);
            if let Some(transfers) = &zone.transfers {
                say!("            fetched {} times whole, {} changes", transfers.whole, transfers.changes);
                if let Some(failure) = &transfers.failure {
                    say!("            the last attempt: {}", plain(failure));
                }
            }
        }
    }
}

/// Which rules a name meets, and which of them decides.
pub fn explain(resolver: &Resolver, asked: &str, client: IpAddr) -> anyhow::Result<Value> {
    let name = name(asked)?;
    let policy = resolver.policy();
    let Some(tags) = resolver.tags_of(client) else {
        return Ok(json!({ "name": name.to_string(), "client": client, "may_ask": false }));
    };
    let zones = resolver.zones_for(&policy, client, tags);
    let all = policy.all_of_question(client, &name, !0);
    let decides = policy.of_question(Some(client), &name, zones);
    let waits = policy.waits_for_answer(decides.as_ref(), zones);
    let rules = all.iter().map(|(verdict, owner)| {
        let mut told = rule(&policy, verdict);
        told["rule"] = owner.clone().into();
        told["for_client"] = (zones >> verdict.zone & 1 == 1).into();
        told
    });
    Ok(json!({
        "name": name.to_string(),
        "client": client,
        "may_ask": true,
        "zones_for_client": places(&policy, zones),
        "rules": rules.collect::<Vec<_>>(),
        "decides": decides.map(|verdict| rule(&policy, &verdict)),
        "may_still_decide_by_the_answer": places(&policy, waits),
        "goes_on_s": goes_on_s(resolver, client, &name),
    }))
}

/// For how many seconds a client still goes on in spite of warnings of `name`.
fn goes_on_s(resolver: &Resolver, client: IpAddr, name: &Name) -> Option<u32> {
    let now_s = resolver.clock().now_s();
    resolver.exemptions().until(client, name, now_s).map(|until_s| until_s - now_s)
}

fn rule(policy: &Policy, verdict: &Verdict<'_>) -> Value {
    let zone = &policy.zones[usize::from(verdict.zone)];
    json!({
        "zone": zone.settings.name.to_string(), "serial": zone.serial,
        "trigger": verdict.kind.label(), "action": verdict.action.to_string(),
    })
}

fn places(policy: &Policy, zones: u64) -> Vec<String> {
    let of = policy.zones.iter().enumerate().filter(|(place, _)| zones >> place & 1 == 1);
    of.map(|(_, zone)| zone.settings.name.to_string()).collect()
}
