//! Clean MX's lists of viruses and of phishing, in XML. One format with two sets of members; an entry tells by its own
//! which it is of, where the feed's URL does not.

use noroshi_model::Fields;

use super::intelmq::put;
use super::whole;
use crate::bundle::Bundle;
use crate::convert::{epoch, fqdn, ip};
use crate::{Feed, FeedError, Input, Report, Sink};

/// Opens a report.
pub fn open(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let told = [report.feed_url.as_deref(), report.file_name.as_deref(), Some(report.feed_name.as_str())];
    let phishing = told.into_iter().flatten().map(str::to_lowercase).find_map(|text| {
        let virus = text.contains("virus").then_some(false);
        text.contains("phish").then_some(true).or(virus)
    });
    Ok(whole(input, move |bytes, sink| {
        read(bytes, phishing, sink);
        Ok(())
    }))
}

fn read(bytes: &[u8], phishing: Option<bool>, sink: &mut dyn Sink) {
    // The lists say that they are ISO 8859-15; those that are UTF-8 nevertheless are told by reading as such.
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
    };
    let mut line = 1;
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("<entry>") {
        line += lines(before);
        let (entry, behind) = after.split_once("</entry>").unwrap_or((after, ""));
        match event(entry, phishing) {
            Ok(fields) => sink.event(line, fields),
            Err(reason) => sink.bad(super::refused(line, reason, entry)),
        }
        line += lines(entry);
        rest = behind;
    }
}

fn lines(text: &str) -> u64 {
    text.bytes().filter(|b| *b == b'\n').count() as u64
}

/// The members of an entry, which has no members of members.
fn members(entry: &str) -> Vec<(&str, String)> {
    let mut members = Vec::new();
    let mut rest = entry;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((name, after)) = after.split_once('>') else { break };
        rest = after;
        if let Some((inner, behind)) = after.split_once(&format!("</{name}>")) {
            let inner = inner.trim();
            let literal = inner.strip_prefix("<![CDATA[").and_then(|text| text.strip_suffix("]]>"));
            members.push((name, literal.map_or_else(|| unescaped(inner), str::to_owned)));
            rest = behind;
        }
    }
    members
}

fn unescaped(text: &str) -> String {
    let quotes =
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    quotes.replace("&amp;", "&")
}

fn event(entry: &str, phishing: Option<bool>) -> Result<Fields<'static>, String> {
    const EXTRA: [&str; 18] = [
        "id",
        "sub",
        "phishtank",
        "scanner",
        "response",
        "review",
        "inetnum",
        "netname",
        "descr",
        "ns1",
        "ns2",
        "ns3",
        "ns4",
        "ns5",
        "virustotal",
        "vt_score",
        "vt_info",
        "source",
    ];
    let members = members(entry);
    let own = || members.iter().any(|(name, _)| matches!(*name, "phishtank" | "target"));
    let phishing = phishing.unwrap_or_else(own);
    let mut fields = Fields::with_capacity(members.len() + 1);
    for (name, text) in &members {
        let text = text.as_str();
        if matches!(text, "" | "undef") {
            continue;
        }
        match *name {
            "first" => {
                let time = epoch(text).ok_or("the time it was first seen is none")?;
                fields.put("time.source", noroshi_model::Datum::Time(time));
            }
            "target" => put(&mut fields, "event_description.target", text)?,
            "virusname" => put(&mut fields, "malware.name", text)?,
            "url" => put(&mut fields, "source.url", text)?,
            "recent" => put(&mut fields, "status", status(text))?,
            // A name may stand where the address should, and an address where the name should.
            "ip" if fqdn(text).is_some() => {}
            "ip" => put(&mut fields, "source.ip", text)?,
            "domain" if ip(text).is_some() => {}
            "domain" => put(&mut fields, "source.fqdn", text)?,
            "country" => put(&mut fields, "source.geolocation.cc", text)?,
            "source" if phishing => put(&mut fields, "source.registry", text)?,
            "email" => put(&mut fields, "source.abuse_contact", text)?,
            "as" => put(&mut fields, "source.asn", asn(text))?,
            "md5" => put(&mut fields, "malware.hash.md5", text)?,
            name if EXTRA.contains(&name) => put(&mut fields, &format!("extra.{name}"), text)?,
            _ => {}
        }
    }
    fields.put("classification.type", if phishing { "phishing" } else { "malware-distribution" });
    Ok(fields)
}

fn status(text: &str) -> &str {
    match text {
        "down" => "offline",
        "up" => "online",
        other => other,
    }
}

/// The first of `AS1,AS2`; none of `ASNA`.
fn asn(text: &str) -> &str {
    let first = text.split(',').map(str::trim).find(|asn| asn.len() > 2).unwrap_or_default();
    if first.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("ASNA")) { "" } else { first }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::trial::read;

    #[test]
    fn members_and_entries_that_cannot_be_used() {
        let text = "<output><entries>\n<entry><first>1513117810</first><url><![CDATA[http://a.example/?a=1&b=2]]></url>\n\
            <as>ASNA</as><ip>a.example</ip><domain>192.0.2.1</domain><phishtank>7</phishtank><recent>down</recent>\n\
            <source>RIPE</source><descr>A &amp; B</descr><ns1></ns1></entry>\n<entry><url>x</url></entry>\n\
            <entry><md5>AA</md5><recent>toggle</recent><source>RIPE</source>";
        let got = read("cleanmx", json!({}), text);
        assert_eq!(
            got.events,
            [
                json!({"classification.type": "phishing", "extra.descr": "A & B", "extra.phishtank": "7",
                    "source.registry": "RIPE", "source.url": "http://a.example/?a=1&b=2", "status": "offline",
                    "time.source": "2017-12-12T22:30:10Z"}),
                json!({"classification.type": "malware-distribution", "extra.source": "RIPE",
                    "malware.hash.md5": "aa", "status": "toggle"}),
            ]
        );
        assert_eq!(got.bad.iter().map(|b| b.line).collect::<Vec<_>>(), [5]);
    }
}
