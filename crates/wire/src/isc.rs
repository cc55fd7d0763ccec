//! Who was given which address by ISC dhcpd: `dhcpd.leases` and `dhcpd6.leases` (dhcpd.leases(5)).
//!
//! ```text
//!   lease 198.51.100.20 {                         ia-pd "\001\000\000\000\000\003…" {      IAID, then DUID
//!     starts 0 2026/11/22 11:07:03;                 cltt 0 2026/11/22 11:07:03;
//!     ends epoch 1795349223; # in local time        iaprefix 2001:db8:12:3400::/56 {
//!     binding state active;                           binding state active;
//!     hardware ethernet 00:53:00:00:00:14;            ends never;
//!     option agent.remote-id 0:ff:7;                } }
//!   }
//! ```
//!
//! The server appends a block at each change and rewrites the file now and then; times are UTC or seconds since 1970. Each
//! block is an assignment, or its end. The same block read again says the same again.

use std::io::Read;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::DateTime;
use noroshi_law::Sealed;
use noroshi_model::intake::Bad;

use crate::assignment::{Assignment, Change, Given};
use crate::dhcp::{Ids, LINE_BYTES_MAX, LeaseFormat, hex};
use crate::lines::{Encoding, Item, Line, Lines, LinesError, snippet};
use crate::radius::{BadSealed, slot};
use crate::time::{Zone, in_range};

/// Most lines of a block.
pub const BLOCK_LINES_MAX: usize = 1024;
/// Most bytes of a block.
pub const BLOCK_BYTES_MAX: usize = 256 << 10;

/// The blocks of a file; made by [`read_isc_leases`].
#[derive(Debug)]
pub struct IscLeases<R> {
    lines: Lines<R>,
    /// The line that begins the next block, and the position before it.
    ahead: Option<(Line, u64)>,
    format: LeaseFormat,
    ended: bool,
}

/// Reads a lease file of either family from its beginning. The outer error ends it; a bad block does not.
pub fn read_isc_leases<R: Read>(reader: R, format: &LeaseFormat) -> IscLeases<R> {
    let lines = Lines::new(reader, Encoding::default()).with_limit(LINE_BYTES_MAX);
    IscLeases { lines, ahead: None, format: format.clone(), ended: false }
}

/// A block as it stands in the file, or as much of it as is kept.
#[derive(Default)]
struct Block {
    line: u64,
    lines: usize,
    text: String,
    bytes: u64,
    fault: Option<String>,
}

impl<R: Read> IscLeases<R> {
    /// Bytes consumed so far: where the next block starts.
    pub fn offset(&self) -> u64 {
        self.ahead.as_ref().map_or(self.lines.offset(), |(_, before)| *before)
    }

    /// The next block that is a lease, or a line outside of blocks that is no text.
    fn block(&mut self) -> Result<Option<Block>, LinesError> {
        loop {
            let (item, before) = match self.ahead.take() {
                Some((line, before)) => (Item::Line(line), before),
                None => {
                    let before = self.lines.offset();
                    let Some(item) = self.lines.next().transpose()? else { return Ok(None) };
                    (item, before)
                }
            };
            match item {
                Item::Line(line) if begins_lease(&line.text) => return self.rest_of(&line, before).map(Some),
                Item::Line(_) => {}
                Item::Bad(bad) => {
                    let fault = Some(bad.reason);
                    let text = String::from_utf8_lossy(&bad.snippet).into_owned();
                    return Ok(Some(Block { line: bad.line, lines: 1, text, bytes: bad.bytes, fault }));
                }
            }
        }
    }

