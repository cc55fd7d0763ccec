//! Messages on the hot path: a question is read where it lies, an answer is written where it is sent from.
//!
//! Nothing is allocated. What is read here came from anybody: every length is checked, and what is no question is told apart by
//! what its sender may be told ([`Unasked`]).

use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use crate::name::{Name, NameError, Secret};
use crate::policy::rule::rtype;

/// Octets of a message's header.
pub const HEADER_OCTETS: usize = 12;
/// Octets that a client without EDNS takes over UDP (RFC 1035, 4.2.1).
pub const PLAIN_OCTETS_MAX: usize = 512;
/// Answers are padded to a multiple of so many octets (RFC 8467, 4.1).
const PADDED_OCTETS: usize = 468;
/// Octets of the words that explain an error, at most.
pub const TEXT_OCTETS_MAX: usize = 1024;
/// Records after the question that are looked at.
const RECORDS_MAX: usize = 8;
/// Seconds for which a server cookie is taken (RFC 9018, 4.3).
const COOKIE_AGE_S_MAX: u32 = 3600;
/// Seconds by which another server's clock may be ahead.
const COOKIE_AHEAD_S_MAX: u32 = 300;

/// Answer codes.
pub mod rcode {
    #![allow(missing_docs, reason = "they are called what they are")]
    pub const NOERROR: u16 = 0;
    pub const FORMERR: u16 = 1;
    pub const SERVFAIL: u16 = 2;
    pub const NXDOMAIN: u16 = 3;
    pub const NOTIMP: u16 = 4;
    pub const REFUSED: u16 = 5;
    pub const YXDOMAIN: u16 = 6;
    pub const NOTAUTH: u16 = 9;
    pub const BADVERS: u16 = 16;
    pub const BADCOOKIE: u16 = 23;

    /// A code as the registry calls it; beyond those that an answer's header can have, or that have no name, `OTHER`.
    pub fn label(code: u16) -> &'static str {
        const LABELS: [&str; 11] = [
            "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
            "NXRRSET", "NOTAUTH", "NOTZONE",
        ];
        LABELS.get(usize::from(code)).copied().unwrap_or("OTHER")
    }
}

/// Flags in the header's third and fourth octet.
pub mod flag {
    #![allow(missing_docs, reason = "they are called what they are")]
    pub const QR: u16 = 0x8000;
    pub const AA: u16 = 0x0400;
    pub const TC: u16 = 0x0200;
    pub const RD: u16 = 0x0100;
    pub const RA: u16 = 0x0080;
    pub const AD: u16 = 0x0020;
    pub const CD: u16 = 0x0010;
}

/// Options of an OPT record.
pub mod edns_option {
    #![allow(missing_docs, reason = "they are called what they are")]
    pub const COOKIE: u16 = 10;
    pub const KEEPALIVE: u16 = 11;
    pub const PADDING: u16 = 12;
    pub const EXTENDED_ERROR: u16 = 15;
    pub const STRUCTURED_ERROR: u16 = 26;
}

/// Kinds of messages.
pub mod opcode {
    #![allow(missing_docs, reason = "they are called what they are")]
    pub const QUERY: u8 = 0;
    pub const NOTIFY: u8 = 4;
}

/// What a message that is no question gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unasked {
    /// Nothing: it is an answer itself, or too short to have an identity.
    Silence,
    /// An answer with this code, and the question as far as it could be read.
    Code(u16),
}

/// What a question says of itself beyond RFC 1035 (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns<'a> {
    /// Octets that the client takes over UDP.
    pub udp_octets: u16,
    /// Whether the client wants signatures.
    pub dnssec_ok: bool,
    /// Its cookie, its own part first.
    pub cookie: Option<&'a [u8]>,
    /// Whether it is padded, and wants an answer that is (RFC 7830).
    pub padded: bool,
    /// Whether it asks how long its connection may be idle (RFC 7828).
    pub keepalive: bool,
    /// Whether it can show why a name is not resolved (draft-ietf-dnsop-structured-dns-error).
    pub structured_error: bool,
}

/// A question.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The whole message.
    pub wire: &'a [u8],
    /// Name, type and class as they were asked.
    pub question: &'a [u8],
    /// The name, in lower case.
    pub name: Name,
    /// The type's number.
    pub rtype: u16,
    /// The class's number.
    pub class: u16,
    /// [`opcode`].
    pub opcode: u8,
    /// What else it says.
    pub edns: Option<Edns<'a>>,
}

