//! The back end that asks from the root down.
//!
//! ```text
//!   closest zone known ──▶ its servers ──▶ referral? ──▶ the next zone down ─┐
//!          ▲                                  └─ answer, "none" ──▶ steps    │
//!          └────────────────────────────────────────────────────────────────┘
//! ```
//!
//! It exists because two kinds of rules ask through which name servers an answer came, and a forwarder cannot tell. So each zone cut
//! passed is kept ([`Cut`]) with what it says of its servers, and every step names them. What a server says counts only for names
//! in its own zone. All that one question may cause is bounded: zones, servers asked, names of servers looked up (CVE-2020-12662).

mod cut;
mod roots;
mod validate;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;

pub use cut::Cut;
use cut::Standing;
pub use validate::Validation;
use validate::Validator;

use crate::cache::Wanted;
use crate::clock::Clock;
use crate::dnssec::Budget;
use crate::exchange::ask;
use crate::forward::Forward;
use crate::heard::Heard;
use crate::message::{Asking, flag, rcode};
use crate::name::Name;
use crate::policy::rule::rtype;
use crate::step::{Step, address};

/// Zones that one question may lead through.
const HOPS_MAX: usize = 40;
/// Questions to servers that one question may cause, all names of servers included.
const ASKED_MAX: u32 = 100;
/// Names of servers within names of servers.
const DEPTH_MAX: usize = 5;
/// Servers of a zone whose addresses are looked up at most.
const LOOKED_UP_MAX: usize = 3;
/// Servers of one zone that are asked at most.
const SERVERS_MAX: usize = 8;
/// Labels after which a name is no longer shown label by label (RFC 9156, 2.3).
const MINIMISED_MAX: usize = 10;
/// Zone cuts that are kept.
const CUTS_MAX: usize = 50_000;
/// Servers that did not answer, of which it is known.
const SILENT_MAX: usize = 10_000;
/// Seconds for which such a server is asked last.
const REST_S: u32 = 60;
const WAIT: Duration = Duration::from_millis(800);
const WAIT_LONG: Duration = Duration::from_millis(1600);

/// What is said of recursion.
#[derive(Clone, Debug)]
pub struct RecurseSettings {
    /// Where to begin; those of the Internet's root unless said otherwise.
    pub roots: Vec<IpAddr>,
    /// Zones whose servers are known, and of which nobody above is asked.
    pub stubs: Vec<(Name, Vec<SocketAddr>)>,
    /// Zones for which other resolvers are asked.
    pub forwards: Vec<(Name, Vec<SocketAddr>)>,
    /// Whether servers above a zone are shown no more of a name than they need (RFC 9156).
    pub minimise: bool,
    /// Whether servers are asked over IPv6.
    pub ipv6: bool,
    /// Whom to trust; `None`: signatures are not checked.
    pub validation: Option<Validation>,
}

impl Default for RecurseSettings {
    fn default() -> Self {
        Self {
            roots: roots::addresses().collect(),
            stubs: Vec::new(),
            forwards: Vec::new(),
            minimise: true,
            ipv6: false,
            validation: None,
        }
    }
}

/// From the root down.
#[derive(Debug)]
pub struct Recurse {
    fixed: Vec<Arc<Cut>>,
    forwards: Vec<(Name, Forward)>,
    cuts: Cache<Name, Arc<Cut>>,
    silent: Cache<IpAddr, u32>,
    validator: Option<Validator>,
    minimise: bool,
    ipv6: bool,
    clock: Clock,
}

/// What one question has caused so far.
#[derive(Debug, Default)]
struct Spent {
    asked: AtomicU32,
    budget: Budget,
}

impl Spent {
    fn one_more(&self) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed) < ASKED_MAX
    }
}

/// What was heard of something, of which zone and from whom; or how far the way led.
struct Found {
    heard: Option<Heard>,
    cut: Arc<Cut>,
    from: Option<SocketAddr>,
}

impl Recurse {
    /// As the settings say.
    pub fn new(settings: RecurseSettings, clock: Clock) -> Self {
        let operators = settings.stubs.iter().chain(&settings.forwards).map(|(zone, _)| *zone);
        let validator = settings.validation.map(|validation| Validator::new(validation, operators));
        let mut fixed: Vec<Arc<Cut>> = settings
            .stubs
            .into_iter()
            .map(|(zone, servers)| Arc::new(Cut::fixed(zone, servers, true)))
            .collect();
        if !fixed.iter().any(|cut| cut.zone.is_root()) {
            let roots = settings.roots.into_iter().map(|root| SocketAddr::new(root, 53)).collect();
            fixed.push(Arc::new(Cut::fixed(Name::ROOT, roots, false)));
        }
        let forwards = settings.forwards.into_iter();
        Self {
            fixed,
            forwards: forwards.map(|(zone, servers)| (zone, Forward::new(servers, clock.clone()))).collect(),
            cuts: Cache::new(CUTS_MAX),
            silent: Cache::new(SILENT_MAX),
            validator,
            minimise: settings.minimise,
            ipv6: settings.ipv6,
            clock,
        }
    }

