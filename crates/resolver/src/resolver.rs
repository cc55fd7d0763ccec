//! The resolver: everything that a question may need, and the slow half of answering it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use tokio::sync::{OnceCell, Semaphore};

use crate::cache::{Cache, Wanted};
use crate::client::{Access, Client, Transport};
use crate::clock::Clock;
use crate::consent::Consents;
use crate::exempt::Exemptions;
use crate::forward::{Forward, Health};
use crate::message::{Cookies, Query, Reply, Unasked, flag, opcode, rcode};
use crate::name::{Name, Secret};
use crate::pace::{Pace, Paced};
use crate::policy::rule::rtype;
use crate::policy::{MEASURES_MAX, Policy, Servers};
use crate::recurse::Recurse;
use crate::step::Step;
use crate::walk::{Told, Walked};
use crate::zone::primary::Given;

/// Seconds for which a failure is remembered (RFC 9520, 3.2).
const FAILURE_S: u32 = 5;
/// Seconds for which nobody is asked again for what could not be learned, while something older than it should be is given (RFC 8767, 5).
const RECHECK_S: u32 = 30;
/// Things that are fetched while an answer older than it should be may be given for them.
const BEHIND_MAX: usize = 2_000;
/// Things that one question may make the resolver fetch.
const FETCHED_MAX: usize = 24;
/// Zones above a name whose servers are looked up through a forwarder.
const ZONES_ABOVE_MAX: usize = 6;
/// Servers of such a zone whose addresses are looked up.
const SERVERS_MAX: usize = 8;

/// What the operator says of answers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Sections that nobody asked for are left out.
    pub minimal_responses: bool,
    /// Rules change signed answers even for clients that check signatures.
    pub break_dnssec: bool,
    /// Octets sent over UDP at most.
    pub udp_octets: u16,
    /// Seconds for which an answer may be too old when nobody can be asked; 0: none is.
    pub stale_s: u32,
    /// Milliseconds that a client waits when there is an answer that is too old: then it gets that one (RFC 8767, 5).
    pub stale_answer_client_timeout_ms: u32,
    /// Octets of the cache.
    pub cache_octets: u64,
    /// Answers a second over UDP to a network of clients (IPv4 /24, IPv6 /56) at most; 0: as many as it asks for.
    pub answers_s_max: u32,
    /// Where the page is that warns.
    pub warning: WarningPage,
}

/// Where the page is that warns, for who is sent there instead.
#[derive(Clone, Copy, Debug)]
pub struct WarningPage {
    /// Its address for clients that ask over IPv4.
    pub v4: Option<Ipv4Addr>,
    /// For those that ask over IPv6.
    pub v6: Option<Ipv6Addr>,
    /// Seconds for which a client keeps it at most.
    pub ttl_s: u32,
}

impl Default for WarningPage {
    fn default() -> Self {
        Self { v4: None, v6: None, ttl_s: 5 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            minimal_responses: true,
            break_dnssec: false,
            udp_octets: crate::exchange::UDP_OCTETS,
            stale_s: 86_400,
            stale_answer_client_timeout_ms: 1800,
            cache_octets: 256 << 20,
            answers_s_max: 0,
            warning: WarningPage::default(),
        }
    }
}

/// Who is asked for what is not known.
#[derive(Debug)]
pub enum BackEnd {
    /// The operator's resolvers.
    Forward(Forward),
    /// The world, from the root down.
    Recurse(Recurse),
}

/// Everything that a question may need.
#[derive(Debug)]
pub struct Resolver {
    pub(crate) settings: Settings,
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    pub(crate) cache: Cache,
    pub(crate) clock: Clock,
    pub(crate) exemptions: Exemptions,
    /// Who has agreed to each measure, by its number.
    consents: Vec<Consents>,
    access: Access,
    secret: Secret,
    cookies: Cookies,
    pace: Option<Pace>,
    back_end: BackEnd,
    given: Vec<Given>,
    /// What is being fetched, so that it is fetched once.
    fetching: Mutex<HashMap<Wanted, Arc<OnceCell<Arc<Step>>>>>,
    behind: Arc<Semaphore>,
}

/// One who waits for what is being fetched, perhaps with others.
struct Waiter<'a> {
    resolver: &'a Resolver,
    wanted: &'a Wanted,
    cell: Arc<OnceCell<Arc<Step>>>,
}

impl Drop for Waiter<'_> {
    /// Clients go away while they wait; what nobody waits for any more is forgotten, too.
    fn drop(&mut self) {
        let mut fetching = self.resolver.fetching();
        let is_last = self.cell.initialized() || Arc::strong_count(&self.cell) == 2;
        if is_last && fetching.get(self.wanted).is_some_and(|cell| Arc::ptr_eq(cell, &self.cell)) {
            fetching.remove(self.wanted);
        }
    }
}

