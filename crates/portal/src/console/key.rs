//! Who may see the console: whoever has the key that the program drew at random and printed. There is no
//! default password to forget about.
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

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::SignedDuration;
use noroshi_law::evidence::Digest;
use noroshi_model::link::LinkKey;
use noroshi_model::{Clock, Id, SystemClock};

use super::{METRICS_PATH, page};
use crate::{asset, show};

/// How long one login lasts.
pub const SESSION_LIFE: SignedDuration = SignedDuration::from_hours(12);
/// Where the key is shown.
pub const LOGIN_PATH: &str = "/login";
const COOKIE: &str = "noroshi-console";

/// The console's access key, and what else decides about access.
#[derive(Clone)]
pub struct ConsoleKey {
    key: String,
    /// Derived from the key, so that a session outlives a restart exactly when the key does.
    sessions: Arc<LinkKey>,
    hosts: Vec<String>,
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

    fn is_open(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, token)| name == COOKIE && self.sessions.open(token, self.clock.now()).is_ok())
    }

    fn is_ours(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.eq_ignore_ascii_case("localhost")
            || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            || self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))
    }

    /// Every name the request gives to this machine must be one of ours, and it must give one.
    fn knows_hosts(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let named = headers.get_all(header::HOST).iter().map(|value| {
            let authority: Authority = value.to_str().ok()?.parse().ok()?;
            Some(authority.host().to_owned())
        });
        let hosts: Vec<Option<String>> = named.chain(uri.host().map(|host| Some(host.to_owned()))).collect();
        !hosts.is_empty() && hosts.iter().all(|host| host.as_ref().is_some_and(|host| self.is_ours(host)))
    }
}

/// Lets in who has a session; the style sheet, the way in, and the counters, which name nobody, are open.
pub(super) async fn enter(State(key): State<ConsoleKey>, request: Request, next: Next) -> Response {
    if !key.knows_hosts(request.uri(), request.headers()) {
        return page::turned(
            StatusCode::MISDIRECTED_REQUEST,
            "This address is not the console's",
            "The console answers only to this machine's own names and those in its configuration. \
             Open it with the address that `noroshi console-url` prints.",
        );
    }
    let path = request.uri().path();
    let is_open =
        [LOGIN_PATH, METRICS_PATH, asset::ICON_PATH].contains(&path) || path.starts_with(asset::FOLDER);
    if is_open || key.is_open(request.headers()) { next.run(request).await } else { no_session() }
}

pub(super) async fn login(State(key): State<ConsoleKey>, uri: Uri) -> Response {
    if !show::query_value(uri.query(), "key").is_some_and(|given| key.fits(given)) {
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
    let cookie = format!("{COOKIE}={session}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict");
    (StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie), (header::LOCATION, "/".to_owned())])
        .into_response()
}

fn no_session() -> Response {
    page::turned(
        StatusCode::UNAUTHORIZED,
        "The console is locked",
        "Run `noroshi console-url` on this machine and open the address that it prints. \
         A login lasts 12 hours.",
    )
}
