//! The way from a question to its answer, link by link: policy, cache, policy again, and on along an alias.
//!
//! [`Resolver::walk`] never waits. It ends with an answer, with none (a rule says so), or with what must be fetched first, after
//! which it is walked again from the start. So the same lines serve the hot path, where nearly all is known, and the slow one.

use std::net::IpAddr;
use std::sync::Arc;

use crate::cache::Wanted;
use crate::client::Client;
use crate::message::{Owner, PLAIN_OCTETS_MAX, Query, Reply, ReplyEdns, Section, flag, rcode};
use crate::name::Name;
use crate::policy::rule::{Action, LocalRecord, rtype};
use crate::policy::{Kind, Policy, Verdict};
use crate::resolver::Resolver;
use crate::step::Step;

/// Links of a chain, of aliases in the world and in rules together, at most.
pub const LINKS_MAX: usize = 16;

/// Where a walk ended.
#[derive(Debug)]
pub enum Walked {
    /// The answer is written.
    Answered(Told),
    /// There shall be none.
    Dropped(Told),
    /// This must be fetched first.
    Missing(Box<Wanted>),
}

/// What a walk came by, for counters and records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The rule that decided last.
    pub hit: Option<Hit>,
    /// Something of which less than a tenth of its time is left.
    pub waning: Option<Box<Wanted>>,
    /// Whether something older than it should be was used.
    pub stale: bool,
    /// The answer's code.
    pub code: u16,
}

/// A rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The zone's place in the order.
    pub zone: u8,
    /// What made it decide.
    pub kind: Kind,
    /// What it did.
    pub action: &'static str,
}

/// What was fetched during this question, and holds for it even if it is too old already.
pub type Fresh = [(Wanted, Arc<Step>)];

/// An answer on its way.
struct Way<'q, 'b> {
    query: &'q Query<'q>,
    reply: Reply<'b>,
    name: Name,
    name_at: usize,
    zones: u64,
    client: Option<IpAddr>,
    told: Told,
    code: u16,
    authentic: bool,
    extended_error: Option<u16>,
    ttl_max: u32,
    /// The zone whose SOA goes with the answer, for whoever wants to know where it comes from.
    soa: Option<u8>,
    /// The zone whose words say why, for a program that can show them.
    why: Option<u8>,
    /// Aliases that come from wildcards, and where their names stand; with them goes that there is nothing nearer.
    proofs: Vec<(Arc<Step>, usize)>,
}

/// What a rule's action leads to.
enum Next {
    /// Another name, or the same without rules.
    On,
    Done,
    Drop,
}

impl Resolver {
    /// Answers `query` into `out` as far as that can be done without waiting.
    #[inline]
    pub fn walk(
        &self,
        policy: &Policy,
        query: &Query<'_>,
        client: &Client,
        fresh: &Fresh,
        out: &mut Vec<u8>,
    ) -> Walked {
        let mut way = Way {
            query,
            reply: Reply::new(out, query, flag::RA),
            name: query.name,
            name_at: crate::message::HEADER_OCTETS,
            zones: self.zones_for(policy, client.address, client.tags),
            client: Some(client.address),
            told: Told::default(),
            code: rcode::NOERROR,
            authentic: true,
            extended_error: None,
            ttl_max: u32::MAX,
            soa: None,
            why: None,
            proofs: Vec::new(),
        };
        let now_s = self.clock.now_s();
        for _ in 0..LINKS_MAX {
            match self.link(policy, &mut way, client, fresh, now_s) {
                Ok(Next::On) => {}
                Ok(Next::Done) => return Walked::Answered(self.finish(policy, way, client)),
                Ok(Next::Drop) => return Walked::Dropped(way.told),
                Err(missing) => return Walked::Missing(missing),
            }
        }
        way.code = rcode::SERVFAIL;
        way.reply.empty();
        Walked::Answered(self.finish(policy, way, client))
    }

