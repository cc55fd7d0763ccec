//! Spamhaus' DROP lists (networks and systems that nothing good comes from), in the edition that is text with its time in
//! the comments, and in the edition that is an object a line with its time in the last one.

use noroshi_model::{Datum, Fields};
use serde_json::{Map, Value};

use super::values::{put_all, text};
use super::{Out, by_line};
use crate::bundle::Bundle;
use crate::convert::{time, try_add_owned};
use crate::{Feed, FeedError, Input, Report};

/// Opens any of the lists: which one it is shows in every line.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let mut modified = None;
    Ok(by_line(input, move |line, out| {
        let line = line.trim();
        if line.starts_with(';') {
            let at = line.split_once("Last-Modified:").map(|(_, at)| at.trim());
            modified = at.and_then(time).or(modified);
            return Ok(());
        }
        let mut fields = Fields::default();
        fields.put("classification.type", "spam");
        if let Some(at) = modified {
            fields.put("time.source", Datum::Time(at));
        }
        if line.starts_with('{') {
            return object(line, fields, out);
        }
        if line.starts_with("AS") {
            system(line, &mut fields)?;
        } else {
            network(line, &mut fields)?;
        }
        out.event(fields);
        Ok(())
    }))
}

/// `1.10.16.0/20 ; SBL256894`.
fn network(line: &str, fields: &mut Fields<'static>) -> Result<(), String> {
    let (network, list) = line.split_once(';').unwrap_or((line, ""));
    try_add_owned(fields, "extra.blocklist", list);
    if try_add_owned(fields, "source.network", network) { Ok(()) } else { Err("no network".into()) }
}

/// `AS260 ; AE | XCONNECT24`.
fn system(line: &str, fields: &mut Fields<'static>) -> Result<(), String> {
    let (asn, about) = line.split_once(';').unwrap_or((line, ""));
    let (country, name) = about.split_once(['|', ';']).unwrap_or(("", about));
    try_add_owned(fields, "source.as_name", name);
    try_add_owned(fields, "source.geolocation.cc", country);
    if try_add_owned(fields, "source.asn", asn) { Ok(()) } else { Err("no AS number".into()) }
}

fn object(line: &str, mut fields: Fields<'static>, out: &mut Out) -> Result<(), String> {
    let object: Map<String, Value> = serde_json::from_str(line).map_err(|_| "no JSON object")?;
    if text(&object, "type") == "metadata" {
        return Ok(());
    }
    let table = [
        ("cidr", "source.network"),
        ("sblid", "extra.blocklist"),
        ("asn", "source.asn"),
        ("asname", "source.as_name"),
        ("cc", "source.geolocation.cc"),
        ("rir", "source.registry"),
        ("domain", "extra.domain"),
    ];
    put_all(&mut fields, &object, &table);
    if !fields.has("source.network") && !fields.has("source.asn") {
        return Err("neither a network nor a system".into());
    }
    out.event(fields);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::formats::probe::parsed;

    #[test]
    fn all_editions() {
        let text = "; Spamhaus DROP List\n; Last-Modified: Mon, 14 Sep 2015 04:39:22 GMT\n\
                    1.10.16.0/20 ; SBL256894\n2001:db8::/32 ; SBL1\nAS260 ; AE | X - Y, US\nAS1 ; | Z\n\
                    {\"cidr\":\"1.10.16.0/20\",\"sblid\":\"SBL1\",\"rir\":\"apnic\"}\n\
                    {\"asn\":245,\"rir\":\"arin\",\"domain\":\"a.example\",\"cc\":\"US\",\"asname\":\"A\"}\n\
                    {\"type\":\"metadata\",\"timestamp\":1710000000}\nnot ; one\n{\"asn\":0}\n";
        let got = parsed("spamhaus-drop", text, ());
        assert_eq!(got.lines(), "[3, 4, 5, 6, 7, 8] bad [10, 11] filtered 0");
        assert_eq!(
            (got.fact(1, "source.network"), got.fact(1, "extra.blocklist")),
            ("2001:db8::/32", "SBL1")
        );
        assert_eq!((got.fact(2, "source.geolocation.cc"), got.fact(3, "source.as_name")), ("AE", "Z"));
        assert_eq!(got.fact(0, "time.source"), "2015-09-14T04:39:22Z");
        assert_eq!((got.fact(4, "source.registry"), got.fact(5, "source.asn")), ("APNIC", "245"));
    }
}
