//! RADIUS accounting over UDP (RFC 2866): an answer is sent when the record is in the session book for good, and not before,
//! because it tells the access server that it may forget.
//!
//! Whatever has arrived is taken in at once, so that one write to the disk serves hundreds of packets. A packet that is sent
//! again because its answer came too late changes nothing in the book and is answered again.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use ipnet::IpNet;
use noroshi_law::{Permit, SessionKeeping};
use noroshi_model::{Bad, Id, Tally};
use noroshi_store::events::Intake;
use noroshi_wire::radius::{Request, Secret, read_packet};
use serde::{Deserialize, Serialize};

use crate::house::House;
use crate::intake::{Batch, keep, patiently, permit_to_keep};
use crate::report::{self, say};

/// Packets that are taken in together.
const PACKETS_MAX: usize = 2048;
/// Bytes of a packet (RFC 2865 section 3).
const PACKET_BYTES_MAX: usize = 4096;
/// How long one waits for a packet before looking whether to end.
const WAIT: Duration = Duration::from_millis(200);
/// Batches after which a new permit is asked for and the counts are stored.
const BATCHES_A_PERMIT: u32 = 200;

/// `[radius]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RadiusFile {
    /// Where accounting is received, e.g. `0.0.0.0:1813`. Not said: nowhere.
    pub listen: Option<SocketAddr>,
    /// Who may send, and with which secret.
    pub clients: Vec<ClientFile>,
}

/// An access server, or a network of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClientFile {
    /// Its address or network; the longest that fits counts.
    pub net: IpNet,
    /// A file with the shared secret; white space around it does not count.
    pub secret_file: PathBuf,
}

struct Clients(Vec<(IpNet, Secret)>);

impl Clients {
    fn read(files: &[ClientFile]) -> anyhow::Result<Self> {
        let mut clients = Vec::new();
        for client in files {
            let path = &client.secret_file;
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            let secret = Secret::try_from(text.trim().as_bytes().to_vec());
            clients.push((client.net, secret.with_context(|| format!("{}: no secret", path.display()))?));
        }
        clients.sort_by_key(|(net, _)| std::cmp::Reverse(net.prefix_len()));
        Ok(Self(clients))
    }

    fn secret(&self, from: SocketAddr) -> Option<&Secret> {
        let ip = from.ip().to_canonical();
        self.0.iter().find(|(net, _)| net.contains(&ip)).map(|(_, secret)| secret)
    }
}

/// What became of what was received.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Received {
    #[serde(flatten)]
    counts: Tally,
    /// Packets that were no accounting of a known client: dropped without an answer.
    dropped: u64,
    /// Answers sent.
    answered: u64,
}

/// Receives until interrupted.
pub fn serve(house: &House, as_json: bool) -> anyhow::Result<ExitCode> {
    let Some(at) = house.config.radius.listen else {
        bail!("set radius.listen in the configuration, e.g. \"127.0.0.1:1813\", and [[radius.clients]]")
    };
    let ended = super::ended()?;
    let all = listen(house, at, || *ended.borrow())?;
    if as_json {
        report::json(&all)?;
    } else {
        say!("{}; {} dropped, {} answered", all.counts, all.dropped, all.answered);
    }
    Ok(ExitCode::SUCCESS)
}

/// Receives until told to end.
pub fn listen(house: &House, at: SocketAddr, ended: impl Fn() -> bool) -> anyhow::Result<Received> {
    let clients = Clients::read(&house.config.radius.clients)?;
    let socket = UdpSocket::bind(at).with_context(|| format!("radius.listen {at}"))?;
    eprintln!("noroshi: accounting is received on {}", socket.local_addr()?);
    let mut all = Received::default();
    while !ended() {
        let permit = permit_to_keep(house)?;
        let mut some = Received::default();
        for _ in 0..BATCHES_A_PERMIT {
            if ended() {
                break;
            }
            let number = all.counts.read + some.counts.read;
            let arrived = arrived(house, &socket, &clients, &mut some, number)?;
            take(house, &socket, &clients, arrived, &permit, &mut some)?;
        }
        count(house, &some.counts)?;
        all.counts += some.counts;
        (all.dropped, all.answered) = (all.dropped + some.dropped, all.answered + some.answered);
    }
    Ok(all)
}

