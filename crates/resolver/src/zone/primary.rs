//! Zones that are given to others: SOA, AXFR (RFC 5936) and IXFR (RFC 1995), signed (RFC 8945), and a word to them when there is a new
//! version (RFC 1996).
//!
//! What is given is what is on disk, so a version that somebody has fetched outlives a crash. `domain` writes and signs the messages.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::message_builder::{AdditionalBuilder, AnswerBuilder, PushError};
use domain::base::name::ToName;
use domain::base::rdata::UnknownRecordData;
use domain::base::{Message, MessageBuilder, Name as DomainName, StreamTarget, Ttl};
use domain::rdata::Soa;
use domain::rdata::tsig::Time48;
use domain::tsig::{Key, ServerSequence};

use super::kept::Kept;
use super::{OwnedRecord, Timers};
use crate::client::Access;
use crate::exchange;
use crate::message::{Query, opcode};
use crate::name::Name;
use crate::policy::rule::{ZoneRecord, rtype};

/// Octets of a message of a transfer, about: what a reader of it needs in one piece is small.
const MESSAGE_OCTETS: usize = 16 * 1024;
/// Octets that a signature takes at most.
const SIGNATURE_OCTETS: usize = 512;
/// How often, and how far apart, others are told of a new version until they answer.
const NOTIFY: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10), Duration::from_secs(30)];

/// A zone that is given to others.
#[derive(Clone, Debug)]
pub struct Given {
    /// Its apex.
    pub zone: Name,
    /// Where it is kept.
    pub kept: Kept,
    /// Who may have it.
    pub access: Access,
    /// The key with which they must sign.
    pub key: Option<Arc<Key>>,
    /// Who is told of a new version.
    pub notify: Vec<SocketAddr>,
}

type Builder = AdditionalBuilder<StreamTarget<Vec<u8>>>;
type Answers = AnswerBuilder<StreamTarget<Vec<u8>>>;
type Signed = Option<ServerSequence<Arc<Key>>>;

impl Given {
    /// Whether a question is one for the zone itself rather than for a name in the world.
    pub fn is_asked(&self, query: &Query<'_>) -> bool {
        query.opcode == opcode::QUERY
            && query.class == 1
            && query.name == self.zone
            && matches!(query.rtype, rtype::SOA | rtype::AXFR | rtype::IXFR)
    }

