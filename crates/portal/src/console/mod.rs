//! The operator's console: what needs a person today, and behind it every record it stands on.
//!
//! `enter` and `key` who gets in; `asked` what the address asks for; `page` how it is answered; the others the pages. Every list is paged here and filtered in the address, and `.json` behind its path
//! gives the same as data.

mod alerts;
mod asked;
mod campaigns;
mod cases;
mod enter;
mod intake;
mod key;
mod law;
mod live;
mod matters;
mod outcome;
mod page;
mod records;
mod said;
mod settings;
mod sites;
mod steps;
mod telescope;
mod words;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};

use noroshi_model::text::{Catalogue, TextError};

use crate::asset;
use crate::counter::Counter;
use crate::cursor::{Cursor, Placed};
use crate::desk::{Desk, DeskError};
use crate::door::Door;
use crate::guard::{CONSOLE_POLICY, CONSOLE_SEATS, CONSOLE_WAIT, CONTENT_SECURITY_POLICY, Limits, guard};
use crate::pace::{Limit, Pace};
use asked::{Asked, Here, Pager};

pub use asked::ROWS_A_PAGE;
pub use key::{ConsoleKey, KEY_NAME, LOGIN_PATH, SESSION_LIFE};

/// Where a monitoring system asks.
pub const METRICS_PATH: &str = "/metrics";

/// Logins by the identity provider that are worked on at a time.
const AWAY_SEATS: usize = 4;
/// How fast one place may knock: a page to come in by is some six requests.
const STRANGERS: Limit = Limit { per_second: 10, burst_s: 6, buckets: 10_000 };

/// What the keys do, in words, where a browser runs scripts.
pub(crate) const KEYS: [(&str, &str); 21] = [
    ("?", "these keys"),
    ("g t", "go to Today"),
    ("g c", "go to Cases"),
    ("g m", "go to Campaigns"),
    ("g s", "go to Steps"),
    ("g i", "go to Intake"),
    ("g q", "go to Quarantine"),
    ("g a", "go to Alerts"),
    ("g d", "go to Telescope"),
    ("g w", "go to Sites"),
    ("g l", "go to Law"),
    ("g e", "go to Evidence"),
    ("g o", "go to Outcome"),
    ("g p", "go to People"),
    ("g g", "go to Settings"),
    ("/", "to the filter of a list"),
    ("j", "to the next row"),
    ("k", "to the row before"),
    ("x", "mark the row, or no longer"),
    ("n", "older: the next page of a list"),
    ("p", "newer: the page before"),
];

#[derive(Clone)]
struct Office {
    counter: Counter,
    door: Counter<dyn Door>,
    key: ConsoleKey,
    texts: Arc<Catalogue>,
    streams: live::Streams,
    /// Of those who are not in.
    strangers: Arc<Pace<IpAddr>>,
    /// What the identity provider is called, where there is one.
    provider: Option<String>,
    /// Who comes in by it: with seats of their own, for it may take its time, and whoever is in must not wait for that.
    away: Counter<dyn Door>,
}

impl FromRef<Office> for Arc<Catalogue> {
    fn from_ref(office: &Office) -> Self {
        Arc::clone(&office.texts)
    }
}

impl FromRef<Office> for Counter {
    fn from_ref(office: &Office) -> Self {
        office.counter.clone()
    }
}

impl FromRef<Office> for Counter<dyn Door> {
    fn from_ref(office: &Office) -> Self {
        office.door.clone()
    }
}

impl FromRef<Office> for ConsoleKey {
    fn from_ref(office: &Office) -> Self {
        office.key.clone()
    }
}

