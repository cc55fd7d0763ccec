//! Team Cymru's CSIRT Assistance Program. Two formats with the same columns but not the same notes: in the older one notes
//! are words, in the newer one `key: value` pairs between semicolons. A comment at the top tells which it is.

use noroshi_model::{Datum, Fields};
use serde_json::Value;

use super::intelmq::put;
use super::{Out, by_line};
use crate::bundle::Bundle;
use crate::convert::try_add_owned;
use crate::{Feed, FeedError, Input, Report};

mod old;

/// What the newer format's categories are: name, type, identifier, application.
const CATEGORIES: [(&str, &str, &str, &str); 12] = [
    ("bot", "infected-system", "", ""),
    ("bruteforce", "brute-force", "", ""),
    ("conficker", "infected-system", "conficker", ""),
    ("controller", "c2-server", "", ""),
    ("darknet", "scanner", "darknet", ""),
    ("honeypot", "scanner", "", ""),
    ("openresolver", "vulnerable-system", "dns-open-resolver", "dns"),
    ("openresolvers", "vulnerable-system", "dns-open-resolver", "dns"),
    ("phishing", "phishing", "phishing", ""),
    ("proxy", "proxy", "openproxy", ""),
    ("scanner", "scanner", "scanner", ""),
    ("spam", "spam", "spam", ""),
];

/// A line's columns.
struct Line<'a> {
    category: &'a str,
    asn: &'a str,
    notes: &'a str,
    network: &'a str,
    ip: &'a str,
    time: &'a str,
}

/// Opens a report.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let mut newer = None;
    Ok(by_line(input, move |line, out| {
        let line = line.trim();
        if line.starts_with('#') {
            if line.contains("generated on") {
                newer = Some(true);
            } else if line.contains("Data file written at") {
                newer = Some(false);
            }
            return Ok(());
        }
        let line = Line::new(line)?;
        if newer.unwrap_or_else(|| line.country().is_some()) {
            line.read_new(out)
        } else {
            let mut fields = line.common(line.network)?;
            old::read(line.category, line.notes, &mut fields)?;
            out.event(fields);
            Ok(())
        }
    }))
}

impl<'a> Line<'a> {
    fn new(line: &'a str) -> Result<Self, String> {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [category, ip, asn, time, notes, network] = columns.as_slice() else {
            return Err("there are not six columns".into());
        };
        Ok(Self { category, asn, notes, network, ip, time })
    }

    /// The country that the newer format has behind the network's name.
    fn country(&self) -> Option<(&'a str, &'a str)> {
        let (name, country) = self.network.rsplit_once(", ")?;
        (country.len() == 2 && country.bytes().all(|b| b.is_ascii_alphabetic())).then_some((name, country))
    }

    fn common(&self, network: &str) -> Result<Fields<'static>, String> {
        let mut fields = Fields::with_capacity(12);
        put(&mut fields, "source.ip", self.ip)?;
        put(&mut fields, "time.source", self.time)?;
        if self.asn != "0" {
            put(&mut fields, "source.asn", self.asn)?;
        }
        put(&mut fields, "source.as_name", network)?;
        Ok(fields)
    }

    fn read_new(&self, out: &mut Out) -> Result<(), String> {
        let (name, country) = self.country().unwrap_or((self.network, ""));
        let mut fields = self.common(name)?;
        try_add_owned(&mut fields, "source.geolocation.cc", country);
        let category = CATEGORIES.iter().find(|(name, ..)| *name == self.category);
        let (_, class, identifier, application) = category.ok_or("its category is not known")?;
        fields.put("classification.type", *class);
        put(&mut fields, "classification.identifier", identifier)?;
        put(&mut fields, "protocol.application", application)?;
        if self.category == "conficker" {
            fields.put("malware.name", "conficker");
        }
        let mut ports = Vec::new();
        // `hostname: sub.example.comport: 80`: the publisher loses a semicolon there.
        let notes = match self.notes.split_once("hostname: ").and_then(|(_, host)| host.split_once("port: "))
        {
            Some((host, _)) if !host.contains([':', ';', ' ']) => self.notes.replacen("port: ", ";port: ", 1),
            _ => self.notes.to_owned(),
        };
        for note in notes.split(';').map(str::trim).filter(|note| !note.is_empty()) {
            match note.split_once(':').map(|(key, value)| (key.trim(), value.trim())) {
                Some((key, value)) if is_key(key) => pair(key, value, &mut fields, &mut ports)?,
                _ => self.plain(note, &mut fields)?,
            }
        }
        if ports.is_empty() {
            out.event(fields);
            return Ok(());
        }
        for port in ports {
            let mut fields = fields.clone();
            put(&mut fields, "destination.port", &port)?;
            out.event(fields);
        }
        Ok(())
    }

    /// A note that is no pair: each category has its own.
    fn plain(&self, note: &str, fields: &mut Fields<'static>) -> Result<(), String> {
        match self.category {
            "bruteforce" => {
                put(fields, "classification.identifier", note)?;
                put(fields, "protocol.application", note)
            }
            "phishing" => put(fields, "source.url", note),
            "proxy" => proxy(note, fields),
            "bot" => old::bot(note, fields),
            _ => Err("its notes cannot be read".into()),
        }
    }
}

