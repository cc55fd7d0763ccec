//! DataPlane.org's reports. The last column says which report a line is from, which says what the address did; a name of
//! a network may itself have the `|` that stands between columns.

use noroshi_model::Fields;

use super::by_line;
use super::intelmq::{put, time_text};
use crate::bundle::Bundle;
use crate::{Feed, FeedError, Input, Report};

/// A report: its name, what its addresses do, over which protocol, and in words.
struct Category {
    name: &'static str,
    class: &'static str,
    application: &'static str,
    seen: &'static str,
    may: &'static str,
}

const fn category(
    name: &'static str,
    class: &'static str,
    application: &'static str,
    seen: &'static str,
    may: &'static str,
) -> Category {
    Category { name, class, application, seen, may }
}

const AMPLIFIERS: &str =
    "DNS server cataloging or searching for hosts to use for DNS-based DDoS amplification";

const CATEGORIES: [Category; 13] = [
    category("dnsrd", "scanner", "dns", "performing a DNS recursion desired query", AMPLIFIERS),
    category("dnsrdany", "scanner", "dns", "performing a DNS recursion desired IN ANY query", AMPLIFIERS),
    category(
        "dnsversion",
        "scanner",
        "dns",
        "initiating a DNS CH TXT version.bind operation",
        "DNS server cataloging or searching for vulnerable DNS servers",
    ),
    category("proto41", "proxy", "6to4", "", ""),
    category("sipinvitation", "brute-force", "sip", "initiating a SIP INVITE operation", SIP_CLIENTS),
    category("sipquery", "brute-force", "sip", "initiating a SIP OPTIONS query", SIP_SERVERS),
    category("sipregistration", "brute-force", "sip", "initiating a SIP REGISTER operation", SIP_CLIENTS),
    category("smtpdata", "scanner", "smtp", "initiating a SMTP DATA operation", MAIL),
    category("smtpgreet", "scanner", "smtp", "initiating a SMTP HELO/EHLO operation", MAIL),
    category(
        "sshclient",
        "scanner",
        "ssh",
        "initiating an SSH connection",
        "SSH server cataloging or conducting authentication attack attempts",
    ),
    category("sshpwauth", "brute-force", "ssh", "", ""),
    category(
        "telnetlogin",
        "brute-force",
        "telnet",
        "initiating a telnet connection",
        "telnet server cataloging or conducting authentication attack attempts",
    ),
    category(
        "vncrfb",
        "scanner",
        "vnc",
        "initiating a VNC remote buffer session",
        "VNC/RFB server cataloging or conducting authentication attack attempts",
    ),
];
const SIP_CLIENTS: &str = "SIP client cataloging or conducting various forms of telephony abuse";
const SIP_SERVERS: &str = "SIP server cataloging or conducting various forms of telephony abuse";
const MAIL: &str = "SMTP server cataloging or conducting various forms of email abuse";

impl Category {
    fn words(&self) -> String {
        match self.name {
            "proto41" => "Address has been detected to offer open IPv6 over IPv4 tunneling. This could allow for the \
                          host to be used a public proxy against IPv6 hosts."
                .to_owned(),
            "sshpwauth" => "Address has been seen attempting to remotely login to a host using SSH password \
                            authentication. The source report lists hosts that are highly suspicious and are likely \
                            conducting malicious SSH password authentication attacks."
                .to_owned(),
            _ => format!(
                "Address has been seen {} to a remote host. The source report lists hosts that are suspicious of more \
                 than just port scanning. The host may be {}.",
                self.seen, self.may
            ),
        }
    }
}

/// Opens a report.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_line(input, |line, out| {
        if line.starts_with('#') {
            return Ok(());
        }
        out.event(event(line)?);
        Ok(())
    }))
}

/// `asn | name | address | [first seen |] last seen | report`, where the name may have further `|`.
fn event(line: &str) -> Result<Fields<'static>, String> {
    let (asn, rest) = line.split_once('|').ok_or("there is one column")?;
    let mut from_right = rest.rsplit('|').map(str::trim);
    let name = from_right.next().unwrap_or_default();
    let category = CATEGORIES.iter().find(|c| c.name == name).ok_or("its report is not known")?;
    let mut next = || from_right.next().ok_or("there are too few columns");
    let last_seen = next()?;
    let first_seen = if name == "proto41" { Some(next()?) } else { None };
    let address = next()?;
    // Only its first word is the network's name; the rest is a description, cut off somewhere.
    let network = from_right.next_back().or_else(|| from_right.next()).ok_or("there are too few columns")?;
    let mut fields = Fields::with_capacity(8);
    put(&mut fields, "source.ip", address)?;
    put(&mut fields, "time.source", last_seen)?;
    if asn.trim() != "NA" {
        put(&mut fields, "source.asn", asn.trim())?;
    }
    if let Some(network) = network.split_whitespace().next().filter(|network| *network != "NA") {
        put(&mut fields, "source.as_name", network)?;
    }
    if let Some(text) = first_seen.and_then(time_text) {
        fields.put("extra.first_seen", text);
    }
    fields.put("classification.type", category.class);
    fields.put("protocol.application", category.application);
    fields.put("event_description.text", category.words());
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::super::trial::read;

    #[test]
    fn names_with_bars_and_lines_that_are_none() {
        let text = "# x\n64496 | A | B | C | 192.0.2.1 | 2024-04-02 12:00:00 | sshclient\n\
                    NA | NA | 2001:db8::1 | 2024-04-01 12:00:00 | 2024-04-02 12:00:00 | proto41\n\
                    1 | A | 192.0.2.1 | 2024-04-02 12:00:00 | news\n1 | A | 2024-04-02 12:00:00 | vncrfb\nx\n";
        let got = read("dataplane", serde_json::json!({}), text);
        assert_eq!(got.events.len(), 2);
        assert_eq!(got.events[0]["source.as_name"], "A");
        assert_eq!(got.events[1]["extra.first_seen"], "2024-04-01T12:00:00+00:00");
        assert_eq!(got.bad.iter().map(|b| b.line).collect::<Vec<_>>(), [4, 5, 6]);
    }
}
