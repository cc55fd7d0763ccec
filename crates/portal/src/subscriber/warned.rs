//! What a browser meets instead of a site that is on a list: why, who says so, what to do, and a way to go on.
//!
//! The page answers for any name and any path, because it stands in the place of somebody else's site. So it is whole in one answer: no
//! style sheet, picture or script that a browser could keep and take for the site's. What is ours lies below [`OWN`], which no site has;
//! where the visitor wanted to go is carried on there, in the path.
//!
//! Only the button acts. It has a token for this line and this name, so that no other page can press it for somebody
//! who has not seen this one; and the page cannot be put into a frame.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, FromRef, FromRequest as _, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use jiff::Timestamp;
use noroshi_law::evidence::Digest;
use noroshi_model::Lang;
use noroshi_model::text::Catalogue;
use percent_encoding::percent_decode_str;

use super::speech::Speech;
use super::trouble;
use super::visitor::Visitor;
use crate::guard::{Limits, PLACES_MAX, SUBSCRIBER_WAIT, Turned, guard};
use crate::pace::Limit;
use crate::whence::Whence;
use crate::{asset, show};

/// Below which everything lies that is ours.
pub const OWN: &str = "/.noroshi-warning/";
/// The page again, in another language.
const PAGE: &str = "/.noroshi-warning/page/";
/// Where the button leads.
const GO_ON: &str = "/.noroshi-warning/go-on/";

/// Why a site is on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It spreads malware.
    Malware,
    /// It looks like another in order to steal.
    Phishing,
    /// It gives orders to infected devices.
    C2,
    /// It does harm of another kind, or nobody says of which.
    Other,
}

impl Reason {
    /// From `classification.type` (IntelMQ, RSIT).
    pub fn of(classification_type: &str) -> Self {
        match classification_type {
            "malware-distribution" | "malware-configuration" | "infected-system" | "exploit" => Self::Malware,
            "phishing" | "masquerade" => Self::Phishing,
            "c2-server" => Self::C2,
            _ => Self::Other,
        }
    }

    /// The text that says so.
    pub fn key(self) -> &'static str {
        match self {
            Self::Malware => "warned-reason-malware",
            Self::Phishing => "warned-reason-phishing",
            Self::C2 => "warned-reason-c2",
            Self::Other => "warned-reason-other",
        }
    }
}

/// A site that somebody is warned of.
#[derive(Clone, Debug)]
pub struct Warned {
    /// Why.
    pub reason: Reason,
    /// Who says so.
    pub listed_by: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Whether the rule holds by the line's consent.
    pub by_consent: bool,
    /// With which this line may go on to it.
    pub token: String,
    /// For how long.
    pub minutes: u32,
}

/// Whoever knows the lists and lets lines go on.
pub trait Warner: Send + Sync {
    /// What is to be said to somebody of a site, or of what they wanted there (a path and its query); nothing where it is on no list.
    fn warned(&self, client: IpAddr, host: &str, wanted: &str) -> Option<Warned>;
    /// Lets them go on, at once; `false` where the token is not for that.
    fn go_on(&self, client: IpAddr, host: &str, token: &str) -> bool;
}

/// Who warns.
#[derive(Clone, Debug)]
pub struct WarnedBy {
    /// The operator's name.
    pub operator: String,
    /// How its desk is reached.
    pub desk: String,
    /// Where objections go: `mailto:`, `tel:` or `https:` addresses.
    pub contacts: Vec<String>,
}

#[derive(Clone)]
struct Pages {
    warner: Arc<dyn Warner>,
    texts: Arc<Catalogue>,
    by: Arc<WarnedBy>,
}

impl FromRef<Pages> for Arc<Catalogue> {
    fn from_ref(pages: &Pages) -> Self {
        Self::clone(&pages.texts)
    }
}

/// Nothing is loaded or framed. Where the button's answer leads is not limited: the site that somebody goes on to may lead elsewhere, and
/// browsers take that for a part of the form's way.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let looks = BASE64.encode(&Digest::of(asset::css().as_bytes()).0);
    format!(
        "default-src 'none'; style-src 'sha256-{looks}'; img-src data:; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
});

/// The routes of whatever is asked for at the address to which names lead that are warned of. One place may ask so often a second.
pub fn warned_pages(warner: Arc<dyn Warner>, by: WarnedBy, texts: Arc<Catalogue>, per_second: u32) -> Router {
    let pages = Pages { warner, texts, by: Arc::new(by) };
    let router = Router::new().fallback(meet).with_state(pages);
    let pace = Some(Limit { per_second, burst_s: 10, buckets: PLACES_MAX });
    guard(router, Limits { policy: &POLICY, wait: SUBSCRIBER_WAIT, pace }, turned)
}

fn turned(turned: Turned) -> Response {
    let status = match turned {
        Turned::TooLong => StatusCode::URI_TOO_LONG,
        Turned::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Turned::TooFast(_) => StatusCode::TOO_MANY_REQUESTS,
    };
    plain(status)
}

/// For programs, which must not take a page for what they asked for.
fn plain(status: StatusCode) -> Response {
    const TEXT: &str = "危険なサイトの一覧に載っているため、止められました。ブラウザーで開くと理由が表示されます。\n\
        Stopped: this name is on a list of dangerous sites. Open it in a browser to see why.\n";
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], TEXT).into_response()
}

#[derive(Template)]
#[template(path = "subscriber/warned.html")]
struct WarnedView<'a> {
    s: Speech<'a>,
    reason: String,
    listed_by: Option<String>,
    since: Option<String>,
    why: String,
    token: &'a str,
    go_on: String,
    /// Each with how it is shown.
    contacts: Vec<(&'a str, &'a str)>,
}