    /// One link: `Err` with what must be fetched.
    fn link(
        &self,
        policy: &Policy,
        way: &mut Way<'_, '_>,
        client: &Client,
        fresh: &Fresh,
        now_s: u32,
    ) -> Result<Next, Box<Wanted>> {
        let by_question = policy.of_question(way.client, &way.name, way.zones);
        let waits = policy.waits_for_answer(by_question.as_ref(), way.zones);
        // Whether an answer is signed is only known from it.
        let spares_signed =
            way.query.dnssec_ok() && !self.settings.break_dnssec && (by_question.is_some() || waits != 0);
        if let Some(verdict) = by_question.filter(|_| waits == 0 && !spares_signed) {
            return Ok(self.act(policy, way, client, &verdict, now_s));
        }
        let wanted = Wanted {
            name: way.name,
            rtype: way.query.rtype,
            dnssec_ok: way.query.dnssec_ok(),
            checking_disabled: way.query.checking_disabled(),
        };
        let step = self.known(&wanted, fresh, now_s).ok_or_else(|| Box::new(wanted))?;
        if waits != 0 && step.servers.is_none() && policy.asks_for_servers(waits) {
            return Err(Box::new(wanted));
        }
        let by_answer = if waits == 0 {
            None
        } else {
            policy.of_answer(step.addresses(), step.servers.as_deref(), waits)
        };
        if let Some(verdict) = by_answer.or(by_question)
            && !(spares_signed && step.is_signed())
            // What is forged stays a failure: a rule must not make something of it that looks right.
            && (step.bogus.is_none() || self.settings.break_dnssec)
        {
            return Ok(self.act(policy, way, client, &verdict, now_s));
        }
        way.told.stale |= step.is_stale(now_s);
        if step.is_waning(now_s) {
            way.told.waning = Some(Box::new(wanted));
        }
        Ok(self.follow(way, &step, now_s))
    }

    fn known(&self, wanted: &Wanted, fresh: &Fresh, now_s: u32) -> Option<Arc<Step>> {
        if let Some((_, step)) = fresh.iter().find(|(fetched, _)| fetched == wanted) {
            return Some(Arc::clone(step));
        }
        self.cache.find(wanted).filter(|step| step.may_be_given(now_s))
    }

    /// Writes what the world says, and goes on along its alias.
    fn follow(&self, way: &mut Way<'_, '_>, step: &Arc<Step>, now_s: u32) -> Next {
        let ttl_max = way.ttl_max;
        way.authentic &= step.authentic && !step.is_stale(now_s);
        way.code = step.code;
        if step.bogus.is_some() {
            way.reply.empty();
            way.extended_error = step.bogus;
            return Next::Done;
        }
        let alias_at = step.write(&mut way.reply, Section::Answer, way.name_at, now_s, ttl_max);
        let alias = step.alias.as_deref().and_then(|alias| Name::from_wire(alias).ok());
        if let (Some((alias, _)), Some(at)) = (alias, alias_at) {
            if way.query.dnssec_ok() && step.says_none() {
                way.proofs.push((Arc::clone(step), way.name_at));
            }
            (way.name, way.name_at, way.client) = (alias, at, None);
            return Next::On;
        }
        for (proof, name_at) in std::mem::take(&mut way.proofs) {
            proof.write(&mut way.reply, Section::Authority, name_at, now_s, ttl_max);
        }
        let proves = step.answer.is_empty() || (way.query.dnssec_ok() && step.says_none());
        if !self.settings.minimal_responses || proves {
            step.write(&mut way.reply, Section::Authority, way.name_at, now_s, ttl_max);
        }
        if !self.settings.minimal_responses {
            step.write(&mut way.reply, Section::Additional, way.name_at, now_s, ttl_max);
        }
        Next::Done
    }