impl<'a> Query<'a> {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// [`Unasked`], what the sender of something else gets.
    #[inline]
    pub fn read(wire: &'a [u8]) -> Result<Self, Unasked> {
        let header = wire.get(..HEADER_OCTETS).ok_or(Unasked::Silence)?;
        if flags(header) & flag::QR != 0 {
            return Err(Unasked::Silence);
        }
        let opcode = (header[2] >> 3) & 15;
        if opcode != opcode::QUERY && opcode != opcode::NOTIFY {
            return Err(Unasked::Code(rcode::NOTIMP));
        }
        let bad = Unasked::Code(rcode::FORMERR);
        let count = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
        let others = count(6) + count(8) + count(10);
        if count(4) != 1 || others > RECORDS_MAX || (opcode == opcode::QUERY && count(6) != 0) {
            return Err(bad);
        }
        let body = &wire[HEADER_OCTETS..];
        let (name, len) = Name::from_wire(body).map_err(|_| bad)?;
        let fixed = body.get(len..len + 4).ok_or(bad)?;
        let mut query = Query {
            wire,
            question: &body[..len + 4],
            name,
            rtype: u16::from_be_bytes([fixed[0], fixed[1]]),
            class: u16::from_be_bytes([fixed[2], fixed[3]]),
            opcode,
            edns: None,
        };
        let mut at = HEADER_OCTETS + len + 4;
        for number in 0..others {
            let record = RawRecord::at(wire, at).ok_or(bad)?;
            at = record.end;
            if record.rtype == rtype::OPT {
                let misplaced = number < count(6) + count(8) || query.edns.is_some() || !record.at_root;
                if misplaced {
                    return Err(bad);
                }
                if (record.ttl >> 16) as u8 != 0 {
                    return Err(Unasked::Code(rcode::BADVERS));
                }
                let option = |number| option(record.data, number).map_err(|()| bad);
                let cookie = option(edns_option::COOKIE)?;
                // A client's part alone, or with a server's (RFC 7873, 4).
                if cookie.is_some_and(|cookie| cookie.len() != 8 && !(16..=40).contains(&cookie.len())) {
                    return Err(bad);
                }
                query.edns = Some(Edns {
                    udp_octets: record.class.max(PLAIN_OCTETS_MAX as u16),
                    dnssec_ok: record.ttl & 0x8000 != 0,
                    cookie,
                    padded: option(edns_option::PADDING)?.is_some(),
                    keepalive: option(edns_option::KEEPALIVE)?.is_some(),
                    structured_error: option(edns_option::STRUCTURED_ERROR)?.is_some_and(<[u8]>::is_empty),
                });
            }
        }
        Ok(query)
    }

    /// Its header's flags.
    pub fn flags(&self) -> u16 {
        flags(self.wire)
    }

    /// Whether the client wants signatures.
    pub fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// Whether the client checks signatures itself.
    pub fn checking_disabled(&self) -> bool {
        self.flags() & flag::CD != 0
    }
}

fn flags(wire: &[u8]) -> u16 {
    u16::from_be_bytes([wire[2], wire[3]])
}

/// For how many seconds an answer holds: until its first record does not. `None` of one without records.
pub fn holds_s(answer: &[u8]) -> Option<u32> {
    let count =
        |at: usize| answer.get(at..at + 2).map_or(0, |count| u16::from_be_bytes([count[0], count[1]]));
    let mut at = HEADER_OCTETS;
    for _ in 0..count(4) {
        at = skip_name(answer, at)? + 4;
    }
    let mut least = None;
    for _ in 0..u32::from(count(6)) + u32::from(count(8)) + u32::from(count(10)) {
        let record = RawRecord::at(answer, at)?;
        at = record.end;
        if record.rtype != rtype::OPT {
            least = Some(least.unwrap_or(u32::MAX).min(record.ttl));
        }
    }
    least
}

/// A record after the question.
struct RawRecord<'a> {
    at_root: bool,
    rtype: u16,
    class: u16,
    ttl: u32,
    data: &'a [u8],
    end: usize,
}

