//! TCP, and what runs over a connection: each message after its length (RFC 7766), several at a time, answered as they are ready.
//!
//! A connection costs memory for as long as its client likes, so there are limits: how many there are, from one client too, how long one may be
//! idle, how long a message may take to come in and an answer to go out.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Serving;
use super::counts::Batch;
use crate::resolver::AtOnce;

/// Connections at most.
pub const CONNECTIONS_MAX: usize = 4_000;
/// Connections from one address at most.
pub const CONNECTIONS_OF_ONE_MAX: usize = 64;
/// How long a connection may be without a question.
const IDLE: Duration = Duration::from_secs(20);
/// How long a message may take once its length is there, and an answer to be taken.
const MESSAGE: Duration = Duration::from_secs(3);
/// Questions of one connection that are under way at most.
const UNDER_WAY_MAX: usize = 100;

/// Who is connected, and how often.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection that counts as long as it lives.
#[derive(Debug)]
struct Counted(Connections, IpAddr);

impl Connections {
    /// One more; `None` when there are too many.
    fn one_more(&self, from: IpAddr) -> Option<Counted> {
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

/// Serves TCP at a socket until serving ends.
///
/// # Errors
///
/// Whatever the kernel says of the socket.
pub async fn serve(
    serving: Serving,
    socket: std::net::TcpListener,
    connections: Connections,
) -> io::Result<()> {
    let listener = TcpListener::from_std(socket)?;
    while !serving.stops() {
        let (stream, from) = match timeout(Duration::from_millis(250), listener.accept()).await {
            Err(_) => continue,
            Ok(Ok(accepted)) => accepted,
            Ok(Err(error)) => {
                // No descriptors left, or a client that is gone already: others can be served.
                tracing::warn!(%error, "accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(counted) = connections.one_more(from.ip()) else { continue };
        let _ = stream.set_nodelay(true);
        let serving = serving.clone();
        tokio::spawn(async move {
            let _ = connection(&serving, stream, from).await;
            drop(counted);
        });
    }
    Ok(())
}

/// Serves one connection to its end.
///
/// # Errors
///
/// Whatever ends it.
pub async fn connection(
    serving: &Serving,
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    from: SocketAddr,
) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (answers, mut to_write) = mpsc::channel::<Vec<u8>>(UNDER_WAY_MAX);
    let writing = tokio::spawn(async move {
        while let Some(answer) = to_write.recv().await {
            let len = u16::try_from(answer.len()).unwrap_or(u16::MAX);
            let written = async {
                writer.write_all(&[&len.to_be_bytes(), answer.as_slice()].concat()).await?;
                writer.flush().await
            };
            match timeout(MESSAGE, written).await {
                Ok(Ok(())) => {}
                _ => break,
            }
        }
    });
    let mut counted = Batch::default();
    while !writing.is_finished() {
        let Ok(len) = timeout(IDLE, reader.read_u16()).await else { break };
        let Ok(len) = len else { break };
        let mut question = vec![0; usize::from(len)];
        timeout(MESSAGE, reader.read_exact(&mut question)).await??;
        // As long as there is no place for an answer no question is read.
        let Ok(place) = answers.clone().reserve_owned().await else { break };
        counted.queries += 1;
        let mut answer = Vec::with_capacity(512);
        let at_once = {
            let policy = serving.resolver.policy.load();
            serving.resolver.answer(&policy, &question, from.ip(), true, &mut answer)
        };
        match at_once {
            AtOnce::Answered(told) => {
                counted.at_once += 1;
                told.iter().for_each(|told| counted.told(told));
                place.send(answer);
            }
            AtOnce::Silent(told) => {
                counted.silent += 1;
                told.iter().for_each(|told| counted.told(told));
            }
            AtOnce::Given(at) => {
                counted.at_once += 1;
                drop(place);
                give(serving, at, question, from, answers.clone()).await;
            }
            AtOnce::Notified(zone) => {
                counted.at_once += 1;
                let _ = serving.notified.try_send((*zone, from.ip()));
                place.send(answer);
            }
            AtOnce::Later => {
                let Some(waits) = serving.waiting.one_more(from.ip()) else {
                    counted.refused_full += 1;
                    continue;
                };
                let serving = serving.clone();
                tokio::spawn(async move {
                    let answer = serving.resolver.resolve(&question, from.ip(), true).await;
                    serving.counts.later(answer.as_ref().map(|(_, told)| told));
                    if let Some((answer, _)) = answer {
                        place.send(answer);
                    }
                    drop(waits);
                });
            }
        }
        serving.counts.add_stream(&mut counted);
    }
    drop(answers);
    // What is under way is still answered.
    let _ = timeout(IDLE, writing).await;
    Ok(())
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
