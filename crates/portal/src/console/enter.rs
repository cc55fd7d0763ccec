//! The console's door: who gets past it, the pages on which one comes in, and those about oneself and the others.
//!
//! ```text
//!   name of this machine? ──▶ a form of our own page? ──▶ who? ──▶ the page, with who asks
//!                                                          └─ nobody ──▶ 401, the page to come in by
//! ```
//!
//! The machine's key ([`super::key`]) lets in whoever can read its folder, to look, to stop telling and to let people in. What is
//! decided about subscribers is decided by a person, who came in by a passkey. A form counts only if the browser says that it is of
//! a page of the console itself: the cookie is `SameSite=Strict`, and this is the second lock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use noroshi_model::staff::plain_name;
use noroshi_model::{Id, Person, Right, StaffRole};
use serde_json::json;

use super::asked::Asked;
use super::key::{LOGIN_PATH, cookies};
use super::said::{Said, is_from_here};
use super::{METRICS_PATH, Office, page};
use crate::counter::Counter;
use crate::desk::DeskError;
use crate::door::{Door, Entered, PasskeyLine, StaffAct, StaffLine};
use crate::whence::Whence;
use crate::{asset, show};

const COOKIE: &str = "noroshi-person";
/// From where one goes to the identity provider, and below which one comes back.
pub(super) const OIDC: &str = "/login/oidc";
const OIDC_COOKIE: &str = "noroshi-oidc";
/// How long one may be away.
const OIDC_SECONDS: i64 = 600;
/// Below which invitations lie.
pub(super) const JOIN: &str = "/join/";

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// A person; or, by the machine's key, nobody in particular.
    pub(super) person: Person,
    /// Whether it is the key.
    pub(super) by_key: bool,
    /// What their cookie holds.
    token: String,
}

impl Who {
    /// Whether they are in still, for what lasts longer than a request.
    pub(super) async fn is_still_in(&self, office: &Office) -> bool {
        if self.by_key {
            return true;
        }
        let token = self.token.clone();
        let who = office.door.ask(move |door: &dyn Door| door.who(&token)).await;
        matches!(who, Ok(Some(_)))
    }

    /// What they are told who may not.
    pub(super) fn refused(&self, right: Right) -> Option<Response> {
        if self.person.may(right) {
            return None;
        }
        let text = match (self.by_key, right) {
            (true, _) => {
                "The machine's key does not decide about subscribers or the law: a person does. On the page People, \
                 invite yourself as an analyst, make a passkey, and come in by it. Nothing was changed."
                    .to_owned()
            }
            (false, right) => format!(
                "It takes the right '{right}', which none of your roles ({}) has. Nothing was changed.",
                self.person.roles_text()
            ),
        };
        Some(page::turned(StatusCode::FORBIDDEN, "This is not yours to do", &text))
    }
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let who = parts.extensions.get::<Arc<Who>>();
        who.map(|who| (**who).clone()).ok_or_else(|| locked(None))
    }
}

/// Lets in who has a session; the ways in, the files beside the pages, and the counters, which name nobody, are open.
pub(super) async fn enter(State(office): State<Office>, mut request: Request, next: Next) -> Response {
    if !office.key.knows_hosts(request.uri(), request.headers()) {
        return page::turned(
            StatusCode::MISDIRECTED_REQUEST,
            "This address is not the console's",
            "The console answers only to this machine's own names and those in its configuration. \
             Open it with the address that `noroshi console-url` prints.",
        );
    }
    if request.method() != Method::GET && request.method() != Method::HEAD && !is_from_here(request.headers())
    {
        return page::turned(
            StatusCode::FORBIDDEN,
            "This did not come from the console",
            "A form counts only if it was sent from a page of the console itself. Nothing was changed.",
        );
    }
    let who = match office.who(request.headers()).await {
        Ok(who) => who,
        Err(DeskError::Unavailable(why)) => {
            let text = format!("{}. Nothing was changed; try again in half a minute.", show::visible(&why));
            return page::turned(StatusCode::SERVICE_UNAVAILABLE, "Who you are cannot be read now", &text);
        }
        Err(_) => None,
    };
    let path = request.uri().path();
    let is_open = [LOGIN_PATH, METRICS_PATH, asset::ICON_PATH].contains(&path)
        || [asset::FOLDER, "/login/", JOIN].iter().any(|open| path.starts_with(open));
    match who {
        Some(who) => {
            request.extensions_mut().insert(Arc::new(who));
        }
        None => {
            let whence = Whence::of(request.extensions(), request.headers());
            if let Err(wait_s) = office.strangers.take(&whence.place(), Instant::now()) {
                return page::too_fast(wait_s);
            }
            if !is_open {
                return locked(office.provider.as_deref());
            }
        }
    }
    next.run(request).await
}

