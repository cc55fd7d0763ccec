//! Connections of proxies: one message after the other, each answered before the next is read.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use hyper::service::Service;
use hyper::{Request, Response};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{HEAD_OCTETS_MAX, Head, Judge, Judged, Method, Requested, chunk_octets};
use crate::client::Access;

/// Connections at most; a proxy has some dozens.
const CONNECTIONS_MAX: usize = 1_000;
/// How long a connection may be without a message.
const IDLE: Duration = Duration::from_secs(120);
/// How long a message may take once it has begun, and an answer to be taken.
const MESSAGE: Duration = Duration::from_secs(20);
/// Seconds for which a proxy believes what the service can do.
const OPTIONS_S: u32 = 3600;
/// Octets of a body that is sent to the page at most.
const BODY_OCTETS_MAX: usize = 64 << 10;
/// Octets of a chunk's first line at most.
const CHUNK_LINE_OCTETS_MAX: u64 = 256;
/// Octets of a body that is let pass unread at most, where there is no preview.
const PASSED_OCTETS_MAX: usize = 1 << 30;

/// Whatever answers requests instead of the site.
pub trait Answer<B>:
    Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<B, S> Answer<B> for S where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Serves proxies of networks that may ask, as long as the program runs.
///
/// # Errors
///
/// Whatever the kernel says of the socket.
pub async fn serve<B>(
    socket: std::net::TcpListener,
    access: Access,
    judge: Arc<dyn Judge>,
    page: impl Answer<B>,
) -> io::Result<()>
where
    B: Body<Data: Send, Error: std::fmt::Debug> + Send + 'static,
{
    let listener = TcpListener::from_std(socket)?;
    let places = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if access.of(from.ip()).is_none() {
            tracing::warn!(%from, "somebody who is no proxy of ours");
            continue;
        }
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let _ = stream.set_nodelay(true);
        let (judge, page) = (Arc::clone(&judge), page.clone());
        tokio::spawn(async move {
            let mut proxy = Proxy { stream: BufReader::with_capacity(16 << 10, stream), from };
            if let Err(error) = proxy.messages(&*judge, &page).await {
                tracing::debug!(%from, %error, "icap");
            }
            drop(place);
        });
    }
}

/// A proxy that asks.
struct Proxy {
    stream: BufReader<TcpStream>,
    from: SocketAddr,
}

impl Proxy {
    async fn messages<B>(&mut self, judge: &dyn Judge, page: &impl Answer<B>) -> io::Result<()>
    where
        B: Body<Data: Send, Error: std::fmt::Debug> + Send + 'static,
    {
        loop {
            let Some(head) = self.head(judge).await? else { return Ok(()) };
            let answered = self.message(&head, judge, page);
            if timeout(MESSAGE, answered).await?? == Then::Close || head.closes {
                return self.stream.get_mut().shutdown().await;
            }
        }
    }

    /// The next message's head; `None` at the end.
    async fn head(&mut self, judge: &dyn Judge) -> io::Result<Option<Head>> {
        let mut octets = Vec::with_capacity(1024);
        // Until the first line there is no hurry.
        let begun = timeout(IDLE, self.stream.fill_buf()).await??;
        if begun.is_empty() {
            return Ok(None);
        }
        let whole = async {
            loop {
                let left = (HEAD_OCTETS_MAX - octets.len().min(HEAD_OCTETS_MAX)) as u64;
                if (&mut self.stream).take(left).read_until(b'\n', &mut octets).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                match Head::read(&octets) {
                    Ok(None) => {}
                    found => return Ok::<_, io::Error>(found),
                }
            }
        };
        match timeout(MESSAGE, whole).await?? {
            Ok(head) => Ok(head),
            Err(bad) => {
                self.say(&format!("ICAP/1.0 {bad}\r\n{}Connection: close\r\n\r\n", tag(judge))).await?;
                Ok(None)
            }
        }
    }

