//! What is true of every page, whatever is on it: headers, landmarks, and that nothing from outside becomes
//! markup.

use super::desk::{DOWN, EXPIRED, InMemory, Kept, TOKEN};
use super::{Answer, LoggedIn, get, portal, post, send};

const HEADERS: [(&str, &str); 7] = [
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
    ("x-robots-tag", "noindex, nofollow"),
    (
        "permissions-policy",
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// No page makes markup of text, or loads what is not ours; those of subscribers run no script at all.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const CONSOLE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; \
                              form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
                              require-trusted-types-for 'script'; trusted-types 'none'";

/// Answers of every kind from both listeners, with what was asked.
async fn answers(kept: Kept) -> Vec<(String, Answer)> {
    let (_, router) = portal(kept);
    let mut all = Vec::new();
    let subscriber =
        ["/", "/code", "/transparency", "/nothing", "/n/forged", "/assets/none.css"].map(str::to_owned);
    let notices = [EXPIRED, DOWN, TOKEN].map(|token| format!("/n/{token}"));
    for path in subscriber.into_iter().chain(notices).chain([format!("/n/{TOKEN}/opt-out")]) {
        for lang in ["ja", "en", "ja-x-easy"] {
            let path = format!("{path}?lang={lang}");
            all.push((path.clone(), get(&router, &path).await));
        }
    }
    for rest in ["", "/steps", "/done", "/opt-out"] {
        let path = format!("/n/{TOKEN}{rest}");
        all.push((format!("POST {path}"), post(&router, &path).await));
        all.push((format!("after POST {path}"), get(&router, &format!("/n/{TOKEN}")).await));
    }
    let long = format!("/{}", "a".repeat(3000));
    all.push((long.clone(), get(&router, &long).await));

    let console = LoggedIn::new(InMemory::new(kept)).await;
    let id = noroshi_model::Id::of("case", &[&0_u64.to_be_bytes()]);
    let pages = [
        "/",
        "/cases",
        "/quarantine",
        "/alerts",
        "/telescope",
        "/telescope/map",
        "/telescope/sphere",
        "/telescope/sightings",
        "/telescope/campaigns",
        "/sites",
        "/sites?state=listed&source=phish-list&lang=en",
        "/law",
        "/law/refusals",
        "/law/consents",
        "/law/emergencies",
        "/law/emergencies?all=1",
        "/settings",
        "/evidence",
        "/outcome",
        "/outcome/wordings",
        "/outcome/networks",
    ];
    let others = [
        "/evidence/7",
        "/sites/record?address=site-001.example%2Fa%3Fb%3D1",
        "/sites/record?address=none",
        "/people",
        "/me",
        "/campaigns",
        "/login",
        "/login/oidc",
        "/login/oidc/back?code=c",
        "/login/oidc/back?code=away&state=s",
        "/join/0123456789abcdef",
        "/evidence/99999",
        "/cases/x",
        "/nothing",
        "/login?key=x",
        "/outcome/x.svg",
        "/outcome/wordings/x.svg",
    ];
    let one =
        |kind: &str, path: &str| format!("{path}/{}", noroshi_model::Id::of(kind, &[&0_u64.to_be_bytes()]));
    let records = [
        format!("/cases/{id}"),
        one("alert", "/alerts"),
        one("sighting", "/telescope/sightings"),
        one("dark-campaign", "/telescope/campaigns"),
    ];
    for path in pages.into_iter().chain(others).map(str::to_owned).chain(records) {
        all.push((format!("console {path}"), console.get(&path).await));
    }
    all.push(("console POST /".into(), console.send("POST", "/").await));
    all.push(("console locked".into(), get(&console.router, "/").await));
    let mut foreign = super::request("GET", "/");
    foreign.headers_mut().insert("host", "evil.example".parse().unwrap());
    all.push(("console foreign".into(), send(&console.router, foreign).await));
    all
}

fn is_page(answer: &Answer) -> bool {
    answer.header("content-type").starts_with("text/html")
}

#[tokio::test]
async fn every_answer_carries_every_header() {
    for (path, answer) in answers(Kept::Usual).await {
        for (name, value) in HEADERS {
            assert_eq!(answer.header(name), value, "{path}");
        }
        let policy = if path.starts_with("console") { CONSOLE_POLICY } else { POLICY };
        assert_eq!(answer.header("content-security-policy"), policy, "{path}");
    }
}

#[tokio::test]
async fn every_page_has_one_title_one_first_heading_a_language_and_its_landmarks() {
    let mut pages = 0;
    for kept in [Kept::Nothing, Kept::Usual, Kept::Hostile, Kept::Many(200)] {
        for (path, answer) in answers(kept).await.into_iter().filter(|(_, answer)| is_page(answer)) {
            pages += 1;
            for (mark, times) in
                [("<h1", 1), ("<main", 1), ("<title>", 1), ("<html lang=\"", 1), ("class=\"skip\"", 1)]
            {
                assert_eq!(answer.body.matches(mark).count(), times, "{mark} on {path}");
            }
            answer.says_not("<title></title>");
            headings_descend(&path, &answer.body);
            ids_are_unique(&path, &answer.body);
        }
    }
    assert!(pages > 100, "looked at {pages} pages only");
}

/// No level is left out on the way down.
fn headings_descend(path: &str, body: &str) {
    let mut above = 0;
    let levels = body.split("<h").skip(1).filter_map(|rest| rest.chars().next()?.to_digit(10));
    for level in levels {
        assert!(level <= above + 1, "a heading {level} after {above} on {path}");
        above = level;
    }
}

fn ids_are_unique(path: &str, body: &str) {
    let mut ids: Vec<&str> = body.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(all, ids.len(), "an id twice on {path}");
}

#[tokio::test]
async fn nothing_from_outside_becomes_markup_script_style_or_direction() {
    let mut hostile = 0;
    for kept in [Kept::Usual, Kept::Hostile] {
        for (path, answer) in answers(kept).await.into_iter().filter(|(_, answer)| is_page(answer)) {
            // The console's own few, from files that are ours.
            let scripts = answer.body.matches("<script type=\"module\" src=\"/assets/").count();
            assert!(
                scripts == 0 || (scripts < 3 && path.starts_with("console")),
                "{scripts} scripts on {path}"
            );
            let lower = answer.body.to_lowercase().replace("<script type=\"module\" src=\"/assets/", "");
            let lower = lower.replace("\"></script>", "");
            for never in
                ["<script", "<img src=x", "javascript:", " style=", "<style", "\0", "\u{202e}", "\u{7}"]
            {
                assert!(!lower.contains(never), "{never:?} on {path}");
            }
            let tags = lower.split('<').skip(1).filter_map(|rest| rest.split('>').next());
            tags.for_each(|tag| assert!(!tag.contains(" on"), "<{tag}> on {path}"));
            hostile += usize::from(lower.contains("&#60;script&#62;"));
        }
    }
    assert!(hostile > 12, "only {hostile} pages showed what is hostile");
}

#[tokio::test]
async fn lists_have_at_most_seven_columns() {
    for (path, answer) in answers(Kept::Usual).await {
        for head in answer.body.split("<thead>").skip(1).filter_map(|rest| rest.split("</thead>").next()) {
            assert!(head.matches("<th ").count() <= 7, "{path}");
        }
    }
}

#[tokio::test]
async fn the_style_sheet_is_kept_for_ever_under_its_hash() {
    let (_, router) = portal(Kept::Usual);
    let page = get(&router, "/").await;
    let path = page.body.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let sheet = get(&router, path).await;
    assert_eq!(sheet.header("content-type"), "text/css; charset=utf-8");
    assert!(sheet.header("cache-control").contains("immutable"));
    sheet.says(":focus-visible");
    for (name, value) in HEADERS.into_iter().filter(|(name, _)| *name != "cache-control") {
        assert_eq!(sheet.header(name), value);
    }
    let icon = get(&router, "/favicon.ico").await;
    assert_eq!((icon.status.as_u16(), icon.header("content-type")), (200, "image/svg+xml"));
    let console = noroshi_portal::console(
        std::sync::Arc::new(InMemory::new(Kept::Usual)),
        std::sync::Arc::new(super::door::InMemoryDoor::default()),
        noroshi_portal::ConsoleKey::random().unwrap(),
    )
    .unwrap();
    assert_eq!(get(&console, path).await.status.as_u16(), 200, "the locked page needs its looks too");
}