impl Office {
    async fn who(&self, headers: &HeaderMap) -> Result<Option<Who>, DeskError> {
        let tokens: Vec<String> = cookies(headers, COOKIE).map(str::to_owned).collect();
        for token in tokens {
            let asked = token.clone();
            if let Some(person) = self.door.ask(move |door| door.who(&asked)).await? {
                return Ok(Some(Who { person, by_key: false, token }));
            }
        }
        let by_key = self.key.is_open(headers);
        Ok(by_key.then(|| Who { person: self.key.person(), by_key: true, token: String::new() }))
    }
}

#[derive(Template)]
#[template(path = "console/login.html")]
struct LoginView<'a> {
    /// What the identity provider is called, where there is one.
    provider: Option<&'a str>,
}

/// The page to come in by.
pub(super) fn locked(provider: Option<&str>) -> Response {
    let html = LoginView { provider }.render().unwrap_or_else(|_| "The console is locked.".to_owned());
    (StatusCode::UNAUTHORIZED, Html(html)).into_response()
}

pub(super) async fn begin_login(State(door): State<Counter<dyn Door>>) -> Response {
    ceremony(door.ask(|door| door.begin_login()).await)
}

pub(super) async fn finish_login(
    State(office): State<Office>,
    State(door): State<Counter<dyn Door>>,
    answer: Bytes,
) -> Response {
    match door.ask(move |door| door.login(&answer)).await {
        Ok(entered) => let_in(&office, &entered),
        Err(error) => in_words(&error),
    }
}

/// To the identity provider. The cookie goes along when it sends the browser back, which one that is `Strict` would not.
pub(super) async fn begin_oidc(State(office): State<Office>) -> Response {
    match office.away.ask(|door| door.begin_oidc()).await {
        Ok(away) => {
            let cookie = away_cookie(&office, &away.kept, OIDC_SECONDS);
            let on = (StatusCode::SEE_OTHER, [(header::LOCATION, away.url)]).into_response();
            with_cookie(on, &cookie)
        }
        Err(error) => not_in(&error),
    }
}

#[derive(Template)]
#[template(path = "console/entered.html")]
struct EnteredView;

/// Back from the identity provider. The page goes on by itself: a redirect would still be the provider's, and the cookie that is
/// `Strict` would not go along.
pub(super) async fn finish_oidc(State(office): State<Office>, uri: Uri, headers: HeaderMap) -> Response {
    let kept = cookies(&headers, OIDC_COOKIE).next().unwrap_or_default().to_owned();
    let query = uri.query().unwrap_or_default().to_owned();
    match office.away.ask(move |door| door.finish_oidc(&query, &kept)).await {
        Ok(entered) => {
            let page = EnteredView.render().unwrap_or_else(|_| "You are in.".to_owned());
            let page = with_cookie(Html(page).into_response(), &session_cookie(&office, &entered));
            with_cookie(page, &away_cookie(&office, "", 0))
        }
        Err(error) => not_in(&error),
    }
}

