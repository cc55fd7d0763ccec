//! Shadowserver's reports as n6 reads them. The columns are a map (`feeds/n6-shadowserver.toml`); code is what depends on
//! more than a row's columns: a host that can be abused for amplification and is tagged with a CVE is also vulnerable,
//! which is an event of its own, and of FTP servers only those that offer no TLS are reported.

use noroshi_model::{Bad, Datum, Fields};

use crate::bundle::Bundle;
use crate::n6::{CATEGORY_KEY, classify, find, kept};
use crate::{Feed, FeedError, Input, Sink, mapped};

/// Opens the report `kind` (`open-resolver`); one that the map does not name is a report of vulnerable systems.
pub fn open(bundle: &Bundle, kind: &str, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let map = bundle.map("n6-shadowserver").ok_or_else(|| FeedError::Format("n6-shadowserver".into()))?;
    let inner = mapped(map, Some(kind), input)?;
    Ok(Box::new(Shadowserver { inner, ftp: kind == "ftp", kind: kind.to_owned() }))
}

struct Shadowserver {
    inner: Box<dyn Feed>,
    ftp: bool,
    kind: String,
}

impl Feed for Shadowserver {
    fn step(&mut self, sink: &mut dyn Sink) -> Result<bool, FeedError> {
        self.inner.step(&mut Split { sink, ftp: self.ftp, kind: &self.kind })
    }
}

struct Split<'s> {
    sink: &'s mut dyn Sink,
    ftp: bool,
    kind: &'s str,
}

impl Sink for Split<'_> {
    fn event(&mut self, line: u64, mut fields: Fields<'_>) {
        if self.ftp && fields.has("extra.handshake") {
            return self.sink.filtered(line);
        }
        let category = kept(&fields).and_then(find).or_else(|| find("vulnerable"));
        if let Some(category) = category {
            fields.offer("classification.identifier", self.kind.to_owned());
            classify(&mut fields, category);
        }
        let tag = fields.get("extra.tag").and_then(Datum::text);
        let cve = tag.filter(|_| kept(&fields) == Some("amplifier")).and_then(cve);
        let Some(cve) = cve.map(str::to_ascii_lowercase) else {
            return self.sink.event(line, fields);
        };
        let mut vulnerable = fields.clone();
        if let Some(category) = find("vulnerable") {
            classify(&mut vulnerable, category);
        }
        vulnerable.put("classification.identifier", cve);
        debug_assert!(vulnerable.has(CATEGORY_KEY));
        self.sink.event(line, fields);
        self.sink.event(line, vulnerable);
    }

    fn filtered(&mut self, line: u64) {
        self.sink.filtered(line);
    }

    fn bad(&mut self, bad: Bad) {
        self.sink.bad(bad);
    }
}

/// The first CVE number in a tag.
fn cve(tag: &str) -> Option<&str> {
    let lower = tag.to_ascii_lowercase();
    let mut from = 0;
    while let Some(at) = lower.get(from..)?.find("cve-").map(|at| at + from) {
        let begins = !lower[..at].bytes().last().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        let rest = &lower[at + 4..];
        let year = rest.bytes().take_while(u8::is_ascii_digit).count();
        let digits = rest.get(5..).map_or(0, |n| n.bytes().take_while(u8::is_ascii_digit).count());
        if begins && year == 4 && rest.as_bytes().get(4) == Some(&b'-') && digits > 0 {
            return tag.get(at..at + 4 + 5 + digits);
        }
        from = at + 4;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cve_numbers_in_tags() {
        assert_eq!(cve("dns;CVE-2023-12345,x"), Some("CVE-2023-12345"));
        assert_eq!(cve("cve-20-1;cve-2000-1"), Some("cve-2000-1"));
        assert_eq!(cve("xcve-2000-1"), None);
        assert_eq!(cve("cve-2000-é"), None);
        assert_eq!(cve("cve-"), None);
    }
}
