//! The operator's console: who gets in, what the pages show, how lists are paged, and their twins in JSON.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use jiff::SignedDuration;
use noroshi_model::SteppedClock;
use noroshi_portal::console::SESSION_LIFE;
use noroshi_portal::{ConsoleKey, console};

use super::desk::{InMemory, Kept, at};
use super::door::InMemoryDoor;
use super::{LoggedIn, get, request, send};

/// Pages of records.
const PAGES: [&str; 18] = [
    "/",
    "/intake",
    "/cases",
    "/campaigns",
    "/steps",
    "/quarantine",
    "/alerts",
    "/telescope",
    "/telescope/sightings",
    "/telescope/campaigns",
    "/law",
    "/law/refusals",
    "/law/consents",
    "/evidence",
    "/outcome",
    "/outcome/networks",
    "/outcome/wordings",
    "/evidence/7",
];

/// Pages that are drawn by scripts, from `/telescope/state`.
const VIEWS: [&str; 2] = ["/telescope/map", "/telescope/sphere"];

/// Pages about who works here.
const DOOR: [&str; 2] = ["/people", "/me"];

const TWINS: [&str; 21] = [
    "/today.json",
    "/intake.json",
    "/cases.json?state=",
    "/campaigns.json",
    "/steps.json",
    "/quarantine.json",
    "/telescope.json",
    "/telescope/state",
    "/telescope/sightings.json",
    "/telescope/campaigns.json",
    "/law.json",
    "/law/refusals.json?page=1",
    "/law/consents.json",
    "/law/emergencies.json",
    "/settings.json",
    "/evidence.json",
    "/outcome.json",
    "/outcome/networks.json",
    "/outcome/wordings.json",
    "/people.json",
    "/me.json",
];

#[tokio::test]
async fn without_the_key_every_page_is_locked_and_says_how_to_get_in() {
    let router = console(
        Arc::new(InMemory::new(Kept::Usual)),
        Arc::new(InMemoryDoor::default()),
        ConsoleKey::random().unwrap(),
    )
    .unwrap();
    for path in PAGES.iter().chain(&TWINS).chain(&DOOR).chain(&VIEWS).chain(&[
        "/nothing",
        "/outcome/x.svg",
        "/cases/AAAAAAAAAAAAAAAAAAAAAA",
    ]) {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        answer.says("noroshi console-url");
        answer.says_not("mirai");
    }
}