/// What becomes of a message at once.
#[derive(Debug)]
pub enum AtOnce {
    /// It is answered.
    Answered(Option<Told>),
    /// Nothing is sent.
    Silent(Option<Told>),
    /// It takes longer: [`Resolver::resolve`].
    Later,
    /// A zone's primary says that there is a new version.
    Notified(Box<Name>),
    /// It is for a zone that is given to others, by its place among them: [`Resolver::given`].
    Given(usize),
}

impl Resolver {
    /// Everything put together.
    pub fn new(
        settings: Settings,
        secret: Secret,
        policy: Arc<ArcSwap<Policy>>,
        access: Access,
        back_end: BackEnd,
        clock: Clock,
    ) -> Self {
        let cache = Cache::new(secret, settings.cache_octets);
        let pace = (settings.answers_s_max > 0).then(|| Pace::new(secret, settings.answers_s_max));
        Self {
            settings,
            policy,
            cache,
            clock,
            exemptions: Exemptions::new(secret),
            consents: Vec::new(),
            access,
            secret,
            cookies: Cookies::new(secret),
            pace,
            back_end,
            given: Vec::new(),
            fetching: Mutex::default(),
            behind: Arc::new(Semaphore::new(BEHIND_MAX)),
        }
    }

    /// Gives zones to others.
    #[must_use]
    pub fn giving(self, given: Vec<Given>) -> Self {
        Self { given, ..self }
    }

    /// Asks for consent to measures: who has agreed to each, by its number.
    #[must_use]
    pub fn by_consent(self, consents: Vec<Consents>) -> Self {
        Self { consents, ..self }
    }

    /// Who has agreed to each measure.
    pub fn consents(&self) -> &[Consents] {
        &self.consents
    }

