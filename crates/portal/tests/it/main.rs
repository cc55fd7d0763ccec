//! The pages as a browser gets them, over a desk in memory.

#![expect(clippy::unwrap_used, reason = "a test may stop at once")]

mod acts;
mod desk;
mod door;
mod every_page;
mod operator;
mod sites;
mod subscriber;
mod telescopes;
mod warned;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use desk::{InMemory, Kept};
use http_body_util::BodyExt as _;
use noroshi_portal::{ConsoleKey, console, subscriber_pages};
use tower::ServiceExt as _;

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), "application/json; charset=utf-8");
        serde_json::from_str(&self.body).unwrap()
    }

    #[track_caller]
    fn says(&self, text: &str) {
        assert!(self.body.contains(text), "lacks {text:?}:\n{}", self.body);
    }

    #[track_caller]
    fn says_not(&self, text: &str) {
        assert!(!self.body.contains(text), "holds {text:?}:\n{}", self.body);
    }
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

fn request(method: &str, path: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "127.0.0.1:8081")
        .body(Body::empty())
        .unwrap()
}

async fn get(router: &Router, path: &str) -> Answer {
    send(router, request("GET", path)).await
}

async fn post(router: &Router, path: &str) -> Answer {
    send(router, request("POST", path)).await
}

fn portal(kept: Kept) -> (Arc<InMemory>, Router) {
    let desk = Arc::new(InMemory::new(kept));
    let router =
        subscriber_pages(desk.clone(), Arc::new(noroshi_portal::subscriber::texts().unwrap()), 10_000);
    (desk, router)
}

/// A console with the key already used: requests through it carry the session.
struct LoggedIn {
    router: Router,
    cookie: String,
}

impl LoggedIn {
    async fn new(desk: InMemory) -> Self {
        let key = ConsoleKey::random().unwrap();
        let router = console(Arc::new(desk), Arc::new(door::InMemoryDoor::default()), key.clone()).unwrap();
        let answer = get(&router, &key.login_path()).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/"));
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        Self { router, cookie }
    }

    async fn send(&self, method: &str, path: &str) -> Answer {
        let mut request = request(method, path);
        request.headers_mut().insert(header::COOKIE, self.cookie.parse().unwrap());
        request.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
        send(&self.router, request).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path).await
    }
}
