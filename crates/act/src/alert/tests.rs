//! An address goes on or comes again, an organisation is told at a pace, and the mail says what it has to.

use mail_parser::MessageParser;

use super::*;

const QUIET: SignedDuration = SignedDuration::from_hours(24);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn seen(ip: &str, role: Role, first: &str, last: &str) -> Seen {
    Seen {
        ip: ip.parse().unwrap(),
        role,
        class: "scanner".into(),
        tool: "mirai".into(),
        protocol: "tcp".into(),
        source_port: Some(43211),
        port: Some(23),
        packets: 5,
        sensors: 2,
        first: at(first),
        last: at(last),
    }
}

fn city(lang: Lang) -> Organisation {
    let since = at("2026-11-01T00:00:00Z");
    Organisation {
        key: "city".into(),
        name: "市役所 <City>".into(),
        lang,
        since,
        messages: 0,
        next: None,
        pause_s: 0,
    }
}

#[test]
fn an_address_goes_on_until_it_was_quiet_for_a_day_and_is_another_episode_then() {
    let one = seen("203.0.113.9", Role::Sender, "2026-11-27T00:00:00Z", "2026-11-27T00:01:00Z");
    let now = at("2026-11-27T00:01:00Z");
    let first = note(None, "city", &one, false, QUIET, now);
    assert_eq!((first.episode, first.seen.packets, first.message), (1, 5, None));
    let told = Alert { message: Some(1), ..first };
    let more = seen("203.0.113.9", Role::Sender, "2026-11-27T20:00:00Z", "2026-11-27T23:00:00Z");
    let goes_on = note(Some(told), "city", &more, false, QUIET, at("2026-11-27T23:00:00Z"));
    assert_eq!((goes_on.episode, goes_on.seen.packets, goes_on.message), (1, 10, Some(1)));
    assert_eq!((goes_on.seen.first, goes_on.seen.last), (one.first, more.last));
    assert_eq!(goes_on.alerted, now, "it was known from its first packet on");
    // What a sensor could not send for some hours comes late, and is of the same episode.
    let late = seen("203.0.113.9", Role::Sender, "2026-11-26T12:00:00Z", "2026-11-26T12:00:00Z");
    let late = note(Some(goes_on.clone()), "city", &late, false, QUIET, at("2026-11-28T00:00:00Z"));
    assert_eq!((late.episode, late.seen.first, late.message), (1, at("2026-11-26T12:00:00Z"), Some(1)));
    let again = seen("203.0.113.9", Role::Sender, "2026-11-28T23:00:01Z", "2026-11-28T23:00:01Z");
    let again = note(Some(goes_on), "city", &again, false, QUIET, at("2026-11-28T23:00:02Z"));
    assert_eq!((again.episode, again.seen.packets, again.message), (2, 5, None));
}

#[test]
fn a_worm_makes_some_messages_a_day_and_not_one_for_each_machine() {
    let pacing = Pacing::default();
    let (mut one, mut at_minute) = (city(Lang::EN), Vec::new());
    let begin = at("2026-11-27T00:00:00Z");
    // Another machine each minute, for three days.
    for minute in 0..3 * 24 * 60 {
        let now = begin + SignedDuration::from_mins(minute);
        if one.next.is_none_or(|next| next <= now) {
            one = told(&one, &pacing, now);
            at_minute.push(minute);
        }
    }
    assert_eq!(at_minute[..4], [0, 15, 45, 105]);
    assert!(at_minute.iter().filter(|minute| **minute < 24 * 60).count() <= 8, "{at_minute:?}");
    assert_eq!(one.pause_s, 86_400, "never longer than a day");
    // Calm for as long as the last pause was: from the beginning.
    let later = one.next.unwrap() + SignedDuration::from_hours(24);
    assert_eq!(told(&one, &pacing, later).pause_s, 900);
}

#[test]
fn how_long_it_takes_depends_on_how_many_addresses_there_are() {
    assert_eq!(floor(65_536).unwrap().as_secs(), 655);
    assert_eq!(floor(280_000).unwrap().as_secs(), 153);
    assert_eq!(floor(0), None);
}

fn mail(lang: Lang, alerts: &[Alert], all: u64) -> (String, String) {
    let operator = Operator {
        name: "狼煙センター".into(),
        desk: "soc@example.jp, 03-0000-0000".into(),
        from: "alert@example.jp".into(),
        page: None,
    };
    let one = Organisation { next: Some(at("2026-11-27T00:16:00Z")), ..city(lang) };
    let texts = texts().unwrap();
    let facts = Facts {
        operator: &operator,
        organisation: &one,
        ranges: &["203.0.113.0/24".into()],
        alerts,
        all,
        addresses: 65_536,
        message_id: "<alert.x@example.jp>",
        now: at("2026-11-27T00:01:01Z"),
        dkim: None,
        texts: &texts,
    };
    let mail = compose("admin@city.example.jp", &facts).unwrap();
    let read = MessageParser::default().parse(mail.message()).unwrap();
    (read.subject().unwrap().to_owned(), read.body_text(0).unwrap().into_owned())
}

#[test]
fn the_mail_says_what_was_seen_what_it_means_and_what_to_do_in_both_languages() {
    let sender = seen("203.0.113.9", Role::Sender, "2026-11-27T00:00:00Z", "2026-11-27T00:01:00Z");
    let victim = Seen {
        role: Role::Victim,
        tool: String::new(),
        class: String::new(),
        source_port: None,
        ..seen("203.0.113.80", Role::Victim, "2026-11-27T00:00:30Z", "2026-11-27T00:01:00Z")
    };
    let now = at("2026-11-27T00:01:00Z");
    let mut alerts =
        vec![note(None, "city", &sender, false, QUIET, now), note(None, "city", &victim, false, QUIET, now)];
    alerts[0].episode = 2;
    let (subject, text) = mail(Lang::EN, &alerts, 2);
    assert_eq!(
        subject,
        "[狼煙センター] 2 addresses of 市役所 <City> were seen where nobody has a reason to send"
    );
    for said in [
        "203.0.113.9  mirai, asks for tcp/23, from port 43211",
        "2026-11-27 00:00:00 UTC – 2026-11-27 00:01:00 UTC, 5 packets, seen by 2 of our sensors",
        "for the 2. time",
        "203.0.113.80  attacked at tcp/23",
        "They are victims",
        "until 2026-11-27 00:16:00 UTC",
        "65536 addresses",
        "after 11 minutes on average",
        "registered these ranges with us: 203.0.113.0/24",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    let (subject, text) = mail(Lang::JA, &alerts[..1], 1);
    assert_eq!(
        subject,
        "【狼煙センター】市役所 <City> の 203.0.113.9 からの通信をダークネットで観測しました"
    );
    for said in ["2026-11-27 09:00:00 JST", "送信元ポート 43211", "平均して 11 分", "2 回目"] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert!(!text.contains("victim") && !text.contains("被害者"), "no more than there is");
    let many: Vec<Alert> = (0..80)
        .map(|n| {
            let one = Seen { ip: [203, 0, 113, n].into(), ..sender.clone() };
            note(None, "city", &one, false, QUIET, now)
        })
        .collect();
    let (_, text) = mail(Lang::EN, &many, 4000);
    assert!(text.contains("3950 more addresses") && text.matches("from port").count() == LISTED_MAX);
}
