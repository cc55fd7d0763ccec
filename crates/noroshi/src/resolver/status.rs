//! How a resolver stands, as it is told: counters and zones, and which rules a name meets.

use std::collections::BTreeMap;
use std::net::IpAddr;

use noroshi_resolver::client::Transport;
use noroshi_resolver::policy::{Policy, Verdict};
use noroshi_resolver::resolver::Resolver;
use noroshi_resolver::serve::Counts;
use serde_json::{Value, json};

use super::settings::name;
use super::zones::Zones;

/// Counters, cache and zones.
pub fn status(resolver: &Resolver, counts: &Counts, zones: &Zones) -> Value {
    let sums = counts.sums();
    let policy = resolver.policy();
    let told = policy.zones.iter().zip(&sums.hits).map(|(zone, hits)| {
        let fetched = zones.fetched().find(|fetched| *fetched.zone() == zone.settings.name).map(|fetched| {
            let standing = fetched.standing();
            json!({ "whole": standing.whole, "changes": standing.changes, "failure": standing.failure })
        });
        json!({
            "zone": zone.settings.name.to_string(), "serial": zone.serial, "rules": zone.rules, "hits": hits,
            "transfers": fetched,
        })
    });
    let queries = Transport::ALL.iter().zip(sums.queries).map(|((_, label), count)| (*label, count));
    json!({
        "queries": queries.collect::<BTreeMap<_, _>>(),
        "answered_at_once": sums.answered_at_once, "answered_later": sums.answered_later,
        "silent": sums.silent, "refused_full": sums.refused_full, "stale": sums.stale,
        "codes": sums.codes, "zones": told.collect::<Vec<_>>(),
        "cache_entries": resolver.cache().len(), "cache_octets": resolver.cache().octets(),
        "table_octets": policy.table_octets(),
    })
}

/// Which rules a name meets, and which of them decides.
pub fn explain(resolver: &Resolver, asked: &str, client: IpAddr) -> anyhow::Result<Value> {
    let name = name(asked)?;
    let policy = resolver.policy();
    let Some(tags) = resolver.tags_of(client) else {
        return Ok(json!({ "name": name.to_string(), "client": client, "may_ask": false }));
    };
    let zones = policy.zones_for(tags);
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
    }))
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