    async fn message<B>(&mut self, head: &Head, judge: &dyn Judge, page: &impl Answer<B>) -> io::Result<Then>
    where
        B: Body<Data: Send, Error: std::fmt::Debug> + Send + 'static,
    {
        if head.method == Method::Options {
            let (tag, service) = (tag(judge), "Service: noroshi\r\n");
            self.say(&format!(
                "ICAP/1.0 200 OK\r\nMethods: REQMOD\r\n{service}{tag}Max-Connections: {CONNECTIONS_MAX}\r\nOptions-TTL: {OPTIONS_S}\r\n\
                 Allow: 204\r\nPreview: 0\r\nTransfer-Preview: *\r\nEncapsulated: null-body=0\r\n\r\n"
            ))
            .await?;
            return Ok(Then::Next);
        }
        let mut request = vec![0; head.request_octets];
        self.stream.read_exact(&mut request).await?;
        let requested = match Requested::read(&request) {
            Ok(requested) => requested,
            Err(bad) => {
                self.say(&format!("ICAP/1.0 {bad}\r\n{}Connection: close\r\n\r\n", tag(judge))).await?;
                return Ok(Then::Close);
            }
        };
        // Nobody is judged whom the proxy does not name.
        let client = head.client.unwrap_or_else(|| self.from.ip());
        match judge.judge(client, &requested) {
            Judged::Pass => self.pass(head, &request, judge).await,
            Judged::Page => {
                let body = self.body(head).await?;
                let answer = answer(page, client, &requested, body).await?;
                self.instead(&answer, judge).await
            }
            Judged::Refused => {
                self.drain(head).await?;
                self.instead(&refusal(), judge).await
            }
        }
    }

    /// "No change".
    async fn pass(&mut self, head: &Head, request: &[u8], judge: &dyn Judge) -> io::Result<Then> {
        if head.allows_204 || head.preview {
            self.drain(head).await?;
            self.say(&format!("ICAP/1.0 204 No modifications needed\r\n{}\r\n", tag(judge))).await?;
            return Ok(Then::Next);
        }
        // A proxy that does not take that gets its request back.
        let kind = if head.has_body { "req-body" } else { "null-body" };
        let mut back = format!(
            "ICAP/1.0 200 OK\r\n{}Encapsulated: req-hdr=0, {kind}={}\r\n\r\n",
            tag(judge),
            request.len()
        )
        .into_bytes();
        back.extend_from_slice(request);
        self.stream.get_mut().write_all(&back).await?;
        if head.has_body {
            let mut passed = 0;
            while let Some(chunk) = self.chunk(&mut passed, PASSED_OCTETS_MAX).await? {
                let framed = [format!("{:x}\r\n", chunk.len()).as_bytes(), &chunk, b"\r\n"].concat();
                self.stream.get_mut().write_all(&framed).await?;
            }
            self.stream.get_mut().write_all(b"0\r\n\r\n").await?;
        }
        Ok(Then::Next)
    }

    /// Another answer than the site's.
    async fn instead(&mut self, answer: &(String, Bytes), judge: &dyn Judge) -> io::Result<Then> {
        let (head, body) = answer;
        let mut said = format!(
            "ICAP/1.0 200 OK\r\n{}Encapsulated: res-hdr=0, res-body={}\r\n\r\n{head}",
            tag(judge),
            head.len()
        )
        .into_bytes();
        if !body.is_empty() {
            said.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
            said.extend_from_slice(body);
            said.extend_from_slice(b"\r\n");
        }
        said.extend_from_slice(b"0\r\n\r\n");
        self.stream.get_mut().write_all(&said).await?;
        Ok(Then::Next)
    }

    /// The whole body, whose rest is asked for where only its beginning came.
    async fn body(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if !head.has_body {
            return Ok(body);
        }
        let mut octets = 0;
        let mut whole = false;
        while let Some(chunk) = self.chunk_or_end(&mut octets, BODY_OCTETS_MAX, &mut whole).await? {
            body.extend_from_slice(&chunk);
        }
        if head.preview && !whole {
            self.say("ICAP/1.0 100 Continue\r\n\r\n").await?;
            while let Some(chunk) = self.chunk(&mut octets, BODY_OCTETS_MAX).await? {
                body.extend_from_slice(&chunk);
            }
        }
        Ok(body)
    }

