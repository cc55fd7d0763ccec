//! ESET's threat intelligence, domains and URLs: what a host is accused of is a sentence, and which of the two feeds it is
//! shows in the members of its objects.

use noroshi_model::Fields;
use noroshi_wire::elements::Element;

use super::values::{put, text};
use super::{Out, by_element};
use crate::bundle::Bundle;
use crate::convert::try_add_owned;
use crate::{Feed, FeedError, Input, Report};

const DOMAINS: &str = "ei.domains v2 (json)";
const URLS: &str = "ei.urls (json)";

/// Opens either feed; parameter `eset_feed` says which where the objects should not.
pub fn open(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let named = report.text("eset_feed").map(str::to_owned);
    if let Some(name) = named.as_deref().filter(|name| ![DOMAINS, URLS].contains(name)) {
        let reason = format!("'{name}' is neither '{DOMAINS}' nor '{URLS}'");
        return Err(FeedError::Parameter { name: "eset_feed", reason });
    }
    Ok(by_element(input, move |element, out| record(element, named.as_deref(), out)))
}

fn record(element: &Element, named: Option<&str>, out: &mut Out) -> Result<(), String> {
    let Some(object) = element.value.as_object() else { return Err("no object".into()) };
    let shape = if object.contains_key("domain_last_seen") { URLS } else { DOMAINS };
    let feed = named.unwrap_or(shape);
    let mut fields = Fields::default();
    fields.put("extra.eset_feed", feed.to_owned());
    let seen = if feed == URLS { "domain_last_seen" } else { "last_seen" };
    if !try_add_owned(&mut fields, "time.source", text(object, seen)) {
        return Err(format!("member {seen} is no time"));
    }
    let reason = text(object, "reason");
    fields.put("classification.type", kind_of(reason));
    try_add_owned(&mut fields, "event_description.text", reason);
    if feed == URLS
        && let Some(url) = object.get("url")
    {
        put(&mut fields, "source.url", url);
    }
    // The domain may be an address, and the address a note that there is none.
    try_add_owned(&mut fields, "source.fqdn", text(object, "domain"));
    try_add_owned(&mut fields, "source.ip", text(object, "ip"));
    if !["source.fqdn", "source.ip", "source.url"].iter().any(|key| fields.has(key)) {
        return Err("neither host nor URL".into());
    }
    out.event(fields);
    Ok(())
}

/// The sentence begins with one of a few.
fn kind_of(reason: &str) -> &'static str {
    const KINDS: [(&str, &str); 4] = [
        ("Host actively distributes high-severity threat", "malware-distribution"),
        ("Host is known to be distributing low-risk", "malware-distribution"),
        ("Host is known source of phishing", "phishing"),
        ("Host is used as command and control server", "c2-server"),
    ];
    KINDS.iter().find(|(start, _)| reason.starts_with(start)).map_or("other", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use crate::formats::probe::parsed;

    #[test]
    fn both_feeds_in_one_list() {
        let text = r#"[{"domain": "192.0.2.7", "ip": "192.0.2.7", "last_seen": "2020-06-20 09:00:00 UTC", "reason":
            "Host is used as command and control server of x"}, {"domain": "a.example", "ip": null, "url":
            "http://a.example/x", "domain_last_seen": "2020-06-20 09:00:00 UTC", "reason": "?"},
            {"domain": "a.example", "last_seen": "?"}, 7]"#;
        let got = parsed("eset", text, ());
        assert_eq!(got.events.len(), 2);
        assert_eq!((got.fact(0, "source.ip"), got.fact(0, "source.fqdn")), ("192.0.2.7", ""));
        assert_eq!(got.fact(0, "classification.type"), "c2-server");
        assert_eq!(
            (got.fact(1, "source.url"), got.fact(1, "classification.type")),
            ("http://a.example/x", "other")
        );
    }
}