fn not_in(error: &DeskError) -> Response {
    let title = match error {
        DeskError::Unavailable(_) => "The provider does not answer as it should",
        _ => "You did not come in",
    };
    let text = format!(
        "{}. Nothing was changed; begin again from the console's first page.",
        page::sentence(&show::visible(&error.to_string()))
    );
    page::turned(page::status(error), title, &text)
}

#[derive(Template)]
#[template(path = "console/join.html")]
struct JoinView<'a> {
    person: &'a Person,
    link: &'a str,
}

pub(super) async fn join(State(door): State<Counter<dyn Door>>, Path(link): Path<String>) -> Response {
    let asked = link.clone();
    match door.ask(move |door| door.invited(&asked)).await {
        Ok(Some(person)) => match (JoinView { person: &person, link: &link }).render() {
            Ok(html) => Html(html).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        },
        Ok(None) => page::turned(
            StatusCode::NOT_FOUND,
            "This link invites nobody any more",
            "It was used, has expired, or a newer one was made. Whoever invited you can make another.",
        ),
        Err(error) => in_words(&error),
    }
}

pub(super) async fn begin_join(State(door): State<Counter<dyn Door>>, Path(link): Path<String>) -> Response {
    let begun = door.ask(move |door| {
        let person = door.invited(&link)?.ok_or(DeskError::NotFound)?;
        door.begin_passkey(&person)
    });
    ceremony(begun.await)
}

pub(super) async fn finish_join(
    State(office): State<Office>,
    State(door): State<Counter<dyn Door>>,
    Path(link): Path<String>,
    answer: Bytes,
) -> Response {
    let kept = door.ask(move |door| {
        let person = door.invited(&link)?.ok_or(DeskError::NotFound)?;
        door.keep_passkey(&person, Some(&link), &answer)
    });
    match kept.await {
        Ok(Some(entered)) => let_in(&office, &entered),
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => in_words(&error),
    }
}

fn ceremony(begun: Result<Vec<u8>, DeskError>) -> Response {
    match begun {
        Ok(options) => ([(header::CONTENT_TYPE, page::JSON)], options).into_response(),
        Err(error) => in_words(&error),
    }
}

/// What went wrong, for a script that shows it.
fn in_words(error: &DeskError) -> Response {
    (page::status(error), error.to_string()).into_response()
}

fn let_in(office: &Office, entered: &Entered) -> Response {
    with_cookie(StatusCode::NO_CONTENT.into_response(), &session_cookie(office, entered))
}

fn secure(office: &Office) -> &'static str {
    if office.key.is_secure() { "; Secure" } else { "" }
}

