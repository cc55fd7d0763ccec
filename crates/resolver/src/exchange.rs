//! One question to one server, and its answer.
//!
//! Each question has a socket and so a port of its own, an identity and a pattern of upper and lower case drawn anew; an answer that
//! does not repeat all of them is not one (RFC 5452). What does not fit is asked for again over TCP, and so is what comes back in another
//! case: some servers write names as they like them, and over TCP nobody can guess.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::heard::{Heard, HeardError};
use crate::message::{Asking, HEADER_OCTETS, write_question};
use crate::name::Name;

/// Octets that other servers are told to send over UDP at most: what goes through nearly every network in one piece.
pub const UDP_OCTETS: u16 = 1232;
/// Datagrams that are no answer to the question, after which it is given up: somebody guesses.
const STRANGERS_MAX: usize = 32;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// Nothing came in time.
    #[error("no answer within {0:?}")]
    Silence(Duration),
    /// It could not be sent or received.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What came cannot be read.
    #[error(transparent)]
    Heard(#[from] HeardError),
    /// What came was for another question, again and again.
    #[error("answers to other questions")]
    Strangers,
}

/// Asks a server over UDP, and over TCP where the answer does not fit.
///
/// # Errors
///
/// [`ExchangeError`], why there is no answer.
pub async fn ask(
    server: SocketAddr,
    name: &Name,
    asking: Asking,
    wait: Duration,
) -> Result<Heard, ExchangeError> {
    match timeout(wait, over_udp(server, name, asking)).await.map_err(|_| ExchangeError::Silence(wait))?? {
        Some(heard) if !heard.is_truncated() => Ok(heard),
        _ => ask_by_stream(server, name, asking, wait).await,
    }
}

/// Asks a server over TCP.
///
/// # Errors
///
/// [`ExchangeError`], why there is no answer.
pub async fn ask_by_stream(
    server: SocketAddr,
    name: &Name,
    asking: Asking,
    wait: Duration,
) -> Result<Heard, ExchangeError> {
    timeout(wait, over_tcp(server, name, asking)).await.map_err(|_| ExchangeError::Silence(wait))?
}

/// Tells a server that a zone has a new version (RFC 1996).
///
/// # Errors
///
/// [`ExchangeError`], why it did not say that it heard.
pub async fn notify(server: SocketAddr, zone: &Name, wait: Duration) -> Result<(), ExchangeError> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let mut told = fastrand::u16(..).to_be_bytes().to_vec();
    told.extend([0x24, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    told.extend_from_slice(zone.wire());
    told.extend([0, 6, 0, 1]);
    socket.send(&told).await?;
    let mut answer = [0; 512];
    let heard = async {
        loop {
            let len = socket.recv(&mut answer).await?;
            if len >= HEADER_OCTETS && answer[..2] == told[..2] && answer[2] & 0x80 != 0 {
                return Ok(());
            }
        }
    };
    timeout(wait, heard).await.map_err(|_| ExchangeError::Silence(wait))?
}

/// What a server says; `None` where that was in another case.
async fn over_udp(server: SocketAddr, name: &Name, asking: Asking) -> Result<Option<Heard>, ExchangeError> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let mut question = Vec::with_capacity(300);
    write_question(&mut question, fastrand::u16(..), name, asking, UDP_OCTETS);
    socket.send(&question).await?;
    let mut answer = vec![0; 4096];
    for _ in 0..STRANGERS_MAX {
        let len = socket.recv(&mut answer).await?;
        match answers(&question, &answer[..len]) {
            Some(Repeated::Exactly) => return Ok(Some(Heard::read(&answer[..len])?)),
            Some(Repeated::InOtherCase) => return Ok(None),
            None => {}
        }
    }
    Err(ExchangeError::Strangers)
}

async fn over_tcp(server: SocketAddr, name: &Name, asking: Asking) -> Result<Heard, ExchangeError> {
    let mut stream = TcpStream::connect(server).await?;
    let mut question = vec![0, 0];
    write_question(&mut question, fastrand::u16(..), name, asking, UDP_OCTETS);
    let len = (question.len() - 2) as u16;
    question[..2].copy_from_slice(&len.to_be_bytes());
    stream.write_all(&question).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    if answers(&question[2..], &answer).is_none() {
        return Err(ExchangeError::Strangers);
    }
    Ok(Heard::read(&answer)?)
}

/// How an answer repeats its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeated {
    Exactly,
    InOtherCase,
}

/// Whether `answer` repeats identity and question, and how.
fn answers(question: &[u8], answer: &[u8]) -> Option<Repeated> {
    // All of the question but the OPT record at its end.
    let end = question.len().checked_sub(11)?;
    let said = answer.get(HEADER_OCTETS..end)?;
    if answer[..2] != question[..2] || answer[2] & 0x80 == 0 || answer[4..6] != [0, 1] {
        return None;
    }
    let asked = &question[HEADER_OCTETS..end];
    if said == asked {
        return Some(Repeated::Exactly);
    }
    // The type and class after the name are no letters; those of our questions have none that could be taken for one.
    said.eq_ignore_ascii_case(asked).then_some(Repeated::InOtherCase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_repeats_the_question_letter_by_letter() {
        let name = Name::from_text(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.", &Name::ROOT).unwrap();
        let asking = Asking { rtype: 1, recursion: false, dnssec_ok: false, checking_disabled: false };
        let mut question = Vec::new();
        write_question(&mut question, 77, &name, asking, UDP_OCTETS);
        let mut answer = question.clone();
        assert_eq!(answers(&question, &answer), None, "a question is no answer");
        answer[2] |= 0x80;
        assert_eq!(answers(&question, &answer), Some(Repeated::Exactly));
        for (at, wanted) in
            [(0, None), (1, None), (5, None), (14, Some(Repeated::InOtherCase)), (question.len() - 14, None)]
        {
            let mut other = answer.clone();
            other[at] ^= 0x20;
            assert_eq!(answers(&question, &other), wanted, "{at}");
        }
        assert_eq!(answers(&question, &answer[..20]), None);
    }
}
