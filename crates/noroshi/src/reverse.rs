//! Reverse DNS where the configuration asks for it: the names of a whole batch's addresses, many questions on their way at
//! once, so that a load waits for the slowest answer and not for the sum of them.
//!
//! ```text
//!   addresses ─▶ known? (bounded, each for so long) ─no─▶ is the resolver silent? ─no─▶ questions ─▶ names
//!                  └ yes: its name, or that it has none       └ yes: not asked for a while
//! ```
//!
//! Nothing depends on an answer: an event without one is stored as it is, and its id was made before. So everything here
//! may give up: a question after `timeout-ms`, a batch after `batch-ms`, and all of them for [`PAUSE`] after
//! [`SILENT_MAX`] questions in a row were left unanswered. What was answered, that there is no name, and that nobody
//! answered are all remembered.
//!
//! A name is what somebody wrote into a zone of their own: it is kept only where it reads as a host's name ([`plain`]).

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, stream};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use noroshi_orient::enrich::ReverseDns;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::dns;

/// Default of `timeout-ms`: a recursive resolver that knows an answer has it in a few, one that has to ask in some hundred.
pub const TIMEOUT_MS: u32 = 1_000;
/// Default of `batch-ms`.
pub const BATCH_MS: u32 = 10_000;
/// Default of `concurrency`.
pub const CONCURRENCY: u32 = 128;
/// Default of `cache-entries`: some 10 MiB.
pub const CACHE_ENTRIES: u32 = 65_536;
/// Default of `ttl-min-s`. Also how long it is remembered that nobody answered.
pub const TTL_MIN_S: u32 = 300;
/// Default of `ttl-max-s`: a day.
pub const TTL_MAX_S: u32 = 86_400;

/// Each question is a socket of its own.
const CONCURRENCY_MAX: u32 = 256;
/// Longest that may be waited, for one answer or for those of a batch.
const WAIT_MS_MAX: u32 = 60_000;
/// Most addresses remembered.
const CACHE_ENTRIES_MAX: u32 = 4_000_000;
/// How often a question is sent, to the next resolver each time: UDP loses some.
const TRIES: u32 = 2;
/// Unanswered questions in a row after which nobody is asked for a while.
const SILENT_MAX: u32 = 100;
/// For so long.
const PAUSE: Duration = Duration::from_secs(30);
/// Longest name, and longest part of one (RFC 1035 section 2.3.4).
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;
/// `[enrich.reverse-dns]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ReverseFile {
    /// Who is asked; the next one where one is silent. Default: those of the system.
    pub resolvers: Vec<SocketAddr>,
    /// Longest wait for an answer.
    pub timeout_ms: u32,
    /// Longest wait for all answers of a batch; who has no name by then goes without.
    pub batch_ms: u32,
    /// Questions on their way at once, for each report that is taken in.
    pub concurrency: u32,
    /// Addresses remembered.
    pub cache_entries: u32,
    /// Shortest and longest time for which an answer is remembered, whatever it says of itself.
    pub ttl_min_s: u32,
    /// See `ttl-min-s`.
    pub ttl_max_s: u32,
}

impl Default for ReverseFile {
    fn default() -> Self {
        Self {
            resolvers: Vec::new(),
            timeout_ms: TIMEOUT_MS,
            batch_ms: BATCH_MS,
            concurrency: CONCURRENCY,
            cache_entries: CACHE_ENTRIES,
            ttl_min_s: TTL_MIN_S,
            ttl_max_s: TTL_MAX_S,
        }
    }
}

impl ReverseFile {
    /// Whether it makes sense.
    pub fn check(&self) -> anyhow::Result<()> {
        let within = |what: &str, n: u32, most: u32| {
            ensure!((1..=most).contains(&n), "{what} is between 1 and {most}");
            Ok(())
        };
        within("timeout-ms", self.timeout_ms, WAIT_MS_MAX)?;
        within("batch-ms", self.batch_ms, WAIT_MS_MAX)?;
        within("concurrency", self.concurrency, CONCURRENCY_MAX)?;
        within("cache-entries", self.cache_entries, CACHE_ENTRIES_MAX)?;
        ensure!(self.ttl_min_s <= self.ttl_max_s, "ttl-min-s is more than ttl-max-s");
        Ok(())
    }
}

