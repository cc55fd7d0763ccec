//! What no map can say: one file a source. Each says in its first paragraph what in the format needs code.

pub mod arf;
pub mod bingmurls;
pub mod cert_pl_shield;
pub mod ctip;
pub mod dshield;
pub mod eset;
pub mod fireeye;
pub mod fraunhofer_dga;
pub mod hibp;
pub mod html_table;
pub mod lists;
pub mod malwarepatrol;
pub mod malwareurl;
pub mod markup;
pub mod mcafee_atd;
pub mod misp;
pub mod n6_json;
pub mod n6_manual;
pub mod n6_shadowserver;
pub mod n6stomp;
pub mod openphish;
pub mod phishtank;
pub mod shodan;
pub mod spamhaus_cert;
pub mod spamhaus_drop;
pub mod surbl;
pub mod threatminer;
pub mod turris;
pub mod urlhaus;
pub mod values;
pub mod vxvault;
pub mod warden;
pub mod xarf;

#[cfg(test)]
pub mod probe;

use std::io::Read as _;

use noroshi_model::intake::SNIPPET_BYTES_MAX;
use noroshi_model::{Bad, Fields};
use noroshi_wire::elements::{Element, Elements};
use noroshi_wire::{Encoding, Item, Lines};

use crate::bundle::Bundle;
use crate::{Feed, FeedError, Input, Report, Sink, n6, shadowserver};

/// Opens a report in a format.
pub type Open = fn(&Bundle, &Report, Input) -> Result<Box<dyn Feed>, FeedError>;

/// Most bytes of a document that can only be read as a whole.
pub const DOCUMENT_BYTES_MAX: u64 = 64 << 20;

/// Formats that are code, by name.
pub const FORMATS: &[(&str, Open)] = &[
    ("arf", arf::open),
    ("blueliv-map", n6_json::open_blueliv),
    ("cert-pl-shield", cert_pl_shield::open),
    ("ddosia", n6_json::open_ddosia),
    ("dshield-asn", dshield::open_asn),
    ("dshield-block", dshield::open_block),
    ("dshield-domain", dshield::open_domain),
    ("eset", eset::open),
    ("fireeye", fireeye::open),
    ("fqdn-list", lists::open_fqdn),
    ("fraunhofer-dga", fraunhofer_dga::open),
    ("hibp-callback", hibp::open),
    ("html-table", html_table::open),
    ("ip-list", lists::open_ip),
    ("malwarepatrol-dansguardian", malwarepatrol::open),
    ("malwareurl", malwareurl::open),
    ("mcafee-atd", mcafee_atd::open),
    ("microsoft-bingmurls", bingmurls::open),
    ("microsoft-ctip", ctip::open),
    ("misp", misp::open),
    ("n6-n6stomp", n6stomp::open),
    ("openphish", openphish::open),
    ("phishtank", phishtank::open),
    ("shadowserver", shadowserver::open_csv),
    ("shadowserver-json", shadowserver::open_json),
    ("shodan", shodan::open),
    ("spamhaus-cert", spamhaus_cert::open),
    ("spamhaus-drop", spamhaus_drop::open),
    ("surbl", surbl::open),
    ("threatminer", threatminer::open),
    ("tu-dresden-resolvers", n6_json::open_resolvers),
    ("turris", turris::open),
    ("url-list", lists::open_url),
    ("urlhaus", urlhaus::open),
    ("vxvault", vxvault::open),
    ("warden", warden::open),
    ("xarf", xarf::open),
    ("zoneh-rss", n6_json::open_zoneh),
];

/// The code of a format. The sources of n6 are formats of their own (see [`n6::SOURCES`]).
pub fn find(format: &str) -> Option<Open> {
    let found = FORMATS.iter().find(|(name, _)| *name == format).map(|(_, open)| *open);
    found.or_else(|| n6::knows(format).then_some(n6::open as Open))
}

/// What one record holds.
#[derive(Debug, Default)]
pub struct Out {
    events: Vec<Fields<'static>>,
    filtered: bool,
}

impl Out {
    /// Adds an event.
    pub fn event(&mut self, fields: Fields<'static>) {
        self.events.push(fields);
    }

