//! What a subscriber sees who follows the link in a notice: somebody frightened, with three minutes and a
//! telephone.
//!
//! ```text
//!   GET /n/{token} ──▶ what was seen ──POST steps──▶ the steps ──POST done──▶ thanks
//!        (acts never)                └─GET opt-out (what it means)──POST opt-out──▶ stopped
//! ```
//!
//! A GET acts never, because mail scanners follow links; a POST answers 303 back to the page. There are no
//! cookies: the language is in the query. A token that opens nothing is answered in both languages and
//! without saying why it is wrong. Beside them, for everybody: what was done to how many (`/transparency`), what a line
//! meets that is in the walled garden (`garden`), and, at an address of its own, what a browser meets instead of a dangerous site ([`warned`]).

mod cleaner;
mod garden;
mod speech;
mod transparency;
mod trouble;
pub(crate) mod visitor;
pub mod warned;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FormRejection};
use axum::extract::{Form, FromRef, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use noroshi_model::VisitKind;
use noroshi_model::case::QUIET;
use noroshi_model::link::LinkError;
use noroshi_model::outcome::Recheck;
use noroshi_model::text::{Catalogue, TextError};

use crate::counter::Counter;
use crate::desk::{Desk, DeskError, NoticePage};
use crate::guard::{CONTENT_SECURITY_POLICY, Limits, PLACES_MAX, SUBSCRIBER_SEATS, SUBSCRIBER_WAIT, guard};
use crate::pace::Limit;
use crate::{asset, show};
use speech::Speech;
use trouble::Trouble;
use visitor::{Token, Visitor};

/// Sightings listed on the page; the rest is counted.
pub const LISTED_MAX: usize = 20;

/// The subscriber pages' texts in English, as Fluent: what is translated.
pub const ENGLISH: &str = speech::ENGLISH;

/// The subscriber pages' texts.
pub fn texts() -> Result<Catalogue, TextError> {
    speech::texts()
}

/// The public listener's routes, with the pages' texts in every language. One place (an IPv4 address, an IPv6 /64) may ask so often a
/// second, and for some seconds more than that.
pub fn subscriber_pages(desk: Arc<dyn Desk>, texts: Arc<Catalogue>, per_second: u32) -> Router {
    let pages = Pages { counter: Counter::new(desk, SUBSCRIBER_SEATS), texts: Arc::clone(&texts) };
    let router = Router::new()
        .route("/", get(home))
        .route("/code", post(code).get(home))
        .route("/transparency", get(transparency::page))
        .route("/n/{token}", get(notice))
        .route("/n/{token}/steps", post(steps).get(back))
        .route("/n/{token}/done", post(done).get(back))
        .route("/n/{token}/check", post(check).get(back))
        .route("/n/{token}/cleaner/{id}", post(cleaner::wanted))
        .route("/cleaner/{id}/{name}", get(cleaner::file))
        .route("/n/{token}/release", post(release).get(back))
        .route("/garden", get(garden::page))
        .route("/captive-portal/api", get(garden::api))
        .route("/n/{token}/opt-out", post(opt_out).get(confirm))
        .merge(asset::routes())
        .fallback(async |State(pages): State<Pages>, v: Visitor| Trouble::Missing.page(&pages.texts, v.lang))
        .method_not_allowed_fallback(async |State(pages): State<Pages>, v: Visitor| {
            Trouble::Method.page(&pages.texts, v.lang)
        })
        .with_state(pages);
    let pace = Some(Limit { per_second, burst_s: 10, buckets: PLACES_MAX });
    let limits = Limits { policy: CONTENT_SECURITY_POLICY, wait: SUBSCRIBER_WAIT, pace };
    guard(router, limits, move |turned| Trouble::from(turned).page(&texts, Default::default()))
}

#[derive(Clone)]
struct Pages {
    counter: Counter,
    texts: Arc<Catalogue>,
}

impl FromRef<Pages> for Arc<Catalogue> {
    fn from_ref(pages: &Pages) -> Self {
        Self::clone(&pages.texts)
    }
}

#[derive(Template)]
#[template(path = "subscriber/home.html")]
struct HomeView<'a> {
    s: Speech<'a>,
    /// What is wrong with the code that was typed: the key of the text.
    wrong: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "subscriber/notice.html")]
