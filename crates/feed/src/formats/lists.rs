//! Lists of one thing a line: addresses or networks (`ip-list`), URLs (`url-list`), host names (`fqdn-list`). Most
//! blocklists are this. The parameters `type` (an RSIT type, `blacklist` where not given) and `identifier` say what the
//! list means. A list has no columns, and often says only in a comment when it was made: that comment dates the entries;
//! an entry of an undated list has no time but that of its reading.

use jiff::Timestamp;
use jiff::civil::DateTime;
use noroshi_model::{ClassificationType, Datum, Fields};

use super::{Out, by_line};
use crate::bundle::Bundle;
use crate::convert::{fqdn, host_of, ip, network, url};
use crate::{Feed, FeedError, Input, Report};

/// What a list is of.
#[derive(Clone, Copy)]
enum Of {
    Address,
    Url,
    Name,
}

/// Opens a list of addresses.
pub fn open_ip(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    open(Of::Address, report, input)
}

/// Opens a list of URLs.
pub fn open_url(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    open(Of::Url, report, input)
}

/// Opens a list of host names.
pub fn open_fqdn(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    open(Of::Name, report, input)
}

fn open(of: Of, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let name = report.text("type").unwrap_or("blacklist");
    let kind = ClassificationType::parse(name)
        .ok_or_else(|| FeedError::Parameter { name: "type", reason: format!("'{name}' is no RSIT type") })?;
    let identifier = report.text("identifier").map(str::to_owned);
    let mut made: Option<Timestamp> = None;
    Ok(by_line(input, move |line, out: &mut Out| {
        let line = line.trim();
        if line.starts_with(['#', ';', '[']) || line.starts_with("//") {
            made = made.or_else(|| date_in(line));
            return Ok(());
        }
        let mut fields = Fields::default();
        entry(of, line, &mut fields)?;
        fields.put("classification.type", kind.id());
        fields.put("classification.taxonomy", kind.taxonomy());
        if let Some(identifier) = &identifier {
            fields.put("classification.identifier", identifier.clone());
        }
        if let Some(made) = made {
            fields.put("time.source", Datum::Time(made));
        }
        out.event(fields);
        Ok(())
    }))
}

/// Reads an entry; what stands behind it (`;`, `#`) is a remark.
fn entry(of: Of, line: &str, fields: &mut Fields<'static>) -> Result<(), String> {
    if let Of::Url = of {
        let text = line.trim_matches('"');
        let link = url(text).ok_or("no URL")?;
        host_of(&link).ok_or("no URL")?;
        fields.put("source.url", link.into_owned());
        return Ok(());
    }
    let (text, remark) = line.split_once([';', '#', ',', ' ', '\t']).unwrap_or((line, ""));
    let text = text.trim().trim_matches('"');
    match of {
        Of::Name => fields.put("source.fqdn", fqdn(text).ok_or("no host name")?.into_owned()),
        _ => match (ip(text), network(text)) {
            (Some(ip), _) => fields.put("source.ip", Datum::Ip(ip)),
            (None, Some(net)) => fields.put("source.network", Datum::Net(net)),
            (None, None) => return Err("no address and no network".into()),
        },
    }
    let remark = remark.trim_matches([' ', '\t', ';', '#', ',', '"']);
    if !remark.is_empty() {
        fields.put("extra.remark", remark.to_owned());
    }
    Ok(())
}

/// A date with a time of day in a comment: `2020-04-23 03:59:01`, `21.04.2020 08:15`.
fn date_in(comment: &str) -> Option<Timestamp> {
    const PATTERNS: [&str; 3] = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M"];
    let words: Vec<&str> = comment.split([' ', '\t', 'T', 'Z']).filter(|word| !word.is_empty()).collect();
    let pairs = words.windows(2).filter(|pair| pair[0].len() >= 8 && pair[1].contains(':'));
    let texts = pairs.map(|pair| format!("{} {}", pair[0], pair[1]));
    let civil = texts
        .flat_map(|text| PATTERNS.map(|pattern| DateTime::strptime(pattern, &text).ok()))
        .find_map(|civil| civil)?;
    jiff::tz::Offset::UTC.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_that_date_a_list() {
        let at = |text: &str| date_in(text).map(|t| t.to_string());
        assert_eq!(at("# Generated 2020-04-23 03:59:01").as_deref(), Some("2020-04-23T03:59:01Z"));
        assert_eq!(at("# blacklisted on 21.04.2020 08:15").as_deref(), Some("2020-04-21T08:15:00Z"));
        assert_eq!(at("; Last-Modified 2024-01-01T00:00:00Z").as_deref(), Some("2024-01-01T00:00:00Z"));
        assert_eq!(at("# from 2020-04-23 on: everything"), None);
    }

    #[test]
    fn entries_and_remarks() {
        let read = |of, line: &str| {
            let mut fields = Fields::default();
            entry(of, line, &mut fields).map(|()| fields)
        };
        let net = read(Of::Address, "192.0.2.0/24 ; SBL1").unwrap();
        assert!(net.has("source.network"));
        assert_eq!(net.get("extra.remark").and_then(Datum::text), Some("SBL1"));
        assert!(read(Of::Address, "1111.2222.3333.4444").is_err());
        assert!(read(Of::Address, "2001:db8::1").is_ok());
        assert!(read(Of::Name, "example.org, shop").is_ok());
        assert!(read(Of::Url, "http://").is_err());
    }
}