    /// Reads what of the body comes in any case.
    async fn drain(&mut self, head: &Head) -> io::Result<()> {
        let mut octets = 0;
        while head.has_body && self.chunk(&mut octets, PASSED_OCTETS_MAX).await?.is_some() {}
        Ok(())
    }

    async fn chunk(&mut self, octets: &mut usize, most: usize) -> io::Result<Option<Vec<u8>>> {
        self.chunk_or_end(octets, most, &mut false).await
    }

    /// A chunk; `None` after the last, and then whether the body's beginning was all of it.
    async fn chunk_or_end(
        &mut self,
        octets: &mut usize,
        most: usize,
        whole: &mut bool,
    ) -> io::Result<Option<Vec<u8>>> {
        let line = self.line().await?;
        let size = chunk_octets(&line).map_err(io::Error::other)?;
        *octets = octets.saturating_add(size);
        if *octets > most {
            return Err(io::Error::other("a body is too long"));
        }
        if size == 0 {
            *whole = line.windows(4).any(|at| at == b"ieof");
            // Trailers, of which nobody makes use.
            while !self.line().await?.is_empty() {}
            return Ok(None);
        }
        let mut chunk = vec![0; size.min(BODY_OCTETS_MAX.max(most.min(1 << 20)))];
        if chunk.len() < size {
            return Err(io::Error::other("a chunk is too long"));
        }
        self.stream.read_exact(&mut chunk).await?;
        if !self.line().await?.is_empty() {
            return Err(io::Error::other("a chunk is longer than it says"));
        }
        Ok(Some(chunk))
    }

    /// A line without its end.
    async fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.stream).take(CHUNK_LINE_OCTETS_MAX).read_until(b'\n', &mut line).await?;
        let line = line.strip_suffix(b"\r\n").ok_or_else(|| io::Error::other("a line without its end"))?;
        Ok(line.to_vec())
    }

    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(text.as_bytes()).await
    }
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Next,
    Close,
}

/// The header that says whether what was answered before still holds (section 4.7).
fn tag(judge: &dyn Judge) -> String {
    format!("ISTag: \"{}\"\r\n", judge.version())
}

/// The page's answer, as a head and a body.
async fn answer<B>(
    page: &impl Answer<B>,
    client: IpAddr,
    requested: &Requested<'_>,
    body: Vec<u8>,
) -> io::Result<(String, Bytes)>
where
    B: Body<Data: Send, Error: std::fmt::Debug> + Send + 'static,
{
    let path = if requested.path.starts_with('/') {
        requested.path.to_owned()
    } else {
        format!("/{}", requested.path)
    };
    let mut request = Request::builder().method(requested.method).uri(path);
    for (name, value) in requested.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
        request = request.header(*name, *value);
    }
    request = request.header(hyper::header::HOST, requested.host.as_str());
    let mut request = request.body(Full::new(Bytes::from(body))).map_err(io::Error::other)?;
    request.extensions_mut().insert(SocketAddr::new(client, 0));
    let Ok(response) = page.call(request).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| io::Error::other(format!("{error:?}")))?.to_bytes();
    let mut head = format!("HTTP/1.1 {}\r\n", parts.status);
    for (name, value) in &parts.headers {
        if name != hyper::header::CONTENT_LENGTH
            && let Ok(value) = value.to_str()
        {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    Ok((head, body))
}

/// For what is refused without a page.
fn refusal() -> (String, Bytes) {
    const TEXT: &str = "一覧に載っているため、止められました。\nStopped: this is on a list.\n";
    let head = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nContent-Length: {}\r\n\r\n",
        TEXT.len()
    );
    (head, Bytes::from_static(TEXT.as_bytes()))
}
