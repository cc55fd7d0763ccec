//! DShield's lists: text with columns between tabs. The time of a list stands in its comments and the AS of the list for
//! an AS stands only in its address, which no map can reach.

use noroshi_model::{Datum, Fields};

use super::{Out, by_line};
use crate::bundle::Bundle;
use crate::convert::{add, time, try_add};
use crate::{Feed, FeedError, Input, Report};

/// Opens the list of attackers within one AS; which AS is in the report's URL (`?as=1`) or parameter `asn`.
pub fn open_asn(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let by_url = report.feed_url.as_deref().and_then(|url| url.rsplit_once("as=")).map(|(_, asn)| asn);
    let by_parameter = report.params.get("asn").map(|asn| asn.to_string().replace('"', ""));
    let asn: Option<i64> = by_parameter.as_deref().or(by_url).and_then(|asn| asn.parse().ok());
    Ok(by_line(input, move |line, out| attacker(line, asn, out)))
}

fn attacker(line: &str, asn: Option<i64>, out: &mut Out) -> Result<(), String> {
    // What has no columns is a comment in one style or another.
    if line.starts_with('#') || !line.contains('\t') {
        return Ok(());
    }
    let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
    let [ip, reports, targets, _, last_seen, updated, ..] = cells.as_slice() else {
        return Err("fewer than 6 columns".into());
    };
    let mut fields = Fields::default();
    fields.put("classification.type", "brute-force");
    add(&mut fields, "source.ip", ip).map_err(|e| e.to_string())?;
    add(&mut fields, "time.source", updated).map_err(|e| e.to_string())?;
    fields.put("extra.reports", count(reports)?);
    fields.put("extra.targets", count(targets)?);
    if !last_seen.is_empty() {
        fields.put("extra.last_seen", *last_seen);
    }
    if let Some(asn) = asn {
        fields.put("source.asn", Datum::Int(asn));
    }
    out.event(fields.into_owned());
    Ok(())
}

fn count(text: &str) -> Result<Datum<'static>, String> {
    text.parse().map(Datum::Int).map_err(|_| "a count is no whole number".into())
}

/// Opens the list of attacking networks.
pub fn open_block(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let mut updated = None;
    Ok(by_line(input, move |line, out| {
        let line = line.trim();
        if line.starts_with('#') || line.starts_with("Start\t") || line == "Start" {
            updated = updated_in(line).or(updated);
            return Ok(());
        }
        let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
        let [first, _, length, rest @ ..] = cells.as_slice() else {
            return Err("fewer than 3 columns".into());
        };
        let network = format!("{first}/{length}");
        let mut fields = Fields::default();
        fields.put("classification.type", "blacklist");
        add(&mut fields, "source.network", &network).map_err(|e| e.to_string())?;
        if let Some(at) = updated {
            fields.put("time.source", Datum::Time(at));
        }
        let cell = |at: usize| rest.get(at).copied().unwrap_or_default();
        if !cell(0).is_empty() {
            fields.put("extra.attacks", count(cell(0))?);
        }
        try_add(&mut fields, "extra.network_name", cell(1));
        try_add(&mut fields, "source.geolocation.cc", cell(2));
        try_add(&mut fields, "source.abuse_contact", cell(3));
        out.event(fields.into_owned());
        Ok(())
    }))
}

/// Opens the list of suspicious domains.
pub fn open_domain(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let mut updated = None;
    Ok(by_line(input, move |line, out| {
        let line = line.trim();
        if line.starts_with('#') || line == "Site" {
            updated = updated_in(line).or(updated);
            return Ok(());
        }
        let mut fields = Fields::default();
        fields.put("classification.type", "malware-distribution");
        add(&mut fields, "source.fqdn", line).map_err(|e| e.to_string())?;
        if let Some(at) = updated {
            fields.put("time.source", Datum::Time(at));
        }
        out.event(fields.into_owned());
        Ok(())
    }))
}

/// The time in `#  updated: Tue Dec 15 15:33:38 2015 UTC`.
fn updated_in(comment: &str) -> Option<jiff::Timestamp> {
    time(comment.split_once("updated:")?.1.trim())
}

#[cfg(test)]
mod tests {
    use crate::formats::probe::parsed;

    #[test]
    fn a_bad_line_costs_only_itself() {
        let text = "# x\n010.0.0.1\t1\t2\t\t2015-12-10\t2015-12-14 12:40:59\n10.0.0.2\t1\nx\t1\t2\t\t\t\n";
        let got = parsed("dshield-asn", text, serde_json::json!({ "asn": 64496 }));
        assert_eq!(got.lines(), "[2] bad [3, 4] filtered 0");
        assert_eq!((got.fact(0, "source.ip"), got.fact(0, "source.asn")), ("10.0.0.1", "64496"));

        let text = "# updated: Tue Dec 15 15:33:38 2015 UTC\nStart\tEnd\n10.0.0.0\t\t24\n10.0.0.0\t\t99\n";
        let got = parsed("dshield-block", text, ());
        assert_eq!(got.lines(), "[3] bad [4] filtered 0");
        assert_eq!(got.fact(0, "time.source"), "2015-12-15T15:33:38Z");

        let got = parsed("dshield-domain", "#\nSite\nEvil.example\n1 2\n", ());
        assert_eq!(
            (got.lines().as_str(), got.fact(0, "source.fqdn")),
            ("[3] bad [4] filtered 0", "evil.example")
        );
    }
}
