//! The access server, told over UDP (RFC 5176): the same datagram again until an answer comes, at each server in turn until one
//! has the session.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use noroshi_law::release::RestrictedLine;
use noroshi_law::{Lawful, LineQuarantine};
use noroshi_wire::radius::PACKET_BYTES_MAX;
use noroshi_wire::radius::dynamic::{Answer, Attributes, Order, SESSION_NOT_FOUND, answer, cause, request};

use super::settings::{By, Garden};

/// How long an answer is waited for before the same is sent again.
const AGAIN: Duration = Duration::from_secs(2);
/// How often it is sent.
const TIMES: u32 = 3;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The session was changed, or ended.
    Done,
    /// The line is not connected: what the RADIUS server says counts when it is.
    NotConnected,
    /// An access server refuses.
    Refused(String),
    /// Nobody answers.
    Silent(String),
}

impl Garden {
    /// Has a line moved in.
    pub fn enter(&self, line: &Lawful<RestrictedLine, LineQuarantine>, now: Timestamp) -> Told {
        self.tell(line, &self.enter, now)
    }

    /// Has a line moved out.
    pub fn leave(&self, line: &Lawful<RestrictedLine, LineQuarantine>, now: Timestamp) -> Told {
        self.tell(line, &self.leave, now)
    }

    fn tell(
        &self,
        line: &Lawful<RestrictedLine, LineQuarantine>,
        changes: &Attributes,
        now: Timestamp,
    ) -> Told {
        let order = match self.file.by {
            By::Change => Order::Change,
            By::Disconnect => Order::Disconnect,
        };
        let mut refused = None;
        for server in &self.file.servers {
            // Another identifier for another matter; the authenticator tells them apart in any case.
            let identifier = (now.as_millisecond() % 256).unsigned_abs() as u8;
            let datagram = request(order, identifier, &line.read().user, changes, now, &self.secret);
            match self.ask(*server, &datagram) {
                Ok(Answer::Done) => return Told::Done,
                Ok(Answer::Refused(SESSION_NOT_FOUND)) => {}
                Ok(Answer::Refused(number)) => {
                    refused = Some(Told::Refused(format!("{server}: {number}, {}", cause(number))));
                }
                // One that is silent may be the one that has the session.
                Err(why) => return Told::Silent(format!("{server}: {why}")),
            }
        }
        refused.unwrap_or(Told::NotConnected)
    }

    fn ask(&self, server: SocketAddr, datagram: &[u8]) -> Result<Answer, String> {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).and_then(|socket| socket.connect(server).map(|()| socket));
        let socket = socket.map_err(|e| e.to_string())?;
        let mut why = "no answer".to_owned();
        for _ in 0..TIMES {
            if let Err(e) = socket.send(datagram) {
                why = e.to_string();
            }
            let sent = Instant::now();
            while let Some(left) = AGAIN.checked_sub(sent.elapsed()).filter(|left| !left.is_zero()) {
                socket.set_read_timeout(Some(left)).map_err(|e| e.to_string())?;
                let mut bytes = [0; PACKET_BYTES_MAX];
                let got = match socket.recv(&mut bytes) {
                    Ok(got) => got,
                    Err(e) => {
                        if e.kind() == std::io::ErrorKind::ConnectionRefused {
                            why = e.to_string();
                            std::thread::sleep(left);
                        }
                        break;
                    }
                };
                match answer(&bytes[..got], datagram, &self.secret) {
                    Ok(answer) => return Ok(answer),
                    Err(e) => why = e.to_string(),
                }
            }
        }
        Err(why)
    }
}