    fn rest_of(&mut self, first: &Line, before: u64) -> Result<Block, LinesError> {
        let mut block = Block { line: first.number, ..Block::default() };
        let mut depth = block.add(first);
        if depth < 1 {
            block.fail("it does not begin as a lease does");
        }
        let mut before = before;
        while depth > 0 {
            before = self.lines.offset().max(before);
            match self.lines.next().transpose()? {
                None => {
                    block.fail("cut off: it is not closed");
                    break;
                }
                Some(Item::Bad(bad)) => {
                    block.bytes += bad.bytes + 1;
                    block.fail(&format!("line {}: {}", bad.line, bad.reason));
                }
                Some(Item::Line(line)) if begins_lease(&line.text) => {
                    block.fail("cut off: another begins before it is closed");
                    self.ahead = Some((line, before));
                    break;
                }
                Some(Item::Line(line)) => depth += block.add(&line),
            }
        }
        Ok(block)
    }
}

impl<R: Read> Iterator for IscLeases<R> {
    type Item = Result<Result<Vec<Sealed<Assignment>>, BadSealed>, LinesError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let block = self.block().transpose();
        self.ended = !matches!(block, Some(Ok(_)));
        Some(block?.map(|block| match block.leases(&self.format) {
            Ok(leases) => Ok(leases.into_iter().map(Sealed::new).collect()),
            Err(reason) => Err(block.bad(reason)),
        }))
    }
}

/// Leases begin in the first column.
fn begins_lease(text: &str) -> bool {
    ["lease ", "ia-na ", "ia-pd ", "ia-ta "].iter().any(|word| text.starts_with(word))
}

impl Block {
    /// Adds a line; says by how much it opens more than it closes.
    fn add(&mut self, line: &Line) -> i64 {
        self.lines += 1;
        self.bytes += line.text.len() as u64 + 1;
        if self.lines > BLOCK_LINES_MAX || self.bytes > BLOCK_BYTES_MAX as u64 {
            self.fail(&format!("more than {BLOCK_LINES_MAX} lines or {BLOCK_BYTES_MAX} bytes"));
        } else {
            self.text.push_str(&line.text);
            self.text.push('\n');
        }
        let deeper = |token| match token {
            Token::Open => 1,
            Token::Close => -1,
            _ => 0,
        };
        Tokens(&line.text).map(deeper).sum()
    }

    fn fail(&mut self, reason: &str) {
        self.fault.get_or_insert_with(|| reason.to_owned());
    }

    fn bad(self, reason: String) -> BadSealed {
        Bad { line: self.line, reason, snippet: snippet(self.text.as_bytes()), bytes: self.bytes }.into()
    }

    /// What the block tells, or a reason that names the statement and never its values.
    fn leases(&self, format: &LeaseFormat) -> Result<Vec<Assignment>, String> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let mut outer = Facts::default();
        let mut inner: Vec<(IpNet, Facts)> = Vec::new();
        let mut lease = None;
        let mut depth = 0usize;
        let mut words = Vec::new();
        // Blocks within that are none of ours, such as `on commit { … }`.
        let mut foreign = 0usize;
        for token in Tokens(&self.text) {
            match token {
                Token::Open => {
                    match (depth, words.as_slice()) {
                        (0, [Token::Word("lease"), Token::Word(ip)]) => lease = Some(address(ip)?),
                        (0, [Token::Word(_), Token::Text(id)]) => {
                            outer.ids.client = id.get(4..).map(<[u8]>::to_vec);
                        }
                        (1, [Token::Word("iaaddr"), Token::Word(ip)]) if foreign == 0 => {
                            inner.push((address(ip)?, Facts::default()));
                        }
                        (1, [Token::Word("iaprefix"), Token::Word(net)]) if foreign == 0 => {
                            inner.push((prefix(net)?, Facts::default()));
                        }
                        (0, _) => return Err("it does not begin as a lease does".into()),
                        _ => foreign += 1,
                    }
                    depth += 1;
                    words.clear();
                }
                Token::Close => {
                    depth = depth.saturating_sub(1);
                    foreign = foreign.saturating_sub(1);
                    words.clear();
                }
                Token::End if foreign > 0 => words.clear(),
                Token::End => {
                    let facts = if depth > 1 { inner.last_mut().map(|(_, facts)| facts) } else { None };
                    facts.unwrap_or(&mut outer).take(&words)?;
                    words.clear();
                }
                Token::Broken => return Err("a quote opens and does not close".into()),
                word => words.push(word),
            }
        }
        match lease {
            Some(net) => Ok(vec![outer.assignment(net, &outer, self.line, format)?]),
            None => {
                inner.iter().map(|(net, facts)| facts.assignment(*net, &outer, self.line, format)).collect()
            }
        }
    }
}