    /// Does what a rule says.
    fn act(
        &self,
        policy: &Policy,
        way: &mut Way<'_, '_>,
        client: &Client,
        verdict: &Verdict<'_>,
        now_s: u32,
    ) -> Next {
        let zone = &policy.zones[usize::from(verdict.zone)];
        way.told.hit = Some(Hit { zone: verdict.zone, kind: verdict.kind, action: verdict.action.label() });
        match verdict.action {
            Action::Drop => return Next::Drop,
            // No rule is looked for any more, of no zone and for no later name.
            Action::Passthru => {
                way.zones = 0;
                return Next::On;
            }
            // What somebody wants to see is what was asked for, wherever it leads.
            Action::Warn if self.exemptions.holds(client.address, &way.query.name, now_s) => {
                way.told.hit = None;
                way.zones = 0;
                return Next::On;
            }
            Action::TcpOnly if client.transport.is_stream() => {
                way.zones = 0;
                return Next::On;
            }
            _ => {}
        }
        way.extended_error = zone.settings.extended_error;
        way.why = Some(verdict.zone);
        way.ttl_max = zone.settings.ttl_max_s;
        way.authentic = false;
        way.code = rcode::NOERROR;
        if is_authoritative(verdict, way.client.is_none()) {
            way.reply.set(flag::AA);
        }
        let by_servers = matches!(verdict.kind, Kind::Nsdname | Kind::Nsip);
        let names_zone = match verdict.action {
            Action::Local(_) => true,
            Action::Nxdomain | Action::Nodata => by_servers,
            _ => false,
        };
        if names_zone && !self.settings.minimal_responses {
            way.soa = Some(verdict.zone);
        }
        match verdict.action {
            Action::TcpOnly => {
                way.reply.truncate();
                Next::Done
            }
            Action::Nxdomain => {
                way.code = rcode::NXDOMAIN;
                if zone.settings.signal_nxdomain_ra {
                    way.reply.unset(flag::RA);
                }
                Next::Done
            }
            Action::Cname { ttl, target } => alias(way, *ttl, **target),
            Action::CnameBelow { ttl, target } => {
                let name = way.name;
                match target.below_with(name.labels()) {
                    Ok(target) => alias(way, *ttl, target),
                    Err(_) => {
                        way.code = rcode::YXDOMAIN;
                        Next::Done
                    }
                }
            }
            Action::Local(records) => {
                local(way, records);
                Next::Done
            }
            Action::Warn => {
                self.warn(way, client);
                Next::Done
            }
            Action::Nodata | Action::Passthru | Action::Drop => Next::Done,
        }
    }

    /// Leads to the page that warns. A client asks the page over the family over which it asked here, where there is a page of both, because
    /// it is known by its address; a program that can show why by itself is not led anywhere.
    fn warn(&self, way: &mut Way<'_, '_>, client: &Client) {
        let page = self.settings.warning;
        way.extended_error.get_or_insert(BLOCKED);
        let shows_itself =
            way.query.edns.is_some_and(|edns| edns.structured_error) && client.transport.is_encrypted();
        if shows_itself || (page.v4.is_none() && page.v6.is_none()) {
            way.code = rcode::NXDOMAIN;
            return;
        }
        let over_v4 = client.address.to_canonical().is_ipv4();
        let ttl = page.ttl_s.min(way.ttl_max);
        let owner = Owner::At(way.name_at);
        match (way.query.rtype, page.v4, page.v6) {
            (rtype::A, Some(v4), other) if over_v4 || other.is_none() => {
                way.reply.record(Section::Answer, owner, rtype::A, ttl, &v4.octets());
            }
            (rtype::AAAA, other, Some(v6)) if !over_v4 || other.is_none() => {
                way.reply.record(Section::Answer, owner, rtype::AAAA, ttl, &v6.octets());
            }
            _ => {}
        }
    }

