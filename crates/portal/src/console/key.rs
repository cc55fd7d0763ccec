//! The machine's key: drawn at random, printed, kept in a folder that only its owner can read. Whoever has it may look at the
//! console, stop telling and let people in. There is no default password to forget about.
//!
//! ```text
//!   GET /login?key=… ──right──▶ cookie (a session's token, not the key) ──▶ every page until it expires
//! ```
//!
//! The `Host` header must name this machine, or a web site could point its own name at 127.0.0.1 and read the
//! console through the operator's browser (DNS rebinding).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use noroshi_law::evidence::Digest;
use noroshi_model::link::LinkKey;
use noroshi_model::{Clock, Id, Person, StaffRole, SystemClock};

use super::enter::locked;
use super::{Office, page};
use crate::show;

/// How long one login lasts.
pub const SESSION_LIFE: SignedDuration = SignedDuration::from_hours(12);
/// Where the key is shown.
pub const LOGIN_PATH: &str = "/login";
pub(super) const COOKIE: &str = "noroshi-console";
/// What the evidence log calls whoever has the key; nobody else can have this name.
pub const KEY_NAME: &str = "console key";

/// The console's access key, and what else decides about access.
#[derive(Clone)]
pub struct ConsoleKey {
    key: String,
    /// Derived from the key, so that a session outlives a restart exactly when the key does.
    sessions: Arc<LinkKey>,
    hosts: Vec<String>,
    secure: bool,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for ConsoleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConsoleKey(‹redacted›)")
    }
}

impl ConsoleKey {
    /// Draws 256 random bits; absent where the machine has no randomness to give.
    pub fn random() -> Option<Self> {
        Self::parse(&format!("{}{}", Id::random()?, Id::random()?))
    }

    /// Reads a key that was kept.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, second) = text.split_at_checked(Id::CHARS)?;
        Id::parse(first).and(Id::parse(second))?;
        let secret = Digest::of(format!("noroshi console sessions\0{text}").as_bytes());
        Some(Self {
            key: text.to_owned(),
            sessions: Arc::new(LinkKey::new(&secret.0)),
            hosts: Vec::new(),
            secure: false,
            clock: Arc::new(SystemClock),
        })
    }

    /// Names besides this machine's own by which the console may be reached, e.g. behind a proxy. Without
    /// ports.
    pub fn with_hosts(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.hosts.extend(hosts);
        self
    }

    /// Another clock for the life of sessions.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where the console is reached from outside, e.g. `https://console.example.jp`: its name is one of ours, and cookies go back by
    /// TLS alone.
    pub fn with_url(mut self, url: &str) -> Self {
        let name = url.parse::<Uri>().ok().and_then(|url| Some(url.host()?.to_owned()));
        self.hosts.extend(name);
        self.secure = url.starts_with("https://");
        self
    }

    /// Whether cookies go back by TLS alone.
    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The moment by its clock.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whoever has the key, as a person: looks, stops telling, lets people in, and decides nothing about subscribers.
    pub(super) fn person(&self) -> Person {
        Person {
            id: Id::of("console-key", &[]),
            name: KEY_NAME.to_owned(),
            roles: [StaffRole::Admin].into(),
            since: Timestamp::UNIX_EPOCH,
            ended: None,
        }
    }

    /// The key itself, to be kept in a file that only the operator can read.
    pub fn reveal(&self) -> &str {
        &self.key
    }

    /// The path and query of the login link, which goes behind `http://127.0.0.1:PORT`.
    pub fn login_path(&self) -> String {
        format!("{LOGIN_PATH}?key={}", self.key)
    }

    /// Compares MACs under a secret and not the texts, so that time tells nothing about how much of a guess
    /// was right.
    fn fits(&self, given: &str) -> bool {
        let (given, ours) = (self.sessions.seal("login", given), self.sessions.seal("login", &self.key));
        given.bytes().zip(ours.bytes()).fold(given.len() ^ ours.len(), |d, (a, b)| d | usize::from(a ^ b))
            == 0
    }

    fn session(&self) -> Option<String> {
        Some(self.sessions.token(&Id::random()?, self.clock.now() + SESSION_LIFE))
    }

    pub(super) fn is_open(&self, headers: &HeaderMap) -> bool {
        cookies(headers, COOKIE).any(|token| self.sessions.open(token, self.clock.now()).is_ok())
    }

    fn is_ours(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.eq_ignore_ascii_case("localhost")
            || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            || self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))
    }

    /// Every name the request gives to this machine must be one of ours, and it must give one.
    pub(super) fn knows_hosts(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let named = headers.get_all(header::HOST).iter().map(|value| {
            let authority: Authority = value.to_str().ok()?.parse().ok()?;
            Some(authority.host().to_owned())
        });
        let hosts: Vec<Option<String>> = named.chain(uri.host().map(|host| Some(host.to_owned()))).collect();
        !hosts.is_empty() && hosts.iter().all(|host| host.as_ref().is_some_and(|host| self.is_ours(host)))
    }
}

/// The values of a cookie in a request.
pub(super) fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(given, _)| *given == name).map(|(_, value)| value)
}

/// With the key, comes in by it; without, the page to come in by.
pub(super) async fn login(State(office): State<Office>, uri: Uri) -> Response {
    let key = &office.key;
    let Some(given) = show::query_value(uri.query(), "key") else {
        return locked(office.provider.as_deref());
    };
    if !key.fits(given) {
        return page::turned(
            StatusCode::UNAUTHORIZED,
            "This key does not open the console",
            "The key changes when the program draws a new one. Run `noroshi console-url` on this machine \
             and open the address that it prints.",
        );
    }
    let Some(session) = key.session() else {
        return page::turned(
            StatusCode::SERVICE_UNAVAILABLE,
            "The login did not work",
            "This machine gave no random numbers. Nothing was changed; try again.",
        );
    };
    let life = SESSION_LIFE.as_secs();
    let secure = if key.is_secure() { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={session}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict{secure}");
    (StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie), (header::LOCATION, "/".to_owned())])
        .into_response()
}