    /// Says that the record is left out by a rule of the format. A comment or a header is no record: for it do nothing.
    pub fn filter(&mut self) {
        self.filtered = true;
    }

    fn hand_over(&mut self, line: u64, sink: &mut dyn Sink) {
        for fields in self.events.drain(..) {
            sink.event(line, fields);
        }
        if std::mem::take(&mut self.filtered) {
            sink.filtered(line);
        }
    }
}

/// A feed of lines: `parse` gets each line without its end, and says why a line cannot be used.
pub struct ByLine<F> {
    lines: Lines<Input>,
    parse: F,
}

/// Reads a feed line by line. Empty lines are passed over.
pub fn by_line<F>(input: Input, parse: F) -> Box<dyn Feed>
where
    F: FnMut(&str, &mut Out) -> Result<(), String> + 'static,
{
    Box::new(ByLine { lines: Lines::new(input, Encoding::default()), parse })
}

impl<F: FnMut(&str, &mut Out) -> Result<(), String>> Feed for ByLine<F> {
    fn step(&mut self, sink: &mut dyn Sink) -> Result<bool, FeedError> {
        match self.lines.next().transpose()? {
            None => return Ok(false),
            Some(Item::Bad(bad)) => sink.bad(bad),
            Some(Item::Line(line)) if line.text.trim().is_empty() => {}
            Some(Item::Line(line)) => {
                let mut out = Out::default();
                match (self.parse)(&line.text, &mut out) {
                    Ok(()) => out.hand_over(line.number, sink),
                    Err(reason) => sink.bad(refused(line.number, reason, &line.text)),
                }
            }
        }
        Ok(true)
    }
}

/// A feed of JSON objects: an array, lines, or one object.
pub struct ByElement<F> {
    elements: Elements<Input>,
    parse: F,
}

/// Reads a feed element by element (see [`Elements`]).
pub fn by_element<F>(input: Input, parse: F) -> Box<dyn Feed>
where
    F: FnMut(&Element, &mut Out) -> Result<(), String> + 'static,
{
    Box::new(ByElement { elements: Elements::new(input), parse })
}

impl<F: FnMut(&Element, &mut Out) -> Result<(), String>> Feed for ByElement<F> {
    fn step(&mut self, sink: &mut dyn Sink) -> Result<bool, FeedError> {
        match self.elements.next().transpose()? {
            None => return Ok(false),
            Some(Err(bad)) => sink.bad(bad),
            Some(Ok(element)) => {
                let mut out = Out::default();
                match (self.parse)(&element, &mut out) {
                    Ok(()) => out.hand_over(element.line, sink),
                    Err(reason) => sink.bad(element.bad(reason)),
                }
            }
        }
        Ok(true)
    }
}

/// A document that can only be read as a whole (XML, a mail): bounded by [`DOCUMENT_BYTES_MAX`].
pub struct Whole<F> {
    input: Option<Input>,
    parse: F,
}

/// Reads a whole document; `parse` hands over events itself, with their lines.
pub fn whole<F>(input: Input, parse: F) -> Box<dyn Feed>
where
    F: FnMut(&[u8], &mut dyn Sink) -> Result<(), FeedError> + 'static,
{
    Box::new(Whole { input: Some(input), parse })
}

impl<F: FnMut(&[u8], &mut dyn Sink) -> Result<(), FeedError>> Feed for Whole<F> {
    fn step(&mut self, sink: &mut dyn Sink) -> Result<bool, FeedError> {
        let Some(input) = self.input.take() else { return Ok(false) };
        let mut bytes = Vec::new();
        input.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
            return Err(FeedError::Report(format!("a document has at most {DOCUMENT_BYTES_MAX} bytes")));
        }
        (self.parse)(&bytes, sink)?;
        Ok(true)
    }
}

/// A record for the quarantine.
pub fn refused(line: u64, reason: String, text: &str) -> Bad {
    let bytes = text.as_bytes();
    let snippet = bytes[..bytes.len().min(SNIPPET_BYTES_MAX)].to_vec();
    Bad { line, reason, snippet, bytes: bytes.len() as u64 }
}
