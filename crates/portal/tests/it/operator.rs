//! The operator's console: who gets in, what the pages show, how lists are paged, and their twins in JSON.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use jiff::SignedDuration;
use noroshi_model::SteppedClock;
use noroshi_portal::console::SESSION_LIFE;
use noroshi_portal::{ConsoleKey, console};

use super::desk::{InMemory, Kept, at};
use super::{LoggedIn, get, request, send};

const PAGES: [&str; 11] = [
    "/",
    "/intake",
    "/cases",
    "/steps",
    "/quarantine",
    "/law",
    "/law/refusals",
    "/law/consents",
    "/evidence",
    "/outcome",
    "/evidence/7",
];

const TWINS: [&str; 10] = [
    "/today.json",
    "/intake.json",
    "/cases.json?state=&page=1",
    "/steps.json",
    "/quarantine.json",
    "/law.json",
    "/law/refusals.json?page=1",
    "/law/consents.json",
    "/evidence.json",
    "/outcome.json",
];

#[tokio::test]
async fn without_the_key_every_page_is_locked_and_says_how_to_get_in() {
    let router = console(Arc::new(InMemory::new(Kept::Usual)), ConsoleKey::random().unwrap()).unwrap();
    for path in
        PAGES.iter().chain(&TWINS).chain(&["/nothing", "/outcome/x.svg", "/cases/AAAAAAAAAAAAAAAAAAAAAA"])
    {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        answer.says("noroshi console-url");
        answer.says_not("mirai");
    }
}

#[tokio::test]
async fn a_wrong_key_opens_nothing_and_sets_no_cookie() {
    let ours = ConsoleKey::random().unwrap();
    let router = console(Arc::new(InMemory::new(Kept::Usual)), ours.clone()).unwrap();
    let short = &ours.reveal()[..43];
    let other = ConsoleKey::random().unwrap();
    for key in ["", "x", short, other.reveal(), &format!("{}A", ours.reveal())] {
        let answer = get(&router, &format!("/login?key={key}")).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (StatusCode::UNAUTHORIZED, ""), "{key}");
    }
    assert_eq!(get(&router, "/login").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_cookie_is_a_session_and_not_the_key_and_scripts_and_other_sites_cannot_have_it() {
    let key = ConsoleKey::random().unwrap();
    let router = console(Arc::new(InMemory::new(Kept::Usual)), key.clone()).unwrap();
    let answer = get(&router, &key.login_path()).await;
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict") && cookie.contains("; Path=/")
    );
    assert!(!cookie.contains(key.reveal()));
    assert!(!format!("{key:?}").contains(key.reveal()));
}