    /// What the world says of `wanted`, in steps that name their servers; the first is of `wanted`, and says of a failure through which
    /// servers the way led.
    pub async fn ask(&self, wanted: &Wanted) -> Vec<(Wanted, Step)> {
        let spent = Spent::default();
        let Some(validator) = self.validator.as_ref().filter(|_| !wanted.checking_disabled) else {
            return self.find(*wanted, 0, &spent).await;
        };
        if let Some(forward) = self.forward(wanted) {
            // Whoever is asked for a zone is believed for that zone.
            let mut steps = forward.ask(wanted).await;
            let own = steps.iter().take_while(|(of, _)| self.forward(of).is_some()).count();
            steps.truncate(own);
            return steps;
        }
        self.ask_validated(validator, wanted, &spent).await
    }

    async fn find(&self, wanted: Wanted, depth: usize, spent: &Spent) -> Vec<(Wanted, Step)> {
        if let Some(forward) = self.forward(&wanted) {
            return forward.ask(&wanted).await;
        }
        let found = self.hear(self.closest(&wanted), &wanted, &[], depth, spent).await;
        self.steps(&found, &wanted)
    }

    /// What was heard, in steps that name their servers.
    fn steps(&self, found: &Found, wanted: &Wanted) -> Vec<(Wanted, Step)> {
        let (servers, now_s) = (found.cut.servers(), self.clock.now_s());
        let Some(heard) = &found.heard else {
            return vec![(*wanted, Step::failed(&wanted.name, Some(servers), now_s, 0))];
        };
        let mut steps = heard.steps(wanted, &found.cut.zone, now_s);
        for (_, step) in &mut steps {
            // A server of the zone is no validating resolver.
            step.authentic = false;
            step.servers = Some(Arc::clone(&servers));
        }
        steps
    }

    /// What the world says of `wanted`, from a zone above it on; not what the servers to avoid say.
    async fn hear(
        &self,
        mut cut: Arc<Cut>,
        wanted: &Wanted,
        avoid: &[SocketAddr],
        depth: usize,
        spent: &Spent,
    ) -> Found {
        let mut shown = self.first_shown(&wanted.name, &cut.zone);
        for _ in 0..HOPS_MAX {
            let asked = if shown >= wanted.name.label_count() { *wanted } else { minimised(wanted, shown) };
            let whole = asked == *wanted;
            let Some((heard, from)) = self.ask_zone(&cut, &asked, avoid, depth, spent).await else {
                if whole {
                    break;
                }
                // Some servers fail for names that they would lead past; they are shown the whole name.
                shown = usize::MAX;
                continue;
            };
            if let Some(next) = self.referral(&cut, &asked.name, &heard) {
                shown = self.first_shown(&wanted.name, &next.zone);
                cut = next;
                continue;
            }
            if !whole {
                let further = shown + 1;
                shown = if heard.code == rcode::NOERROR && further - cut.zone.label_count() < MINIMISED_MAX {
                    further
                } else {
                    usize::MAX
                };
                continue;
            }
            return Found { heard: Some(heard), cut, from: Some(from) };
        }
        Found { heard: None, cut, from: None }
    }

    /// The deepest zone above (or at) a name whose servers are known.
    fn closest(&self, wanted: &Wanted) -> Arc<Cut> {
        let now_s = self.clock.now_s();
        // Whether a zone is signed is known above it.
        let mut name =
            if wanted.rtype == rtype::DS { wanted.name.parent().unwrap_or(Name::ROOT) } else { wanted.name };
        loop {
            if let Some(cut) = self.fixed.iter().find(|cut| cut.zone == name) {
                return Arc::clone(cut);
            }
            if let Some(cut) = self.cuts.get(&name).filter(|cut| cut.holds(now_s)) {
                return cut;
            }
            match name.parent() {
                Some(parent) => name = parent,
                None => return Arc::clone(&self.fixed[self.fixed.len() - 1]),
            }
        }
    }

    /// The resolvers for a name's zone, when they are told of nearer than the zone cut.
    fn forward(&self, wanted: &Wanted) -> Option<&Forward> {
        let near = self.forwards.iter().filter(|(zone, _)| wanted.name.is_below(zone));
        let (zone, forward) = near.max_by_key(|(zone, _)| zone.label_count())?;
        zone.is_below(&self.closest(wanted).zone).then_some(forward)
    }

    fn first_shown(&self, name: &Name, zone: &Name) -> usize {
        if self.minimise { zone.label_count() + 1 } else { name.label_count() }
    }