/// The loopback listener's routes.
pub fn console(desk: Arc<dyn Desk>, door: Arc<dyn Door>, key: ConsoleKey) -> Result<Router, TextError> {
    let texts = Arc::new(words::texts()?);
    let (strangers, provider) = (Arc::new(Pace::new(STRANGERS)), door.provider());
    let away = Counter::new(Arc::clone(&door), AWAY_SEATS);
    let (counter, door) = (Counter::new(desk, CONSOLE_SEATS), Counter::new(door, CONSOLE_SEATS));
    let office =
        Office { counter, door, key, texts, streams: live::Streams::default(), strangers, provider, away };
    let router = Router::new()
        .route(LOGIN_PATH, get(key::login))
        .route("/login/begin", post(enter::begin_login))
        .route("/login/finish", post(enter::finish_login))
        .route(enter::OIDC, get(enter::begin_oidc))
        .route("/login/oidc/back", get(enter::finish_oidc))
        .route("/join/{link}", get(enter::join))
        .route("/join/{link}/begin", post(enter::begin_join))
        .route("/join/{link}/finish", post(enter::finish_join))
        .route("/me", get(enter::me).post(enter::change_mine))
        .route("/me.json", get(enter::me))
        .route("/me/begin", post(enter::begin_mine))
        .route("/me/finish", post(enter::finish_mine))
        .route("/people", get(enter::people).post(enter::change_people))
        .route("/people.json", get(enter::people))
        .route("/", get(matters::today))
        .route("/today.json", get(matters::today))
        .route("/live", get(live::live))
        .route("/cases", get(cases::cases).post(cases::judge))
        .route("/cases.json", get(cases::cases))
        .route("/cases/{id}", get(cases::case))
        .route("/campaigns", get(campaigns::campaigns))
        .route("/campaigns.json", get(campaigns::campaigns))
        .route(steps::PATH, get(steps::steps))
        .route("/steps.json", get(steps::steps))
        .route("/steps/{case}/{number}", post(steps::judge))
        .route("/switch", post(steps::switch))
        .route("/outcome", get(outcome::outcome))
        .route("/outcome.json", get(outcome::outcome))
        .route("/outcome/{picture}", get(outcome::picture))
        .route("/outcome/networks", get(outcome::networks))
        .route("/outcome/networks.json", get(outcome::networks))
        .route("/outcome/networks/{picture}", get(outcome::network_picture))
        .route("/outcome/wordings", get(outcome::wordings))
        .route("/outcome/wordings.json", get(outcome::wordings))
        .route("/outcome/wordings/{picture}", get(outcome::wordings_picture))
        .route("/intake", get(intake::intake))
        .route("/intake.json", get(intake::intake))
        .route(METRICS_PATH, get(intake::metrics))
        .route("/quarantine", get(records::quarantine))
        .route("/quarantine.json", get(records::quarantine))
        .route("/law", get(law::law))
        .route("/law.json", get(law::law))
        .route("/law/approve", post(law::approve))
        .route("/law/emergencies", get(law::emergencies).post(law::review))
        .route("/law/emergencies.json", get(law::emergencies))
        .route("/law/refusals", get(law::refusals))
        .route("/law/refusals.json", get(law::refusals))
        .route("/alerts", get(alerts::alerts))
        .route("/alerts.json", get(alerts::alerts))
        .route("/alerts/{id}", get(telescope::alert))
        .route("/telescope", get(telescope::stats))
        .route("/telescope.json", get(telescope::stats))
        .route("/telescope/day.svg", get(telescope::day))
        .route("/telescope/map", get(telescope::map))
        .route("/telescope/sphere", get(telescope::sphere))
        .route("/telescope/state", get(telescope::state))
        .route("/telescope/live", get(telescope::live))
        .route("/telescope/sightings", get(telescope::sightings))
        .route("/telescope/sightings.json", get(telescope::sightings))
        .route("/telescope/sightings/{id}", get(telescope::sighting))
        .route("/telescope/campaigns", get(telescope::campaigns))
        .route("/telescope/campaigns.json", get(telescope::campaigns))
        .route("/telescope/campaigns/{id}", get(telescope::campaign))
        .route(sites::PATH, get(sites::sites).post(sites::judge))
        .route("/sites.json", get(sites::sites))
        .route(sites::RECORD, get(sites::site))
        .route("/sites/record.json", get(sites::site))
        .route("/law/consents", get(law::consents))
        .route("/law/consents.json", get(law::consents))
        .route("/settings", get(settings::settings))
        .route("/settings.json", get(settings::settings))
        .route("/evidence", get(records::evidence))
        .route("/evidence.json", get(records::evidence))
        .route("/evidence/{index}", get(records::proof))
        .merge(asset::console_routes())
        .fallback(async |asked: Asked| asked.trouble(&DeskError::NotFound))
        .method_not_allowed_fallback(method)
        .layer(from_fn_with_state(office.clone(), enter::enter))
        .with_state(office);
    Ok(guard(router, Limits { policy: CONSOLE_POLICY, wait: CONSOLE_WAIT, pace: None }, page::at_the_door))
}

pub(crate) use page::at_the_door;

/// The counters alone, for a listener of their own.
pub fn metrics_page(desk: Arc<dyn Desk>) -> Router {
    let router =
        Router::new().route(METRICS_PATH, get(intake::metrics)).with_state(Counter::new(desk, CONSOLE_SEATS));
    guard(
        router,
        Limits { policy: CONTENT_SECURITY_POLICY, wait: CONSOLE_WAIT, pace: None },
        page::at_the_door,
    )
}

async fn method() -> Response {
    page::turned(
        StatusCode::METHOD_NOT_ALLOWED,
        "This address takes no such request",
        "Forms are sent from the pages of the console. Nothing was changed.",
    )
}

/// One page of a list that is read on from where it was left.
async fn rows_behind<T: Placed + Send + 'static>(
    counter: &Counter,
    asked: &Asked,
    filter: &str,
    list: impl FnOnce(&dyn Desk, Option<&Cursor>, u32) -> Result<Vec<T>, DeskError> + Send + 'static,
) -> Result<(Vec<T>, Pager), Response> {
    let behind = asked.behind();
    let answer = counter.ask(move |desk| list(desk, behind.as_ref(), Asked::limit())).await;
    let mut rows = answer.map_err(|error| asked.trouble(&error))?;
    let pager = asked.pager_behind(&mut rows, filter);
    Ok((rows, pager))
}

/// One page of a short list, by its number.
async fn rows<T: Send + 'static>(
    counter: &Counter,
    asked: &Asked,
    filter: &str,
    list: impl FnOnce(&dyn Desk, u64, u32) -> Result<Vec<T>, DeskError> + Send + 'static,
) -> Result<(Vec<T>, Pager), Response> {
    let offset = asked.offset();
    let answer = counter.ask(move |desk| list(desk, offset, Asked::limit())).await;
    let mut rows = answer.map_err(|error| asked.trouble(&error))?;
    let pager = asked.pager(&mut rows, filter);
    Ok((rows, pager))
}