/// Everything that waits at the socket, at least for a moment.
fn arrived(
    house: &House,
    socket: &UdpSocket,
    clients: &Clients,
    received: &mut Received,
    number: u64,
) -> anyhow::Result<Vec<(SocketAddr, Request)>> {
    let mut packets = Vec::new();
    let mut bytes = [0; PACKET_BYTES_MAX];
    socket.set_read_timeout(Some(WAIT))?;
    socket.set_nonblocking(false)?;
    while packets.len() < PACKETS_MAX {
        let (length, from) = match socket.recv_from(&mut bytes) {
            Ok(got) => got,
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                break;
            }
            Err(e) => return Err(e).context("radius.listen"),
        };
        socket.set_nonblocking(true)?;
        let Some(secret) = clients.secret(from) else {
            received.dropped += 1;
            continue;
        };
        let number = number + packets.len() as u64 + 1;
        match read_packet(&bytes[..length], from, secret, house.clock.now(), number) {
            Ok(request) => packets.push((from, request)),
            Err(why) => {
                tracing::warn!(%from, "accounting dropped: {why}");
                received.dropped += 1;
            }
        }
    }
    Ok(packets)
}

/// Takes packets in, and answers them.
fn take(
    house: &House,
    socket: &UdpSocket,
    clients: &Clients,
    arrived: Vec<(SocketAddr, Request)>,
    permit: &Permit<SessionKeeping>,
    received: &mut Received,
) -> anyhow::Result<()> {
    if arrived.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::default();
    let mut answers = Vec::with_capacity(arrived.len());
    for (from, request) in arrived {
        let Some(secret) = clients.secret(from) else { continue };
        answers.push((from, request.response(secret)));
        match request.assignments() {
            Ok((records, sample)) => {
                batch.assigned(records.into_iter().map(|record| record.keep(permit)), Some(sample));
            }
            Err(bad) => {
                // What it says stays sealed; sending it again would not mend it, so it is answered.
                let bad = Bad { line: bad.line, reason: bad.reason, snippet: Vec::new(), bytes: bad.bytes };
                batch.bad(bad, true);
            }
        }
    }
    keep(house, &mut batch)?;
    let intake = intake();
    let bad = batch.quarantined(&intake);
    let kept = batch.kept.clone().unwrap_or_default();
    if !bad.is_empty() || !kept.clocks.is_empty() {
        let now = house.clock.now();
        patiently(|| {
            house.store.tx("radius.batch", |tx| {
                for (nas, offset_s, samples) in kept.clock_samples() {
                    tx.add_clock_samples(nas, offset_s, samples)?;
                }
                tx.insert_quarantined(&bad, now)
            })
        })?;
    }
    let mut counts = Tally { quarantined: bad.len() as u64, ..Tally::default() };
    (counts.stored, counts.duplicate, counts.filtered) = (kept.stored, kept.duplicate, kept.filtered);
    counts.read = counts.stored + counts.duplicate + counts.filtered + counts.quarantined;
    received.counts += counts;
    for (to, answer) in answers {
        // An answer that cannot be sent is one that got lost: the client asks again.
        received.answered += u64::from(socket.send_to(&answer, to).is_ok());
    }
    Ok(())
}

fn intake() -> Intake {
    Intake {
        id: Id::of("intake", &[b"radius", b"udp"]),
        kind: "radius".into(),
        source: "udp".into(),
        campaign: "accounting".into(),
        measure: None,
        position: 0,
        done: false,
    }
}

fn count(house: &House, counts: &Tally) -> anyhow::Result<()> {
    if counts.read > 0 {
        let now = house.clock.now();
        patiently(|| house.store.tx("radius.count", |tx| tx.advance(&intake(), counts, now)))?;
    }
    Ok(())
}