struct NoticeView<'a> {
    s: Speech<'a>,
    n: &'a NoticePage,
    seen: Vec<(String, String)>,
    why: String,
    standing: Option<Standing>,
    /// What is said to who asked whether it was seen again: the key of the text.
    rechecked: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "subscriber/stop.html")]
struct StopView<'a> {
    s: Speech<'a>,
}

/// How far it has come, as a word and a shape.
struct Standing {
    shape: &'static str,
    class: &'static str,
    title: String,
    text: String,
}

async fn home(State(pages): State<Pages>, visitor: Visitor) -> Response {
    let s = Speech::new(&pages.texts, &visitor, "/", Vec::new());
    answer(&pages, &visitor, &HomeView { s, wrong: None })
}

/// What is typed.
#[derive(serde::Deserialize)]
struct Typed {
    code: String,
}

/// The code in a notice leads to its page, for who does not follow links.
async fn code(
    State(pages): State<Pages>,
    visitor: Visitor,
    typed: Result<Form<Typed>, FormRejection>,
) -> Response {
    let code = typed.map(|Form(typed)| typed.code).unwrap_or_default();
    let wrong = match pages.counter.ask(move |desk| desk.token_of_code(&code)).await {
        Ok(token) => return see(&format!("/n/{}", show::segment(&token)), &visitor, ""),
        Err(DeskError::Link(LinkError::Expired)) => "home-code-old",
        Err(DeskError::Link(LinkError::Forged) | DeskError::NotFound) => "home-code-wrong",
        Err(error) => return Trouble::from(error).page(&pages.texts, visitor.lang),
    };
    let s = Speech::new(&pages.texts, &visitor, "/", Vec::new());
    let mut response = answer(&pages, &visitor, &HomeView { s, wrong: Some(wrong) });
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    response
}

async fn notice(State(pages): State<Pages>, visitor: Visitor, token: Token) -> Response {
    let path = token.path();
    let found = pages.counter.ask(move |desk| desk.notice(token.checked()?)).await;
    let n = match found {
        Ok(n) => n,
        Err(error) => return Trouble::from(error).page(&pages.texts, visitor.lang),
    };
    let s = Speech::new(&pages.texts, &visitor, &path, values(&n, visitor.lang));
    let seen = n.seen.iter().take(LISTED_MAX).map(|(at, ip)| (show::jst(at), ip.to_string())).collect();
    let why = match n.measure.as_str() {
        "takedown-notice" => s.t("why-takedown-notice"),
        "infection-notice" => s.t("why-infection-notice"),
        _ => s.t("why-other"),
    };
    let standing = standing(&s, &n);
    answer(&pages, &visitor, &NoticeView { s, n: &n, seen, why, standing, rechecked: rechecked(&n) })
}

async fn confirm(State(pages): State<Pages>, visitor: Visitor, token: Token) -> Response {
    let path = token.path();
    match pages.counter.ask(move |desk| desk.notice(token.checked()?)).await {
        Ok(n) => {
            let s = Speech::new(&pages.texts, &visitor, &path, values(&n, visitor.lang)).below("/opt-out");
            answer(&pages, &visitor, &StopView { s })
        }
        Err(error) => Trouble::from(error).page(&pages.texts, visitor.lang),
    }
}

/// Somebody reloads or bookmarks the address of a form: back to the page, and nothing is counted.
async fn back(visitor: Visitor, token: Token) -> Response {
    see(&token.path(), &visitor, "")
}

async fn steps(s: State<Pages>, v: Visitor, t: Token, body: Result<Bytes, BytesRejection>) -> Response {
    act(s, v, t, body, VisitKind::Steps).await
}

async fn done(s: State<Pages>, v: Visitor, t: Token, body: Result<Bytes, BytesRejection>) -> Response {
    act(s, v, t, body, VisitKind::Done).await
}