/// What the statements of a block say.
#[derive(Default)]
struct Facts {
    starts: Option<Timestamp>,
    /// The inner `None` is `never`.
    ends: Option<Option<Timestamp>>,
    cltt: Option<Timestamp>,
    state: Option<State>,
    ids: Ids,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Active,
    Abandoned,
    /// Free, expired, released, reset, backup, bootp: over since `ends`.
    Over,
}

impl Facts {
    fn take(&mut self, words: &[Token<'_>]) -> Result<(), String> {
        match words {
            [Token::Word("starts"), when @ ..] => self.starts = instant(when, "starts")?,
            [Token::Word("cltt"), when @ ..] => self.cltt = instant(when, "cltt")?,
            [Token::Word("ends"), when @ ..] => self.ends = Some(instant(when, "ends")?),
            [Token::Word("binding"), Token::Word("state"), Token::Word(state)] => {
                self.state = Some(match *state {
                    "active" => State::Active,
                    "abandoned" => State::Abandoned,
                    "free" | "expired" | "released" | "reset" | "backup" | "bootp" => State::Over,
                    _ => return Err("`binding state` is none that dhcpd knows".into()),
                });
            }
            [Token::Word("hardware"), Token::Word(_), address] => {
                self.ids.hardware = Some(octets(address).ok_or("`hardware` is no hex")?);
            }
            [Token::Word("uid"), uid] => self.ids.client = Some(octets(uid).ok_or("`uid` is no hex")?),
            [Token::Word("option"), Token::Word("agent.remote-id"), id] => {
                self.ids.remote = Some(octets(id).ok_or("`agent.remote-id` is no hex")?);
            }
            [Token::Word("option"), Token::Word("agent.circuit-id"), id] => {
                self.ids.circuit = Some(octets(id).ok_or("`agent.circuit-id` is no hex")?);
            }
            [Token::Word("option"), Token::Word("agent.subscriber-id"), id] => {
                self.ids.subscriber = Some(octets(id).ok_or("`agent.subscriber-id` is no hex")?);
            }
            _ => {}
        }
        Ok(())
    }

    fn assignment(
        &self,
        net: IpNet,
        outer: &Self,
        line: u64,
        format: &LeaseFormat,
    ) -> Result<Assignment, String> {
        let heard = self.cltt.or(outer.cltt).or(self.starts);
        let ends = self.ends.flatten();
        let (change, at) = match self.state.ok_or("`binding state` is missing")? {
            State::Active => (Change::Start, heard.ok_or("neither `cltt` nor `starts` is there")?),
            // Its end is when it may be tried again.
            State::Abandoned => (Change::Stop, heard.ok_or("neither `cltt` nor `starts` is there")?),
            State::Over => (Change::Stop, ends.or(heard).ok_or("neither `ends` nor `cltt` is there")?),
        };
        let active = change == Change::Start;
        if active && self.ends.is_none() {
            return Err("`ends` is missing".into());
        }
        let whom = outer.ids.whom(&format.line);
        if active && whom.is_none() {
            return Err("none of the declared ids is there: whose lease is it?".into());
        }
        Ok(Assignment {
            change,
            given: Some(Given { net, ports: None }),
            whom,
            at,
            until: ends.filter(|_| active),
            began: self.starts.filter(|starts| active && *starts <= at),
            server: format.server.clone(),
            session: None,
            clock_offset_s: None,
            line,
        })
    }
}

fn address(text: &str) -> Result<IpNet, String> {
    let ip: IpAddr = text.parse().map_err(|_| "the address is none")?;
    Ok(IpNet::from(ip.to_canonical()))
}

fn prefix(text: &str) -> Result<IpNet, String> {
    let net: IpNet = text.parse().map_err(|_| "the prefix is none")?;
    slot(net).map(|_| net.trunc()).ok_or_else(|| "the prefix is shorter than /48".into())
}

/// `W Y/M/D h:m:s` in UTC, `epoch N`, or `never`.
fn instant(words: &[Token<'_>], what: &str) -> Result<Option<Timestamp>, String> {
    let time = match words {
        [Token::Word("never")] => return Ok(None),
        [Token::Word("epoch"), Token::Word(seconds)] => {
            seconds.parse().ok().and_then(|s| Timestamp::from_second(s).ok())
        }
        [Token::Word(_weekday), Token::Word(date), Token::Word(time)] => civil(date, time),
        _ => None,
    };
    let time = time.ok_or_else(|| format!("`{what}` is no time as dhcpd writes it"))?;
    in_range(time).map(Some).map_err(|e| format!("`{what}`: {e}"))
}

fn civil(date: &str, time: &str) -> Option<Timestamp> {
    let three = |text: &str, between| {
        let mut parts = text.split(between).map(|part| part.parse::<i16>().ok());
        let three = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(three)
    };
    let ([year, month, day], [hour, minute, second]) = (three(date, '/')?, three(time, ':')?);
    let small = |number: i16| i8::try_from(number).ok();
    let civil =
        DateTime::new(year, small(month)?, small(day)?, small(hour)?, small(minute)?, small(second)?, 0)
            .ok()?;
    Zone::utc().instant(civil).ok()
}

/// A quoted text, or hex with colons.
fn octets(token: &Token<'_>) -> Option<Vec<u8>> {
    match token {
        Token::Text(octets) => Some(octets.clone()),
        Token::Word(word) => hex(word),
        _ => None,
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// In quotes, with its escapes undone.
    Text(Vec<u8>),
    Open,
    Close,
    End,
    Broken,
}

/// The tokens of a text: words, texts in quotes, `{`, `}`, `;`; from `#` on it is a comment.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.0 = self.0.trim_start();
            if !self.0.starts_with('#') {
                break;
            }
            self.0 = self.0.split_once('\n').map_or("", |(_, rest)| rest);
        }
        let first = self.0.chars().next()?;
        let single = match first {
            '{' => Some(Token::Open),
            '}' => Some(Token::Close),
            ';' => Some(Token::End),
            _ => None,
        };
        if let Some(token) = single {
            self.0 = &self.0[1..];
            return Some(token);
        }
        if first == '"' {
            return Some(self.text());
        }
        let end = self.0.find(|c: char| c.is_whitespace() || "{};\"#".contains(c)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(Token::Word(word))
    }
}

impl<'a> Tokens<'a> {
    /// `"…"` with `\"`, `\\` and `\ooo`; a text does not go beyond its line.
    fn text(&mut self) -> Token<'a> {
        let bytes = self.0.as_bytes();
        let mut octets = Vec::new();
        let mut at = 1;
        loop {
            let (octet, taken) = match bytes.get(at..).unwrap_or_default() {
                [b'"', ..] => {
                    self.0 = self.0.get(at + 1..).unwrap_or_default();
                    return Token::Text(octets);
                }
                [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                    (((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'), 4)
                }
                [b'\\', other, ..] if *other != b'\n' => (*other, 2),
                [] | [b'\n' | b'\\', ..] => {
                    self.0 = self.0.split_once('\n').map_or("", |(_, rest)| rest);
                    return Token::Broken;
                }
                [other, ..] => (*other, 1),
            };
            octets.push(octet);
            at += taken;
        }
    }
}

#[cfg(test)]
mod tests;
