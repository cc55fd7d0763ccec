//! One transfer of a zone from its primary: all of it (RFC 5936) or what changed (RFC 1995), signed where a key is agreed on
//! (RFC 8945). `domain` reads the messages and checks the signatures.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::message_builder::AdditionalBuilder;
use domain::base::rdata::ComposeRecordData as _;
use domain::base::{Message, MessageBuilder, Name as DomainName, Serial, StreamTarget, ToName as _, Ttl};
use domain::net::xfr::protocol::{ParsedRecord, XfrResponseInterpreter};
use domain::rdata::Soa;
use domain::rdata::tsig::Time48;
use domain::tsig::{Algorithm, ClientSequence, Key, KeyName};
use domain::zonetree::types::ZoneUpdate;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Change, OwnedRecord, Timers, is_newer};
use crate::name::Name;
use crate::policy::rule::ZoneRecord;

/// How long a primary may take to be reached, and for each message.
const WAIT: Duration = Duration::from_secs(20);
/// Records of a zone at most.
pub const RECORDS_MAX: usize = 30_000_000;
/// Records of changes that are kept in memory; a primary that has more is asked for the whole zone.
const CHANGED_MAX: usize = 1_000_000;

/// Where a zone is fetched from.
#[derive(Clone, Debug)]
pub struct Primary {
    /// Where it listens.
    pub address: SocketAddr,
    /// The key that both know.
    pub key: Option<Arc<Key>>,
}

impl Primary {
    /// A key of two who trust each other: its name, `hmac-sha1`, `hmac-sha256`, `hmac-sha384` or `hmac-sha512`, and the secret itself. `None`,
    /// when one of them cannot be.
    pub fn key(name: &Name, algorithm: &str, secret: &[u8]) -> Option<Arc<Key>> {
        let algorithm = match algorithm {
            "hmac-sha1" => Algorithm::Sha1,
            "hmac-sha256" => Algorithm::Sha256,
            "hmac-sha384" => Algorithm::Sha384,
            "hmac-sha512" => Algorithm::Sha512,
            _ => return None,
        };
        let name = KeyName::from_octets(name.wire().try_into().ok()?).ok()?;
        Key::new(algorithm, secret, name, None, None).ok().map(Arc::new)
    }
}

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The connection broke, or what was fetched could not be kept.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Nothing came in time.
    #[error("silence for {WAIT:?}")]
    Silence,
    /// The primary does not give it to us.
    #[error("the primary says {0}")]
    Refused(String),
    /// What came is no transfer, or breaks off.
    #[error("{0}")]
    Malformed(String),
    /// A signature is missing or wrong.
    #[error("signature: {0}")]
    Signature(String),
    /// More than [`RECORDS_MAX`].
    #[error("more than {RECORDS_MAX} records")]
    Long,
}

/// What a primary had to say.
#[derive(Debug, PartialEq, Eq)]
pub enum Transferred {
    /// We have its version.
    UpToDate,
    /// These changes, one after the other.
    Changes(Vec<Change>),
    /// The whole zone, whose records were handed over.
    Whole,
}

