//! HTTP listeners, bounded in what somebody who connects can take: so many connections at once, so long for the head of a request, so long
//! between two pieces of its body, so long for taking what is answered. Answers themselves may take any time: some pages are live.
//!
//! A connection is an open file, and so is the database; so a listener takes an eighth of those that the process may have at most.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower_http::timeout::TimeoutBody;

/// Bytes of a request's head at most.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Pause when nobody can be let in: mostly for want of file descriptors.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What somebody who connects can take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Connections at once. Those beyond wait in the system's queue.
    connections: usize,
    /// Time for the head of a request, from when it may begin.
    head: Duration,
    /// Time between two pieces of its body.
    body: Duration,
    /// Time in which something of what was sent is taken.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux is told"))]
    taking: Duration,
}

const LIMITS: Limits = Limits {
    connections: 4096,
    head: Duration::from_secs(15),
    body: Duration::from_secs(30),
    taking: Duration::from_secs(60),
};

/// Open files that are wished for; many systems begin with 1,024, for programs that wait by `select`, and allow more to who asks.
const FILES: u64 = 1 << 16;

/// Serves until the program ends.
pub async fn serve(listener: TcpListener, router: Router) {
    let eighth = usize::try_from(files() / 8).unwrap_or(usize::MAX);
    let limits = Limits { connections: LIMITS.connections.min(eighth).max(1), ..LIMITS };
    serve_within(limits, listener, router).await;
}

/// How many files the process may have open: more than before, where that is allowed.
fn files() -> u64 {
    let Ok((now, most)) = getrlimit(Resource::RLIMIT_NOFILE) else { return FILES };
    let wished = most.min(FILES);
    if now < wished && setrlimit(Resource::RLIMIT_NOFILE, wished, most).is_ok() { wished } else { now }
}

async fn serve_within(limits: Limits, listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(limits.connections));
    // It is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                tracing::warn!("nobody can be let in: {error}");
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            }
        };
        let router = router.clone();
        tokio::spawn(async move {
            if let Err(error) = connection(limits, stream, from, router).await {
                tracing::debug!(%from, "a connection: {error}");
            }
            drop(place);
        });
    }
}

async fn connection(
    limits: Limits,
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
) -> hyper::Result<()> {
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, limits.taking.as_millis() as u32);
    let _ = stream.set_nodelay(true);
    let pages = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(|body| TimeoutBody::new(limits.body, body));
        request.extensions_mut().insert(ConnectInfo(from));
        pages.call(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::time::Instant;

    use axum::routing::post;

    use super::*;

    /// Somebody connected, and what is answered to the end of the connection.
    struct Client(std::net::TcpStream);

    impl Client {
        fn of(at: SocketAddr, says: &str) -> Self {
            let mut stream = std::net::TcpStream::connect(at).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream.write_all(says.as_bytes()).unwrap();
            Self(stream)
        }

        fn hears(mut self) -> (String, Duration) {
            let (begun, mut heard) = (Instant::now(), String::new());
            self.0.read_to_string(&mut heard).unwrap();
            (heard, begun.elapsed())
        }
    }

    #[test]
    fn as_many_files_may_be_open_as_the_system_allows_up_to_what_is_wished_for() {
        let (before, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let now = files();
        assert!(now >= before && now >= most.min(FILES), "{before} {now} {most}");
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (now, most));
    }

    #[test]
    fn who_is_slow_loses_the_connection_and_who_waits_for_it_has_it() {
        let limits = Limits {
            connections: 2,
            head: Duration::from_millis(600),
            body: Duration::from_millis(600),
            ..LIMITS
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let at = listener.local_addr().unwrap();
        let router = Router::new().route(
            "/",
            post(|ConnectInfo(from): ConnectInfo<SocketAddr>, body: String| async move {
                format!("{} said {body}", from.ip())
            }),
        );
        runtime.spawn(serve_within(limits, listener, router));

        let whole = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello";
        let (heard, _) = Client::of(at, whole).hears();
        assert!(heard.ends_with("127.0.0.1 said hello"), "{heard}");

        let half_a_head = Client::of(at, &whole[..20]);
        let half_a_body = Client::of(at, &whole[..whole.len() - 2]);
        std::thread::sleep(Duration::from_millis(100));
        let waits = Client::of(at, whole);
        let (heard, took) = waits.hears();
        assert!(heard.ends_with("said hello"), "{heard}");
        assert!(took >= Duration::from_millis(300), "{took:?}: both places were taken");
        assert!(!half_a_head.hears().0.contains("said"));
        assert!(!half_a_body.hears().0.contains("said"));

        // A connection kept for a next request that does not come is a place as well.
        let kept = Client::of(at, &whole.replace("connection: close\r\n", ""));
        let (heard, took) = kept.hears();
        assert!(heard.ends_with("said hello") && took < Duration::from_secs(10), "{heard} {took:?}");
    }
}
