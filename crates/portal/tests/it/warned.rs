//! The page that a browser meets instead of a dangerous site.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use noroshi_portal::{Reason, Warned, WarnedBy, Warner, warned_pages};

use super::{Answer, send};

/// One name is on the list.
#[derive(Default)]
struct OneName(Mutex<Vec<(IpAddr, String)>>);

impl Warner for OneName {
    fn warned(&self, _: IpAddr, host: &str, wanted: &str) -> Option<Warned> {
        (host == "bad.example" || (host, wanted) == ("shared.example", "/bad?x=1")).then(|| Warned {
            reason: Reason::Phishing,
            listed_by: Some("<b>List</b>".into()),
            since: "2026-11-20T03:12:00Z".parse().ok(),
            by_consent: true,
            token: "right".into(),
            minutes: 60,
        })
    }

    fn go_on(&self, client: IpAddr, host: &str, token: &str) -> bool {
        self.0.lock().unwrap().push((client, host.to_owned()));
        token == "right"
    }
}

struct World {
    warner: Arc<OneName>,
    router: Router,
}

impl World {
    fn new() -> Self {
        let warner = Arc::new(OneName::default());
        let by = WarnedBy {
            operator: "例示通信".into(),
            desk: "0120-000-000".into(),
            contacts: vec!["mailto:lists@isp.example".into()],
        };
        let texts = Arc::new(noroshi_portal::subscriber::texts().unwrap());
        Self { router: warned_pages(warner.clone(), by, texts, 10_000), warner }
    }

    async fn send(&self, method: &str, path: &str, host: &str, accept: &str, body: &str) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host)
            .header(header::ACCEPT, accept)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let from: SocketAddr = "192.0.2.7:40000".parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(from));
        send(&self.router, request).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "bad.example", "text/html,*/*", "").await
    }
}

#[tokio::test]
async fn it_says_what_why_who_and_how_to_object_and_loads_nothing() {
    let world = World::new();
    let page = world.get("/login?x=1").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    for text in [
        "bad[.]example",
        "フィッシング",
        "&#60;b&#62;List&#60;/b&#62;",
        "2026-11-20 12:12 JST",
        "60 分間",
        "mailto:lists@isp.example",
        "0120-000-000",
        "同意はいつでも取り消せます",
        "action=\"/.noroshi-warning/go-on/%2Flogin%3Fx%3D1\"",
    ] {
        page.says(text);
    }
    for loaded in ["<script", "<img", "src=", "rel=\"stylesheet\"", "href=\"http"] {
        page.says_not(loaded);
    }
    assert_eq!(page.header("cache-control"), "no-store");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("style-src 'sha256-") && policy.contains("frame-ancestors 'none'"), "{policy}");
}

#[tokio::test]
async fn its_own_looks_are_those_that_its_policy_names() {
    let page = World::new().get("/").await;
    let css = page.body.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = data_encoding::BASE64.encode(&noroshi_law::evidence::Digest::of(css.as_bytes()).0);
    assert!(page.header("content-security-policy").contains(&hash));
}

#[tokio::test]
async fn another_language_is_chosen_on_it_and_leads_to_the_same_place() {
    let world = World::new();
    let there = "/.noroshi-warning/page/%2Flogin%3Fx%3D1";
    world.get("/login?x=1").await.says(&format!("href=\"{there}?lang=en\""));
    let english = world.get(&format!("{there}?lang=en")).await;
    english.says("It is said to look like a real site");
    english.says("action=\"/.noroshi-warning/go-on/%2Flogin%3Fx%3D1?lang=en\"");
}

#[tokio::test]
async fn the_button_lets_this_client_go_on_to_where_it_wanted() {
    let world = World::new();
    let press = async |token: &str| {
        let path = "/.noroshi-warning/go-on/%2Flogin%3Fx%3D1?lang=en";
        world.send("POST", path, "bad.example:80", "text/html", &format!("token={token}")).await
    };
    let gone_on = press("right").await;
    assert_eq!((gone_on.status, gone_on.header("location")), (StatusCode::SEE_OTHER, "/login?x=1"));
    assert_eq!(
        *world.warner.0.lock().unwrap(),
        [("192.0.2.7".parse::<IpAddr>().unwrap(), "bad.example".to_owned())]
    );
    let again = press("wrong").await;
    assert_eq!(again.status, StatusCode::FORBIDDEN);
    again.says("go-on/%2Flogin%3Fx%3D1");
    let looked = world.get("/.noroshi-warning/go-on/%2Flogin?lang=en").await;
    assert_eq!(looked.status, StatusCode::FORBIDDEN, "looking at its address does nothing");
    assert_eq!(world.warner.0.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_program_gets_no_page_and_a_name_on_no_list_no_warning() {
    let world = World::new();
    let program = world.send("GET", "/x.js", "bad.example", "*/*", "").await;
    assert_eq!(
        (program.status, program.header("content-type")),
        (StatusCode::FORBIDDEN, "text/plain; charset=utf-8")
    );
    let form = world.send("POST", "/login", "bad.example", "text/html", "password=secret").await;
    assert_eq!(form.status, StatusCode::FORBIDDEN);
    form.says_not("secret");
    let page = world.send("GET", "/bad?x=1", "shared.example", "text/html", "").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "a page of a host that is on no list");
    for host in ["good.example", "192.0.2.1", "shared.example"] {
        let other = world.send("GET", "/", host, "text/html", "").await;
        assert_eq!(other.status, StatusCode::NOT_FOUND);
        other.says("このサイトについてのお知らせはありません");
        other.says_not("go-on");
    }
}