impl<'a> RawRecord<'a> {
    fn at(wire: &'a [u8], start: usize) -> Option<Self> {
        let at = skip_name(wire, start)?;
        let fixed = wire.get(at..at + 10)?;
        let len = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let data = wire.get(at + 10..at + 10 + len)?;
        Some(Self {
            at_root: at == start + 1,
            rtype: u16::from_be_bytes([fixed[0], fixed[1]]),
            class: u16::from_be_bytes([fixed[2], fixed[3]]),
            ttl: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            data,
            end: at + 10 + len,
        })
    }
}

/// Where the name that begins at `at` ends.
fn skip_name(wire: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *wire.get(at)? {
            0 => return Some(at + 1),
            len @ 1..=63 => at += 1 + usize::from(len),
            192.. => return Some(at + 2),
            _ => return None,
        }
    }
}

/// The first option of a number in an OPT record's data.
fn option(mut data: &[u8], wanted: u16) -> Result<Option<&[u8]>, ()> {
    while !data.is_empty() {
        let [a, b, c, d, rest @ ..] = data else { return Err(()) };
        let len = usize::from(u16::from_be_bytes([*c, *d]));
        let (value, after) = rest.split_at_checked(len).ok_or(())?;
        if u16::from_be_bytes([*a, *b]) == wanted {
            return Ok(Some(value));
        }
        data = after;
    }
    Ok(None)
}

/// Where an owner's name is written.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// At this place of the message.
    At(usize),
    /// Here.
    Wire(&'a [u8]),
}

/// Sections after the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What was asked for.
    Answer = 0,
    /// Who says it, or why there is nothing.
    Authority = 1,
    /// What may be of use.
    Additional = 2,
}

/// An answer being written.
#[derive(Debug)]
pub struct Reply<'b> {
    out: &'b mut Vec<u8>,
    flags: u16,
    counts: [u16; 3],
    question_end: usize,
}

impl<'b> Reply<'b> {
    /// An answer to `query`, its question repeated as it was asked. What `out` had is gone.
    #[inline]
    pub fn new(out: &'b mut Vec<u8>, query: &Query<'_>, flags: u16) -> Self {
        let kept = query.flags() & (flag::RD | flag::CD | 0x7800);
        Self::start(out, query.wire, query.question, flags | kept)
    }

    /// An answer to a message that is no question, or of whose question nothing is repeated.
    pub fn to_header(out: &'b mut Vec<u8>, wire: &[u8], code: u16) -> Self {
        let kept = flags(wire) & (flag::RD | flag::CD | 0x7800);
        let mut reply = Self::start(out, wire, &[], kept);
        reply.code(code);
        reply
    }

