//! JSON that only n6's collectors write, or that other collectors write alike: a CSV or a feed's items packed into one
//! document with what the collector knows besides. Each is a few lines: what DDoSia's bots attack (`ddosia`), defaced
//! sites (`zoneh-rss`), open resolvers (`tu-dresden-resolvers`), Blueliv's map (`blueliv-map`).

use jiff::Timestamp;
use noroshi_model::{Bad, Datum, Fields};
use noroshi_wire::csv::{CsvFormat, Header, Records};
use noroshi_wire::{Encoding, Lines};
use serde_json::Value;

use super::{Out, by_element, refused, whole};
use crate::bundle::Bundle;
use crate::convert::{fqdn, host_of, ip, time};
use crate::n6::{Category, classify, find, put};
use crate::{Feed, FeedError, Input, Report, Sink};

fn category(name: &str) -> Result<&'static Category, FeedError> {
    find(name).ok_or_else(|| FeedError::Report(format!("no category is called {name}")))
}

/// DDoSia's targets: `{"csv_file": "host,ip,type,method,port,use_ssl,path…", "datetime": "…"}`.
pub fn open_ddosia(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let victim = category("dos-victim")?;
    Ok(whole(input, move |bytes, sink| {
        let document: Value = match serde_json::from_slice(bytes) {
            Ok(document) => document,
            Err(_) => return Err(FeedError::Report("the report is no JSON".into())),
        };
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        let needed = |name| FeedError::Report(format!("the report has no '{name}'"));
        let at = text("datetime").and_then(time).ok_or_else(|| needed("datetime"))?;
        let csv = text("csv_file").ok_or_else(|| needed("csv_file"))?;
        let format = CsvFormat { delimiter: ',', header: Header::FirstLine, ragged: false, comment: None };
        let lines = Lines::new(csv.as_bytes(), Encoding::default());
        for record in Records::new(lines, format, &["ip"]) {
            let record = match record? {
                Ok(record) => record,
                Err(bad) => {
                    sink.bad(bad);
                    continue;
                }
            };
            match target(|column| record.cell(column).unwrap_or_default().trim(), at, victim) {
                Ok(fields) => sink.event(record.line, fields),
                Err(reason) => sink.bad(record.bad(reason)),
            }
        }
        Ok(())
    }))
}

fn target<'a>(
    cell: impl Fn(&str) -> &'a str,
    at: Timestamp,
    victim: &'static Category,
) -> Result<Fields<'static>, String> {
    let mut fields = Fields::default();
    fields.put("time.source", Datum::Time(at));
    let address = put(&mut fields, victim, "ip", cell("ip"));
    if !put(&mut fields, victim, "fqdn", cell("host")) && !address {
        return Err("neither address nor host".into());
    }
    put(&mut fields, victim, "dport", cell("port"));
    let (kind, method) = (cell("type"), cell("method"));
    let transport = match (method, kind) {
        ("PING", _) => "icmp",
        (_, "udp") => "udp",
        (_, "http" | "http2" | "http3" | "nginx_loris" | "tcp") => "tcp",
        _ => "",
    };
    put(&mut fields, victim, "proto", transport);
    if kind.starts_with("http") || kind == "nginx_loris" {
        fields.put("protocol.application", "http");
    }
    fields.put("malware.name", "ddosia");
    fields.put("event_description.text", format!("DDoSia victim ({kind} {method})"));
    for (column, key) in [("path", "extra.path"), ("use_ssl", "extra.use_ssl")] {
        if !cell(column).is_empty() {
            fields.put(key, cell(column).to_owned());
        }
    }
    classify(&mut fields, victim);
    Ok(fields)
}

/// Zone-H's items as a list of `[link, description, date]`.
pub fn open_zoneh(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let deface = category("deface")?;
    Ok(whole(input, move |bytes, sink| {
        let items: Vec<Value> = serde_json::from_slice(bytes).map_err(|_| {
            FeedError::Report("the report is no JSON list of [link, description, date]".into())
        })?;
        for (n, item) in items.iter().enumerate() {
            // One line holds all items: its number in the list says which.
            let line = n as u64 + 1;
            match site(item, deface) {
                Ok(fields) => sink.event(line, fields),
                Err(reason) => bad_item(sink, line, reason, item),
            }
        }
        Ok(())
    }))
}

fn bad_item(sink: &mut dyn Sink, line: u64, reason: String, item: &Value) {
    let bad: Bad = refused(line, reason, &item.to_string());
    sink.bad(bad);
}

