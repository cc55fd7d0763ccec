//! Spamhaus' list of infected addresses for national CERTs. A short name in the fifth column says what was seen, and with
//! it what the other columns mean: for some names they hold something else, for some they are known to be wrong.

use noroshi_model::Fields;

use super::{Out, by_line};
use crate::bundle::Bundle;
use crate::convert::{add, epoch, try_add_owned};
use crate::{Feed, FeedError, Input, Report};

/// What a name means.
struct Seen {
    /// The name, lower case.
    name: &'static str,
    kind: &'static str,
    identifier: &'static str,
    application: &'static str,
    text: &'static str,
}

const fn seen(
    name: &'static str,
    kind: &'static str,
    identifier: &'static str,
    application: &'static str,
    text: &'static str,
) -> Seen {
    Seen { name, kind, identifier, application, text }
}

const IOT_SCAN: &str = "The possibly infected IoT device scanned for other vulnerable IoT devices.";
const SPAM_URL: &str = "https://www.abuseat.org/lookup.cgi";

/// Names that mean something; any other is the name of malware.
#[rustfmt::skip]
const SEEN: &[Seen] = &[
    seen("authspoofbadehlo", "brute-force", "authentication-spoof", "smtp",
        "The device spoofed SMTP authentication with a bad EHLO."),
    seen("automatedtest", "brute-force", "lookup-captcha", "",
        "The device automatically brute-forced the Spamhaus CBL lookup."),
    seen("extortion", "spam", "extortion", "smtp", "This device sent extortion mails."),
    seen("imap", "brute-force", "imap", "imap", ""),
    seen("iotcmd", "system-compromise", "iot", "",
        "The infected iot device logged in to a honeypot and issued malicious commands."),
    seen("iotlogin", "system-compromise", "iot", "", "The infected iot device logged in to a honeypot."),
    seen("iotmicrosoftds", "scanner", "microsoftds", "microsoftds", ""),
    seen("iotmirai", "infected-system", "mirai", "", ""),
    seen("iotrdp", "scanner", "rdp", "rdp", ""),
    seen("iotscan", "scanner", "scanner-generic", "", IOT_SCAN),
    seen("ioturl", "c2-server", "malware-generic", "", ""),
    seen("iotuser", "scanner", "scanner-generic", "", IOT_SCAN),
    seen("l_spamlink", "spam", "spamlink", "", "The URL appeared in a spam email sent by extra.spam_ip."),
    seen("misc", "spam", "spam", "smtp",
        "This device is sending spam as part of a botnet. See abuseat.org for more details."),
    seen("openrelay", "vulnerable-system", "openrelay", "smtp", ""),
    seen("pop", "brute-force", "pop", "pop", ""),
    seen("proxyget", "other", "proxyget", "", "The malicious client used a honeypot as proxy."),
    seen("rdp", "scanner", "rdp", "rdp", ""),
    seen("smb", "scanner", "smb", "smb", ""),
    seen("smtpauth", "brute-force", "smtp", "smtp", ""),
    seen("sshauth", "brute-force", "ssh", "ssh", ""),
    seen("telnetauth", "brute-force", "telnet", "telnet", ""),
    seen("w_wplogin", "scanner", "wordpress-login", "http", "scanning for wordpress login pages"),
    seen("wpscanner", "scanner", "wordpress-vulnerabilities", "http", "scanning for wordpress vulnerabilities"),
];

/// Opens the list.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_line(input, record))
}

fn record(line: &str, out: &mut Out) -> Result<(), String> {
    if line.starts_with(';') {
        return Ok(());
    }
    let cells: Vec<&str> = line.split(',').map(str::trim).collect();
    let [ip, asn, country, last_seen, name, ..] = cells.as_slice() else {
        return Err("fewer than 5 columns".into());
    };
    let name = name.to_lowercase();
    let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
    let mut fields = Fields::default();
    add(&mut fields, "source.ip", ip).map_err(|e| e.to_string())?;
    let mut fields = fields.into_owned();
    fields.put("time.source", noroshi_model::Datum::Time(epoch(last_seen).ok_or("no time")?));
    try_add_owned(&mut fields, "source.asn", asn);
    try_add_owned(&mut fields, "source.geolocation.cc", country);
    classify(&name, &cell, &mut fields)?;
    // In these two the column of the domain holds something else.
    if name != "iotscan" && !cell(5).contains(':') {
        try_add_owned(&mut fields, "destination.fqdn", cell(5));
    }
    try_add_owned(&mut fields, "destination.ip", cell(6));
    try_add_owned(&mut fields, "destination.port", cell(7));
    if name != "l_spamlink"
        && let Ok(port) = cell(8).parse::<i64>()
    {
        fields.put("extra.source.local_port", noroshi_model::Datum::Int(port));
    }
    try_add_owned(&mut fields, "protocol.transport", cell(9));
    out.event(fields);
    Ok(())
}

fn classify<'a>(
    name: &str,
    cell: &impl Fn(usize) -> &'a str,
    fields: &mut Fields<'static>,
) -> Result<(), String> {
    let Some(seen) = SEEN.iter().find(|seen| seen.name == name) else {
        fields.put("classification.type", "infected-system");
        try_add_owned(fields, "malware.name", if name == "auto" { "s_other" } else { name });
        try_add_owned(fields, "source.url", cell(5));
        return Ok(());
    };
    let (mut identifier, mut application) = (seen.identifier, seen.application);
    if matches!(name, "iotscan" | "iotuser") && matches!(cell(7), "23" | "2323") {
        (identifier, application) = ("telnet", "telnet");
    }
    fields.put("classification.type", seen.kind);
    fields.put("classification.identifier", identifier);
    for (key, text) in [("protocol.application", application), ("event_description.text", seen.text)] {
        if !text.is_empty() {
            fields.put(key, text);
        }
    }
    match name {
        "iotmirai" => fields.put("malware.name", "mirai"),
        "misc" => {
            fields.put("event_description.url", SPAM_URL);
            fields.put("feed.documentation", SPAM_URL);
        }
        // The port's column holds what sent the spam: address, version and name.
        "l_spamlink" => {
            let sender: Vec<&str> = cell(8).split(':').collect();
            let [ip, version, malware] = sender.as_slice() else {
                return Err("no address, version and name of a spam sender".into());
            };
            try_add_owned(fields, "malware.name", malware);
            try_add_owned(fields, "malware.version", version);
            try_add_owned(fields, "extra.spam_ip", ip);
            try_add_owned(fields, "source.url", cell(6));
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::probe::parsed;

    #[test]
    fn names_are_sorted_and_rsit() {
        assert!(SEEN.is_sorted_by(|a, b| a.name < b.name));
        assert!(SEEN.iter().all(|seen| noroshi_model::ClassificationType::parse(seen.kind).is_some()));
    }

    #[test]
    fn columns_mean_what_the_name_says() {
        let text = "; ip, asn\n192.0.2.1,AS?,??,1520084496,IoTUser,-,198.51.100.1,2323,?,tcp\n\
                    192.0.2.1,AS1,AT,1,l_spamlink,x,http://a.example/,,1:2,tcp\n192.0.2.1,AS1,AT,x,auto\n\
                    192.0.2.1,AS1,AT,1520084496,auto\n";
        let got = parsed("spamhaus-cert", text, ());
        assert_eq!(got.lines(), "[2, 5] bad [3, 4] filtered 0");
        assert_eq!((got.fact(0, "classification.identifier"), got.fact(0, "source.asn")), ("telnet", ""));
        assert_eq!(got.fact(1, "malware.name"), "s_other");
    }
}