    fn start(out: &'b mut Vec<u8>, wire: &[u8], question: &[u8], flags: u16) -> Self {
        out.clear();
        out.extend_from_slice(&wire[..2]);
        out.extend_from_slice(&[0, 0, 0, u8::from(!question.is_empty()), 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(question);
        let question_end = out.len();
        Self { out, flags: flags | flag::QR, counts: [0; 3], question_end }
    }

    /// Sets flags.
    pub fn set(&mut self, flags: u16) {
        self.flags |= flags;
    }

    /// Takes flags back.
    pub fn unset(&mut self, flags: u16) {
        self.flags &= !flags;
    }

    /// Its code's lower four bits.
    pub fn code(&mut self, code: u16) {
        self.flags = (self.flags & !15) | (code & 15);
    }

    /// Octets written so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing follows the question.
    pub fn is_empty(&self) -> bool {
        self.counts == [0; 3]
    }

    /// Writes a record; says where its data begins.
    #[inline]
    pub fn record(&mut self, section: Section, owner: Owner<'_>, rtype: u16, ttl: u32, data: &[u8]) -> usize {
        self.owner(owner);
        self.out.extend_from_slice(&rtype.to_be_bytes());
        self.out.extend_from_slice(&1u16.to_be_bytes());
        self.out.extend_from_slice(&ttl.to_be_bytes());
        self.out.extend_from_slice(&(data.len() as u16).to_be_bytes());
        let at = self.out.len();
        self.out.extend_from_slice(data);
        self.counts[section as usize] += 1;
        at
    }

    fn owner(&mut self, owner: Owner<'_>) {
        match owner {
            Owner::At(at) if at < 0x4000 => self.out.extend_from_slice(&(0xc000 | at as u16).to_be_bytes()),
            // Beyond what a pointer reaches; a question's own place always does.
            Owner::At(at) => {
                let end = skip_name(self.out, at).unwrap_or(at);
                self.out.extend_from_within(at..end);
            }
            Owner::Wire(wire) => self.out.extend_from_slice(wire),
        }
    }

    /// Writes the answer's own OPT record.
    pub fn edns(&mut self, edns: &ReplyEdns<'_>) {
        let ttl = (u32::from(edns.code >> 4) << 24) | if edns.dnssec_ok { 0x8000 } else { 0 };
        self.out.push(0);
        self.out.extend_from_slice(&rtype::OPT.to_be_bytes());
        self.out.extend_from_slice(&edns.udp_octets.to_be_bytes());
        self.out.extend_from_slice(&ttl.to_be_bytes());
        let text = edns.text;
        let error_octets = edns.extended_error.map_or(0, |_| 6 + text.len());
        let cookie_octets = edns.cookie.map_or(0, |_| 28);
        let idle_octets = edns.idle_ds.map_or(0, |_| 6);
        let options_octets = error_octets + cookie_octets + idle_octets;
        let unpadded = self.out.len() + 2 + options_octets + 4;
        let padded = unpadded.next_multiple_of(PADDED_OCTETS);
        let padding = (edns.padded && padded <= usize::from(u16::MAX)).then(|| padded - unpadded);
        let padding_octets = padding.map_or(0, |padding| 4 + padding);
        self.out.extend_from_slice(&((options_octets + padding_octets) as u16).to_be_bytes());
        if let Some(code) = edns.extended_error {
            self.out.extend_from_slice(&edns_option::EXTENDED_ERROR.to_be_bytes());
            self.out.extend_from_slice(&(2 + text.len() as u16).to_be_bytes());
            self.out.extend_from_slice(&code.to_be_bytes());
            self.out.extend_from_slice(text.as_bytes());
        }
        if let Some(cookie) = edns.cookie {
            self.out.extend_from_slice(&edns_option::COOKIE.to_be_bytes());
            self.out.extend_from_slice(&24u16.to_be_bytes());
            self.out.extend_from_slice(&cookie);
        }
        if let Some(idle_ds) = edns.idle_ds {
            self.out.extend_from_slice(&edns_option::KEEPALIVE.to_be_bytes());
            self.out.extend_from_slice(&2u16.to_be_bytes());
            self.out.extend_from_slice(&idle_ds.to_be_bytes());
        }
        if let Some(padding) = padding {
            self.out.extend_from_slice(&edns_option::PADDING.to_be_bytes());
            self.out.extend_from_slice(&(padding as u16).to_be_bytes());
            self.out.resize(self.out.len() + padding, 0);
        }
        self.counts[Section::Additional as usize] += 1;
    }

    /// Keeps the question only: the answer does not fit and is asked for again over a stream.
    pub fn truncate(&mut self) {
        self.empty();
        self.set(flag::TC);
    }

    /// Keeps the question only.
    pub fn empty(&mut self) {
        self.out.truncate(self.question_end);
        self.counts = [0; 3];
    }

    /// Writes the header; the answer is whole.
    pub fn finish(self) {
        self.out[2..4].copy_from_slice(&self.flags.to_be_bytes());
        for (section, count) in self.counts.iter().enumerate() {
            self.out[6 + section * 2..8 + section * 2].copy_from_slice(&count.to_be_bytes());
        }
    }
}

/// What an answer says of itself beyond RFC 1035.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplyEdns<'a> {
    /// Octets that the resolver takes over UDP.
    pub udp_octets: u16,
    /// Repeated from the question.
    pub dnssec_ok: bool,
    /// The answer's code, of which the header has four bits only.
    pub code: u16,
    /// Why it is what it is (RFC 8914).
    pub extended_error: Option<u16>,
    /// And in words, of at most [`TEXT_OCTETS_MAX`].
    pub text: &'a str,
    /// The client's cookie and the server's.
    pub cookie: Option<[u8; 24]>,
    /// How long a connection may be idle, in tenths of a second (RFC 7828).
    pub idle_ds: Option<u16>,
    /// Whether it is filled up so that its size tells little.
    pub padded: bool,
}

impl ReplyEdns<'_> {
    /// Octets that it takes, without what fills it up.
    pub fn octets(&self) -> usize {
        let error = self.extended_error.map_or(0, |_| 6 + self.text.len());
        11 + error + self.cookie.map_or(0, |_| 28) + self.idle_ds.map_or(0, |_| 6)
    }
}