#[derive(Template)]
#[template(path = "subscriber/unwarned.html")]
struct UnwarnedView<'a> {
    s: Speech<'a>,
}

/// What is sent with the button.
#[derive(serde::Deserialize)]
struct Pressed {
    token: String,
}

async fn meet(
    State(pages): State<Pages>,
    visitor: Visitor,
    Whence(from): Whence,
    request: Request,
) -> Response {
    let Some((host, client)) = host(request.headers(), request.uri()).zip(from) else {
        return pages.nothing(&visitor, "");
    };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let method = request.method().clone();
    if method == Method::POST && path.starts_with(GO_ON) {
        let to = wanted(&path, GO_ON);
        let pressed: Result<Form<Pressed>, FormRejection> = Form::from_request(request, &pages).await;
        if pressed.is_ok_and(|Form(pressed)| pages.warner.go_on(client, &host, &pressed.token)) {
            return on(&to);
        }
        // An old page, or somebody else's: the page as it is now.
        return pages.warn(&visitor, client, &host, &to, true);
    }
    let to = match path.strip_prefix(OWN) {
        Some(_) if path.starts_with(PAGE) => wanted(&path, PAGE),
        Some(_) => wanted(&path, GO_ON),
        None => path,
    };
    let is_shown = request.headers().get(header::ACCEPT).and_then(|kinds| kinds.to_str().ok());
    pages.warn(&visitor, client, &host, &to, is_shown.is_some_and(|kinds| kinds.contains("text/html")))
}

impl Pages {
    fn warn(&self, visitor: &Visitor, client: IpAddr, host: &str, to: &str, is_shown: bool) -> Response {
        if !is_shown {
            return plain(StatusCode::FORBIDDEN);
        }
        let Some(warned) = self.warner.warned(client, host, to) else { return self.nothing(visitor, to) };
        let s = self.speech(visitor, to, host, warned.minutes);
        let why = s.t(if warned.by_consent { "warned-why-consent" } else { "warned-why-other" });
        let view = WarnedView {
            reason: s.t(warned.reason.key()),
            listed_by: warned.listed_by.as_deref().map(show::visible),
            since: warned.since.as_ref().map(show::jst),
            why,
            token: &warned.token,
            go_on: format!("{GO_ON}{}", show::segment(to)),
            contacts: self.by.contacts.iter().map(|contact| (contact.as_str(), shown(contact))).collect(),
            s,
        };
        page(StatusCode::FORBIDDEN, visitor.lang, &view)
    }

    fn nothing(&self, visitor: &Visitor, to: &str) -> Response {
        page(StatusCode::NOT_FOUND, visitor.lang, &UnwarnedView { s: self.speech(visitor, to, "", 0) })
    }

    fn speech(&self, visitor: &Visitor, to: &str, host: &str, minutes: u32) -> Speech<'_> {
        let values = vec![
            ("operator", show::visible(&self.by.operator)),
            ("desk", show::whole(&self.by.desk)),
            ("site", defanged(host)),
            ("minutes", minutes.to_string()),
        ];
        Speech::new(&self.texts, visitor, &format!("{PAGE}{}", show::segment(to)), values)
    }
}

fn page(status: StatusCode, lang: Lang, view: &impl Template) -> Response {
    match view.render() {
        Ok(html) => trouble::html(status, lang, html),
        Err(error) => {
            tracing::error!(%error, "a warning could not be written");
            plain(status)
        }
    }
}

/// The host that is asked for, without its port.
fn host(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let said = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or_else(|| uri.host())?;
    let name = said.rsplit_once(':').map_or(said, |(name, _)| name);
    (!name.is_empty() && !name.starts_with('[')).then(|| name.trim_end_matches('.').to_ascii_lowercase())
}

/// Where somebody wanted to go, as it is carried in a path of ours: always a path of the same site.
fn wanted(path: &str, below: &str) -> String {
    let carried = path.strip_prefix(below).unwrap_or_default();
    let carried = carried.split('?').next().unwrap_or_default();
    let to = percent_decode_str(carried).decode_utf8_lossy().into_owned();
    let stays =
        to.starts_with('/') && !to.starts_with("//") && !to.starts_with("/\\") && !to.starts_with(OWN);
    if stays { to } else { "/".into() }
}

fn on(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

/// An address as people write it.
fn shown(contact: &str) -> &str {
    ["mailto:", "tel:"].iter().find_map(|scheme| contact.strip_prefix(scheme)).unwrap_or(contact)
}

/// A name of a site, so that nobody opens it by mistake.
fn defanged(host: &str) -> String {
    show::visible(&host.replace('.', "[.]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_somebody_wanted_to_go_is_a_path_of_the_same_site() {
        let carried = |to: &str| wanted(&format!("{GO_ON}{}?lang=en", show::segment(to)), GO_ON);
        assert_eq!(carried("/a/b?x=1&y=%20#z"), "/a/b?x=1&y=%20#z");
        for elsewhere in [
            "//evil.example/",
            "/\\evil.example/",
            "https://evil.example/",
            "",
            "x",
            "/.noroshi-warning/page/",
        ] {
            assert_eq!(carried(elsewhere), "/", "{elsewhere:?}");
        }
    }

    #[test]
    fn a_host_is_told_from_its_port() {
        let of = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
            super::host(&headers, &Uri::from_static("/"))
        };
        assert_eq!(of("Bad.Example.:80").as_deref(), Some("bad.example"));
        assert_eq!(of("bad.example").as_deref(), Some("bad.example"));
        assert_eq!(of("[2001:db8::1]:80"), None);
    }
}