    /// Who goes on in spite of a warning.
    pub fn exemptions(&self) -> &Exemptions {
        &self.exemptions
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether a client's line has agreed to a measure, by its number.
    pub fn agrees(&self, measure: usize, client: IpAddr) -> bool {
        self.consents.get(measure).is_some_and(|consents| consents.agrees(client, self.clock.now_s()))
    }

    /// The zones whose rules are for a client with these tags, and to whose measure its line has agreed.
    #[inline]
    pub fn zones_for(&self, policy: &Policy, client: IpAddr, tags: u64) -> u64 {
        let mut zones = policy.zones_for(tags);
        for measure in 0..MEASURES_MAX {
            let needing = policy.needing(measure, zones);
            if needing != 0 && !self.agrees(measure, client) {
                zones &= !needing;
            }
        }
        zones
    }

    /// A zone that is given to others.
    pub fn given(&self, place: usize) -> Option<&Given> {
        self.given.get(place)
    }

    /// The secret with which what clients choose is hashed.
    pub fn secret(&self) -> Secret {
        self.secret
    }

    /// The policy as it stands.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// The tags of a client that may ask; `None` of one that may not.
    pub fn tags_of(&self, client: IpAddr) -> Option<u64> {
        self.access.of(client)
    }

    /// How the operator's resolvers do; none where the world is asked.
    pub fn health(&self) -> Vec<Health> {
        match &self.back_end {
            BackEnd::Forward(forward) => forward.health(),
            BackEnd::Recurse(_) => Vec::new(),
        }
    }

    /// What is known already.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Answers a message into `out` if that can be done without waiting.
    #[inline]
    pub fn answer(
        &self,
        policy: &Policy,
        wire: &[u8],
        from: IpAddr,
        transport: Transport,
        out: &mut Vec<u8>,
    ) -> AtOnce {
        let query = match Query::read(wire) {
            Ok(query) => query,
            Err(Unasked::Silence) => return AtOnce::Silent(None),
            Err(Unasked::Code(code)) => {
                bare(out, wire, code);
                return AtOnce::Answered(None);
            }
        };
        if query.opcode == opcode::NOTIFY {
            return self.notified(policy, &query, out);
        }
        if !matches!(transport, Transport::Https | Transport::Quic)
            && let Some(place) = self.given.iter().position(|given| given.is_asked(&query))
        {
            return AtOnce::Given(place);
        }
        let Some(tags) = self.access.of(from) else {
            return refused(out, &query, rcode::REFUSED);
        };
        if matches!(query.rtype, rtype::AXFR | rtype::IXFR) || query.class != 1 {
            return refused(out, &query, rcode::REFUSED);
        }
        let client = self.client(&query, from, transport, tags);
        match self.paced(&query, &client) {
            Paced::Send => {}
            Paced::Truncate => return truncated(out, &query),
            Paced::Drop => return AtOnce::Silent(None),
        }
        match self.walk(policy, &query, &client, &[], out) {
            Walked::Answered(told) => AtOnce::Answered(Some(told)),
            Walked::Dropped(told) => AtOnce::Silent(Some(told)),
            Walked::Missing(_) if query.flags() & flag::RD == 0 => refused(out, &query, rcode::REFUSED),
            Walked::Missing(_) => AtOnce::Later,
        }
    }

    fn client(&self, query: &Query<'_>, address: IpAddr, transport: Transport, tags: u64) -> Client {
        let own_part = query.edns.and_then(|edns| edns.cookie).and_then(|cookie| cookie.first_chunk::<8>());
        let cookie = own_part.map(|own_part| self.cookies.make(*own_part, address, unix_s()));
        Client { address, transport, tags, cookie }
    }

    /// Whether a client gets an answer now. Who comes over a connection or shows our cookie is who it says.
    #[inline]
    fn paced(&self, query: &Query<'_>, client: &Client) -> Paced {
        let Some(pace) = self.pace.as_ref().filter(|_| !client.transport.is_stream()) else {
            return Paced::Send;
        };
        let shown = query.edns.and_then(|edns| edns.cookie);
        if shown.is_some_and(|cookie| self.cookies.is_ours(cookie, client.address, unix_s())) {
            return Paced::Send;
        }
        pace.take(client.address, self.clock.now_ms())
    }

    /// Answers a message that could not be answered at once; `None` of what is no question that may be
    /// asked, and no octets where a rule says that there shall be no answer.
    pub async fn resolve(
        self: &Arc<Self>,
        wire: &[u8],
        from: IpAddr,
        transport: Transport,
    ) -> Option<(Vec<u8>, Told)> {
        let query = Query::read(wire).ok()?;
        let tags = self.access.of(from)?;
        let client = self.client(&query, from, transport, tags);
        let mut out = Vec::with_capacity(512);
        let mut fresh: Vec<(Wanted, Arc<Step>)> = Vec::new();
        for _ in 0..FETCHED_MAX {
            let policy = self.policy.load_full();
            match self.walk(&policy, &query, &client, &fresh, &mut out) {
                Walked::Answered(told) => return Some((out, told)),
                Walked::Dropped(told) => return Some((Vec::new(), told)),
                // It was fetched, and still says too little: nothing more will come of it.
                Walked::Missing(wanted) if fresh.iter().any(|(fetched, _)| *fetched == *wanted) => break,
                Walked::Missing(wanted) => {
                    let step = self.fetch(&wanted, &policy).await;
                    fresh.push((*wanted, step));
                }
            }
        }
        bare(&mut out, wire, rcode::SERVFAIL);
        Some((out, Told { code: rcode::SERVFAIL, ..Told::default() }))
    }

    /// Fetches what nearly ran out, before anybody has to wait for it.
    pub async fn refresh(&self, wanted: &Wanted) {
        let policy = self.policy.load_full();
        self.fetch_once(wanted, &policy).await;
    }

    /// What is wanted, from the back end; or what was known before, where that takes longer than a client shall wait. It is fetched to its
    /// end then nevertheless, and whoever asks next has it.
    async fn fetch(self: &Arc<Self>, wanted: &Wanted, policy: &Arc<Policy>) -> Arc<Step> {
        let Some(old) = self.stale(wanted, self.clock.now_s()) else {
            return self.fetch_once(wanted, policy).await;
        };
        let Ok(place) = Arc::clone(&self.behind).try_acquire_owned() else { return old };
        let (resolver, wanted, policy) = (Arc::clone(self), *wanted, Arc::clone(policy));
        let fetched = tokio::spawn(async move {
            let step = resolver.fetch_once(&wanted, &policy).await;
            drop(place);
            step
        });
        let wait = Duration::from_millis(self.settings.stale_answer_client_timeout_ms.into());
        match tokio::time::timeout(wait, fetched).await {
            Ok(Ok(step)) => step,
            _ => old,
        }
    }

    /// What is wanted, from the back end; by whoever asks first, for all who ask meanwhile.
    async fn fetch_once(&self, wanted: &Wanted, policy: &Policy) -> Arc<Step> {
        let cell = Arc::clone(self.fetching().entry(*wanted).or_default());
        let waiter = Waiter { resolver: self, wanted, cell };
        Arc::clone(waiter.cell.get_or_init(|| self.fetch_now(wanted, policy)).await)
    }

    fn fetching(&self) -> std::sync::MutexGuard<'_, HashMap<Wanted, Arc<OnceCell<Arc<Step>>>>> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch_now(&self, wanted: &Wanted, policy: &Policy) -> Arc<Step> {
        let mut steps = match &self.back_end {
            BackEnd::Forward(forward) => forward.ask(wanted).await,
            BackEnd::Recurse(recurse) => recurse.ask(wanted).await,
        };
        let now_s = self.clock.now_s();
        let failed = steps.first().is_none_or(|(_, step)| {
            step.bogus.is_none() && !matches!(step.code, rcode::NOERROR | rcode::NXDOMAIN)
        });
        if failed && let Some(old) = self.stale(wanted, now_s) {
            let old = Arc::new(Step { recheck_s: now_s + RECHECK_S, ..Step::clone(&old) });
            self.cache.keep(wanted, Arc::clone(&old));
            return old;
        }
        if steps.is_empty() {
            steps.push((*wanted, Step::failed(&wanted.name, None, now_s, FAILURE_S)));
        }
        let mut first = None;
        for (of, mut step) in steps {
            if step.code == rcode::SERVFAIL {
                step.until_s = now_s + FAILURE_S;
            }
            if step.servers.is_none() && policy.asks_for_servers(!0) {
                step.servers = Some(Arc::new(self.servers(&of.name).await));
            }
            let step = Arc::new(step);
            if step.is_fresh(now_s) {
                self.cache.keep(&of, Arc::clone(&step));
            }
            first.get_or_insert(step);
        }
        first.unwrap_or_else(|| Arc::new(Step::failed(&wanted.name, None, now_s, 0)))
    }

