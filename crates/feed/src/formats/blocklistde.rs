//! blocklist.de's lists of addresses. A list does not say which it is; its URL, its file or the feed's name does, and a
//! list of which neither is known is a list of addresses that attacked something.

use noroshi_model::Fields;

use super::by_line;
use super::intelmq::{base_name, put};
use crate::bundle::Bundle;
use crate::{Feed, FeedError, Input, Report};

/// A list: its file, the name feeds of it have, and what its addresses did.
struct List {
    file: &'static str,
    name: &'static str,
    class: &'static str,
    application: &'static str,
    /// The services attacked, or a whole sentence.
    text: &'static str,
}

const fn list(
    file: &'static str,
    name: &'static str,
    class: &'static str,
    application: &'static str,
    text: &'static str,
) -> List {
    List { file, name, class, application, text }
}

const LISTS: [List; 11] = [
    list("all", "all", "blacklist", "", ""),
    list("ssh", "ssh", "ids-alert", "ssh", "SSH"),
    list("mail", "mail", "ids-alert", "smtp", "Mail, Postfix"),
    list("apache", "apache", "ids-alert", "http", "Apache, Apache-DDoS, RFI-Attacks"),
    list("imap", "imap", "ids-alert", "imap", "IMAP, SASL, POP3"),
    list("ftp", "ftp", "ids-alert", "ftp", "FTP"),
    list("sip", "sip", "ids-alert", "sip", "SIP, VOIP, Asterisk"),
    list(
        "bots",
        "bots",
        "spam",
        "",
        "IP reported as having spammed on IRC, open forums, wikis or registration forms.",
    ),
    list("strongips", "strong ips", "blacklist", "", "IP reported as having run attacks in last 2 months"),
    list("ircbot", "irc bots", "infected-system", "irc", ""),
    list(
        "bruteforcelogin",
        "brute-force logins",
        "brute-force",
        "",
        "IP reported as having run attacks on Joomlas, Wordpress and other Web-Logins with Brute-Force Logins",
    ),
];

/// Opens a report.
pub fn open(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let list = list_of(report).unwrap_or(&LISTS[0]);
    Ok(by_line(input, |line, out| {
        if line.starts_with('#') {
            return Ok(());
        }
        let mut fields = Fields::with_capacity(4);
        put(&mut fields, "source.ip", line.trim())?;
        fields.put("classification.type", list.class);
        if !list.application.is_empty() {
            fields.put("protocol.application", list.application);
        }
        match list.text {
            "" => {}
            sentence if sentence.starts_with("IP ") => fields.put("event_description.text", sentence),
            service => {
                let text = format!("IP reported as having run attacks on the service {service}");
                fields.put("event_description.text", text);
            }
        }
        out.event(fields);
        Ok(())
    }))
}

fn list_of(report: &Report) -> Option<&'static List> {
    let stems = [report.feed_url.as_deref(), report.file_name.as_deref()].into_iter().flatten();
    let stem = |path| base_name(path).split('.').next().unwrap_or_default();
    let by_file =
        stems.map(stem).find_map(|stem| LISTS.iter().find(|list| stem.eq_ignore_ascii_case(list.file)));
    by_file.or_else(|| {
        let name = report.feed_name.to_lowercase().replace(['_', '-'], " ");
        // The longest name that ends the feed's: `irc bots` are no `bots`.
        let ends = |list: &&List| {
            let end = list.name.replace('-', " ");
            let file = list.file;
            [end.as_str(), file].iter().any(|end| {
                name.strip_suffix(end).is_some_and(|before| !before.ends_with(|c: char| c.is_alphanumeric()))
            })
        };
        LISTS.iter().filter(ends).max_by_key(|list| list.name.len())
    })
}

#[cfg(test)]
mod tests {
    use super::super::trial::{read_as, report};

    #[test]
    fn the_list_is_known_by_url_file_or_name() {
        let class = |url: Option<&str>, file: Option<&str>, name: &str| {
            let mut report = report("blocklistde", serde_json::json!({}));
            report.feed_url = url.map(str::to_owned);
            report.file_name = file.map(str::to_owned);
            report.feed_name = name.into();
            let got = read_as(&report, "192.0.2.1\nx\n");
            assert_eq!((got.events.len(), got.bad.len()), (1, 1));
            let fact =
                |key: &str| got.events[0].get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
            (fact("classification.type"), fact("protocol.application"))
        };
        let is = |class: &str, application: &str| (class.to_owned(), application.to_owned());
        assert_eq!(class(Some("https://lists.example/lists/imap.txt"), None, "x"), is("ids-alert", "imap"));
        assert_eq!(class(None, Some("in/bruteforcelogin.txt"), "x"), is("brute-force", ""));
        assert_eq!(class(None, None, "BlockList.de IRC Bots"), is("infected-system", "irc"));
        assert_eq!(class(None, None, "blocklistde-bots"), is("spam", ""));
        assert_eq!(class(None, None, "Gossip"), is("blacklist", ""));
    }
}