/// Keys are words; the scheme of a URL is one too.
fn is_key(key: &str) -> bool {
    key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        && !matches!(key, "http" | "https" | "ftp" | "hxxp" | "hxxps")
}

/// `socks4-61039` or `socks4`.
fn proxy(text: &str, fields: &mut Fields<'static>) -> Result<(), String> {
    let (protocol, port) = text.split_once('-').unwrap_or((text, ""));
    put(fields, "protocol.application", protocol)?;
    put(fields, "source.port", port)
}

fn pair(key: &str, value: &str, fields: &mut Fields<'static>, ports: &mut Vec<String>) -> Result<(), String> {
    match key {
        "family" => {
            let family = value.to_lowercase();
            put(fields, "classification.identifier", &family)?;
            put(fields, "malware.name", &family)
        }
        "dest_addr" | "destaddr" | "dstaddr" => put(fields, "destination.ip", value),
        "dest_port" | "ports_scanned" | "honeypot_port" | "darknet_port" | "destination_port_numbers" => {
            // `23,80 (total_count:19)`: only some are listed.
            let listed = value.split('(').next().unwrap_or_default();
            ports
                .extend(listed.split(',').map(|port| port.trim().to_owned()).filter(|port| !port.is_empty()));
            Ok(())
        }
        "protocol" => {
            // A number without a name is kept as the number.
            if !try_add_owned(fields, "protocol.transport", value) {
                let number: u8 = value.parse().map_err(|_| "the protocol is no number")?;
                fields.put("extra.protocol.transport", Datum::Int(number.into()));
            }
            Ok(())
        }
        "hostname" => {
            // An address here is the source's again.
            try_add_owned(fields, "source.fqdn", value);
            Ok(())
        }
        "proxy_type" => proxy(value, fields),
        "port" | "srcport" => put(fields, "source.port", value),
        "username" => put(fields, "source.account", value),
        "additional_asns" => {
            let own = match fields.get("source.asn") {
                Some(Datum::Int(own)) => Some(*own),
                _ => None,
            };
            let further = value.split(',').filter_map(|asn| asn.trim().parse().ok());
            let asns: Vec<Value> = own.into_iter().chain(further).map(Value::from).collect();
            fields.put("extra.source.asns", Datum::Json(asns.into()));
            Ok(())
        }
        other => put(fields, &format!("extra.{other}"), value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::trial::read;

    #[test]
    fn notes_of_the_newer_format() {
        let text = "# generated on x\n\
            bot|192.0.2.1|64496|2020-01-01 00:00:00|family: A;dest_addr:2001:db8::1; hostname: a.exampleport: 80;|N, AT\n\
            darknet|192.0.2.1|0|2020-01-01 00:00:00|darknet_port: 1, 2 (total_count:9);protocol: 200;|N, Inc., AT\n\
            news|192.0.2.1|0|2020-01-01 00:00:00||N, AT\n\
            darknet|192.0.2.1|0|2020-01-01 00:00:00|protocol: no protocol|N, AT\n\
            phishing|192.0.2.1|0|2020-01-01 00:00:00|http://a.example/;|N\nx\n";
        let got = read("cymru-cap-program", json!({}), text);
        assert_eq!(got.bad.iter().map(|b| b.line).collect::<Vec<_>>(), [4, 5, 7]);
        let fact = |at: usize, key: &str| got.events[at].get(key).cloned().unwrap_or_default();
        assert_eq!((fact(0, "source.fqdn"), fact(0, "source.port")), (json!("a.example"), json!(80)));
        assert_eq!(fact(0, "destination.ip"), json!("2001:db8::1"));
        assert_eq!((fact(1, "destination.port"), fact(2, "destination.port")), (json!(1), json!(2)));
        assert_eq!(
            (fact(1, "extra.protocol.transport"), fact(1, "source.as_name")),
            (json!(200), json!("N, Inc."))
        );
        assert_eq!(
            (fact(3, "source.url"), fact(3, "source.as_name")),
            (json!("http://a.example/"), json!("N"))
        );
    }

    #[test]
    fn a_report_without_a_head_is_known_by_its_lines() {
        let text = "toxbot|192.0.2.1|1|2020-01-01 00:00:00|srcport 7|N\nspam|192.0.2.1|1|2020-01-01 00:00:00||N, AT\n\
                    scanners|192.0.2.1|1|2020-01-01 00:00:00|1,2|N\n";
        let got = read("cymru-cap-program", json!({}), text);
        assert_eq!((got.events.len(), got.bad.len()), (2, 1));
        assert_eq!(got.events[0]["extra.source_port"], 7);
        assert_eq!(got.events[1]["source.geolocation.cc"], "AT");
    }
}