/// Fetches a zone: what changed since version `serial` where one is known, and else (or where the primary prefers) all of it, whose
/// records go to `take` one by one.
///
/// # Errors
///
/// [`TransferError`], why it failed. What was handed over until then is nothing.
pub async fn fetch(
    zone: &Name,
    serial: Option<u32>,
    primary: &Primary,
    take: impl FnMut(ZoneRecord<'_>) -> io::Result<()>,
) -> Result<Transferred, TransferError> {
    let reached = timeout(WAIT, TcpStream::connect(primary.address)).await;
    let mut stream = reached.map_err(|_| TransferError::Silence)??;
    let (question, mut signed) = question(zone, serial, primary.key.clone())?;
    stream.write_all(&question).await?;
    let mut incoming = Incoming::new(zone, serial, take);
    loop {
        let message = timeout(WAIT, receive(&mut stream)).await.map_err(|_| TransferError::Silence)??;
        let mut message = Message::from_octets(message).map_err(|error| malformed(&error))?;
        if let Some(sequence) = &mut signed {
            sequence
                .answer(&mut message, Time48::now())
                .map_err(|error| TransferError::Signature(error.to_string()))?;
        }
        if incoming.message(message.into_octets().into())? {
            break;
        }
    }
    if let Some(sequence) = signed {
        sequence.done().map_err(|error| TransferError::Signature(error.to_string()))?;
    }
    incoming.end()
}

/// A transfer as it comes in, message by message, whatever it comes over.
pub struct Incoming<F> {
    taking: Taking<F>,
    interpreter: XfrResponseInterpreter,
    is_up_to_date: bool,
}

impl<F: FnMut(ZoneRecord<'_>) -> io::Result<()>> Incoming<F> {
    /// A transfer of `zone`, since version `serial` where one was asked for; records of a whole zone go to `take`.
    pub fn new(zone: &Name, serial: Option<u32>, take: F) -> Self {
        let taking =
            Taking { zone: *zone, serial, changes: Vec::new(), take, whole: false, count: 0, soa: None };
        Self { taking, interpreter: XfrResponseInterpreter::new(), is_up_to_date: false }
    }

    /// Takes a message whose signature was checked; whether it was the last.
    ///
    /// # Errors
    ///
    /// [`TransferError`], why the transfer is none.
    pub fn message(&mut self, message: Bytes) -> Result<bool, TransferError> {
        let message = Message::from_octets(message).map_err(|error| malformed(&error))?;
        let code = message.header().rcode();
        if code != Rcode::NOERROR {
            return Err(TransferError::Refused(code.to_string()));
        }
        let serial = self.taking.serial;
        // Where we have the version already, the answer is its SOA alone (RFC 1995, 4).
        if self.taking.count == 0 && serial.is_some() && is_single_soa(&message) {
            let theirs = lone_serial(&message);
            if theirs.zip(serial).is_some_and(|(theirs, ours)| is_newer(theirs, ours)) {
                return Err(TransferError::Malformed("a newer version, and nothing of it".into()));
            }
            self.is_up_to_date = true;
            return Ok(true);
        }
        let updates = self.interpreter.interpret_response(message).map_err(|error| malformed(&error))?;
        for update in updates {
            self.taking.update(update.map_err(|error| malformed(&format!("{error:?}")))?)?;
        }
        Ok(self.interpreter.is_finished())
    }

    /// What it came to, after the last message.
    ///
    /// # Errors
    ///
    /// [`TransferError`], why the transfer is none.
    pub fn end(self) -> Result<Transferred, TransferError> {
        if self.is_up_to_date { Ok(Transferred::UpToDate) } else { self.taking.end() }
    }
}

fn malformed(error: &impl ToString) -> TransferError {
    TransferError::Malformed(error.to_string())
}

type Signed = Option<ClientSequence<Arc<Key>>>;

/// The question for a transfer, with its length before it.
fn question(
    zone: &Name,
    serial: Option<u32>,
    key: Option<Arc<Key>>,
) -> Result<(Vec<u8>, Signed), TransferError> {
    let apex = DomainName::from_octets(zone.wire().to_vec()).map_err(|error| malformed(&error))?;
    let full = |error: domain::base::message_builder::PushError| malformed(&error);
    let mut message =
        MessageBuilder::from_target(StreamTarget::new_vec()).map_err(|error| malformed(&error))?;
    message.header_mut().set_id(fastrand::u16(..));
    let mut message = message.question();
    let kind = if serial.is_some() { Rtype::IXFR } else { Rtype::AXFR };
    message.push((&apex, kind, Class::IN)).map_err(full)?;
    let mut message = message.authority();
    if let Some(serial) = serial {
        let none = Ttl::ZERO;
        let root: DomainName<Vec<u8>> = DomainName::root();
        let soa = Soa::new(root.clone(), root, Serial(serial), none, none, none, none);
        message.push((&apex, Class::IN, none, soa)).map_err(full)?;
    }
    let mut message: AdditionalBuilder<StreamTarget<Vec<u8>>> = message.additional();
    let signed = match key {
        Some(key) => Some(ClientSequence::request(key, &mut message, Time48::now()).map_err(full)?),
        None => None,
    };
    Ok((message.finish().as_stream_slice().to_vec(), signed))
}

async fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

fn is_single_soa(message: &Message<Bytes>) -> bool {
    message.header_counts().ancount() == 1 && lone_serial(message).is_some()
}

fn lone_serial(message: &Message<Bytes>) -> Option<u32> {
    let answer = message.answer().ok()?;
    let soa = answer.limit_to::<Soa<_>>().next()?.ok()?;
    Some(soa.data().serial().into_int())
}

/// A transfer that comes in.
struct Taking<F> {
    zone: Name,
    serial: Option<u32>,
    changes: Vec<Change>,
    take: F,
    whole: bool,
    count: usize,
    soa: Option<OwnedRecord>,
}

impl<F: FnMut(ZoneRecord<'_>) -> io::Result<()>> Taking<F> {
    fn update(&mut self, update: ZoneUpdate<ParsedRecord>) -> Result<(), TransferError> {
        self.count += 1;
        if self.count > RECORDS_MAX {
            return Err(TransferError::Long);
        }
        match update {
            ZoneUpdate::DeleteAllRecords => self.whole = true,
            ZoneUpdate::BeginBatchDelete(soa) => {
                let from = serial_of(&owned(&soa)?)?;
                self.changes.push(Change { from, ..Change::default() });
            }
            ZoneUpdate::BeginBatchAdd(soa) => {
                let soa = owned(&soa)?;
                let to = serial_of(&soa)?;
                let change = self.change()?;
                change.to = to;
                change.come.push(soa);
            }
            ZoneUpdate::DeleteRecord(record) => {
                let record = owned(&record)?;
                self.change()?.gone.push(record);
            }
            ZoneUpdate::AddRecord(record) => {
                let record = owned(&record)?;
                if self.whole {
                    (self.take)(record.lend())?;
                } else {
                    self.change()?.come.push(record);
                }
            }
            ZoneUpdate::Finished(soa) => self.soa = Some(owned(&soa)?),
            _ => return Err(TransferError::Malformed("an update of unknown kind".into())),
        }
        if !self.whole && self.count > CHANGED_MAX {
            return Err(TransferError::Malformed(format!("more than {CHANGED_MAX} records changed")));
        }
        Ok(())
    }

    fn change(&mut self) -> Result<&mut Change, TransferError> {
        self.changes
            .last_mut()
            .ok_or_else(|| TransferError::Malformed("a record outside of any change".into()))
    }

    fn end(mut self) -> Result<Transferred, TransferError> {
        let soa = self.soa.ok_or_else(|| TransferError::Malformed("it breaks off".into()))?;
        if soa.owner != self.zone {
            return Err(TransferError::Malformed(format!("it is of {}", soa.owner)));
        }
        if self.whole {
            (self.take)(soa.lend())?;
            return Ok(Transferred::Whole);
        }
        let mut at = self.serial;
        for change in &self.changes {
            if at != Some(change.from) {
                return Err(TransferError::Malformed(format!(
                    "a change of version {}, which is not ours",
                    change.from
                )));
            }
            at = Some(change.to);
        }
        Ok(Transferred::Changes(self.changes))
    }
}

fn owned(record: &ParsedRecord) -> Result<OwnedRecord, TransferError> {
    let owner: DomainName<Vec<u8>> = record.owner().to_name();
    let (owner, _) = Name::from_wire(owner.as_slice()).map_err(|error| malformed(&error))?;
    let mut data = Vec::new();
    record.data().compose_rdata(&mut data).map_err(|_| TransferError::Malformed("data too long".into()))?;
    Ok(OwnedRecord { owner, rtype: record.rtype().to_int(), ttl: record.ttl().as_secs(), data })
}

fn serial_of(soa: &OwnedRecord) -> Result<u32, TransferError> {
    Timers::of(soa.rtype, &soa.data).map(|timers| timers.serial).ok_or_else(|| malformed(&"no SOA"))
}
