//! SURBL's zone file: a line with the text for the domains that follow, which names the lists they are on, then a domain
//! a line. What a domain is accused of thus stands in another line.

use noroshi_model::{Datum, Fields};

use super::by_line;
use crate::bundle::Bundle;
use crate::convert::add;
use crate::{Feed, FeedError, Input, Report};

/// Opens the zone.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let mut kind = "blacklist";
    Ok(by_line(input, move |line, out| {
        let line = line.trim();
        if let Some(about) = line.strip_prefix(':') {
            kind = kind_of(about);
            return Ok(());
        }
        // Other lines are comments, settings of the name server, and the addresses of the zone itself.
        let Some(domain) = line.strip_prefix('.') else { return Ok(()) };
        let mut fields = Fields::default();
        add(&mut fields, "source.fqdn", domain).map_err(|e| e.to_string())?;
        fields.put("classification.type", Datum::from(kind));
        out.event(fields.into_owned());
        Ok(())
    }))
}

/// `:127.0.0.128:Blocked, $ on lists [mw][ph], See: …`: the lists stand in brackets.
fn kind_of(about: &str) -> &'static str {
    if about.contains("[mw]") {
        "malware-distribution"
    } else if about.contains("[ph]") {
        "phishing"
    } else {
        "blacklist"
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::probe::parsed;

    #[test]
    fn a_domain_has_the_kind_of_the_text_before_it() {
        let text = "#\n.a.example\n:127.0.0.2:x [cr][mw], See: y\n.b.example\n.b c\n0.0.0.0\n:2:[ph], See: y\n.c.example\n";
        let got = parsed("surbl", text, ());
        assert_eq!(got.lines(), "[2, 4, 8] bad [5] filtered 0");
        let kinds = [0, 1, 2].map(|at| got.fact(at, "classification.type"));
        assert_eq!(kinds, ["blacklist", "malware-distribution", "phishing"]);
    }
}
