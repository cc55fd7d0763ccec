//! Where names lead that are warned of: the page that says so, or, for who goes on, the site itself.
//!
//! A browser keeps an address for up to a minute, so after "go on" it comes here once more. Then its connection is carried on to where the
//! name really leads, as it is, so that going on holds at once:
//!
//! ```text
//!   http   head ─▶ Host ──goes on?──▶ relayed to the site's port 80
//!                           └ no ──▶ the page, one request a connection
//!   https  hello ─▶ SNI ──goes on?──▶ relayed to the site's port 443, unopened
//!                           └ no ──▶ refused at once: a page could only be shown with a wrong certificate
//! ```

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::server::Acceptor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::stream::{Connections, next};
use super::{IDLE, MESSAGE, Serving};
use crate::client::Transport;
use crate::heard::Heard;
use crate::message::{Asking, write_question};
use crate::name::Name;
use crate::policy::rule::rtype;
use crate::resolver::AtOnce;

/// Octets of a request's head, or of a TLS hello, at most.
const HEAD_OCTETS_MAX: usize = 16 << 10;
/// Headers of a request at most.
const HEADERS_MAX: usize = 100;
/// How long the site may take to be connected to.
const CONNECT: Duration = Duration::from_secs(5);
/// Addresses of the site that are tried at most.
const TRIED_MAX: usize = 3;

/// What comes in at a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Requests.
    Http,
    /// Connections that nobody reads but the site.
    Https,
}

impl Over {
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Whatever makes the page of a request.
pub trait Page<B>:
    Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<B, S> Page<B> for S where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Which sites connections may be carried on to.
pub type MayReach = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Serves connections at a socket until serving ends. A request has its client's [`SocketAddr`] among its extensions.
///
/// # Errors
///
/// Whatever the kernel says of the socket.
pub async fn serve<B>(
    serving: Serving,
    socket: std::net::TcpListener,
    over: Over,
    page: impl Page<B>,
    may_reach: MayReach,
) -> io::Result<()>
where
    B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let connections = Connections::default();
    let listener = TcpListener::from_std(socket)?;
    while !serving.stops() {
        let Some((stream, from, counted)) = next(&listener, &connections).await else { continue };
        let (serving, page, may_reach) = (serving.clone(), page.clone(), Arc::clone(&may_reach));
        tokio::spawn(async move {
            let met = Met { serving: &serving, from, over, may_reach };
            let _ = match over {
                Over::Http => met.http(stream, page).await,
                Over::Https => met.https(stream).await,
            };
            drop(counted);
        });
    }
    Ok(())
}

/// Somebody who was led here.
struct Met<'s> {
    serving: &'s Serving,
    from: SocketAddr,
    over: Over,
    may_reach: MayReach,
}

impl Met<'_> {
    async fn http<B>(&self, mut stream: TcpStream, page: impl Page<B>) -> io::Result<()>
    where
        B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        let mut head = Vec::with_capacity(2048);
        let host = timeout(IDLE, head_with(&mut stream, &mut head, host_of)).await??;
        if let Some(name) = host
            && let Some(left) = self.goes_on(&name)
        {
            return match self.reach(&name).await {
                Some(site) => relay(stream, &head, site, left).await,
                None => stream.write_all(UNREACHED.as_bytes()).await,
            };
        }
        let (reader, writer) = stream.into_split();
        let whole = TokioIo::new(tokio::io::join(io::Cursor::new(head).chain(reader), writer));
        let from = self.from;
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(from);
            page.call(request)
        });
        let served = http1::Builder::new()
            // Whoever goes on shall find the site with the next request, and not a connection to us.
            .keep_alive(false)
            .timer(TokioTimer::new())
            .header_read_timeout(MESSAGE)
            .max_buf_size(HEAD_OCTETS_MAX)
            .serve_connection(whole, service);
        timeout(IDLE, served).await?.map_err(io::Error::other)
    }

    async fn https(&self, mut stream: TcpStream) -> io::Result<()> {
        let now_s = self.serving.resolver.clock().now_s();
        if self.serving.resolver.exemptions().any(self.from.ip(), now_s) {
            let mut hello = Vec::with_capacity(2048);
            let name = timeout(MESSAGE, head_with(&mut stream, &mut hello, server_name_of)).await??;
            if let Some(name) = name
                && let Some(left) = self.goes_on(&name)
                && let Some(site) = self.reach(&name).await
            {
                return relay(stream, &hello, site, left).await;
            }
        }
        // A reset is what a port gives at which nobody listens.
        stream.set_zero_linger()
    }

    /// For how long this client may still go on to `name`.
    fn goes_on(&self, name: &Name) -> Option<Duration> {
        let resolver = &self.serving.resolver;
        let now_s = resolver.clock().now_s();
        let until_s = resolver.exemptions().until(self.from.ip(), name, now_s)?;
        Some(Duration::from_secs(u64::from(until_s.saturating_sub(now_s))))
    }

    /// A connection to where `name` leads for this client.
    async fn reach(&self, name: &Name) -> Option<TcpStream> {
        let mut addresses = Vec::new();
        for kind in [rtype::A, rtype::AAAA] {
            addresses.extend(self.addresses(name, kind).await);
        }
        addresses.retain(|address| (self.may_reach)(*address));
        for address in addresses.into_iter().take(TRIED_MAX) {
            let site = SocketAddr::new(address, self.over.port());
            if let Ok(Ok(stream)) = timeout(CONNECT, TcpStream::connect(site)).await {
                return Some(stream);
            }
        }
        None
    }

    /// What the resolver tells this client of `name`.
    async fn addresses(&self, name: &Name, kind: u16) -> Vec<IpAddr> {
        let mut question = Vec::new();
        let asking = Asking { rtype: kind, recursion: true, dnssec_ok: false, checking_disabled: false };
        write_question(&mut question, 0, name, asking, crate::exchange::UDP_OCTETS);
        let resolver = &self.serving.resolver;
        let mut answer = Vec::new();
        // Nobody else asked, so nothing is counted.
        let at_once =
            resolver.answer(&resolver.policy(), &question, self.from.ip(), Transport::Tcp, &mut answer);
        if matches!(at_once, AtOnce::Later) {
            let later = resolver.resolve(&question, self.from.ip(), Transport::Tcp).await;
            answer = later.map(|(answer, _)| answer).unwrap_or_default();
        }
        let heard = Heard::read(&answer).unwrap_or_default();
        heard.answer.iter().filter_map(|rr| crate::step::address(rr.rtype, &rr.data)).collect()
    }
}

