//! Connections: over TCP and TLS each message comes after its length (RFC 7766, RFC 7858), several at a time, answered as they are ready.
//!
//! A connection costs memory for as long as its client likes, so there are limits: how many there are, from one client too, how long one may be
//! idle, how long a message may take to come in and an answer to go out.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::counts::Batch;
use super::{First, IDLE, LOOK_UP, MESSAGE, Serving, UNDER_WAY_MAX, https};
use crate::client::Transport;

/// Connections at most.
pub const CONNECTIONS_MAX: usize = 4_000;
/// Connections from one address at most.
pub const CONNECTIONS_OF_ONE_MAX: usize = 64;
/// Who is connected, and how often.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection that counts as long as it lives.
#[derive(Debug)]
pub(super) struct Counted(Connections, IpAddr);

impl Connections {
    /// How many there are from an address.
    pub(super) fn of(&self, from: IpAddr) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&from).copied().unwrap_or(0)
    }

    /// One more; `None` when there are too many.
    pub(super) fn one_more(&self, from: IpAddr) -> Option<Counted> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize =
            if all.len() < CONNECTIONS_MAX / CONNECTIONS_OF_ONE_MAX { 0 } else { all.values().sum() };
        let of_one = all.entry(from).or_default();
        if *of_one >= CONNECTIONS_OF_ONE_MAX || total >= CONNECTIONS_MAX {
            if *of_one == 0 {
                all.remove(&from);
            }
            return None;
        }
        *of_one += 1;
        Some(Counted(self.clone(), from))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_one) = all.get_mut(&self.1) {
            *of_one -= 1;
            if *of_one == 0 {
                all.remove(&self.1);
            }
        }
    }
}

/// What a connection carries.
#[derive(Clone)]
pub enum Carried {
    /// Messages as they are.
    Plain,
    /// Messages, encrypted.
    Tls(Arc<ServerConfig>),
    /// Requests for this path, encrypted.
    Https(Arc<ServerConfig>, Arc<str>),
}

/// Serves connections at a socket until serving ends.
///
/// # Errors
///
/// Whatever the kernel says of the socket.
pub async fn serve(serving: Serving, socket: std::net::TcpListener, carried: Carried) -> io::Result<()> {
    let connections = Connections::default();
    let listener = TcpListener::from_std(socket)?;
    while !serving.stops() {
        let Some((stream, from, counted)) = next(&listener, &connections).await else { continue };
        let (serving, carried) = (serving.clone(), carried.clone());
        tokio::spawn(async move {
            let _ = carry(&serving, stream, from, carried).await;
            drop(counted);
        });
    }
    Ok(())
}

/// The next connection; `None` where there was none for a while, or its client has too many.
pub(super) async fn next(
    listener: &TcpListener,
    connections: &Connections,
) -> Option<(TcpStream, SocketAddr, Counted)> {
    let (stream, from) = match timeout(LOOK_UP, listener.accept()).await.ok()? {
        Ok(accepted) => accepted,
        Err(error) => {
            // No descriptors left, or a client that is gone already: others can be served.
            tracing::warn!(%error, "accept");
            tokio::time::sleep(Duration::from_millis(50)).await;
            return None;
        }
    };
    let counted = connections.one_more(from.ip())?;
    let _ = stream.set_nodelay(true);
    Some((stream, from, counted))
}

/// Serves one connection to its end.
async fn carry(serving: &Serving, stream: TcpStream, from: SocketAddr, carried: Carried) -> io::Result<()> {
    match carried {
        Carried::Plain => messages(serving, stream, from, Transport::Tcp).await,
        Carried::Tls(config) => {
            messages(serving, encrypted(stream, config).await?, from, Transport::Tls).await
        }
        Carried::Https(config, path) => {
            https::requests(serving, encrypted(stream, config).await?, from, path).await
        }
    }
}

async fn encrypted(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<TlsStream<TcpStream>> {
    timeout(MESSAGE, TlsAcceptor::from(config).accept(stream)).await?
}

/// Serves messages, each after its length.
async fn messages(
    serving: &Serving,
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    from: SocketAddr,
    transport: Transport,
) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (answers, mut to_write) = mpsc::channel::<Vec<u8>>(UNDER_WAY_MAX);
    let writing = tokio::spawn(async move {
        while let Some(answer) = to_write.recv().await {
            let written = async {
                writer.write_all(&framed(&answer)).await?;
                writer.flush().await
            };
            match timeout(MESSAGE, written).await {
                Ok(Ok(())) => {}
                _ => return,
            }
        }
        let _ = timeout(MESSAGE, writer.shutdown()).await;
    });
    let mut counted = Batch::default();
    while !writing.is_finished() {
        let Ok(Ok(len)) = timeout(IDLE, reader.read_u16()).await else { break };
        let mut question = vec![0; usize::from(len)];
        timeout(MESSAGE, reader.read_exact(&mut question)).await??;
        // As long as there is no place for an answer no question is read.
        let Ok(place) = answers.clone().reserve_owned().await else { break };
        match serving.first(&question, from, transport, &mut counted) {
            First::Answer(answer) => drop(place.send(answer)),
            First::Silence => {}
            First::Give(at) => {
                drop(place);
                give(serving, at, question, from, answers.clone()).await;
            }
            First::Later(waits) => {
                let serving = serving.clone();
                tokio::spawn(async move {
                    if let Some(answer) = serving.later(&question, from, transport, waits).await {
                        place.send(answer);
                    }
                });
            }
        }
        serving.counts.came(transport, &mut counted);
    }
    drop(answers);
    // What is under way is still answered.
    let _ = timeout(IDLE, writing).await;
    Ok(())
}

/// A message after its length.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes(), message].concat()
}

/// Gives a zone to whoever asks, message by message; one zone of a connection at a time.
async fn give(
    serving: &Serving,
    place: usize,
    question: Vec<u8>,
    from: SocketAddr,
    answers: mpsc::Sender<Vec<u8>>,
) {
    let Ok(permit) = Arc::clone(&serving.giving).acquire_owned().await else { return };
    let resolver = Arc::clone(&serving.resolver);
    let given =
        tokio::task::spawn_blocking(move || {
            let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
            let given = resolver.given(place)?;
            Some(given.answer(&question, from.ip(), true, |answer| {
                answers.blocking_send(answer).map_err(|_| gone())
            }))
        });
    if let Ok(Some(Err(error))) = given.await {
        tracing::debug!(%from, %error, "giving a zone");
    }
    drop(permit);
}