/// Asks for names.
#[derive(Debug)]
pub struct Reverse {
    resolvers: Vec<SocketAddr>,
    settings: ReverseFile,
    pause: Duration,
    runtime: Runtime,
    known: Mutex<Known>,
    silence: Mutex<Silence>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reverse {
    /// Asks as the configuration says.
    pub fn new(settings: &ReverseFile) -> anyhow::Result<Self> {
        settings.check()?;
        let resolvers = match settings.resolvers.as_slice() {
            [] => dns::of_the_system().context("enrich.reverse-dns.resolvers")?,
            named => named.to_vec(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("reverse-dns")
            .enable_all()
            .build()
            .context("no thread for reverse DNS")?;
        Ok(Self {
            resolvers,
            pause: PAUSE,
            runtime,
            known: Mutex::new(Known::new(settings.cache_entries as usize)),
            silence: Mutex::default(),
            settings: settings.clone(),
        })
    }

    /// Who is asked.
    pub fn resolvers(&self) -> &[SocketAddr] {
        &self.resolvers
    }

    /// Whether somebody answers at all: asks for a name that every resolver has an answer about (RFC 6303).
    pub fn probe(&self) -> Result<(), String> {
        let answered = self.runtime.block_on(self.ask(Ipv4Addr::LOCALHOST.into()));
        answered.map(drop).ok_or_else(|| format!("no answer within {} ms", self.settings.timeout_ms))
    }

    /// The name of an address nothing is known of yet.
    async fn learn(&self, ip: IpAddr) -> Option<Arc<str>> {
        if held(&self.silence).lasts() {
            return None;
        }
        let answer = self.ask(ip).await;
        self.heard(answer.is_some());
        let Answer { name, ttl_s } = answer.unwrap_or_default();
        let ttl_s = ttl_s.clamp(self.settings.ttl_min_s, self.settings.ttl_max_s);
        let until = Instant::now() + Duration::from_secs(ttl_s.into());
        held(&self.known).put(ip, Entry { name: name.clone(), until });
        name
    }

    /// Counts silence.
    fn heard(&self, answered: bool) {
        let mut silence = held(&self.silence);
        silence.in_a_row = if answered { 0 } else { silence.in_a_row.saturating_add(1) };
        if silence.in_a_row >= SILENT_MAX && !silence.lasts() {
            silence.until = Some(Instant::now() + self.pause);
            tracing::warn!(
                "reverse DNS: {} questions in a row were not answered; events go without names for {} s",
                silence.in_a_row,
                self.pause.as_secs()
            );
        }
    }

    /// Asks one resolver after the other; `None` where none of them answered in time.
    async fn ask(&self, ip: IpAddr) -> Option<Answer> {
        let question = question(ip);
        let wire = question.to_vec().ok()?;
        let each = Duration::from_millis(self.settings.timeout_ms.into()) / TRIES;
        for resolver in self.resolvers.iter().cycle().take(TRIES as usize) {
            if let Ok(Ok(answer)) = timeout(each, dns::exchange(*resolver, &question, &wire)).await {
                // It is the resolver that answers, with something that cannot be read.
                return Some(answer.as_ref().map(said).unwrap_or_default());
            }
        }
        None
    }
}

impl ReverseDns for Reverse {
    fn names_of(&self, ips: &HashSet<IpAddr>) -> HashMap<IpAddr, Arc<str>> {
        let (mut names, mut unknown) = (HashMap::new(), Vec::new());
        let now = Instant::now();
        for ip in ips {
            match held(&self.known).get(ip, now) {
                Some(Entry { name: Some(name), .. }) => drop(names.insert(*ip, name)),
                Some(_) => {}
                None => unknown.push(*ip),
            }
        }
        if unknown.is_empty() || held(&self.silence).lasts() {
            return names;
        }
        let found = Mutex::new(names);
        let (found_in, at_once) = (&found, self.settings.concurrency as usize);
        let all = stream::iter(unknown).for_each_concurrent(at_once, |ip| async move {
            if let Some(name) = self.learn(ip).await {
                held(found_in).insert(ip, name);
            }
        });
        let batch = Duration::from_millis(self.settings.batch_ms.into());
        let in_time = self.runtime.block_on(async { timeout(batch, all).await.is_ok() });
        if !in_time {
            tracing::warn!("reverse DNS: answers take too long; some events of a batch go without names");
        }
        found.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the resolvers answer.
#[derive(Debug, Default)]
struct Silence {
    in_a_row: u32,
    until: Option<Instant>,
}

impl Silence {
    /// Whether they are left alone just now. After that one more unanswered question is enough.
    fn lasts(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }
}

/// What is remembered of an address.
#[derive(Clone, Debug)]
struct Entry {
    name: Option<Arc<str>>,
    until: Instant,
}

/// What is known, in two halves: when the younger is full, the older is forgotten. What is asked for stays young.
#[derive(Debug)]
struct Known {
    half: usize,
    young: HashMap<IpAddr, Entry>,
    old: HashMap<IpAddr, Entry>,
}

impl Known {
    fn new(entries: usize) -> Self {
        Self { half: entries.div_ceil(2), young: HashMap::new(), old: HashMap::new() }
    }

    fn get(&mut self, ip: &IpAddr, now: Instant) -> Option<Entry> {
        if let Some(entry) = self.young.get(ip) {
            return Some(entry.clone()).filter(|entry| now < entry.until);
        }
        let entry = self.old.remove(ip).filter(|entry| now < entry.until)?;
        self.put(*ip, entry.clone());
        Some(entry)
    }

    fn put(&mut self, ip: IpAddr, entry: Entry) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(ip, entry);
    }
}

/// What a resolver said.
#[derive(Debug, Default)]
struct Answer {
    name: Option<Arc<str>>,
    ttl_s: u32,
}

fn question(ip: IpAddr) -> Message {
    dns::question(Name::from(ip), RecordType::PTR)
}

/// What an answer says.
fn said(answer: &Message) -> Answer {
    let names = answer.answers.iter().filter_map(|record| match &record.data {
        RData::PTR(name) => Some((plain(name)?, record.ttl)),
        _ => None,
    });
    // Of several the first by its letters: servers turn them round from answer to answer.
    if let Some((name, ttl_s)) = names.min() {
        return Answer { name: Some(name.into()), ttl_s };
    }
    let known = matches!(answer.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
    let soa = answer.authorities.iter().find_map(|record| match &record.data {
        // RFC 2308 section 5
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    });
    Answer { name: None, ttl_s: soa.filter(|_| known).unwrap_or_default() }
}

/// A name as it may be kept: letters, digits, hyphens and underscores in two parts or more, in lower case, and no address
/// in disguise.
fn plain(name: &Name) -> Option<String> {
    let mut text = String::new();
    for label in name.iter() {
        let of_a_host = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_';
        if label.is_empty() || label.len() > LABEL_MAX || !label.iter().all(of_a_host) {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.extend(label.iter().map(|b| char::from(b.to_ascii_lowercase())));
    }
    let last = text.rsplit_once('.')?.1;
    (text.len() <= NAME_MAX && !last.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use hickory_proto::rr::rdata::{PTR, SOA};
    use hickory_proto::rr::{Record, RecordData as _};

    use super::*;

    fn name(labels: &[&[u8]]) -> Name {
        Name::from_labels(labels.to_vec()).unwrap()
    }

    fn ip(n: u32) -> IpAddr {
        Ipv4Addr::from(0xc633_0000 + n).into()
    }

    fn answer_to(question: &Message, names: &[&str]) -> Message {
        let mut answer = question.clone().into_response();
        let owner = question.queries[0].name().clone();
        for name in names {
            answer.add_answer(Record::from_rdata(
                owner.clone(),
                600,
                PTR(name.parse().unwrap()).into_rdata(),
            ));
        }
        answer
    }

    /// A resolver of a few lines, made of the same library: what real ones do is for the tests with unbound. It answers while
    /// it is not told to be silent, and counts what it was asked.
    fn resolver() -> (SocketAddr, Arc<(AtomicU32, Mutex<bool>)>) {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (at, state) = (socket.local_addr().unwrap(), Arc::new((AtomicU32::new(0), Mutex::new(false))));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                shared.0.fetch_add(1, Ordering::SeqCst);
                if !*held(&shared.1) {
                    let question = Message::from_vec(&buffer[..length]).unwrap();
                    let answer = answer_to(&question, &["Host.Example.NET."]).to_vec().unwrap();
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        (at, state)
    }

    fn asking(resolver: SocketAddr, timeout_ms: u32) -> Reverse {
        let settings = ReverseFile { resolvers: vec![resolver], timeout_ms, ..ReverseFile::default() };
        Reverse::new(&settings).unwrap()
    }

    #[test]
    fn what_was_answered_is_not_asked_again() {
        let (at, state) = resolver();
        let reverse = asking(at, 10_000);
        let ips: HashSet<IpAddr> = (0..300).map(ip).collect();
        for _ in 0..3 {
            let names = reverse.names_of(&ips);
            assert_eq!(names.len(), 300);
            assert!(names.values().all(|name| &**name == "host.example.net"));
        }
        assert_eq!(state.0.load(Ordering::SeqCst), 300);
    }

    #[test]
    fn a_silent_resolver_is_left_alone_for_a_while_and_then_asked_again() {
        let (at, state) = resolver();
        let mut reverse = asking(at, 600);
        reverse.pause = Duration::from_secs(4);
        *held(&state.1) = true;
        let ips: HashSet<IpAddr> = (0..5_000).map(ip).collect();
        let begun = Instant::now();
        assert!(reverse.names_of(&ips).is_empty());
        let asked = state.0.load(Ordering::SeqCst);
        assert!((1..=(CONCURRENCY + SILENT_MAX) * TRIES).contains(&asked), "{asked} questions");
        assert!(reverse.names_of(&ips).is_empty());
        assert_eq!(state.0.load(Ordering::SeqCst), asked, "and none more");
        assert!(begun.elapsed() < reverse.pause, "{:?}", begun.elapsed());
        *held(&state.1) = false;
        std::thread::sleep(reverse.pause);
        let names = reverse.names_of(&ips).len();
        // That a hundred were not answered is remembered as well.
        assert!((1..=4_900).contains(&names), "{names} names");
    }

    #[test]
    fn a_batch_waits_no_longer_than_it_was_told_to() {
        let (at, state) = resolver();
        *held(&state.1) = true;
        let mut reverse = asking(at, WAIT_MS_MAX);
        reverse.settings.batch_ms = 100;
        let begun = Instant::now();
        assert!(reverse.names_of(&(0..50).map(ip).collect()).is_empty());
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_name_is_kept_only_where_it_reads_as_a_hosts() {
        let long = [b'a'; 63];
        assert_eq!(plain(&name(&[b"A-1_b", b"Example", b"NET"])).unwrap(), "a-1_b.example.net");
        assert_eq!(plain(&name(&[b"xn--bcher-kva", b"example"])).unwrap(), "xn--bcher-kva.example");
        assert!(plain(&name(&[&long[..61], &long, &long, &long])).is_some_and(|name| name.len() == NAME_MAX));
        let hostile: [&[&[u8]]; 8] = [
            &[],
            &[b"localhost"],
            &[b"198", b"51", b"100", b"7"],
            &[b"a b", b"example"],
            &[b"a\n", b"example"],
            &[b"<script>", b"example"],
            &[b"a.b", b"example"],
            &["狼煙".as_bytes(), b"example"],
        ];
        for labels in hostile {
            assert_eq!(plain(&name(labels)), None, "{labels:?}");
        }
    }

    #[test]
    fn of_several_names_the_first_by_its_letters_counts_and_an_address_is_none() {
        let answer = said(&answer_to(&question(ip(7)), &["b.example.", "A.example.", "203.0.113.9."]));
        assert_eq!((answer.name.as_deref(), answer.ttl_s), (Some("a.example"), 600));
    }

    #[test]
    fn how_long_there_is_no_name_is_for_the_zone_to_say_unless_the_server_failed() {
        let question = question(ip(7));
        let mut none = answer_to(&question, &[]);
        let (zone, at) = (Name::root(), name(&[b"ns", b"example"]));
        let soa = SOA::new(at.clone(), at, 1, 2, 3, 4, 900);
        none.add_authority(Record::from_rdata(zone, 3600, soa.into_rdata()));
        for (code, ttl_s) in
            [(ResponseCode::NXDomain, 900), (ResponseCode::NoError, 900), (ResponseCode::ServFail, 0)]
        {
            none.metadata.response_code = code;
            let answer = said(&none);
            assert_eq!((answer.name, answer.ttl_s), (None, ttl_s), "{code}");
        }
    }

    #[test]
    fn no_more_is_remembered_than_was_allowed_and_what_is_asked_for_stays() {
        let mut known = Known::new(10);
        let now = Instant::now();
        let entry = |s| Entry { name: None, until: now + Duration::from_secs(s) };
        for n in 0..1000 {
            known.put(ip(n), entry(9));
            assert!(known.get(&ip(0), now).is_some(), "asked for all the time, after {n}");
            assert!(known.young.len() + known.old.len() <= 10);
        }
        assert!(known.get(&ip(1), now).is_none());
        known.put(ip(1), entry(0));
        assert!(known.get(&ip(1), now).is_none(), "it has had its time");
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let check = |text: &str| toml::from_str::<ReverseFile>(text).unwrap().check();
        assert!(check("").is_ok());
        for text in [
            "timeout-ms = 0",
            "batch-ms = 90000",
            "concurrency = 0",
            "concurrency = 9999",
            "cache-entries = 0",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
        assert!(check("ttl-min-s = 10\nttl-max-s = 9").is_err());
        assert!(toml::from_str::<ReverseFile>("resolver = []").is_err());
    }
}
