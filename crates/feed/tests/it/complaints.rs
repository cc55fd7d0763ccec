//! Complaints of others: X-ARF's own samples (`xarf/`, under their licence), and mails as RFC 5965 and X-ARF's users
//! write them (`mail/`), alone, in an mbox, forwarded and broken.

use noroshi_feed::Report;
use serde_json::Map;

use crate::shared::{Got, run};

fn read(format: &str, text: &str) -> Got {
    let report = Report {
        format: format.into(),
        feed_name: "complaints".into(),
        feed_url: None,
        file_name: None,
        params: Map::new(),
        now: "2026-11-22T00:00:00Z".parse().unwrap(),
    };
    run(&report, text)
}

#[track_caller]
fn has(event: &Map<String, serde_json::Value>, facts: &[(&str, &str)]) {
    for (key, value) in facts {
        let text = event.get(*key).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
        assert_eq!(text.as_deref(), Some(*value), "{key} of {event:?}");
    }
}

const ARF: &str = include_str!("mail/arf.eml");
const XARF_0: &str = include_str!("mail/xarf-0.eml");
const XARF_4: &str = include_str!("mail/xarf-4.eml");
const PROSE: &str = include_str!("mail/prose.eml");

#[test]
fn samples_of_x_arf_4_and_3() {
    let samples = [
        (include_str!("xarf/v4-connection-ddos.json"), "ddos"),
        (include_str!("xarf/v4-content-malware.json"), "malware-distribution"),
        (include_str!("xarf/v4-infrastructure-bot.json"), "infected-system"),
        (include_str!("xarf/v4-vulnerability-cve.json"), "vulnerable-system"),
        (include_str!("xarf/v3-botnet.json"), "infected-system"),
        (include_str!("xarf/v3-ddos.json"), "ddos"),
    ];
    let all: String = samples.iter().map(|(text, _)| format!("{text}\n")).collect();
    let got = read("xarf", &all);
    assert_eq!((got.events.len(), got.bad.len()), (samples.len(), 0), "{:?}", got.bad);
    for (event, (_, kind)) in got.events.iter().zip(samples) {
        has(event, &[("classification.type", kind)]);
        assert!(event.contains_key("source.ip") && event.contains_key("time.source"));
        assert!(event.contains_key("extra.xarf.evidence") && event.contains_key("extra.xarf.reporter"));
    }
    has(
        &got.events[0],
        &[
            ("source.ip", "192.0.2.155"),
            ("source.port", "1"),
            ("destination.ip", "203.0.113.100"),
            ("destination.port", "80"),
            ("protocol.transport", "tcp"),
            ("time.source", "2025-01-11T09:21:23Z"),
            ("extra.xarf.attack_vector", "syn_flood"),
        ],
    );
    has(&got.events[1], &[("source.url", "http://download-center.example.com/setup.exe")]);
    assert!(got.events[1].contains_key("malware.hash.sha256"));
    let of_bots = [("malware.name", "conficker"), ("destination.fqdn", "malicious-command.example.com")];
    has(&got.events[2], &of_bots);
    has(&got.events[3], &[("product.vulnerabilities", "CVE-2023-12345"), ("source.port", "8080")]);
    has(&got.events[4], &of_bots);
    has(
        &got.events[5],
        &[("source.port", "53"), ("destination.ip", "203.0.113.100"), ("protocol.transport", "udp")],
    );
}

#[test]
fn a_broken_report_costs_itself() {
    let good = include_str!("xarf/v3-botnet.json");
    let got = read("xarf", &format!("{{\"xarf_version\": \"4.0.0\"}}\n[]\n{good}\nnothing\n"));
    assert_eq!((got.events.len(), got.bad.len()), (1, 2), "{:?}", got.bad);
}

#[test]
fn a_feedback_report_names_source_port_and_time_and_no_recipient() {
    let got = read("arf", ARF);
    assert_eq!((got.events.len(), got.bad.len()), (1, 0), "{:?}", got.bad);
    has(
        &got.events[0],
        &[
            ("classification.type", "spam"),
            ("source.ip", "192.0.2.1"),
            ("source.port", "51234"),
            ("source.fqdn", "example.net"),
            ("source.url", "http://example.net/earn_money.html"),
            ("time.source", "2026-03-08T18:00:00Z"),
            ("extra.mail.reporter", "abusedesk@example.com"),
            ("extra.arf.mail_from", "<somespammer@example.net>"),
        ],
    );
    let text = serde_json::to_string(&got.events[0]).unwrap();
    assert!(!text.contains("Earn money") && !text.contains("Spam Spam"));
}