fn site(item: &Value, deface: &'static Category) -> Result<Fields<'static>, String> {
    let text = |n: usize| item.get(n).and_then(Value::as_str).unwrap_or_default().trim();
    let (link, description, date) = (text(0), text(1), text(2));
    let mut fields = Fields::default();
    let host = host(link).ok_or("the link names no host")?;
    match ip(host) {
        Some(address) => fields.put("source.ip", Datum::Ip(address)),
        None => fields.put("source.fqdn", fqdn(host).ok_or("the link names no host")?.into_owned()),
    }
    put(&mut fields, deface, "url", link);
    if !date.is_empty() {
        fields.put("time.source", Datum::Time(mail_time(date).ok_or("the date is none")?));
    }
    if !description.is_empty() {
        fields.put("event_description.text", description.to_owned());
    }
    if let Some((_, by)) = description.split_once(" notified by ") {
        fields.put("extra.notified_by", by.trim().to_owned());
    }
    classify(&mut fields, deface);
    Ok(fields)
}

/// The host of a link, which may lack its scheme. A port must be one.
fn host(link: &str) -> Option<&str> {
    let whole = link.contains("://");
    let authority = if whole { link.split_once("://")?.1 } else { link };
    let authority = authority.split(['/', '?', '#']).next()?;
    let (_, port) = authority.rsplit_once(':').unwrap_or((authority, "0"));
    port.parse::<u16>().ok()?;
    if whole { host_of(link) } else { authority.split(':').next().filter(|host| !host.is_empty()) }
}

/// A mail's date; the name of the weekday is not held against the date.
fn mail_time(text: &str) -> Option<Timestamp> {
    let date = text.split_once(", ").map_or(text, |(_, date)| date);
    jiff::fmt::rfc2822::parse(date).ok().map(|zoned| zoned.timestamp()).or_else(|| time(text))
}

/// Open resolvers: `[{"timestamp_request", "queried_ip", "replying_ip", "resolver_type"}]`.
pub fn open_resolvers(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let amplifier = category("amplifier")?;
    Ok(by_element(input, move |element, out: &mut Out| {
        let text = |name: &str| element.value.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut fields = Fields::default();
        let at = time(text("timestamp_request")).ok_or("timestamp_request is no time")?;
        // Whole seconds, as all that compares these reports has them.
        let at = Timestamp::from_second(at.as_second()).map_err(|_| "timestamp_request is no time")?;
        fields.put("time.source", Datum::Time(at));
        if !put(&mut fields, amplifier, "ip", text("queried_ip")) {
            return Err("queried_ip is no address".into());
        }
        put(&mut fields, amplifier, "dport", "53");
        put(&mut fields, amplifier, "proto", "udp");
        fields.put("protocol.application", "dns");
        for name in ["replying_ip", "resolver_type"] {
            if !text(name).is_empty() {
                fields.put(format!("extra.{name}"), text(name).to_owned());
            }
        }
        fields.put("classification.identifier", "open-resolver");
        classify(&mut fields, amplifier);
        out.event(fields);
        Ok(())
    }))
}

/// Blueliv's map of crime servers: `[{"url", "type", "ip", …}]`.
pub fn open_blueliv(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_element(input, |element, out: &mut Out| {
        let text = |name: &str| element.value.get(name).and_then(Value::as_str).unwrap_or_default();
        let (name, binary) = match text("type") {
            "MALWARE" => ("malurl", "binary"),
            "EXPLOIT_KIT" => ("malurl", "exploit-kit"),
            "C_AND_C" => ("cnc", ""),
            "BACKDOOR" => ("backdoor", ""),
            "PHISHING" => ("phish", ""),
            "" => return Err("no type".into()),
            _ => {
                out.filter();
                return Ok(());
            }
        };
        let category = find(name).ok_or("no category")?;
        let mut fields = Fields::default();
        let address = put(&mut fields, category, "ip", text("ip"));
        if !put(&mut fields, category, "url", text("url")) && !address {
            return Err("neither url nor ip".into());
        }
        if !binary.is_empty() {
            fields.put("classification.identifier", binary);
        }
        classify(&mut fields, category);
        out.event(fields);
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_links_as_people_write_them() {
        assert_eq!(host("http://example.org:8080/x"), Some("example.org"));
        assert_eq!(host("example.org/x"), Some("example.org"));
        assert_eq!(host("http://why:the-colon.example.org"), None);
        assert_eq!(host("https:///"), None);
        assert_eq!(host("http:/example.org"), None);
        assert_eq!(mail_time("Mon, 15 Feb 2015 21:03:51 -1230").unwrap().to_string(), "2015-02-16T09:33:51Z");
    }
}