#[tokio::test]
async fn a_session_ends_and_a_changed_or_foreign_one_never_begins() {
    let clock = Arc::new(SteppedClock::at(at("2026-11-22T12:00:00Z")));
    let key = ConsoleKey::random().unwrap().with_clock(clock.clone());
    let router = console(Arc::new(InMemory::new(Kept::Usual)), key.clone()).unwrap();
    let answer = get(&router, &key.login_path()).await;
    let ours = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let foreign = LoggedIn::new(InMemory::new(Kept::Usual)).await.cookie;
    let changed = format!("{}A", &ours[..ours.len() - 1]);
    let with = async |cookie: &str| {
        let mut asked = request("GET", "/");
        asked.headers_mut().insert(header::COOKIE, format!("a=b; {cookie}; c").parse().unwrap());
        send(&router, asked).await.status
    };
    assert_eq!(with(&ours).await, StatusCode::OK);
    assert_eq!(with(&foreign).await, StatusCode::UNAUTHORIZED);
    let same = changed == ours;
    assert!(same || with(&changed).await == StatusCode::UNAUTHORIZED);
    clock.step(SESSION_LIFE - SignedDuration::from_secs(1));
    assert_eq!(with(&ours).await, StatusCode::OK);
    clock.step(SignedDuration::from_secs(1));
    assert_eq!(with(&ours).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn only_a_key_of_the_right_form_is_read_back() {
    let key = ConsoleKey::random().unwrap();
    assert_eq!(ConsoleKey::parse(key.reveal()).unwrap().login_path(), key.login_path());
    for text in ["", "password", &"a".repeat(43), &"é".repeat(22), &" ".repeat(44)] {
        assert!(ConsoleKey::parse(text).is_none(), "{text}");
    }
}

#[tokio::test]
async fn a_name_that_is_not_this_machines_is_turned_away_even_with_a_session() {
    let key = ConsoleKey::random().unwrap().with_hosts(["noc.example".to_owned()]);
    let router = console(Arc::new(InMemory::new(Kept::Usual)), key.clone()).unwrap();
    let login = get(&router, &key.login_path()).await;
    let cookie = login.header("set-cookie").split(';').next().unwrap().to_owned();
    for (host, expected) in [
        ("localhost", StatusCode::OK),
        ("LOCALHOST:8081", StatusCode::OK),
        ("127.0.0.1:8081", StatusCode::OK),
        ("127.9.9.9", StatusCode::OK),
        ("[::1]:8081", StatusCode::OK),
        ("noc.example:443", StatusCode::OK),
        ("evil.example", StatusCode::MISDIRECTED_REQUEST),
        ("127.0.0.1.evil.example", StatusCode::MISDIRECTED_REQUEST),
        ("localhost.evil.example", StatusCode::MISDIRECTED_REQUEST),
        ("192.0.2.1:8081", StatusCode::MISDIRECTED_REQUEST),
        ("", StatusCode::MISDIRECTED_REQUEST),
    ] {
        for path in ["/", &key.login_path()] {
            let mut asked = request("GET", path);
            asked.headers_mut().insert(header::HOST, host.parse().unwrap());
            asked.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
            let answer = send(&router, asked).await;
            let fits = answer.status == expected || (path != "/" && expected == StatusCode::OK);
            assert!(fits, "{host} {path} {}", answer.status);
        }
    }
    let mut nameless = request("GET", "/");
    nameless.headers_mut().remove(header::HOST);
    assert_eq!(send(&router, nameless).await.status, StatusCode::MISDIRECTED_REQUEST);
    let absolute = request("GET", "http://evil.example/");
    assert_eq!(send(&router, absolute).await.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn today_shows_what_needs_somebody_and_whether_the_counts_add_up() {
    let console = LoggedIn::new(InMemory::new(Kept::Usual)).await;
    let answer = console.get("/").await;
    for text in [
        "<h1>3 things need you</h1>",
        "href=\"/cases?state=open\"",
        "1,204,112",
        "1,204,326 = 1,204,112 + 0 + 0 + 214",
        "no: records are missing",
        "−3,612 s",
        "■</span> wrong",
        "●</span> right",
    ] {
        answer.says(text);
    }
    answer.says_not("javascript:");
}

#[tokio::test]
async fn a_case_tells_its_story_with_rules_and_evidence() {
    let console = LoggedIn::new(InMemory::new(Kept::Usual)).await;
    let list = console.get("/cases.json").await.json();
    let id = list["cases"][0]["id"].as_str().unwrap().to_owned();
    console.get("/cases").await.says(&format!("href=\"/cases/{id}\""));
    let answer = console.get(&format!("/cases/{id}")).await;
    answer.says("Case AB3D-9XK2");
    answer.says("2026-11-20 14:00 JST");
    answer.says("href=\"/evidence/1205\"");
    answer.says("notify-emergency");
    assert_eq!(console.get(&format!("/cases/{id}.json")).await.json()["reference"], "AB3D-9XK2");
    for path in
        ["/cases/x", "/cases/AAAAAAAAAAAAAAAAAAAAAB", "/evidence/x", "/evidence/9999", "/outcome/none.svg"]
    {
        assert_eq!(console.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn cases_are_filtered_in_the_address() {
    let console = LoggedIn::new(InMemory::new(Kept::Many(200))).await;
    let held = console.get("/cases.json?state=held").await.json();
    let cases = held["cases"].as_array().unwrap();
    assert!(!cases.is_empty() && cases.iter().all(|case| case["state"] == "held"));
    let answer = console.get("/cases?state=held").await;
    answer.says("<a href=\"/cases?state=held\" aria-current=\"true\">");
    let answer = console.get("/cases?state=%3Cb%3E").await;
    answer.says("<a href=\"/cases\" aria-current=\"true\">");
}

#[tokio::test]
async fn ten_thousand_rows_come_fifty_at_a_time() {
    let console = LoggedIn::new(InMemory::new(Kept::Many(10_000))).await;
    for (path, list) in [
        ("/cases", "cases"),
        ("/quarantine", "lines"),
        ("/law/refusals", "refusals"),
        ("/law/consents", "consents"),
        ("/outcome", "campaigns"),
    ] {
        let first = console.get(&format!("{path}.json")).await.json();
        assert_eq!(first[list].as_array().unwrap().len(), 50, "{path}");
        assert_eq!((&first["page"], &first["next"]), (&1.into(), &2.into()));
        let last = console.get(&format!("{path}.json?page=200")).await.json();
        assert_eq!((last[list].as_array().unwrap().len(), &last["next"]), (50, &serde_json::Value::Null));
        let page = console.get(&format!("{path}?page=2")).await;
        page.says("51–100");
        page.says(&format!("href=\"{path}?page=1\" rel=\"prev\""));
        page.says(&format!("href=\"{path}?page=3\" rel=\"next\""));
        page.says(&format!("href=\"{path}.json?page=2\""));
        console.get(&format!("{path}?page=201")).await.says("ends before this page");
        for odd in ["0", "-1", "x", "99999999999999999999", "18446744073709551615"] {
            assert_eq!(console.get(&format!("{path}?page={odd}")).await.status, StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn every_list_has_a_twin_in_json() {
    for kept in [Kept::Nothing, Kept::Usual, Kept::Hostile] {
        let console = LoggedIn::new(InMemory::new(kept)).await;
        for path in TWINS {
            let answer = console.get(path).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            assert!(answer.json().is_object());
        }
        assert_eq!(console.get("/evidence/7.json").await.json()["index"], 7);
    }
}

#[tokio::test]
async fn an_empty_list_says_why_and_what_would_fill_it() {
    let console = LoggedIn::new(InMemory::new(Kept::Nothing)).await;
    for (path, text) in [
        ("/", "Nothing needs you"),
        ("/", "The first feed that is ingested"),
        ("/cases", "A case opens when"),
        ("/cases?state=held", "No case is held now"),
        ("/quarantine", "Every line that was read could be used"),
        ("/law", "No measure is loaded"),
        ("/law/refusals", "Nothing was refused"),
        ("/law/consents", "No consent is recorded"),
        ("/evidence", "Nothing was looked at yet"),
        ("/outcome", "No campaign has a case yet"),
    ] {
        console.get(path).await.says(text);
    }
}

#[tokio::test]
async fn snippets_show_control_characters_and_end_after_three_hundred() {
    let console = LoggedIn::new(InMemory::new(Kept::Usual)).await;
    let answer = console.get("/quarantine").await;
    answer.says("20 Nov‹TAB›12:12");
    answer.says("mirai‹CR›‹LF›");
    answer.says("sealed");
    let console = LoggedIn::new(InMemory::new(Kept::Hostile)).await;
    let answer = console.get("/quarantine").await;
    answer.says("more characters)");
    assert!(answer.body.len() < 12_000, "{}", answer.body.len());
}

#[tokio::test]
async fn the_state_of_the_log_is_told_as_intact_or_by_its_faults() {
    let console = LoggedIn::new(InMemory::new(Kept::Usual)).await;
    console.get("/evidence").await.says("The log is intact");
    console.get("/evidence?page=2").await.says_not("The log is");
    let console = LoggedIn::new(InMemory::new(Kept::Hostile)).await;
    console.get("/evidence").await.says("The log is not intact");
}

#[tokio::test]
async fn a_funnel_is_a_table_and_a_picture() {
    let console = LoggedIn::new(InMemory::new(Kept::Usual)).await;
    let answer = console.get("/outcome").await;
    answer.says("src=\"/outcome/shadowserver-sinkhole.mirai-0.svg\"");
    answer.says("87.0 %");
    let picture = console.get("/outcome/shadowserver-sinkhole.mirai-0.svg").await;
    assert_eq!(picture.header("content-type"), "image/svg+xml; charset=utf-8");
    picture.says("<svg");
}

#[tokio::test]
async fn records_that_cannot_be_read_are_told_with_the_reason_and_what_to_do() {
    let console = LoggedIn::new(InMemory { is_down: true, ..InMemory::new(Kept::Usual) }).await;
    for path in PAGES {
        let answer = console.get(path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        answer.says("the disk &#60;b&#62;is full");
        answer.says("Nothing was changed or lost");
    }
    let answer = console.get("/cases.json").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.json()["error"].as_str().unwrap().contains("is full"));
}

#[tokio::test]
async fn a_page_takes_no_request_but_to_be_shown() {
    let console = LoggedIn::new(InMemory::new(Kept::Usual)).await;
    for path in PAGES {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            assert_eq!(
                console.send(method, path).await.status,
                StatusCode::METHOD_NOT_ALLOWED,
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn the_intake_page_speaks_both_languages_and_credits_whose_tables_are_used() {
    let desk = LoggedIn::new(InMemory::new(Kept::Usual)).await;
    for (lang, says) in [("ja", "取り込み"), ("en", "Last 24 hours")] {
        let answer = desk.get(&format!("/intake?lang={lang}")).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.says(says);
        answer.says(&format!("<div lang=\"{lang}\">"));
        answer.says("CC BY 4.0");
        answer.says("Tables by Example, &#60;b&#62;");
        answer.says("1,204,112");
    }
    desk.get("/intake?lang=en").await.says("no: records are missing");
}

#[tokio::test]
async fn the_counters_need_no_login_but_this_machines_name() {
    let router = console(Arc::new(InMemory::new(Kept::Usual)), ConsoleKey::random().unwrap()).unwrap();
    let answer = get(&router, "/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(answer.body, "noroshi_up 1\n# EOF\n");
    let mut elsewhere = request("GET", "/metrics");
    elsewhere.headers_mut().insert(header::HOST, "evil.example".parse().unwrap());
    assert_eq!(send(&router, elsewhere).await.status, StatusCode::MISDIRECTED_REQUEST);
    let alone = noroshi_portal::metrics_page(Arc::new(InMemory::new(Kept::Usual)));
    assert_eq!(get(&alone, "/metrics").await.body, "noroshi_up 1\n# EOF\n");
    assert_eq!(get(&alone, "/intake").await.status, StatusCode::NOT_FOUND);
}

/// A form sent from one of the console's own pages, unless it is said otherwise.
async fn form(
    office: &LoggedIn,
    path: &str,
    body: &'static str,
    from: &[(&'static str, &'static str)],
) -> super::Answer {
    let mut request = request("POST", path);
    let headers = request.headers_mut();
    headers.insert(header::COOKIE, office.cookie.parse().unwrap());
    headers.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
    for (name, value) in from {
        headers.insert(*name, value.parse().unwrap());
    }
    *request.body_mut() = axum::body::Body::from(body);
    send(&office.router, request).await
}

#[tokio::test]
async fn a_person_approves_and_stops_by_name_and_only_from_the_consoles_own_page() {
    let desk = Arc::new(InMemory::new(Kept::Usual));
    let key = ConsoleKey::random().unwrap();
    let router = console(desk.clone(), key.clone()).unwrap();
    let login = get(&router, &key.login_path()).await;
    let cookie = login.header("set-cookie").split(';').next().unwrap().to_owned();
    let office = LoggedIn { router, cookie };
    let page = office.get("/steps").await;
    let path = page
        .body
        .split("action=\"")
        .map(|rest| rest.split('"').next().unwrap())
        .find(|path| path.starts_with("/steps/"));
    let path = path.unwrap().to_owned();
    page.says("AB3D-92F0");
    page.says("campaign:sinkhole");
    let here = [("sec-fetch-site", "same-origin")];
    let done = form(&office, &path, "verdict=approve&by=baba&why=three+weeks", &here).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/steps"));
    let again = form(&office, &path, "verdict=approve&by=baba&why=three+weeks", &here).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let ours = [("origin", "http://127.0.0.1:8081")];
    assert_eq!(
        form(&office, "/switch", "verdict=stop&scope=*&by=aoki&why=wrong", &ours).await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        form(&office, "/switch", "verdict=go&scope=campaign%3Asinkhole&by=aoki", &here).await.status,
        StatusCode::SEE_OTHER
    );
    let performed = desk.performed.lock().unwrap().clone();
    assert!(
        performed[0].contains("approve: true") && performed[0].ends_with("by baba: three weeks"),
        "{performed:?}"
    );
    assert!(
        performed[2].contains("stop: true") && performed[3].contains("campaign:sinkhole"),
        "{performed:?}"
    );

    let count = performed.len();
    for from in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "http://127.0.0.1:9999")],
        &[("origin", "null")],
    ] {
        let refused = form(&office, &path, "verdict=approve&by=baba", from).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{from:?}");
    }
    for body in ["", "verdict=approve", "verdict=approve&by=+", "verdict=maybe&by=baba", "by=baba"] {
        assert_eq!(
            form(&office, &path, body, &here).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{body}"
        );
    }
    for body in ["verdict=stop&scope=*&by=aoki", "verdict=stop&scope=everything&by=aoki&why=x"] {
        assert_eq!(
            form(&office, "/switch", body, &here).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{body}"
        );
    }
    for path in ["/steps/none/1", "/steps/x", &format!("{path}x")] {
        assert!(
            form(&office, path, "verdict=approve&by=baba", &here).await.status.is_client_error(),
            "{path}"
        );
    }
    let mut locked = request("POST", &path);
    locked.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
    assert_eq!(send(&office.router, locked).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(desk.performed.lock().unwrap().len(), count, "nothing of this was done");
}