#[test]
fn x_arf_in_mails() {
    let got = read("arf", XARF_0);
    assert_eq!((got.events.len(), got.bad.len()), (1, 0), "{:?}", got.bad);
    has(
        &got.events[0],
        &[
            ("classification.type", "brute-force"),
            ("source.ip", "192.0.2.7"),
            ("destination.port", "22"),
            ("protocol.application", "ssh"),
            ("time.source", "2026-11-20T03:12:00Z"),
            ("extra.xarf.report_id", "1795144320@honeypot.example"),
        ],
    );
    let got = read("arf", XARF_4);
    has(&got.events[0], &[("classification.type", "infected-system"), ("source.ip", "198.51.100.25")]);
}

#[test]
fn an_mbox_holds_many_and_prose_is_for_people() {
    let mbox: String = [ARF, PROSE, &XARF_0.replace('\n', "\r\n"), XARF_4]
        .iter()
        .map(|mail| format!("From someone@example.net Fri Nov 20 03:15:00 2026\n{mail}\n"))
        .collect();
    let got = read("arf", &mbox);
    assert_eq!((got.events.len(), got.bad.len()), (3, 1), "{:?}", got.bad);
    assert!(got.bad[0].reason.contains("by hand"));
    assert_eq!(got.bad[0].line as usize, ARF.lines().count() + 4);
}

#[test]
fn a_forwarded_complaint_is_read_and_a_reported_mail_is_not() {
    let forward = |inner: &str| {
        format!(
            "From: desk@example.net\nSubject: Fwd\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"f\"\n\n\
             --f\nContent-Type: text/plain\n\nplease see\n\n--f\nContent-Type: message/rfc822\n\n{inner}\n--f--\n"
        )
    };
    assert_eq!(read("arf", &forward(XARF_4)).events.len(), 1);
    let got = read("arf", &forward(PROSE));
    assert_eq!((got.events.len(), got.bad.len()), (0, 1));
    // The mail complained of says that somebody else did it.
    let planted = ARF.replace(
        "Spam Spam Spam",
        "Report-Type: login-attack\nSource: 203.0.113.9\nDate: 2026-01-01T00:00:00Z\n",
    );
    let got = read("arf", &planted);
    assert_eq!(got.events.len(), 1);
    has(&got.events[0], &[("source.ip", "192.0.2.1")]);
}

/// A mail that is nothing but a mail, in a complaint: found by fuzzing, the MIME parser asserts that this cannot be.
#[test]
fn a_complaint_of_a_mail_that_is_a_mail_is_read() {
    let nested = ARF.replace(
        "Content-Type: message/rfc822\n",
        "Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n",
    );
    assert_ne!(nested, ARF);
    let got = read("arf", &nested);
    assert_eq!((got.events.len(), got.bad.len()), (1, 0), "{:?}", got.bad);
    has(&got.events[0], &[("source.ip", "192.0.2.1")]);
}

#[test]
fn mails_that_cannot_be_used() {
    for (from, to, bad) in [
        ("Feedback-Type: abuse", "Feedback-Type: not-spam", 0),
        ("Feedback-Type: abuse\n", "", 1),
        ("14:00:00 -0400\nReporting-MTA", "noon\nReporting-MTA", 1),
    ] {
        let got = read("arf", &ARF.replace(from, to));
        assert_eq!((got.events.len(), got.bad.len()), (0, bad), "{to}: {:?}", got.bad);
        assert_eq!(got.filtered, 1 - bad as u64);
    }
    let nameless = ARF.replace("Source-IP:", "X-IP:").replace("Reported-", "X-Reported-");
    assert_eq!(read("arf", &nameless).bad.len(), 1);
    assert_eq!(read("arf", "").bad.len(), 0);
    assert_eq!(read("arf", "\u{0}\u{1}").bad.len(), 1);
    for at in (0..ARF.len()).step_by(37) {
        // Cut anywhere, a mail is an event, or bad, and never stops the program.
        let got = read("arf", &ARF[..at]);
        assert!(got.events.len() + got.bad.len() <= 1);
    }
}