/// Server cookies (RFC 9018), by which a client shows that it gets what is sent to its address.
#[derive(Clone, Copy, Debug)]
pub struct Cookies(Secret);

impl Cookies {
    /// Cookies of a secret, which servers behind one address share.
    pub fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// The cookie for a client, `now` in seconds since 1970.
    pub fn make(&self, client_part: [u8; 8], client: IpAddr, now: u32) -> [u8; 24] {
        let mut cookie = [0; 24];
        cookie[..8].copy_from_slice(&client_part);
        cookie[8] = 1;
        cookie[12..16].copy_from_slice(&now.to_be_bytes());
        let mut said = [0u8; 32];
        said[..16].copy_from_slice(&cookie[..16]);
        let len = match client {
            IpAddr::V4(v4) => {
                said[16..20].copy_from_slice(&v4.octets());
                20
            }
            IpAddr::V6(v6) => {
                said[16..32].copy_from_slice(&v6.octets());
                32
            }
        };
        let hash = SipHasher24::new_with_key(&self.0.0).hash(&said[..len]);
        cookie[16..].copy_from_slice(&hash.to_le_bytes());
        cookie
    }

    /// Whether a whole cookie is one of ours for this client, and not too old.
    pub fn is_ours(&self, cookie: &[u8], client: IpAddr, now: u32) -> bool {
        let Ok(cookie) = <[u8; 24]>::try_from(cookie) else { return false };
        let [a, b, c, d, e, f, g, h, _, _, _, _, t1, t2, t3, t4, ..] = cookie;
        let then = u32::from_be_bytes([t1, t2, t3, t4]);
        let age = now.wrapping_sub(then) as i32;
        (-(COOKIE_AHEAD_S_MAX as i32)..=COOKIE_AGE_S_MAX as i32).contains(&age)
            && ring_equal(&self.make([a, b, c, d, e, f, g, h], client, then), &cookie)
    }
}

/// Compares in a time that does not tell where they differ.
fn ring_equal(one: &[u8; 24], other: &[u8; 24]) -> bool {
    one.iter().zip(other).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

/// A question as it is put to another server: recursion wanted or not, signatures wanted or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The type's number.
    pub rtype: u16,
    /// Whether the other server shall look further.
    pub recursion: bool,
    /// Whether signatures are wanted.
    pub dnssec_ok: bool,
    /// Whether they are checked here.
    pub checking_disabled: bool,
}

/// Writes a question for another server, the letters of its name in random case (draft-vixie-dnsext-dns0x20) so that an answer that was
/// guessed is found out.
pub fn write_question(out: &mut Vec<u8>, id: u16, name: &Name, asking: Asking, udp_octets: u16) {
    let flags = if asking.recursion { flag::RD } else { 0 }
        | if asking.checking_disabled { flag::CD } else { 0 }
        | if asking.recursion { flag::AD } else { 0 };
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&flags.to_be_bytes());
    out.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 1]);
    let mut bits = fastrand::u64(..);
    for (at, octet) in name.wire().iter().enumerate() {
        if at % 64 == 63 {
            bits = fastrand::u64(..);
        }
        let upper = octet.is_ascii_lowercase() && bits & 1 == 1;
        bits >>= 1;
        out.push(if upper { octet.to_ascii_uppercase() } else { *octet });
    }
    out.extend_from_slice(&asking.rtype.to_be_bytes());
    out.extend_from_slice(&1u16.to_be_bytes());
    // OPT, without options: whose network the client is of is nobody's business (RFC 7871, 11.1).
    out.push(0);
    out.extend_from_slice(&rtype::OPT.to_be_bytes());
    out.extend_from_slice(&udp_octets.to_be_bytes());
    out.extend_from_slice(&if asking.dnssec_ok { 0x8000u32 } else { 0 }.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
}