    /// Answers such a question, message by message, to `send`. Over UDP there is one, and a zone's records go over a stream only.
    ///
    /// # Errors
    ///
    /// Whatever the disk says, or `send`; then the answer breaks off.
    pub fn answer(
        &self,
        wire: &[u8],
        from: IpAddr,
        by_stream: bool,
        mut send: impl FnMut(Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut message = Message::from_octets(wire.to_vec()).map_err(other)?;
        let signed = match self.signed(&mut message, from) {
            Ok(signed) => signed,
            Err(refusal) => return send(refusal),
        };
        let question = message.sole_question().map_err(other)?;
        let mut out = Out { message: &message, signed, send: &mut send, limit: MESSAGE_OCTETS };
        match question.qtype() {
            Rtype::SOA => out.lone_soa(self.soa()?),
            Rtype::IXFR => self.changes(out, by_stream),
            _ if by_stream => self.whole(out),
            _ => out.refuse(Rcode::REFUSED),
        }
    }

    /// Whether the question is from somebody who may have the zone: the signature that answers need, or the refusal.
    fn signed(&self, message: &mut Message<Vec<u8>>, from: IpAddr) -> Result<Signed, Vec<u8>> {
        let refusal = |message: &Message<Vec<u8>>| refusal(message, Rcode::REFUSED);
        if self.access.of(from).is_none() {
            return Err(refusal(message));
        }
        let Some(key) = &self.key else { return Ok(None) };
        match ServerSequence::request(key, message, Time48::now()) {
            Ok(Some(signed)) => Ok(Some(signed)),
            Ok(None) => Err(refusal(message)),
            Err(error) => {
                let builder =
                    MessageBuilder::from_target(StreamTarget::new_vec()).map_err(|_| refusal(message))?;
                let built = error.build_message(message, builder).map_err(|_| refusal(message))?;
                Err(built.finish().as_dgram_slice().to_vec())
            }
        }
    }

    /// The newest version's SOA.
    fn soa(&self) -> io::Result<Option<OwnedRecord>> {
        let mut soa = None;
        let enough = || io::Error::from(io::ErrorKind::Interrupted);
        let result = self.kept.current(|record| {
            soa = Some(record.to_owned_record());
            Err(enough())
        });
        match result {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(soa),
        }
    }

    fn whole(&self, mut out: Out<'_, impl FnMut(Vec<u8>) -> io::Result<()>>) -> io::Result<()> {
        let (mut soa, mut answers) = (None, out.begin()?);
        let serial = self.kept.current(|record| {
            soa.get_or_insert_with(|| record.to_owned_record());
            out.record(&mut answers, &record)
        })?;
        let Some(soa) = soa.filter(|_| serial.is_some()) else { return out.refuse(Rcode::SERVFAIL) };
        out.record(&mut answers, &soa.lend())?;
        out.flush(answers)
    }

    fn changes(
        &self,
        mut out: Out<'_, impl FnMut(Vec<u8>) -> io::Result<()>>,
        by_stream: bool,
    ) -> io::Result<()> {
        let Some(soa) = self.soa()? else { return out.refuse(Rcode::SERVFAIL) };
        let (ours, theirs) =
            (Timers::of(soa.rtype, &soa.data).map(|timers| timers.serial), theirs(out.message));
        if theirs.is_some() && (ours == theirs || !by_stream) {
            // Over UDP: come back over a stream (RFC 1995, 2).
            return out.lone_soa(Some(soa));
        }
        let changes = theirs.map(|theirs| self.kept.since(theirs)).transpose()?.flatten();
        let Some(changes) = changes else {
            return if by_stream { self.whole(out) } else { out.refuse(Rcode::REFUSED) };
        };
        let mut answers = out.begin()?;
        out.record(&mut answers, &soa.lend())?;
        for change in &changes {
            out.record(&mut answers, &soa.with_serial(change.from).lend())?;
            for record in &change.gone {
                out.record(&mut answers, &record.lend())?;
            }
            out.record(&mut answers, &soa.with_serial(change.to).lend())?;
            for record in change.come.iter().filter(|record| record.rtype != rtype::SOA) {
                out.record(&mut answers, &record.lend())?;
            }
        }
        out.record(&mut answers, &soa.lend())?;
        out.flush(answers)
    }

    /// Tells the others that there is a new version, until each has answered or does not.
    pub async fn tell(&self) {
        for server in &self.notify {
            for wait in NOTIFY {
                match exchange::notify(*server, &self.zone, wait).await {
                    Ok(()) => break,
                    Err(error) => tracing::debug!(%server, zone = %self.zone, %error, "notify"),
                }
            }
        }
    }
}

/// The version that somebody has who asks what changed.
fn theirs(message: &Message<Vec<u8>>) -> Option<u32> {
    let authority = message.authority().ok()?;
    let soa = authority.limit_to::<Soa<_>>().next()?.ok()?;
    Some(soa.data().serial().into_int())
}

fn refusal(message: &Message<Vec<u8>>, code: Rcode) -> Vec<u8> {
    let builder = MessageBuilder::from_target(StreamTarget::new_vec());
    let answer = builder.ok().and_then(|builder| builder.start_answer(message, code).ok());
    answer.map(|answer| answer.finish().as_dgram_slice().to_vec()).unwrap_or_default()
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn full(_: PushError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a record that fits into no message")
}

/// An answer of several messages.
struct Out<'a, S> {
    message: &'a Message<Vec<u8>>,
    signed: Signed,
    send: &'a mut S,
    limit: usize,
}

impl<S: FnMut(Vec<u8>) -> io::Result<()>> Out<'_, S> {
    fn begin(&mut self) -> io::Result<Answers> {
        let builder = MessageBuilder::from_target(StreamTarget::new_vec()).map_err(other)?;
        let mut answers = builder.start_answer(self.message, Rcode::NOERROR).map_err(full)?;
        answers.header_mut().set_aa(true);
        answers.header_mut().set_ra(false);
        Ok(answers)
    }

    fn record(&mut self, answers: &mut Answers, record: &ZoneRecord<'_>) -> io::Result<()> {
        if answers.as_slice().len() + record.data.len() > self.limit {
            let next = self.begin()?;
            self.flush(std::mem::replace(answers, next))?;
        }
        let owner = DomainName::from_octets(record.owner.wire()).map_err(other)?;
        let kind = Rtype::from_int(record.rtype);
        let data = UnknownRecordData::from_octets(kind, record.data).map_err(other)?;
        answers.push((owner.to_vec(), Class::IN, Ttl::from_secs(record.ttl), data)).map_err(full)
    }

    fn flush(&mut self, answers: Answers) -> io::Result<()> {
        let mut message: Builder = answers.additional();
        debug_assert!(message.as_slice().len() < usize::from(u16::MAX) - SIGNATURE_OCTETS);
        if let Some(signed) = &mut self.signed {
            signed.answer(&mut message, Time48::now()).map_err(full)?;
        }
        (self.send)(message.finish().as_dgram_slice().to_vec())
    }

    fn lone_soa(&mut self, soa: Option<OwnedRecord>) -> io::Result<()> {
        let Some(soa) = soa else { return self.refuse(Rcode::SERVFAIL) };
        let mut answers = self.begin()?;
        self.record(&mut answers, &soa.lend())?;
        self.flush(answers)
    }

    fn refuse(&mut self, code: Rcode) -> io::Result<()> {
        let mut answers = self.begin()?;
        answers.header_mut().set_rcode(code);
        self.flush(answers)
    }
}