fn away_cookie(office: &Office, kept: &str, seconds: i64) -> String {
    let secure = secure(office);
    format!("{OIDC_COOKIE}={kept}; Path={OIDC}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

fn session_cookie(office: &Office, entered: &Entered) -> String {
    let life = entered.until.duration_since(office.key.now()).as_secs().max(0);
    let secure = secure(office);
    format!("{COOKIE}={}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict{secure}", entered.token)
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

#[derive(Template)]
#[template(path = "console/me.html")]
struct MeView<'a> {
    here: super::Here<'a>,
    passkeys: &'a [PasskeyLine],
}

pub(super) async fn me(State(door): State<Counter<dyn Door>>, who: Who, asked: Asked) -> Response {
    let person = who.person.clone();
    let by_key = who.by_key;
    let passkeys = door.ask(move |door| if by_key { Ok(Vec::new()) } else { door.passkeys(&person) }).await;
    match passkeys {
        Ok(passkeys) => {
            let twin = json!({ "person": who.person, "by-key": who.by_key, "passkeys": passkeys });
            asked.answer(&MeView { here: asked.here("me"), passkeys: &passkeys }, &twin)
        }
        Err(error) => asked.trouble(&error),
    }
}

pub(super) async fn begin_mine(State(door): State<Counter<dyn Door>>, who: Who) -> Response {
    if who.by_key {
        return in_words(&DeskError::Declined("the machine's key is nobody in particular".into()));
    }
    ceremony(door.ask(move |door| door.begin_passkey(&who.person)).await)
}

pub(super) async fn finish_mine(State(door): State<Counter<dyn Door>>, who: Who, answer: Bytes) -> Response {
    match door.ask(move |door| door.keep_passkey(&who.person, None, &answer)).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => in_words(&error),
    }
}

pub(super) async fn change_mine(
    State(door): State<Counter<dyn Door>>,
    who: Who,
    asked: Asked,
    said: Said,
) -> Response {
    let credential = said.of("credential").to_owned();
    match said.of("verb") {
        "leave" => {
            if !who.by_key
                && let Err(error) = door.ask(move |door| door.leave(&who.token, &who.person)).await
            {
                return asked.trouble(&error);
            }
            let gone =
                page::turned(StatusCode::OK, "You have left", "Nothing of this console stays open here.");
            let expired = |name: &str| format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
            with_cookie(with_cookie(gone, &expired(COOKIE)), &expired(super::key::COOKIE))
        }
        "forget" if !who.by_key => {
            match door.ask(move |door| door.forget_passkey(&who.person, &credential)).await {
                Ok(()) => page::see("/me"),
                Err(error) => asked.trouble(&error),
            }
        }
        _ => asked.trouble(&DeskError::NotFound),
    }
}

#[derive(Template)]
#[template(path = "console/people.html")]
struct PeopleView<'a> {
    here: super::Here<'a>,
    staff: &'a [StaffLine],
    /// The link that was just made; shown once.
    link: Option<&'a str>,
}

impl PeopleView<'_> {
    fn may_change(&self) -> bool {
        self.here.may(Right::People)
    }
}

pub(super) async fn people(State(door): State<Counter<dyn Door>>, asked: Asked) -> Response {
    people_with(&door, &asked, None).await
}

async fn people_with(door: &Counter<dyn Door>, asked: &Asked, link: Option<&str>) -> Response {
    match door.ask(|door| door.staff()).await {
        Ok(staff) => {
            let view = PeopleView { here: asked.here("people"), staff: &staff, link };
            asked.answer(&view, &json!({ "people": staff }))
        }
        Err(error) => asked.trouble(&error),
    }
}

pub(super) async fn change_people(
    State(door): State<Counter<dyn Door>>,
    who: Who,
    asked: Asked,
    said: Said,
) -> Response {
    if let Some(response) = who.refused(Right::People) {
        return response;
    }
    let act = match staff_act(&said) {
        Ok(act) => act,
        Err(why) => return asked.trouble(&DeskError::Declined(why.into())),
    };
    match door.ask(move |door| door.people(&act, &who.person)).await {
        Ok(Some(link)) => people_with(&door, &asked, Some(&link)).await,
        Ok(None) => page::see("/people"),
        Err(error) => asked.trouble(&error),
    }
}

fn staff_act(said: &Said) -> Result<StaffAct, &'static str> {
    let whom = || Id::parse(said.of("person")).ok_or("it takes a person");
    let roles = || -> Result<BTreeSet<StaffRole>, &'static str> {
        let roles: Option<BTreeSet<StaffRole>> = said.all("role").map(StaffRole::parse).collect();
        roles
            .filter(|roles| !roles.is_empty())
            .ok_or("it takes at least one role; who is to have none, leaves")
    };
    match said.of("verb") {
        "invite" => {
            let name = plain_name(said.of("name"))
                .ok_or("it takes a name: letters, digits, spaces and - ' . ( ) _ @ +, at most 64")?;
            Ok(StaffAct::Invite { name, roles: roles()? })
        }
        "again" => Ok(StaffAct::InviteAgain(whom()?)),
        "roles" => Ok(StaffAct::Roles(whom()?, roles()?)),
        "end" => Ok(StaffAct::End(whom()?)),
        _ => Err("it was not said what to do"),
    }
}