    /// What was known and is too old, but better than nothing.
    fn stale(&self, wanted: &Wanted, now_s: u32) -> Option<Arc<Step>> {
        let step = self.cache.find(wanted)?;
        (step.code != rcode::SERVFAIL && now_s < step.until_s.saturating_add(self.settings.stale_s))
            .then_some(step)
    }

    /// The servers of a name's zone and of the zones above, looked up through the forwarder, which does not tell them with an answer.
    async fn servers(&self, name: &Name) -> Servers {
        let BackEnd::Forward(forward) = &self.back_end else { return Servers::default() };
        let mut servers = Servers::default();
        let mut zone = Some(*name);
        for _ in 0..ZONES_ABOVE_MAX {
            let Some(at) = zone.filter(|zone| !zone.is_root()) else { break };
            let found = records(forward, at, rtype::NS).await;
            let names = found.iter().filter_map(|(_, data)| Name::from_wire(data).ok()).map(|(name, _)| name);
            for server in names.take(SERVERS_MAX) {
                for kind in [rtype::A, rtype::AAAA] {
                    let found = records(forward, server, kind).await;
                    servers
                        .addresses
                        .extend(found.iter().filter_map(|(kind, data)| crate::step::address(*kind, data)));
                }
                servers.names.push(server);
            }
            zone = at.parent();
        }
        servers
    }

    /// A primary says that its zone has a new version (RFC 1996).
    fn notified(&self, policy: &Policy, query: &Query<'_>, out: &mut Vec<u8>) -> AtOnce {
        if policy.zones.iter().any(|zone| zone.settings.name == query.name) {
            let mut reply = Reply::new(out, query, flag::AA);
            reply.code(rcode::NOERROR);
            reply.finish();
            return AtOnce::Notified(Box::new(query.name));
        }
        refused(out, query, rcode::NOTAUTH)
    }
}

/// Records of one type, through a forwarder.
async fn records(forward: &Forward, name: Name, kind: u16) -> Vec<(u16, Vec<u8>)> {
    let wanted = Wanted { name, rtype: kind, dnssec_ok: false, checking_disabled: false };
    let steps = forward.ask(&wanted).await;
    let last =
        steps.last().map(|(_, step)| step.answer.iter().map(|rr| (rr.rtype, rr.data.to_vec())).collect());
    last.unwrap_or_default()
}

fn refused(out: &mut Vec<u8>, query: &Query<'_>, code: u16) -> AtOnce {
    let mut reply = Reply::new(out, query, 0);
    reply.code(code);
    reply.finish();
    AtOnce::Answered(None)
}

/// "Come over TCP".
fn truncated(out: &mut Vec<u8>, query: &Query<'_>) -> AtOnce {
    let mut reply = Reply::new(out, query, flag::RA);
    reply.truncate();
    reply.finish();
    AtOnce::Answered(None)
}

/// A header with a code, and an OPT record where the code needs one.
fn bare(out: &mut Vec<u8>, wire: &[u8], code: u16) {
    let mut reply = Reply::to_header(out, wire, code);
    if code > 15 {
        reply.edns(&crate::message::ReplyEdns {
            udp_octets: crate::exchange::UDP_OCTETS,
            code,
            ..Default::default()
        });
    }
    reply.finish();
}

/// Seconds since 1970, for cookies.
#[allow(
    clippy::disallowed_methods,
    reason = "cookies are compared by servers that share a secret, so by the calendar"
)]
fn unix_s() -> u32 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as u32)
}