    /// The answer's end: EDNS, its size, its header.
    fn finish(&self, policy: &Policy, way: Way<'_, '_>, client: &Client) -> Told {
        let Way { query, mut reply, mut told, code, authentic, extended_error, soa, why, .. } = way;
        if let Some(zone) = soa.and_then(|zone| policy.zones.get(usize::from(zone)))
            && let Some(soa) = &zone.soa
        {
            let owner = Owner::Wire(zone.settings.name.wire());
            reply.record(Section::Additional, owner, soa.rtype, soa.ttl, &soa.data);
        }
        reply.code(code);
        told.code = code;
        let wants_authentic = query.dnssec_ok() || query.flags() & flag::AD != 0;
        if authentic && wants_authentic && !query.checking_disabled() && !reply.is_empty() {
            reply.set(flag::AD);
        }
        let octets_max = match query.edns {
            _ if client.transport.is_stream() => usize::from(u16::MAX),
            Some(edns) => usize::from(edns.udp_octets.min(self.settings.udp_octets)),
            None => PLAIN_OCTETS_MAX,
        };
        let why =
            why.and_then(|zone| policy.zones.get(usize::from(zone))?.settings.structured_error.as_deref());
        let why =
            why.filter(|_| extended_error.is_some() && query.edns.is_some_and(|edns| edns.structured_error));
        let mut edns = query.edns.map(|edns| ReplyEdns {
            udp_octets: self.settings.udp_octets,
            dnssec_ok: edns.dnssec_ok,
            code,
            extended_error: extended_error.or(told.stale.then_some(STALE_ANSWER)),
            text: why.unwrap_or_default(),
            cookie: client.cookie,
            padded: edns.padded && client.transport.is_encrypted(),
            idle_ds: (edns.keepalive && client.transport.is_stream()).then_some(IDLE_DS),
        });
        let edns_octets = |edns: &Option<ReplyEdns<'_>>| edns.map_or(0, |edns| edns.octets());
        if let Some(edns) = edns.as_mut().filter(|edns| reply.len() + edns.octets() > octets_max) {
            edns.text = "";
        }
        if reply.len() + edns_octets(&edns) > octets_max {
            reply.truncate();
        }
        if let Some(edns) = edns {
            reply.edns(&edns);
        }
        reply.finish();
        told
    }
}

/// Whether an answer is given as by the zone's own server. What a rule makes of the world's answer is not, nor where it sends on from there; other
/// resolvers do the same.
fn is_authoritative(verdict: &Verdict<'_>, behind_alias: bool) -> bool {
    let sends_on = matches!(verdict.action, Action::Cname { .. } | Action::CnameBelow { .. });
    match verdict.kind {
        Kind::ClientIp => true,
        Kind::Qname => !(sends_on && behind_alias),
        Kind::Ip => false,
        Kind::Nsdname | Kind::Nsip => !sends_on && !matches!(verdict.action, Action::TcpOnly),
    }
}

/// How long a connection may be idle, in tenths of a second, as its client is told (RFC 7828).
const IDLE_DS: u16 = (crate::serve::IDLE.as_secs() * 10) as u16;
/// "Blocked" (RFC 8914, 4.16).
const BLOCKED: u16 = 15;
/// "Stale Answer" (RFC 8914, 4.4).
const STALE_ANSWER: u16 = 3;

/// Writes an alias that a rule says, and goes on with its target.
fn alias(way: &mut Way<'_, '_>, ttl: u32, target: Name) -> Next {
    let ttl = ttl.min(way.ttl_max);
    let at = way.reply.record(Section::Answer, Owner::At(way.name_at), rtype::CNAME, ttl, target.wire());
    if way.query.rtype == rtype::CNAME {
        return Next::Done;
    }
    (way.name, way.name_at, way.client) = (target, at, None);
    Next::On
}

/// Writes a rule's own records.
fn local(way: &mut Way<'_, '_>, records: &[LocalRecord]) {
    let wanted = way.query.rtype;
    for record in records.iter().filter(|record| wanted == rtype::ANY || record.rtype == wanted) {
        let ttl = record.ttl.min(way.ttl_max);
        way.reply.record(Section::Answer, Owner::At(way.name_at), record.rtype, ttl, &record.data);
    }
}

#[cfg(test)]
mod tests;