#[tokio::test]
async fn a_wrong_key_opens_nothing_and_sets_no_cookie() {
    let ours = ConsoleKey::random().unwrap();
    let router =
        console(Arc::new(InMemory::new(Kept::Usual)), Arc::new(InMemoryDoor::default()), ours.clone())
            .unwrap();
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
    let router =
        console(Arc::new(InMemory::new(Kept::Usual)), Arc::new(InMemoryDoor::default()), key.clone())
            .unwrap();
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
    let router =
        console(Arc::new(InMemory::new(Kept::Usual)), Arc::new(InMemoryDoor::default()), key.clone())
            .unwrap();
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
    let router =
        console(Arc::new(InMemory::new(Kept::Usual)), Arc::new(InMemoryDoor::default()), key.clone())
            .unwrap();
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
    let answer = console.get("/cases?state=held&family=mirai&q=AB3D-92F0&waiting=1").await;
    answer.says("<option value=\"held\" selected>");
    answer.says("name=\"family\" type=\"text\" value=\"mirai\"");
    answer.says("value=\"AB3D-92F0\"");
    answer.says("name=\"waiting\" value=\"1\" checked");
    answer.says("href=\"/cases.json?state=held&#38;family=mirai&#38;q=AB3D-92F0&#38;waiting=1&#38;\"");
    for odd in ["state=%3Cb%3E", "q=xyz", "state=%ff&q=%00", "after=x&before=1-2"] {
        let answer = console.get(&format!("/cases?{odd}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{odd}");
        answer.says_not("<b>");
    }
}

#[tokio::test]
async fn ten_thousand_rows_come_fifty_at_a_time() {
    let console = LoggedIn::new(InMemory::new(Kept::Many(10_000))).await;
    for (path, list) in [("/outcome", "campaigns"), ("/outcome/networks", "networks")] {
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

/// A list is read on from where it was left, and each of its rows comes once.
#[tokio::test]
async fn what_has_no_end_is_read_on_from_where_it_was_left() {
    let console = LoggedIn::new(InMemory::new(Kept::Many(120))).await;
    for (path, filter, list, key) in [
        ("/quarantine", "", "lines", "at"),
        ("/alerts", "", "alerts", "id"),
        ("/telescope/sightings", "", "sightings", "id"),
        ("/telescope/campaigns", "", "campaigns", "id"),
        ("/law/refusals", "", "refusals", "at"),
        ("/law/consents", "", "consents", "since"),
        ("/law/emergencies", "", "emergencies", "entry"),
        ("/law/emergencies", "all=1&", "emergencies", "entry"),
        ("/steps", "", "steps", "since"),
    ] {
        let (mut from, mut seen, mut sizes) = (String::new(), std::collections::BTreeSet::new(), Vec::new());
        loop {
            let page = console.get(&format!("{path}?{filter}{from}")).await;
            page.says(&format!("href=\"{path}.json?{}{from}\"", filter.replace('&', "&#38;")));
            let twin = console.get(&format!("{path}.json?{filter}{from}")).await.json();
            let rows = twin[list].as_array().unwrap();
            sizes.push(rows.len());
            assert!(rows.iter().all(|row| seen.insert(row[key].to_string())), "{path}");
            match from.is_empty() {
                true => page.says_not("from the beginning"),
                false => page.says("↑ from the beginning"),
            };
            let Some(next) = twin["next"].as_str() else {
                page.says_not("rel=\"next\"");
                break;
            };
            from = format!("after={next}");
            page.says(&format!("href=\"{path}?{}{from}\" rel=\"next\"", filter.replace('&', "&#38;")));
        }
        assert_eq!(sizes, [50, 50, 20], "{path}");
        for odd in ["after=x", "after=e30", "after=%00", "page=7"] {
            let first = console.get(&format!("{path}.json?{filter}{odd}")).await.json();
            assert_eq!(first[list].as_array().unwrap().len(), 50, "{odd}");
        }
    }
}

/// A list by place is walked from its end to its beginning and back, and shows each row once.
#[tokio::test]
async fn ten_thousand_cases_are_walked_by_place_and_back() {
    let console = LoggedIn::new(InMemory::new(Kept::Many(10_020))).await;
    let mut path = "/cases.json?family=mirai".to_owned();
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let page = console.get(&path).await.json();
        let cases = page["cases"].as_array().unwrap();
        seen.extend(cases.iter().map(|case| case["id"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/cases.json?family=mirai&after={next}");
    }
    let walked = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((walked, seen.len(), pages), (10_020, 10_020, 201));
    // Back by the links of the pages, from the last one to the first, which is whole.
    let link = |page: &super::Answer, rel: &str| {
        let links = page.body.split("<a href=\"").map(|rest| rest.split('>').next().unwrap_or_default());
        let found = links.filter(|link| link.ends_with(&format!("rel=\"{rel}\""))).last();
        found.map(|link| link.split('"').next().unwrap_or_default().replace("&#38;", "&"))
    };
    let mut page = console.get(&path.replace(".json", "")).await;
    let mut back = 0;
    while let Some(newer) = link(&page, "prev") {
        page = console.get(&newer).await;
        back += 1;
    }
    assert_eq!(back, 200);
    assert_eq!(page.body.matches("<th scope=\"row\">").count(), 50, "the first page is whole");
    assert!(link(&page, "next").is_some());
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
        ("/cases?state=held", "No case is so now"),
        ("/campaigns", "There is no campaign yet"),
        ("/quarantine", "Every line that was read could be used"),
        ("/alerts", "No organisation is registered"),
        ("/alerts", "No address of an organisation was seen"),
        ("/telescope", "No telescope writes down what it sees"),
        ("/telescope/sightings", "Nobody was seen in the last hours"),
        ("/telescope/campaigns", "No campaign was found yet"),
        ("/law", "No measure is loaded"),
        ("/law/refusals", "Nothing was refused"),
        ("/law/consents", "No consent is recorded"),
        ("/law/emergencies", "No use of an emergency waits"),
        ("/law/emergencies?all=1", "No emergency was used"),
        ("/settings", "There is no file"),
        ("/evidence", "Nothing was looked at yet"),
        ("/outcome", "No campaign has a case yet"),
        ("/outcome/networks", "Nothing was counted yet"),
        ("/outcome/wordings", "No other wording was tried out yet"),
    ] {
        console.get(path).await.says(text);
    }
}

#[tokio::test]
async fn settings_say_what_was_set_and_what_the_file_says_by_now() {
    for (kept, text) in [
        (Kept::Usual, "in force</span> <code>/etc/noroshi.toml"),
        (Kept::Many(1), "was changed since the start: restart noroshi"),
        (Kept::Hostile, "noroshi would not start with it"),
    ] {
        let page = LoggedIn::new(InMemory::new(kept)).await.get("/settings").await;
        page.says(text);
        assert_eq!(page.body.matches("<td>set</td>").count(), 2);
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
async fn wordings_are_shown_with_what_can_be_told_of_their_difference() {
    let console = LoggedIn::new(InMemory::new(Kept::Usual)).await;
    let page = console.get("/outcome/wordings").await;
    for text in
        ["no difference can be told", "400: 39.1 %", "36.2 to 42.2 %", "600: 68.2 %", "+2.0", "-1.0 to +5.0"]
    {
        page.says(text);
    }
    let twin = console.get("/outcome/wordings.json").await.json();
    let round = twin["rounds"][0]["round"].as_str().unwrap();
    page.says(&format!("src=\"/outcome/wordings/{}.svg\"", &round[..8]));
    let picture = console.get(&format!("/outcome/wordings/{}.svg", &round[..8])).await;
    assert_eq!(picture.header("content-type"), "image/svg+xml; charset=utf-8");
    assert_eq!(console.get("/outcome/wordings/none.svg").await.status, StatusCode::NOT_FOUND);
    assert_eq!(twin["rounds"][0]["comparisons"][0]["says"], "no difference can be told");
}

#[tokio::test]
async fn a_networks_weeks_are_a_picture_and_a_table_of_half_a_year() {
    let console = LoggedIn::new(InMemory::new(Kept::Usual)).await;
    let page = console.get("/outcome/networks").await;
    for text in ["2026-W47", "not over", "2026-W22", "28.40", "1,204,112", "have the feeds fallen silent?"] {
        page.says(text);
    }
    page.says_not("2026-W21");
    page.says("src=\"/outcome/networks/net-0.svg\"");
    let twin = console.get("/outcome/networks.json").await.json();
    let weeks = twin["networks"][0]["weeks"].as_array().unwrap();
    assert_eq!(
        (weeks.len(), &weeks[30]["week"], &weeks[0]["lines"]),
        (31, &"2026-W47".into(), &serde_json::Value::Null)
    );
    assert_eq!(console.get("/outcome/networks/net-0.svg").await.status, StatusCode::OK);
    assert_eq!(console.get("/outcome/networks/none.svg").await.status, StatusCode::NOT_FOUND);
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
        // The list of cases takes a form, for whoever may judge.
        for method in ["POST", "PUT", "DELETE", "PATCH"].into_iter().skip(usize::from(path == "/cases")) {
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
    let router = console(
        Arc::new(InMemory::new(Kept::Usual)),
        Arc::new(InMemoryDoor::default()),
        ConsoleKey::random().unwrap(),
    )
    .unwrap();
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

/// Every mark has a record that can be opened, and says what it is.
#[tokio::test]
async fn what_is_drawn_are_records_that_can_be_opened() {
    let console = LoggedIn::new(InMemory::new(Kept::Many(9))).await;
    for view in VIEWS {
        let page = console.get(view).await;
        page.says("data-state=\"/telescope/state\"");
        page.says("href=\"/telescope/sightings\"");
        console.get(&format!("{view}?from=2026-11-27T21:00")).await.says("state?from=2026-11-27T12:00:00Z");
        console.get(&format!("{view}?from=%22%3E%3Cx%3E")).await.says("data-state=\"/telescope/state\"");
    }
    let state = console.get("/telescope/state").await.json();
    assert_eq!((&state["mode"], state["organisations"].as_array().unwrap().len()), (&"live".into(), 9));
    for list in ["alerts", "sightings"] {
        let marks = state[list].as_array().unwrap();
        assert_eq!(marks.len(), 9, "{list}");
        for mark in marks {
            let href = mark["href"].as_str().unwrap();
            let page = console.get(href).await;
            assert_eq!(page.status, StatusCode::OK, "{href}");
            page.says("as JSON");
            let twin = console.get(&format!("{href}.json")).await.json();
            assert_eq!(twin["id"], mark["id"]);
        }
    }
    assert_eq!(console.get("/telescope/state?from=2026-11-27T12:00:00Z").await.json()["mode"], "replay");
    for none in
        ["/alerts/x", "/telescope/sightings/x", "/telescope/campaigns/0123456789abcdef0123456789abcdef"]
    {
        assert_eq!(console.get(none).await.status, StatusCode::NOT_FOUND, "{none}");
    }
}
