//! Who comes into the console, and what they may do there: by name, by role, and only from the console's own pages.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use noroshi_portal::{ConsoleKey, console};

use super::desk::{InMemory, Kept};
use super::door::{InMemoryDoor, LINK};
use super::{Answer, get, request, send};

const HERE: &[(&str, &str)] = &[("sec-fetch-site", "same-origin")];

/// A console, and somebody with a cookie in it.
struct Office {
    desk: Arc<InMemory>,
    door: Arc<InMemoryDoor>,
    key: ConsoleKey,
    router: axum::Router,
}

impl Office {
    fn new() -> Self {
        let (desk, door) = (Arc::new(InMemory::new(Kept::Usual)), Arc::new(InMemoryDoor::default()));
        let key = ConsoleKey::random().unwrap();
        let router = console(desk.clone(), door.clone(), key.clone()).unwrap();
        Self { desk, door, key, router }
    }

    async fn get(&self, who: &str, path: &str) -> Answer {
        let mut asked = request("GET", path);
        asked.headers_mut().insert(header::COOKIE, format!("noroshi-person={who}").parse().unwrap());
        send(&self.router, asked).await
    }

    /// What somebody sends, and from where.
    async fn post(&self, who: &str, path: &str, body: &str, from: &[(&'static str, &'static str)]) -> Answer {
        let mut request = request("POST", path);
        let headers = request.headers_mut();
        headers.insert(header::COOKIE, format!("noroshi-person={who}").parse().unwrap());
        headers.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        for (name, value) in from {
            headers.insert(*name, value.parse().unwrap());
        }
        *request.body_mut() = axum::body::Body::from(body.to_owned());
        send(&self.router, request).await
    }

    fn performed(&self) -> Vec<String> {
        self.desk.performed.lock().unwrap().clone()
    }

    /// The address of the first form of a page that begins so.
    async fn form(&self, who: &str, page: &str, beginning: &str) -> String {
        let page = self.get(who, page).await;
        let mut forms = page.body.split("action=\"").filter_map(|rest| rest.split('"').next());
        forms.find(|path| path.starts_with(beginning)).unwrap().to_owned()
    }
}

