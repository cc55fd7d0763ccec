//! Reports that others send: `POST /feeds/NAME` with a key, on a listener of its own.
//!
//! ```text
//!   202  it is durable here and will be taken in; the answer has its id
//!   200  it was taken in; with its counts (asked for with `Prefer: wait=SECONDS`, RFC 7240)
//!   401  no key, or not one of this source's          408  nothing came for a while
//!   404  there is no such source                       413  longer than the source's max-bytes
//!   422  it was taken but cannot be read (with `wait`) 429  more waits to be taken in than may wait: come back
//!   503  too many send at once, or the disk is full: come back
//! ```
//!
//! 202 and not the counts is the rule, because taking in a large report takes longer than a sender should hold a
//! connection, and nothing can get lost from here on. What is behind (a slow store) fills the spool and turns into 429.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http_body_util::BodyExt as _;
use noroshi_model::Tally;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::settings::{Origin, Source};
use super::spool::{Meta, Spool, SpoolError, Spooled, WAITING_MAX, Writing};
use super::web::plain_name;
use super::{Works, held, keys};
use crate::http;

/// Reports received at a time.
const UPLOADS_MAX: usize = 32;
/// Longest silence of a sender.
const SILENCE: Duration = Duration::from_secs(30);
/// Longest sending.
const SENDING_MAX: Duration = Duration::from_secs(3600);
/// Longest wait for the counts.
const WAIT_MAX_S: u64 = 60;
/// Bytes that may wait in a source's spool, in times of its `max-bytes`.
const WAITING_TIMES: u64 = 4;
/// Pieces of a body between the network and the disk.
const PIECES: usize = 8;
/// After how many seconds a sender may try again.
const COME_BACK_S: &str = "30";

#[derive(Clone)]
struct Door {
    works: Arc<Works>,
    uploads: Arc<Semaphore>,
}

/// Serves on a thread of its own; the address.
pub fn serve(works: Arc<Works>, listen: SocketAddr) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).with_context(|| format!("push cannot listen on {listen}"))?;
    let at = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let door = Door { works, uploads: Arc::new(Semaphore::new(UPLOADS_MAX)) };
    let router = Router::new().route("/feeds/{name}", post(take)).with_state(door);
    std::thread::Builder::new().name("push".into()).spawn(move || {
        runtime.block_on(async move {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => http::serve(listener, router).await,
                Err(e) => tracing::error!("the push listener cannot be used: {e}"),
            }
        });
    })?;
    Ok(at)
}

/// What is answered instead of taking it.
struct Turned(StatusCode, String);

impl Turned {
    fn away(status: StatusCode, why: impl Into<String>) -> Self {
        Self(status, why.into())
    }

    fn broken(why: &anyhow::Error) -> Self {
        tracing::error!("push: {why:#}");
        Self::away(StatusCode::SERVICE_UNAVAILABLE, "it cannot be kept now")
    }
}

impl From<SpoolError> for Turned {
    fn from(e: SpoolError) -> Self {
        match e {
            SpoolError::TooLarge(_) => Self::away(StatusCode::PAYLOAD_TOO_LARGE, e.to_string()),
            SpoolError::Io(_) => Self::broken(&e.into()),
        }
    }
}

async fn take(
    State(door): State<Door>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match timeout(SENDING_MAX, receive(&door, &name, &query, &headers, body)).await {
        Ok(Ok((status, text))) => answer(status, &text),
        Ok(Err(Turned(status, why))) => answer(status, &json!({ "error": why })),
        Err(_) => answer(StatusCode::REQUEST_TIMEOUT, &json!({ "error": "it took too long" })),
    }
}

fn answer(status: StatusCode, text: &serde_json::Value) -> Response {
    let mut response = (status, format!("{text}\n")).into_response();
    let headers = response.headers_mut();
    let mut set = |name, value: &'static str| {
        headers.insert(name, header::HeaderValue::from_static(value));
    };
    set(header::CONTENT_TYPE, "application/json");
    set(header::CACHE_CONTROL, "no-store");
    match status {
        StatusCode::UNAUTHORIZED => set(header::WWW_AUTHENTICATE, "Bearer realm=\"noroshi\""),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            set(header::RETRY_AFTER, COME_BACK_S);
        }
        _ => {}
    }
    response
}

