//! DNS over QUIC (RFC 9250): a stream for each question, so that no answer waits behind another.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream, TokioRuntime};
use quinn::{ServerConfig, TransportConfig, VarInt};
use tokio::time::timeout;

use super::stream::{Connections, framed};
use super::{IDLE, LOOK_UP, MESSAGE, Serving, UNDER_WAY_MAX};
use crate::client::Transport;
use crate::message::Query;

/// What the protocol is called while a connection begins.
pub const PROTOCOL: &str = "doq";
/// Octets of a question and its length at most.
const QUESTION_OCTETS_MAX: usize = 4096;
/// Octets that a connection may send ahead.
const AHEAD_OCTETS: u32 = 64 << 10;
/// Handshakes under way above which a client must first show that it is where it says.
const HANDSHAKES_MAX: usize = 100;
/// Connections from one address above which the same holds: others may have begun them in its name.
const UNSHOWN_OF_ONE_MAX: usize = 8;

/// Why a connection or stream ends (RFC 9250, 4.3).
mod code {
    use quinn::VarInt;

    pub const NO_ERROR: VarInt = VarInt::from_u32(0);
    pub const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
    pub const UNSPECIFIED_ERROR: VarInt = VarInt::from_u32(5);
}

/// Serves at a socket until serving ends.
///
/// # Errors
///
/// Whatever the kernel says of the socket.
pub async fn serve(serving: Serving, socket: UdpSocket, tls: rustls::ServerConfig) -> io::Result<()> {
    let tls = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport()?));
    let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))?;
    let (connections, beginning) = (Connections::default(), Arc::new(AtomicUsize::new(0)));
    while !serving.stops() {
        let incoming = match timeout(LOOK_UP, endpoint.accept()).await {
            Err(_) => continue,
            Ok(None) => break,
            Ok(Some(incoming)) => incoming,
        };
        let from = incoming.remote_address();
        let many = beginning.load(Ordering::Relaxed) >= HANDSHAKES_MAX
            || connections.of(from.ip()) >= UNSHOWN_OF_ONE_MAX;
        if many && !incoming.remote_address_validated() {
            let _ = incoming.retry();
            continue;
        }
        let Some(counted) = connections.one_more(from.ip()) else {
            incoming.refuse();
            continue;
        };
        let (serving, beginning) = (serving.clone(), Arc::clone(&beginning));
        tokio::spawn(async move {
            beginning.fetch_add(1, Ordering::Relaxed);
            let connection = begun(incoming).await;
            beginning.fetch_sub(1, Ordering::Relaxed);
            if let Some(connection) = connection {
                questions(&serving, &connection).await;
            }
            drop(counted);
        });
    }
    endpoint.close(code::NO_ERROR, b"");
    Ok(())
}

fn transport() -> io::Result<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(IDLE.try_into().map_err(io::Error::other)?))
        .max_concurrent_bidi_streams(VarInt::from_u32(UNDER_WAY_MAX as u32))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(QUESTION_OCTETS_MAX as u32))
        .receive_window(VarInt::from_u32(AHEAD_OCTETS))
        .datagram_receive_buffer_size(None);
    Ok(config)
}

async fn begun(incoming: Incoming) -> Option<Connection> {
    timeout(MESSAGE, incoming.accept().ok()?).await.ok()?.ok()
}

/// Answers the questions of a connection until it ends.
async fn questions(serving: &Serving, connection: &Connection) {
    while let Ok((answer, question)) = connection.accept_bi().await {
        let (serving, connection) = (serving.clone(), connection.clone());
        tokio::spawn(async move {
            let from = connection.remote_address();
            if question_of(&serving, from, answer, question).await == Err(Broken) {
                connection.close(code::PROTOCOL_ERROR, b"");
            }
        });
    }
}

/// The client breaks the protocol.
#[derive(Debug, PartialEq, Eq)]
struct Broken;

/// Answers the question of one stream.
async fn question_of(
    serving: &Serving,
    from: SocketAddr,
    mut answers: SendStream,
    mut stream: RecvStream,
) -> Result<(), Broken> {
    let Ok(read) = timeout(MESSAGE, stream.read_to_end(QUESTION_OCTETS_MAX)).await else {
        let _ = answers.reset(code::UNSPECIFIED_ERROR);
        return Ok(());
    };
    let message = match read {
        Ok(message) => message,
        Err(quinn::ReadToEndError::TooLong) => return Err(Broken),
        // The client does not want it any more.
        Err(quinn::ReadToEndError::Read(_)) => return Ok(()),
    };
    let question = question_in(&message).ok_or(Broken)?;
    match serving.one(question, from, Transport::Quic).await {
        Some(answer) => {
            let written = timeout(MESSAGE, answers.write_all(&framed(&answer))).await;
            if matches!(written, Ok(Ok(()))) {
                let _ = answers.finish();
                // Until it is taken, or the connection ends.
                let _ = timeout(IDLE, answers.stopped()).await;
            }
        }
        None => drop(answers.reset(code::UNSPECIFIED_ERROR)),
    }
    Ok(())
}

/// The question of a stream: one message after its length, without an identity of its own and without what belongs to TCP (RFC 9250,
/// 4.2, 4.2.1, 5.5.2).
fn question_in(message: &[u8]) -> Option<&[u8]> {
    let (len, question) = message.split_first_chunk::<2>()?;
    let whole = usize::from(u16::from_be_bytes(*len)) == question.len();
    let nameless = question.starts_with(&[0, 0]);
    let of_tcp = Query::read(question).is_ok_and(|query| query.edns.is_some_and(|edns| edns.keepalive));
    (whole && nameless && !of_tcp).then_some(question)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_one_whole_message_without_identity() {
        let question = [&[0u8; 12][..], &[0, 0, 1, 0, 1]].concat();
        assert_eq!(question_in(&framed(&question)), Some(&question[..]));
        let mut named = question.clone();
        named[1] = 1;
        assert_eq!(question_in(&framed(&named)), None);
        assert_eq!(question_in(&[framed(&question), vec![0]].concat()), None);
        assert_eq!(question_in(&framed(&question)[..14]), None);
        assert_eq!(question_in(&[0]), None);
        let mut keepalive = question;
        keepalive[5] = 1;
        keepalive[11] = 1;
        keepalive.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0]);
        assert!(Query::read(&keepalive).unwrap().edns.unwrap().keepalive);
        assert_eq!(question_in(&framed(&keepalive)), None);
    }
}