#[tokio::test]
async fn an_analyst_approves_under_their_own_name_and_nobody_is_believed_another() {
    let office = Office::new();
    let path = office.form("analyst", "/steps", "/steps/").await;
    let done = office.post("analyst", &path, "verdict=approve&by=baba&why=three+weeks", HERE).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/steps"));
    let again = office.post("analyst", &path, "verdict=approve&why=three+weeks", HERE).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let performed = office.performed();
    assert!(performed[0].contains("approve: true"), "{performed:?}");
    assert!(performed[0].ends_with("by analyst: three weeks"), "{performed:?}");
    for body in ["", "verdict=", "verdict=maybe", "why=x"] {
        let answer = office.post("analyst", &path, body, HERE).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    for path in ["/steps/none/1", "/steps/x", &format!("{path}x")] {
        let answer = office.post("analyst", path, "verdict=approve", HERE).await;
        assert!(answer.status.is_client_error(), "{path}");
    }
}

#[tokio::test]
async fn sites_are_listed_taken_out_and_objected_to_under_ones_own_name() {
    let office = Office::new();
    office.get("analyst", "/sites").await.says("name=\"address\"");
    office.get("legal", "/sites").await.says_not("name=\"address\"");
    let record = "site-001.example%252Fa%253Fb%253D1";
    let forms = [
        (
            "address=bad.example&verb=list&threat=phishing&why=seen&by=Baba".to_owned(),
            "List(\"phishing\") bad.example by analyst: seen",
        ),
        (
            format!("record={record}&verb=remove&why=a+shop"),
            "Remove site-001.example/a?b=1 by analyst: a shop",
        ),
        (
            format!("record={record}&verb=object&from=its+owner&why=we+are+a+shop"),
            "Object(\"its owner\") site-001.example/a?b=1 by analyst: we are a shop",
        ),
    ];
    for (body, _) in &forms {
        let done = office.post("analyst", "/sites", body, HERE).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{body}");
        assert!(done.header("location").starts_with("/sites/record?address="), "{}", done.header("location"));
    }
    assert_eq!(office.performed(), forms.each_ref().map(|(_, did)| (*did).to_owned()));
    let popular = format!("address={}&verb=list&threat=phishing&why=seen", super::sites::POPULAR);
    let waits = office.post("analyst", "/sites", &popular, HERE).await;
    assert_eq!((waits.status, waits.header("location")), (StatusCode::SEE_OTHER, "/sites"));
    let page = office.get("analyst", "/sites?lang=en").await;
    page.says("Waits for a second person");
    page.says("Aoki, 2025-10-09 17:53 JST: its bank says so");
    let agrees = page.body.matches("Say the same</button>").count();
    assert_eq!(agrees, 1, "nobody is their own second");
    office.get("legal", "/sites?lang=en").await.says_not("Say the same</button>");
    for body in [
        "",
        "address=a.example&verb=list&why=x",
        "address=a.example&verb=list&threat=none&why=x",
        "address=a.example&verb=remove",
        "verb=remove&why=x",
        "address=a.example&verb=object&why=x",
    ] {
        let lacking = office.post("analyst", "/sites", body, HERE).await;
        assert_eq!(lacking.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    assert_eq!(office.performed().len(), forms.len());
}

/// What each role may send, and nobody else; the key as nobody in particular.
#[tokio::test]
async fn each_form_is_for_some_roles_and_turns_the_others_away() {
    let office = Office::new();
    let step = office.form("analyst", "/steps", "/steps/").await;
    let person = noroshi_model::Id::of("person", &[b"analyst"]);
    let forms = [
        (step.as_str(), "verdict=approve".to_owned(), &["analyst"][..]),
        ("/cases", format!("case={person}&verb=hold&why=wrong"), &["analyst"]),
        ("/switch", "verdict=stop&scope=*&why=wrong".to_owned(), &["analyst", "legal", "admin"]),
        ("/people", "verb=invite&name=Baba&role=analyst".to_owned(), &["admin"]),
        ("/law/approve", "measure=takedown-notice&why=tonight".to_owned(), &["legal"]),
        ("/law/emergencies", "entry=0&verdict=justified&why=tonight".to_owned(), &["legal"]),
        ("/sites", "address=bad.example&verb=list&threat=phishing&why=wrong".to_owned(), &["analyst"]),
        ("/people", format!("verb=end&person={person}"), &["admin"]),
    ];
    for (path, body, may) in forms {
        for who in ["analyst", "legal", "auditor", "admin"] {
            let answer = office.post(who, path, &body, HERE).await;
            let was_let = answer.status != StatusCode::FORBIDDEN;
            assert_eq!(was_let, may.contains(&who), "{who} {path} {}", answer.status);
        }
        let locked = office.post("nobody", path, &body, HERE).await;
        assert_eq!(locked.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let both =
        office.post("analyst.admin", "/people", "verb=invite&name=Baba&role=legal&role=auditor", HERE).await;
    both.says(&format!("/join/{LINK}"));
    assert!(office.door.said.lock().unwrap().last().unwrap().ends_with("by analyst admin"));
}

#[tokio::test]
async fn forms_of_other_sites_do_nothing_whoever_is_in() {
    let office = Office::new();
    let path = office.form("analyst", "/steps", "/steps/").await;
    let before = (office.performed().len(), office.door.said.lock().unwrap().len());
    for from in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "http://127.0.0.1:9999")],
        &[("origin", "null")],
    ] {
        for path in [
            path.as_str(),
            "/switch",
            "/people",
            "/law/approve",
            "/law/emergencies",
            "/me",
            "/login/begin",
            "/login/finish",
            "/join/x/finish",
        ] {
            let refused = office.post("analyst.admin", path, "verdict=approve", from).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path} {from:?}");
        }
    }
    assert_eq!((office.performed().len(), office.door.said.lock().unwrap().len()), before);
    let ours = [("origin", "http://127.0.0.1:8081")];
    let stop = office.post("analyst", "/switch", "verdict=stop&scope=*&why=wrong", &ours).await;
    assert_eq!(stop.status, StatusCode::SEE_OTHER, "a browser that says where it comes from by its origin");
    for body in ["verdict=stop&scope=*", "verdict=stop&scope=everything&why=x", "verdict=stop&scope=*&why=+"]
    {
        let answer = office.post("analyst", "/switch", body, HERE).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
}

#[tokio::test]
async fn the_key_lets_look_stop_and_invite_and_decides_nothing() {
    let office = Office::new();
    let login = get(&office.router, &office.key.login_path()).await;
    let cookie = login.header("set-cookie").split(';').next().unwrap().to_owned();
    let with_key = async |method: &str, path: &str, body: &'static str| {
        let mut asked = request(method, path);
        asked.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
        asked.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
        let form = "application/x-www-form-urlencoded".parse().unwrap();
        asked.headers_mut().insert(header::CONTENT_TYPE, form);
        *asked.body_mut() = axum::body::Body::from(body);
        send(&office.router, asked).await
    };
    let steps = with_key("GET", "/steps", "").await;
    steps.says("Approving and rejecting is for analysts");
    steps.says_not("value=\"approve\"");
    let path = office.form("analyst", "/steps", "/steps/").await;
    let judged = with_key("POST", &path, "verdict=approve").await;
    assert_eq!(judged.status, StatusCode::FORBIDDEN);
    judged.says("invite yourself");
    assert_eq!(
        with_key("POST", "/switch", "verdict=stop&scope=*&why=wrong").await.status,
        StatusCode::SEE_OTHER
    );
    with_key("POST", "/people", "verb=invite&name=Aoki&role=analyst").await.says("/join/");
    assert!(office.performed()[0].ends_with("by console key: wrong"), "{:?}", office.performed());
    assert_eq!(with_key("POST", "/me/begin", "").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn an_invitation_ends_in_a_session_and_a_passkey_in_the_next() {
    let office = Office::new();
    let page = get(&office.router, &format!("/join/{LINK}")).await;
    page.says("&#60;b&#62;Baba");
    page.says(&format!("data-finish=\"/join/{LINK}/finish\""));
    assert_eq!(get(&office.router, "/join/none").await.status, StatusCode::NOT_FOUND);
    let begin = office.post("", &format!("/join/{LINK}/begin"), "", HERE).await;
    assert_eq!(begin.body, "{\"challenge\":\"x\"}");
    for (path, cookie) in [(format!("/join/{LINK}/finish"), "analyst"), ("/login/finish".to_owned(), "legal")]
    {
        let bad = office.post("", &path, "bad", HERE).await;
        assert_eq!((bad.status, bad.header("set-cookie")), (StatusCode::UNPROCESSABLE_ENTITY, ""), "{path}");
        let good = office.post("", &path, "good", HERE).await;
        assert_eq!(good.status, StatusCode::NO_CONTENT);
        let set = good.header("set-cookie");
        assert!(set.starts_with(&format!("noroshi-person={cookie}; Path=/; Max-Age=")), "{set}");
        assert!(set.contains("; HttpOnly; SameSite=Strict"), "{set}");
        assert_eq!(office.get(cookie, "/").await.status, StatusCode::OK);
    }
    assert_eq!(office.post("", "/join/none/begin", "", HERE).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_measure_is_approved_and_an_emergency_reviewed_with_a_reason_under_ones_own_name() {
    let office = Office::new();
    let page = office.get("legal", "/law").await;
    page.says("Approved by 1 of 2 different people: nothing is allowed by it yet.");
    page.says("kimura at 2026-11-23 12:12 JST, until 2026-11-26 12:12 JST: the log is of tonight");
    office.get("analyst", "/law").await.says_not("<form method=\"post\"");
    let done =
        office.post("legal", "/law/approve", "measure=takedown-notice&why=the+log+of+tonight", HERE).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/law"));
    let refused = office.post("legal", "/law/approve", "measure=site-warning&why=x", HERE).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    refused.says("Site-warning needs no approval. Nothing was changed.");

    let uses = office.get("legal", "/law/emergencies?all=1").await;
    assert_eq!(uses.body.matches("name=\"entry\"").count(), 2, "only what waits can be marked");
    uses.says("href=\"/evidence/901\"");
    let reviewed = office
        .post("legal", "/law/emergencies", "entry=0&entry=2&verdict=unjustified&why=wrong+night", HERE)
        .await;
    reviewed.says("1 unjustified");
    reviewed.says("1 not: legal approved it, so somebody else must review it");
    let performed = office.performed();
    assert_eq!(
        performed,
        ["legal approved takedown-notice: the log of tonight", "legal reviewed [0, 2] as false: wrong night"]
    );
    let all = "entry=0&all=1&shown=0&shown=1&shown=3&verdict=justified&why=looked+at";
    office.post("legal", "/law/emergencies", all, HERE).await.says("2 justified");
    assert_eq!(office.performed()[2], "legal reviewed [0, 1, 3] as true: looked at");
    for (path, body) in [
        ("/law/approve", "measure=takedown-notice"),
        ("/law/approve", "why=x"),
        ("/law/emergencies", "verdict=justified&why=x"),
        ("/law/emergencies", "entry=0&why=x"),
        ("/law/emergencies", "entry=0&verdict=justified"),
        ("/law/emergencies", "entry=x&verdict=justified&why=x"),
    ] {
        let answer = office.post("legal", path, body, HERE).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {body}");
    }
    assert_eq!(office.performed().len(), 3);
}

#[tokio::test]
async fn who_comes_by_the_identity_provider_comes_back_in_the_same_browser() {
    let office = Office::new();
    let login = get(&office.router, "/cases").await;
    login.says("Log in with Staff &#60;login&#62;");
    let away = get(&office.router, "/login/oidc").await;
    assert_eq!(
        (away.status, away.header("location")),
        (StatusCode::SEE_OTHER, "https://login.example.jp/auth?state=s")
    );
    let cookie = away.header("set-cookie");
    for part in ["noroshi-oidc=kept-by-the-browser;", "Path=/login/oidc;", "HttpOnly", "SameSite=Lax"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let back = async |cookie: &str, query: &str| {
        let mut asked = request("GET", &format!("/login/oidc/back?{query}"));
        asked.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
        // The browser says that another site sent it.
        asked.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
        send(&office.router, asked).await
    };
    let entered = back("noroshi-oidc=kept-by-the-browser", "code=c&state=s").await;
    assert_eq!(entered.status, StatusCode::OK);
    entered.says("<meta http-equiv=\"refresh\" content=\"0; url=/\">");
    let cookies: Vec<&str> =
        entered.headers.get_all("set-cookie").iter().map(|c| c.to_str().unwrap()).collect();
    assert!(
        cookies[0].starts_with("noroshi-person=analyst;") && cookies[0].contains("SameSite=Strict"),
        "{cookies:?}"
    );
    assert!(cookies[1].starts_with("noroshi-oidc=;") && cookies[1].contains("Max-Age=0"), "{cookies:?}");
    for (cookie, query, status) in [
        ("", "code=c&state=s", StatusCode::UNPROCESSABLE_ENTITY),
        ("noroshi-oidc=another", "code=c&state=s", StatusCode::UNPROCESSABLE_ENTITY),
        ("noroshi-oidc=kept-by-the-browser", "", StatusCode::UNPROCESSABLE_ENTITY),
        ("noroshi-oidc=kept-by-the-browser", "code=away&state=s", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let out = back(cookie, query).await;
        assert_eq!((out.status, out.header("set-cookie")), (status, ""), "{cookie} {query}");
        out.says("Nothing was changed; begin again");
    }
}

#[tokio::test]
async fn who_knocks_too_often_waits_and_whoever_is_in_notices_nothing() {
    let office = Office::new();
    let knock = async |from: &str| {
        let mut asked = request("GET", "/login?key=guess");
        let peer: std::net::SocketAddr = "127.0.0.1:9".parse().unwrap();
        asked.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        asked.headers_mut().insert("x-forwarded-for", from.parse().unwrap());
        send(&office.router, asked).await
    };
    for _ in 0..60 {
        assert_eq!(knock("192.0.2.1").await.status, StatusCode::UNAUTHORIZED);
    }
    let turned = knock("192.0.2.1").await;
    assert_eq!((turned.status, turned.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
    assert_eq!(knock("192.0.2.2").await.status, StatusCode::UNAUTHORIZED, "another place");
    for _ in 0..100 {
        assert_eq!(office.get("analyst", "/me").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn behind_tls_the_cookie_goes_back_by_tls_alone() {
    let key = ConsoleKey::random().unwrap().with_url("https://console.example.jp");
    let router =
        console(Arc::new(InMemory::new(Kept::Usual)), Arc::new(InMemoryDoor::default()), key.clone())
            .unwrap();
    for (host, fits) in [("console.example.jp", true), ("console.example.jp.evil.example", false)] {
        let mut asked = request("GET", &key.login_path());
        asked.headers_mut().insert(header::HOST, host.parse().unwrap());
        let answer = send(&router, asked).await;
        assert_eq!(answer.status == StatusCode::SEE_OTHER, fits, "{host}");
        assert!(!fits || answer.header("set-cookie").ends_with("; Secure"));
    }
}

#[tokio::test]
async fn who_leaves_is_out_and_their_own_passkeys_are_theirs_to_forget() {
    let office = Office::new();
    let me = office.get("legal", "/me").await;
    me.says("You are here as: legal");
    me.says_not("\"><script>");
    let forgot = office.post("legal", "/me", "verb=forget&credential=AAAA", HERE).await;
    assert_eq!((forgot.status, forgot.header("location")), (StatusCode::SEE_OTHER, "/me"));
    let left = office.post("legal", "/me", "verb=leave", HERE).await;
    left.says("You have left");
    assert_eq!(office.get("legal", "/me").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(*office.door.said.lock().unwrap(), ["legal forgot AAAA", "legal left"]);
}

#[tokio::test]
async fn people_are_named_by_what_cannot_hide_and_have_a_role() {
    let office = Office::new();
    for body in [
        "verb=invite&name=&role=analyst",
        "verb=invite&name=%E2%80%AEx&role=analyst",
        "verb=invite&name=Baba",
        "verb=invite&name=Baba&role=root",
        "verb=invite&name=taken&role=analyst",
        "verb=roles&person=x&role=analyst",
        "verb=roles&person=00000000000000000000000000000000",
        "verb=sing",
        "",
    ] {
        let answer = office.post("admin", "/people", body, HERE).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        answer.says("Nothing was changed");
    }
    let list = office.get("auditor", "/people").await;
    list.says("analyst");
    list.says_not("Invite somebody");
    list.says_not("<script>alert");
}

#[tokio::test]
async fn many_cases_are_judged_at_once_with_a_reason_and_it_is_said_what_was_left() {
    let office = Office::new();
    let ids = [0_u64, 1, 2].map(|n| noroshi_model::Id::of("case", &[&n.to_be_bytes()]));
    let marked = format!("case={}&case={}&case={}", ids[0], ids[1], ids[2]);
    let page = office.post("analyst", "/cases", &format!("{marked}&verb=hold&why=a+wrong+list"), HERE).await;
    page.says("2 held");
    page.says("1 not: the case is closed");
    let all = office.post("analyst", "/cases", "all=1&campaign=sinkhole&verb=reject&why=wrong", HERE).await;
    all.says("More match than are done at once");
    let one = format!("case={}&verb=merge&into={}&why=same&back=/cases/{}", ids[0], ids[1], ids[0]);
    let merged = office.post("analyst", "/cases", &one, HERE).await;
    assert_eq!(
        (merged.status, merged.header("location")),
        (StatusCode::SEE_OTHER, &*format!("/cases/{}", ids[0]))
    );
    let performed = office.performed();
    assert!(performed[0].starts_with("Hold These(") && performed[0].ends_with("by analyst: a wrong list"));
    assert!(performed[1].contains("sinkhole"), "{performed:?}");
    for body in [
        format!("{marked}&verb=hold"),
        format!("{marked}&verb=hold&why=+"),
        format!("{marked}&verb=burn&why=x"),
        format!("{marked}&verb=merge&why=x"),
        "verb=hold&why=x".to_owned(),
        "case=x&verb=hold&why=x".to_owned(),
        "all=1&verb=reject&why=everything".to_owned(),
    ] {
        let answer = office.post("analyst", "/cases", &body, HERE).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    assert_eq!(office.performed().len(), performed.len(), "nothing of this was done");
    let reader = office.get("auditor", "/cases").await;
    reader.says_not("Say something of the marked cases\"><button");
    reader.says_not("type=\"checkbox\" name=\"case\"");
}

#[tokio::test]
async fn today_is_told_live_until_whoever_listens_has_left() {
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    let office = Office::new();
    assert_eq!(office.get("nobody", "/live").await.status, StatusCode::UNAUTHORIZED);
    let mut asked = request("GET", "/live");
    asked.headers_mut().insert(header::COOKIE, "noroshi-person=auditor".parse().unwrap());
    let answer = office.router.clone().oneshot(asked).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let first = String::from_utf8(first.to_vec()).unwrap();
    assert!(first.starts_with("event: today\ndata: {\"needs\":\"3 things need you\""), "{first}");
    office.post("auditor", "/me", "verb=leave", HERE).await;
    assert!(body.frame().await.is_none(), "the stream ends with the session");
}