async fn receive(
    door: &Door,
    name: &str,
    query: &HashMap<String, String>,
    headers: &HeaderMap,
    body: Body,
) -> Result<(StatusCode, serde_json::Value), Turned> {
    let busy = |_| Turned::away(StatusCode::SERVICE_UNAVAILABLE, "too many send at once");
    let _seat = door.uploads.try_acquire().map_err(busy)?;
    let text = |name| headers.get(name).and_then(|v: &header::HeaderValue| v.to_str().ok());
    let key = text(header::AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().to_owned())
    });
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let wait = headers.get("prefer").and_then(|v| v.to_str().ok()).and_then(wished);

    let (works, of) = (Arc::clone(&door.works), name.to_owned());
    let admitted = spawn_blocking(move || admit(&works, &of, key.as_deref(), length)).await;
    let writing = admitted.map_err(|e| Turned::broken(&e.into()))??;
    let id = writing.id().to_owned();
    let told = wait.map(|_| {
        let (tell, told) = oneshot::channel();
        held(&door.works.waiting).insert(id.clone(), tell);
        told
    });
    let meta = Meta {
        file_name: query.get("file-name").and_then(|name| plain_name(name)),
        at: door.works.house.clock.now(),
        ..Meta::default()
    };
    let written = write(writing, meta, body).await;
    if written.is_err() {
        held(&door.works.waiting).remove(&id);
    }
    let spooled = written?;
    door.works.kick(name);
    let accepted = json!({ "id": id, "bytes": spooled.bytes });
    let (Some(told), Some(wait)) = (told, wait) else { return Ok((StatusCode::ACCEPTED, accepted)) };
    let ended = timeout(wait, told).await;
    held(&door.works.waiting).remove(&id);
    match ended {
        Ok(Ok(Ok(counts))) => Ok((StatusCode::OK, taken(&id, spooled.bytes, counts))),
        Ok(Ok(Err(why))) => {
            tracing::error!(source = name, "{why}");
            Err(Turned::away(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("kept as {id}, but it cannot be read"),
            ))
        }
        // It will be taken in later.
        Ok(Err(_)) | Err(_) => Ok((StatusCode::ACCEPTED, accepted)),
    }
}

fn taken(id: &str, bytes: u64, counts: Tally) -> serde_json::Value {
    json!({
        "id": id, "bytes": bytes, "read": counts.read, "stored": counts.stored, "duplicate": counts.duplicate,
        "filtered": counts.filtered, "quarantined": counts.quarantined,
    })
}

/// `Prefer: wait=10`, among others.
fn wished(prefer: &str) -> Option<Duration> {
    let wait = prefer.split([',', ';']).find_map(|wish| wish.trim().strip_prefix("wait="))?;
    Some(Duration::from_secs(wait.trim().parse::<u64>().ok()?.min(WAIT_MAX_S)))
}

/// Who sends, to what, and whether there is room.
fn admit(works: &Works, name: &str, key: Option<&str>, length: Option<u64>) -> Result<Writing, Turned> {
    let data_dir = &works.house.config.data_dir;
    let sources = &works.house.config.sources;
    let source: Option<&Source> =
        sources.get(name).map(|(_, s)| s).filter(|s| matches!(s.origin, Origin::Push));
    let Some(source) = source else {
        return Err(Turned::away(StatusCode::NOT_FOUND, "there is no such feed"));
    };
    let fits = key.map(|key| keys::fits(data_dir, name, key)).transpose().map_err(|e| Turned::broken(&e))?;
    if fits != Some(true) {
        let why = "Authorization: Bearer KEY, with a key made by `noroshi source key`";
        return Err(Turned::away(StatusCode::UNAUTHORIZED, why));
    }
    if length.is_some_and(|length| length > source.max_bytes) {
        return Err(SpoolError::TooLarge(source.max_bytes).into());
    }
    let spool = Spool::open(data_dir, name).map_err(|e| Turned::broken(&e))?;
    let (count, bytes) = spool.held().map_err(|e| Turned::broken(&e))?;
    let most = source.max_bytes.saturating_mul(WAITING_TIMES);
    if count >= WAITING_MAX || bytes.saturating_add(length.unwrap_or(0)) > most {
        let why = format!("{count} reports with {bytes} bytes wait to be taken in");
        return Err(Turned::away(StatusCode::TOO_MANY_REQUESTS, why));
    }
    Ok(spool.begin(works.house.clock.now(), source.max_bytes)?)
}

/// Lets the body flow to the disk, no faster than that takes it, and makes it durable.
async fn write(mut writing: Writing, meta: Meta, mut body: Body) -> Result<Spooled, Turned> {
    let (give, mut pieces) = mpsc::channel::<Option<Bytes>>(PIECES);
    let writer = spawn_blocking(move || {
        while let Some(piece) = pieces.blocking_recv() {
            match piece {
                Some(bytes) => writing.add(&bytes)?,
                None => return writing.finish(meta).map(Some),
            }
        }
        // The sender went away in the middle.
        Ok(None)
    });
    let mut torn = None;
    loop {
        let piece = match timeout(SILENCE, body.frame()).await {
            Ok(None) => None,
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) => Some(bytes),
                // Trailers.
                Err(_) => continue,
            },
            Ok(Some(Err(e))) => {
                torn = Some(Turned::away(StatusCode::BAD_REQUEST, format!("it broke off: {e}")));
                break;
            }
            Err(_) => {
                torn = Some(Turned::away(StatusCode::REQUEST_TIMEOUT, "nothing came for a while"));
                break;
            }
        };
        let last = piece.is_none();
        // A writer that is gone says why below.
        if give.send(piece).await.is_err() || last {
            break;
        }
    }
    drop(give);
    let written = writer.await.map_err(|e| Turned::broken(&e.into()))?;
    match (torn, written?) {
        (Some(torn), _) => Err(torn),
        (None, Some(spooled)) => Ok(spooled),
        (None, None) => Err(Turned::away(StatusCode::BAD_REQUEST, "it broke off")),
    }
}
