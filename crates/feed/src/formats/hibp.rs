//! What Have I Been Pwned calls back with when accounts of a domain turn up in a breach or a paste: one object for many
//! accounts, each of which is an event.

use std::collections::BTreeSet;

use noroshi_model::Fields;
use noroshi_wire::elements::Element;
use serde_json::Value;

use super::values::{put, text};
use super::{Out, by_element};
use crate::bundle::Bundle;
use crate::convert::try_add_owned;
use crate::{Feed, FeedError, Input, Report};

/// Opens a call.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_element(input, record))
}

fn record(element: &Element, out: &mut Out) -> Result<(), String> {
    let Some(call) = element.value.as_object() else { return Err("no object".into()) };
    let emails = call.get("DomainEmails").and_then(Value::as_array).ok_or("no list DomainEmails")?;
    let mut fields = Fields::default();
    fields.put("classification.taxonomy", "information-content-security");
    fields.put("classification.type", "data-leak");
    put(&mut fields, "source.fqdn", call.get("Domain").unwrap_or(&Value::Null));
    put(&mut fields, "extra.domain_emails", &Value::from(emails.clone()));
    // In a real call the breach is an object; in one to try things out it is a list.
    if let Some(breach) = call.get("Breach") {
        fields.put("classification.identifier", "breach");
        put(&mut fields, "extra.breach", breach);
        if let Some(breach) = breach.as_object() {
            try_add_owned(&mut fields, "time.source", text(breach, "AddedDate"));
        }
    }
    if let Some(paste) = call.get("Paste") {
        fields.put("classification.identifier", "paste");
        put(&mut fields, "extra.paste", paste);
    }
    let named = std::iter::once(text(call, "Email"));
    let accounts: BTreeSet<&str> =
        named.chain(emails.iter().filter_map(Value::as_str)).filter(|email| !email.is_empty()).collect();
    if accounts.is_empty() {
        return Err("no account".into());
    }
    for account in accounts {
        let mut event = fields.clone();
        try_add_owned(&mut event, "source.account", account);
        out.event(event);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::formats::probe::parsed;

    #[test]
    fn each_account_once() {
        let text = r#"{"Domain": "a.example", "DomainEmails": ["b@a.example", "a@a.example", "b@a.example"],
            "Breach": {"AddedDate": "2019-09-30T17:15Z"}}
            {"Domain": "a.example", "DomainEmails": []} {"Domain": "a.example"}"#;
        let got = parsed("hibp-callback", text, ());
        assert_eq!(got.lines(), "[1, 1] bad [3, 3] filtered 0");
        assert_eq!(got.fact(0, "source.account"), "a@a.example");
        assert_eq!(got.fact(0, "time.source"), "2019-09-30T17:15:00Z");
    }
}