    /// What a zone's servers say, the first that says anything; and who that was.
    async fn ask_zone(
        &self,
        cut: &Cut,
        wanted: &Wanted,
        avoid: &[SocketAddr],
        depth: usize,
        spent: &Spent,
    ) -> Option<(Heard, SocketAddr)> {
        let asking = Asking {
            rtype: wanted.rtype,
            recursion: false,
            dnssec_ok: wanted.dnssec_ok,
            checking_disabled: false,
        };
        let mut asked = avoid.to_vec();
        for wait in [WAIT, WAIT_LONG] {
            let mut looked_up = 0;
            while asked.len() < avoid.len() + SERVERS_MAX {
                let Some(server) = self.next(cut, &asked) else {
                    if looked_up >= LOOKED_UP_MAX || !self.look_up(cut, depth, spent).await {
                        break;
                    }
                    looked_up += 1;
                    continue;
                };
                asked.push(server);
                if !spent.one_more() {
                    return None;
                }
                match ask(server, &wanted.name, asking, wait).await {
                    Ok(heard) if says_something(&heard, cut, wanted) => {
                        self.silent.remove(&server.ip());
                        return Some((heard, server));
                    }
                    Ok(heard) => tracing::debug!(%server, code = heard.code, "lame"),
                    Err(error) => {
                        tracing::debug!(%server, %error, "recurse");
                        self.silent.insert(server.ip(), self.clock.now_s() + REST_S);
                    }
                }
            }
            asked.truncate(avoid.len());
        }
        None
    }

    /// A server of the zone that was not asked yet: one that is known to be silent last.
    fn next(&self, cut: &Cut, asked: &[SocketAddr]) -> Option<SocketAddr> {
        let now_s = self.clock.now_s();
        let mut servers = cut.addresses();
        servers.retain(|server| (server.is_ipv4() || self.ipv6) && !asked.contains(server));
        fastrand::shuffle(&mut servers);
        servers
            .into_iter()
            .min_by_key(|server| self.silent.get(&server.ip()).is_some_and(|until| until > now_s))
    }

    /// Looks up the addresses of one more of the zone's servers; whether there was one to look up.
    async fn look_up(&self, cut: &Cut, depth: usize, spent: &Spent) -> bool {
        let Some(server) = cut.without_address().filter(|_| depth < DEPTH_MAX) else { return false };
        let mut found = Vec::new();
        for kind in [rtype::A, rtype::AAAA] {
            if kind == rtype::AAAA && !self.ipv6 {
                continue;
            }
            let mut wanted = Wanted { name: server, rtype: kind, dnssec_ok: false, checking_disabled: false };
            // An alias is not allowed there, and happens.
            for _ in 0..3 {
                let steps = Box::pin(self.find(wanted, depth + 1, spent)).await;
                let Some((_, last)) = steps.last() else { break };
                found.extend(last.addresses());
                match last.alias.as_deref().and_then(|alias| Name::from_wire(alias).ok()) {
                    Some((name, _)) => wanted.name = name,
                    None => break,
                }
            }
        }
        cut.found(&server, found);
        true
    }

    /// The zone that a message leads to, below the one that was asked and above or at `name`.
    fn referral(&self, cut: &Arc<Cut>, name: &Name, heard: &Heard) -> Option<Arc<Cut>> {
        let answers = heard.answer.iter().any(|rr| rr.owner == *name);
        if answers || heard.code != rcode::NOERROR {
            return None;
        }
        let leads = |rr: &&crate::step::Rr| {
            rr.rtype == rtype::NS
                && rr.owner != cut.zone
                && rr.owner.is_below(&cut.zone)
                && name.is_below(&rr.owner)
        };
        let zone = heard.authority.iter().find(leads)?.owner;
        let mut standing = Standing::default();
        let mut ttl_s = u32::MAX;
        for rr in heard.authority.iter().filter(|rr| rr.rtype == rtype::NS && rr.owner == zone) {
            let Ok((server, _)) = Name::from_wire(&rr.data) else { continue };
            ttl_s = ttl_s.min(rr.ttl);
            // Glue counts where the asked servers have a say.
            let glue =
                heard.additional.iter().filter(|rr| rr.owner == server && rr.owner.is_below(&cut.zone));
            standing.add(server, glue.filter_map(|rr| address(rr.rtype, &rr.data)));
        }
        let next =
            Arc::new(Cut::new(zone, standing, Arc::clone(cut), self.clock.now_s().saturating_add(ttl_s)));
        self.cuts.insert(zone, Arc::clone(&next));
        Some(next)
    }
}

/// Whether a message is of use: an answer, a referral downwards, or a word that there is none.
fn says_something(heard: &Heard, cut: &Cut, wanted: &Wanted) -> bool {
    match heard.code {
        rcode::NXDOMAIN => true,
        rcode::NOERROR => {
            let answers = heard.answer.iter().any(|rr| rr.owner == wanted.name);
            let leads = heard.authority.iter().any(|rr| {
                rr.rtype == rtype::NS
                    && rr.owner != cut.zone
                    && rr.owner.is_below(&cut.zone)
                    && wanted.name.is_below(&rr.owner)
            });
            answers
                || leads
                || heard.soa(&wanted.name).is_some()
                || heard.flags & flag::AA != 0
                || cut.is_stub
        }
        _ => false,
    }
}

/// The last `labels` labels of what is wanted, and a type that tells nothing.
fn minimised(wanted: &Wanted, labels: usize) -> Wanted {
    let mut name = wanted.name;
    while name.label_count() > labels {
        name = name.parent().unwrap_or(Name::ROOT);
    }
    Wanted { name, rtype: rtype::A, ..*wanted }
}