/// What is said where the site cannot be reached.
const UNREACHED: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n\
    Connection: close\r\n\r\nサイトに接続できません。\nThe site cannot be reached.\n";

/// Carries both ways until both ends have ended, or going on has.
async fn relay(mut client: TcpStream, begun: &[u8], mut site: TcpStream, left: Duration) -> io::Result<()> {
    let _ = site.set_nodelay(true);
    site.write_all(begun).await?;
    timeout(left, tokio::io::copy_bidirectional(&mut client, &mut site)).await??;
    Ok(())
}

/// What was found in the beginning of a stream.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// The name that is asked for; none where none is, or it is no name.
    Name(Option<Box<Name>>),
    /// There must be more.
    More,
}

/// Reads until `find` has found something; what was read is in `head`.
async fn head_with(
    stream: &mut TcpStream,
    head: &mut Vec<u8>,
    find: fn(&[u8]) -> Found,
) -> io::Result<Option<Box<Name>>> {
    while head.len() < HEAD_OCTETS_MAX {
        if stream.read_buf(head).await? == 0 {
            return Ok(None);
        }
        if let Found::Name(name) = find(head) {
            return Ok(name);
        }
    }
    Ok(None)
}

/// The host that a request names.
fn host_of(head: &[u8]) -> Found {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Partial) => Found::More,
        Ok(httparse::Status::Complete(_)) => {
            let mut hosts = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
            Found::Name(match (hosts.next(), hosts.next()) {
                (Some(host), None) => site_name(host.value).map(Box::new),
                _ => None,
            })
        }
        Err(_) => Found::Name(None),
    }
}

/// The name of a site as a request says it, with or without a port; none of an address.
pub fn site_name(host: &[u8]) -> Option<Name> {
    let name = match host.iter().rposition(|octet| *octet == b':') {
        Some(at) if host[at + 1..].iter().all(u8::is_ascii_digit) => &host[..at],
        Some(_) => return None,
        None => host,
    };
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_.".contains(octet);
    let is_address = std::str::from_utf8(name).is_ok_and(|name| name.parse::<IpAddr>().is_ok());
    if name.is_empty() || is_address || !name.iter().all(plain) {
        return None;
    }
    Name::from_text(&name.to_ascii_lowercase(), &Name::ROOT).ok().filter(|name| !name.is_root())
}

/// The name in a TLS client's hello.
fn server_name_of(hello: &[u8]) -> Found {
    let mut acceptor = Acceptor::default();
    let mut rest = hello;
    while !rest.is_empty() {
        if acceptor.read_tls(&mut rest).is_err() {
            return Found::Name(None);
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let hello = accepted.client_hello();
                return Found::Name(
                    hello.server_name().and_then(|name| site_name(name.as_bytes())).map(Box::new),
                );
            }
            Err(_) => return Found::Name(None),
        }
    }
    Found::More
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Found {
        Found::Name(Name::from_text(text.as_bytes(), &Name::ROOT).ok().map(Box::new))
    }

    #[test]
    fn the_host_of_a_request_is_found_once_its_head_is_whole() {
        let head = b"GET /a HTTP/1.1\r\nUser-Agent: x\r\nHost: Bad.Example:80\r\n\r\nbody";
        assert_eq!(host_of(&head[..30]), Found::More);
        assert_eq!(host_of(head), named("bad.example."));
        for (head, why) in [
            ("GET / HTTP/1.1\r\n\r\n", "it has none"),
            ("GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n", "it has two"),
            ("GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n", "an address"),
            ("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "an address"),
            ("GET / HTTP/1.1\r\nHost: a.example:x\r\n\r\n", "no port"),
            ("GET / HTTP/1.1\r\nHost: a\\097.example\r\n\r\n", "no name of a site"),
            ("\x16\x03\x01\x02", "no request"),
        ] {
            assert_eq!(host_of(head.as_bytes()), Found::Name(None), "{why}");
        }
    }

    #[test]
    fn the_name_in_a_hello_is_found_once_it_is_whole() {
        let roots = rustls::RootCertStore::empty();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "www.bad.example".try_into().unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        assert_eq!(server_name_of(&hello), named("www.bad.example."));
        for cut in 1..hello.len() {
            assert_eq!(server_name_of(&hello[..cut]), Found::More, "{cut}");
        }
        assert_eq!(server_name_of(b"GET / HTTP/1.1\r\n"), Found::Name(None));
    }
}