async fn check(s: State<Pages>, v: Visitor, t: Token, body: Result<Bytes, BytesRejection>) -> Response {
    act(s, v, t, body, VisitKind::Check).await
}

async fn release(s: State<Pages>, v: Visitor, t: Token, body: Result<Bytes, BytesRejection>) -> Response {
    act(s, v, t, body, VisitKind::Release).await
}

async fn opt_out(s: State<Pages>, v: Visitor, t: Token, body: Result<Bytes, BytesRejection>) -> Response {
    act(s, v, t, body, VisitKind::OptOut).await
}

async fn act(
    State(pages): State<Pages>,
    visitor: Visitor,
    token: Token,
    body: Result<Bytes, BytesRejection>,
    kind: VisitKind,
) -> Response {
    if body.is_err() {
        return Trouble::Large.page(&pages.texts, visitor.lang);
    }
    let path = token.path();
    let place = match kind {
        VisitKind::Steps => "#steps",
        VisitKind::Release => "#garden",
        VisitKind::Check => "#check",
        _ => "#standing",
    };
    match pages.counter.ask(move |desk| desk.act(token.checked()?, kind)).await {
        Ok(()) => see(&path, &visitor, place),
        Err(error) => Trouble::from(error).page(&pages.texts, visitor.lang),
    }
}

fn see(path: &str, visitor: &Visitor, place: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, format!("{path}{}{place}", visitor.query()))]).into_response()
}

/// What the texts may mention. Everything from outside is made visible here, once.
fn values(n: &NoticePage, lang: noroshi_model::Lang) -> Vec<(&'static str, String)> {
    vec![
        ("operator", show::visible(&n.operator)),
        ("desk", show::whole(&n.desk)),
        ("number", show::visible(&n.reference)),
        ("malware", show::whole(n.guide.name.of(lang))),
        ("count", show::count(&n.seen_total)),
        ("listed", n.seen.len().min(LISTED_MAX).to_string()),
        ("steps", n.guide.steps.len().to_string()),
        ("until", n.link_until.as_ref().map(show::jst).unwrap_or_default()),
        ("days", (QUIET.as_hours() / 24).to_string()),
        ("last-seen", last_seen(n)),
        ("watched", watched(n)),
        ("garden-until", n.garden.as_ref().map(|garden| show::jst(&garden.until)).unwrap_or_default()),
        ("left", n.garden.as_ref().map(|garden| garden.left.to_string()).unwrap_or_default()),
    ]
}

fn last_seen(n: &NoticePage) -> String {
    match n.recheck {
        Some(Recheck::Seen(last) | Recheck::NotSeen { last, .. } | Recheck::Unknown(last)) => {
            show::jst(&last)
        }
        None => String::new(),
    }
}

fn watched(n: &NoticePage) -> String {
    match n.recheck {
        Some(Recheck::NotSeen { watched, .. }) => show::jst(&watched),
        _ => String::new(),
    }
}

/// What is said to who asked whether it was seen again.
fn rechecked(n: &NoticePage) -> Option<&'static str> {
    n.recheck.map(|recheck| match recheck {
        Recheck::Seen(_) => "checked-seen",
        Recheck::NotSeen { .. } => "checked-not-seen",
        Recheck::Unknown(_) => "checked-unknown",
    })
}

fn standing(s: &Speech<'_>, n: &NoticePage) -> Option<Standing> {
    let (shape, class, key) = match n {
        n if n.clean => ("●", "clear", "clean"),
        n if n.opted_out => ("○", "unknown", "stopped"),
        n if n.done => ("▲", "watch", "done"),
        _ => return None,
    };
    Some(Standing {
        shape,
        class,
        title: s.t(&format!("state-{key}-title")),
        text: s.t(&format!("state-{key}")),
    })
}

fn answer(pages: &Pages, visitor: &Visitor, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => trouble::html(StatusCode::OK, visitor.lang, html),
        Err(error) => {
            tracing::error!(%error, "a subscriber page could not be written");
            Trouble::Unavailable.page(&pages.texts, visitor.lang)
        }
    }
}
