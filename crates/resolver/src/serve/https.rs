//! DNS over HTTPS (RFC 8484): a message as a request's body, or in its address, over HTTP/2 or HTTP/1.1.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::{IDLE, MESSAGE, Serving, UNDER_WAY_MAX};
use crate::client::Transport;
use crate::message::{Query, Unasked, holds_s};

/// What a message in a request or response is called.
const MEDIA_TYPE: &str = "application/dns-message";
/// Octets of a request's header at most.
const HEADER_OCTETS_MAX: usize = 16 << 10;
/// Octets of a question at most.
const QUESTION_OCTETS_MAX: usize = 4096;

/// Serves requests for `path` to the connection's end.
pub(super) async fn requests(
    serving: &Serving,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    from: SocketAddr,
    path: Arc<str>,
) -> io::Result<()> {
    let asked = Arc::new(AtomicBool::new(false));
    let service = service_fn({
        let (serving, asked) = (serving.clone(), Arc::clone(&asked));
        move |request| {
            asked.store(true, Ordering::Relaxed);
            let (serving, path) = (serving.clone(), Arc::clone(&path));
            async move { respond(&serving, from, &path, request).await }
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(HEADER_OCTETS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(UNDER_WAY_MAX as u32)
        .max_header_list_size(HEADER_OCTETS_MAX as u32);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    loop {
        match timeout(IDLE, connection.as_mut()).await {
            Ok(ended) => return ended.map_err(io::Error::other),
            Err(_) if asked.swap(false, Ordering::Relaxed) => {}
            Err(_) => {
                connection.as_mut().graceful_shutdown();
                let _ = timeout(MESSAGE, connection.as_mut()).await;
                return Ok(());
            }
        }
    }
}

/// A request's response; an error, and thereby none at all, where a rule says that there shall be no answer.
async fn respond(
    serving: &Serving,
    from: SocketAddr,
    path: &str,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let question = match question(path, request).await {
        Ok(question) => question,
        Err(status) => return Ok(refused(status)),
    };
    if Query::read(&question).is_err_and(|unasked| unasked == Unasked::Silence) {
        return Ok(refused(StatusCode::BAD_REQUEST));
    }
    let answer = serving.one(&question, from, Transport::Https).await;
    let answer = answer.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionAborted))?;
    // Another client may get another answer, so no cache between may keep it.
    let kept = format!("private, max-age={}", holds_s(&answer).unwrap_or(0));
    let mut response = Response::new(Full::new(answer.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::try_from(kept).map_err(io::Error::other)?);
    Ok(response)
}

/// The message of a request, or why there is none.
async fn question(path: &str, request: Request<Incoming>) -> Result<Bytes, StatusCode> {
    if request.uri().path() != path {
        return Err(StatusCode::NOT_FOUND);
    }
    match *request.method() {
        Method::GET => {
            let mut pairs = request.uri().query().unwrap_or_default().split('&');
            let text = pairs.find_map(|pair| pair.strip_prefix("dns=")).ok_or(StatusCode::BAD_REQUEST)?;
            let question = URL_SAFE_NO_PAD.decode(text).map_err(|_| StatusCode::BAD_REQUEST)?;
            Ok(question.into())
        }
        Method::POST => {
            let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            if !media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case(MEDIA_TYPE)) {
                return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
            let body = Limited::new(request.into_body(), QUESTION_OCTETS_MAX).collect();
            let body = timeout(MESSAGE, body).await.map_err(|_| StatusCode::REQUEST_TIMEOUT)?;
            Ok(body.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?.to_bytes())
        }
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

fn refused(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}
