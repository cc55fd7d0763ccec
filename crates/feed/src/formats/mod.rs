//! What no map can say: one file a source. Each says in its first paragraph what in the format needs code.

pub mod alienvault;
pub mod anubisnetworks;
pub mod arf;
pub mod bambenek;
pub mod bingmurls;
pub mod blocklistde;
pub mod blueliv;
pub mod calidog;
pub mod cert_eu;
pub mod cert_pl_shield;
pub mod cleanmx;
pub mod ctip;
pub mod cymru_bogons;
pub mod cymru_cap;
pub mod cznic_proki;
pub mod danger_rulez;
pub mod dataplane;
pub mod dshield;
pub mod eset;
pub mod fireeye;
pub mod fraunhofer_dga;
pub mod generic_csv;
pub mod hibp;
pub mod html_table;
pub mod intelmq;
pub mod json;
pub mod key_value;
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
#[cfg(test)]
pub mod trial;

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
    ("alienvault", alienvault::open),
    ("alienvault-otx", alienvault::open_otx),
    ("anubisnetworks", anubisnetworks::open),
    ("arf", arf::open),
    ("bambenek", bambenek::open),
    ("blocklistde", blocklistde::open),
    ("blueliv-crimeserver", blueliv::open),
    ("blueliv-map", n6_json::open_blueliv),
    ("calidog-certstream", calidog::open),
    ("cert-eu-csv", cert_eu::open),
    ("cert-pl-shield", cert_pl_shield::open),
    ("cleanmx", cleanmx::open),
    ("cymru-cap-program", cymru_cap::open),
    ("cymru-full-bogons", cymru_bogons::open),
    ("cznic-proki", cznic_proki::open),
    ("danger-rulez", danger_rulez::open),
    ("dataplane", dataplane::open),
    ("ddosia", n6_json::open_ddosia),
    ("dshield-asn", dshield::open_asn),
    ("dshield-block", dshield::open_block),
    ("dshield-domain", dshield::open_domain),
    ("eset", eset::open),
    ("fireeye", fireeye::open),
    ("fqdn-list", lists::open_fqdn),
    ("fraunhofer-dga", fraunhofer_dga::open),
    ("generic-csv", generic_csv::open),
    ("hibp-callback", hibp::open),
    ("html-table", html_table::open),
    ("ip-list", lists::open_ip),
    ("json", json::open),
    ("key-value", key_value::open),
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
    refused: Vec<String>,
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

    /// Says that a part of the record cannot be used, and why; the other parts stand.
    pub fn refuse(&mut self, reason: String) {
        self.refused.push(reason);
    }

    fn hand_over(&mut self, line: u64, text: &str, sink: &mut dyn Sink) {
        for fields in self.events.drain(..) {
            sink.event(line, fields);
        }
        for reason in self.refused.drain(..) {
            sink.bad(refused(line, reason, text));
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
                    Ok(()) => out.hand_over(line.number, &line.text, sink),
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
                    Ok(()) => out.hand_over(element.line, &element.text, sink),
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