/// Why a name cannot be read from a message.
pub type ReadError = NameError;

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str, rtype: u16) -> Vec<u8> {
        let name = Name::from_text(text.as_bytes(), &Name::ROOT).unwrap();
        let mut wire = Vec::new();
        let asking = Asking { rtype, recursion: true, dnssec_ok: true, checking_disabled: false };
        write_question(&mut wire, 7, &name, asking, 1232);
        wire
    }

    #[test]
    fn a_question_is_read_as_it_was_written_and_repeated_in_its_case() {
        let wire = asked("www.example.com.", rtype::A);
        let query = Query::read(&wire).unwrap();
        assert_eq!(query.name.to_string(), "www.example.com.");
        assert_eq!((query.rtype, query.class, query.flags() & flag::RD), (1, 1, flag::RD));
        assert!(query.dnssec_ok());
        let mut out = Vec::new();
        let mut reply = Reply::new(&mut out, &query, flag::RA);
        reply.record(Section::Answer, Owner::At(12), rtype::A, 60, &[192, 0, 2, 1]);
        reply.edns(&ReplyEdns {
            udp_octets: 1232,
            extended_error: Some(15),
            text: "listed",
            ..ReplyEdns::default()
        });
        reply.finish();
        assert_eq!(out[12..12 + query.question.len()], *query.question);
        let message = domain::base::Message::from_octets(out.as_slice()).unwrap();
        assert!(message.is_answer(&domain::base::Message::from_octets(wire.as_slice()).unwrap()));
        assert_eq!(message.answer().unwrap().count(), 1);
        assert_eq!(message.opt().unwrap().udp_payload_size(), 1232);
    }

    #[test]
    fn what_is_no_question_is_told_apart() {
        let good = asked("example.", rtype::A);
        let with = |at: usize, octet: u8| {
            let mut wire = good.clone();
            wire[at] = octet;
            Query::read(&wire).map(|_| ()).unwrap_err()
        };
        assert_eq!(Query::read(&good[..11]).unwrap_err(), Unasked::Silence);
        assert_eq!(with(2, 0x80), Unasked::Silence);
        assert_eq!(with(2, 0x28), Unasked::Code(rcode::NOTIMP));
        assert_eq!(with(5, 2), Unasked::Code(rcode::FORMERR));
        assert_eq!(with(7, 1), Unasked::Code(rcode::FORMERR));
        assert_eq!(with(12, 0xc0), Unasked::Code(rcode::FORMERR));
        let version = good.len() - 5;
        assert_eq!(with(version, 1), Unasked::Code(rcode::BADVERS));
        for end in 12..good.len() {
            assert!(Query::read(&good[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn a_cookie_is_the_one_of_the_book() {
        // RFC 9018, appendix A.1.
        let secret =
            [0xe5, 0xe9, 0x73, 0xe5, 0xa6, 0xb2, 0xa4, 0x3f, 0x48, 0xe7, 0xdc, 0x84, 0x9e, 0x37, 0xbf, 0xcf];
        let cookies = Cookies::new(Secret(secret));
        let client = "198.51.100.100".parse().unwrap();
        let made = cookies.make([0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57], client, 1_559_731_985);
        assert_eq!(
            made[8..],
            [0x01, 0, 0, 0, 0x5c, 0xf7, 0x9f, 0x11, 0x1f, 0x81, 0x30, 0xc3, 0xee, 0xe2, 0x94, 0x80]
        );
        assert!(cookies.is_ours(&made, client, 1_559_732_985));
        assert!(!cookies.is_ours(&made, client, 1_559_736_985));
        assert!(!cookies.is_ours(&made, "198.51.100.101".parse().unwrap(), 1_559_731_985));
    }

    proptest::proptest! {
        #[test]
        fn no_octets_make_it_panic(octets: Vec<u8>) {
            let _ = Query::read(&octets);
        }

        #[test]
        fn no_tail_makes_it_panic(tail: Vec<u8>, counts: [u8; 3]) {
            let mut wire = asked("a.example.", rtype::A);
            wire.truncate(12 + 11 + 4);
            for (at, count) in counts.iter().enumerate() {
                wire[7 + at * 2] = *count & 3;
            }
            wire.extend(tail);
            if let Ok(query) = Query::read(&wire) {
                let mut out = Vec::new();
                Reply::new(&mut out, &query, 0).finish();
            }
        }
    }
}
