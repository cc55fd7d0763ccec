//! Organisations told of their own addresses: a telescope on one side of a cable, an organisation's machines on the other; a real mail
//! server, a receiver of posts, a real resolver and a web server in a registry's place (it says what RFC 9083 has it say).

use std::collections::BTreeSet;
use std::io::{BufRead as _, Write as _};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_parser::MessageParser;
use noroshi_model::{Clock as _, SystemClock};
use serde_json::Value;

use crate::api::{Receiver, SECRET};
use crate::darknet::{in_a_network_of_its_own, ip};
use crate::mail::{Running, edit, free_port, maildir, until};
use crate::world::{Killed, configure, last_json, noroshi, run, run_any, server, text};

/// A house with an organisation, told by every way.
struct Place {
    folder: tempfile::TempDir,
    config: PathBuf,
}

impl Place {
    fn new(smtp: &str, log: Option<&str>, alert: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = configure(folder.path(), smtp, None, log);
        let written = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, format!("{written}[alert]\n{alert}\n")).unwrap();
        Self { folder, config }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn typed<'a>(&'a self, typed: &[&'a str]) -> Vec<&'a str> {
        [&["--config", self.config.to_str().unwrap(), "organisation"], typed].concat()
    }

    fn run(&self, typed: &[&str]) -> String {
        run(self.path(), &self.typed(typed))
    }

    fn lines(&self, typed: &[&str]) -> Vec<Value> {
        self.run(typed).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A telescope on one end of a cable, whose other end has these addresses.
struct Telescope(Child);

impl Telescope {
    fn start(place: &Path, config: &Path, addresses: &[&str]) -> Self {
        assert!(ip(&["link", "add", "dark", "type", "veth", "peer", "name", "city"]));
        assert!(ip(&["link", "set", "dark", "up"]) && ip(&["link", "set", "city", "arp", "off", "up"]));
        for address in addresses {
            assert!(ip(&["addr", "add", &format!("{address}/32"), "dev", "city"]));
        }
        assert!(ip(&["route", "add", "198.18.0.0/16", "dev", "city", "src", addresses[0]]));
        let mut child = noroshi(place)
            .args(["--config", config.to_str().unwrap(), "darknet", "live", "--interface", "dark"])
            .args(["--network", "198.18.0.0/16", "--alert", "--json", "--stop-after-s", "120"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("watching dark") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "it ended");
        }
        std::thread::spawn(move || said.lines().for_each(drop));
        Self(child)
    }

    /// Ends it; what it said in the end.
    fn end(self) -> (String, Value) {
        Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        let output = self.0.wait_with_output().unwrap();
        assert!(output.status.success());
        let said = text(&output.stdout);
        let last = last_json(&said);
        (said, last)
    }
}

/// A datagram into the dark, to so many addresses.
fn send(from: &str, count: u8) {
    let socket = UdpSocket::bind((from.parse::<Ipv4Addr>().unwrap(), 40_000)).unwrap();
    for n in 1..=count {
        socket.send_to(b"anybody?", (Ipv4Addr::new(198, 18, 7, n), 5060)).unwrap();
    }
}

#[test]
fn an_organisation_is_told_at_once_and_then_together_by_mail_webhook_and_stix() {
    let Some(smtp) = server("NOROSHI_TEST_SMTP") else { return };
    let log = std::env::var("NOROSHI_TEST_MAILLOG").unwrap();
    let place = Place::new(&smtp, Some(&log), "pause-s = 15\npause-max-s = 15");
    let by = ["--by", "aoki"];
    // Of this run alone: the mail server may have served another.
    let tag = format!("city{}", std::process::id());
    let (mail, none) = (format!("{tag}-soc@example.ne.jp"), format!("{tag}-none@example.ne.jp"));
    place.run(&[&["add", "city", "--name", "例示市", "--mail", &mail], &by[..]].concat());
    place.run(&[&["add", "other", "--lang", "en", "--mail", &none], &by[..]].concat());
    for (key, prefix) in [("city", "203.0.113.0/24"), ("other", "192.0.2.0/24")] {
        place.run(&[&["range", "add", key, prefix], &by[..]].concat());
        place.run(&[&["range", "prove", key, prefix, "--vouch", "their letter of today"], &by[..]].concat());
    }
    place.run(&[&["mute", "city", "203.0.113.77/32", "--why", "their own scanner"], &by[..]].concat());
    let (port, secret) = (free_port(), place.path().join("hook"));
    std::fs::write(&secret, format!("whsec_{}\n", STANDARD.encode(SECRET))).unwrap();
    let url = format!("http://127.0.0.1:{port}/hook");
    for way in ["--webhook", "--stix"] {
        let named = ["contact", "add", "city", way, &url, "--secret-file", secret.to_str().unwrap()];
        place.run(&[&named[..], &by].concat());
    }
    // It dies over the first answers, and is not there for a while after that.
    let receiver = Receiver::start(port, &[0, 500, 200, 200, 200, 200]);
    let _running = Running::start(place.path(), &place.config);
    until("the house to be at work", || place.config.parent()?.join("noroshi.db").exists().then_some(()));

    let (folder, config) = (place.path().to_owned(), place.config.clone());
    in_a_network_of_its_own(move || {
        let addresses = ["203.0.113.9", "203.0.113.10", "203.0.113.11", "203.0.113.77", "203.0.114.1"];
        let telescope = Telescope::start(&folder, &config, &addresses);
        let began = Instant::now();
        send("203.0.113.9", 3);
        let first = until("the first mail", || maildir(&format!("{tag}-soc")).pop());
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        // Within the pause: together, and what is left out or nobody's not at all.
        for from in ["203.0.113.10", "203.0.113.11", "203.0.113.77", "203.0.114.1", "203.0.113.9"] {
            send(from, 2);
        }
        let both = until("the second mail", || {
            let mails = maildir(&format!("{tag}-soc"));
            (mails.len() > 1).then(|| mails.into_iter().find(|mail| *mail != first).unwrap())
        });
        // It goes on, which is no news.
        send("203.0.113.9", 200);
        std::thread::sleep(Duration::from_secs(5));
        let read = |mail: &[u8]| {
            let mail = MessageParser::default().parse(mail).unwrap().into_owned();
            (mail.subject().unwrap().to_owned(), mail.body_text(0).unwrap().into_owned())
        };
        let (subject, body) = read(&first);
        assert_eq!(subject, "【例示 ISP】例示市 の 203.0.113.9 からの通信をダークネットで観測しました");
        assert!(
            body.contains("203.0.113.9  探索(スキャン), 宛先ポート udp/5060, 送信元ポート 40000"),
            "{body}"
        );
        assert!(body.contains("65536 個です") && body.contains("平均して 11 分"), "{body}");
        let (subject, body) = read(&both);
        assert!(subject.contains("例示市 の 2 個のIPアドレス"), "{subject}");
        assert!(body.contains("203.0.113.10  ") && body.contains("203.0.113.11  "), "{body}");
        assert_eq!(maildir(&format!("{tag}-soc")).len(), 2);
        assert_eq!(maildir(&format!("{tag}-none")).len(), 0);
        let (said, last) = telescope.end();
        // Which address of ours was reached is said nowhere.
        for text in [&said, &body, &text(&first)] {
            assert!(!text.contains("198.18."), "{text}");
        }
        assert_eq!(last["ours"], 3 + 5 * 2 + 200, "{last}");
    });

    until("every post", || {
        let told = place.lines(&["messages", "city", "--json"]);
        (told.len() == 6 && told.iter().all(|message| message["state"] == "sent")).then_some(())
    });
    let told: BTreeSet<String> = receiver.came().into_iter().map(|(id, _)| id).collect();
    assert_eq!(told.len(), 4, "two messages by two ways, however often each came");
    let (bundles, posts): (Vec<_>, Vec<_>) =
        receiver.came().into_iter().map(|(_, body)| body).partition(|body| body["type"] == "bundle");
    let stix = bundles.iter().flat_map(|bundle| bundle["objects"].as_array().unwrap());
    let named: BTreeSet<&str> =
        stix.filter(|object| object["type"] == "ipv4-addr").map(|o| o["value"].as_str().unwrap()).collect();
    assert_eq!(named, ["203.0.113.10", "203.0.113.11", "203.0.113.9"].into());
    let post = posts.iter().find(|body| body["data"]["message"] == 1).unwrap();
    assert_eq!((&post["type"], &post["data"]["organisation"]), (&"darknet.alert".into(), &"city".into()));
    assert_eq!(post["data"]["telescope-addresses"], 65_536);
    let alerts = place.lines(&["alerts", "city", "--json"]);
    let of = |ip: &str| alerts.iter().find(|alert| alert["ip"] == ip).unwrap();
    assert_eq!((&of("203.0.113.9")["packets"], &of("203.0.113.9")["message"]), (&205.into(), &1.into()));
    assert_eq!((&of("203.0.113.77")["muted"], &of("203.0.113.77")["message"]), (&true.into(), &Value::Null));
    assert_eq!((alerts.len(), &of("203.0.113.9")["sensors"]), (4, &1.into()));
    let stix: Value = serde_json::from_str(&place.run(&["alerts", "city", "--stix"])).unwrap();
    assert_eq!(stix["type"], "bundle");
    place.run(&[&["remove", "city"], &by[..]].concat());
    assert!(!place.run(&["list"]).contains("city"));
}

#[test]
fn an_address_that_comes_again_after_quiet_is_told_of_again_and_what_was_not_sent_by_then_is_not() {
    let Some(smtp) = server("NOROSHI_TEST_SMTP") else { return };
    let place = Place::new(&smtp, None, "quiet-s = 1\npause-s = 1\npause-max-s = 1");
    let (mail, by) = (format!("again{}@example.ne.jp", std::process::id()), ["--by", "aoki"]);
    place.run(&[&["add", "city", "--lang", "en", "--mail", &mail], &by[..]].concat());
    place.run(&[&["range", "add", "city", "203.0.113.0/24"], &by[..]].concat());
    place.run(&[&["range", "prove", "city", "203.0.113.0/24", "--vouch", "x"], &by[..]].concat());
    let (folder, config) = (place.path().to_owned(), place.config.clone());
    in_a_network_of_its_own(move || {
        let telescope = Telescope::start(&folder, &config, &["203.0.113.9"]);
        send("203.0.113.9", 3);
        std::thread::sleep(Duration::from_secs(3));
        send("203.0.113.9", 3);
        // Until it is looked at how it goes on.
        std::thread::sleep(Duration::from_secs(11));
        telescope.end();
    });
    let states = || {
        let state = |message: &Value| (message["number"].clone(), message["state"].clone());
        place.lines(&["messages", "city", "--json"]).iter().map(state).collect::<Vec<_>>()
    };
    if states().is_empty() {
        return; // No network of its own could be made, which was said.
    }
    assert_eq!(states(), [(2.into(), "pending".into()), (1.into(), "pending".into())]);
    let _running = Running::start(place.path(), &place.config);
    let mails = until("the mail", || {
        let mails = maildir(mail.split('@').next().unwrap());
        (!mails.is_empty()).then_some(mails)
    });
    until("what became of them", || {
        (states() == [(2.into(), "sent".into()), (1.into(), "stopped".into())]).then_some(())
    });
    let read = MessageParser::default().parse(&mails[0]).unwrap();
    let body = read.body_text(0).unwrap();
    assert!(mails.len() == 1 && body.contains("seen again after some quiet, for the 2. time"), "{body}");
    assert_eq!(place.lines(&["alerts", "city", "--json"])[0]["episode"], 2);
}

/// A mail of somebody else, so that the mail server writes to its log.
fn somebody_elses_mail(smtp: &str) {
    let mut line = String::new();
    let stream = TcpStream::connect(smtp).unwrap();
    let mut from = std::io::BufReader::new(&stream);
    from.read_line(&mut line).unwrap();
    let mail = "Subject: x\r\n\r\nx\r\n.";
    for said in
        ["HELO test", "MAIL FROM:<a@example.net>", "RCPT TO:<somebody@example.net>", "DATA", mail, "QUIT"]
    {
        (&stream).write_all(format!("{said}\r\n").as_bytes()).unwrap();
        from.read_line(&mut line).unwrap();
    }
}

#[test]
fn whoever_is_killed_while_it_tells_tells_each_organisation_once() {
    const ORGANISATIONS: u8 = 8;
    let Some(smtp) = server("NOROSHI_TEST_SMTP") else { return };
    let log = std::env::var("NOROSHI_TEST_MAILLOG").unwrap();
    let place = Place::new(&smtp, Some(&log), "");
    let (tag, by) = (format!("killed{}", std::process::id()), ["--by", "aoki"]);
    for n in 1..=ORGANISATIONS {
        let (key, mail) = (format!("o{n}"), format!("{tag}-{n}@example.ne.jp"));
        let prefix = format!("203.0.113.{n}/32");
        place.run(&[&["add", &key, "--mail", &mail], &by[..]].concat());
        place.run(&[&["range", "add", &key, &prefix], &by[..]].concat());
        place.run(&[&["range", "prove", &key, &prefix, "--vouch", "x"], &by[..]].concat());
    }
    let (folder, config) = (place.path().to_owned(), place.config.clone());
    in_a_network_of_its_own(move || {
        let addresses: Vec<String> = (1..=ORGANISATIONS).map(|n| format!("203.0.113.{n}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let telescope = Telescope::start(&folder, &config, &addresses);
        addresses.iter().for_each(|from| send(from, 1));
        std::thread::sleep(Duration::from_secs(1));
        telescope.end();
    });
    let states = || -> Vec<String> {
        let of = |n| place.lines(&["messages", &format!("o{n}"), "--json"]);
        (1..=ORGANISATIONS)
            .flat_map(of)
            .map(|message| message["state"].as_str().unwrap().to_owned())
            .collect()
    };
    if states().is_empty() {
        return; // No network of its own could be made, which was said.
    }
    assert_eq!(states().len(), usize::from(ORGANISATIONS));
    let mut kills = 0;
    while states().iter().any(|state| state == "pending") && kills < 60 {
        let running = Running::start(place.path(), &place.config);
        // Before it begins, while it sends, after it has sent: over and over.
        std::thread::sleep(Duration::from_millis(40 + 35 * (kills % 12)));
        drop(running);
        kills += 1;
    }
    let _running = Running::start(place.path(), &place.config);
    let settled = |state: &String| state == "sent" || state == "delivered";
    // A log that nobody writes to says nothing about a mail that is not in it.
    until("every message", || {
        somebody_elses_mail(&smtp);
        std::thread::sleep(Duration::from_secs(1));
        states().iter().all(settled).then_some(())
    });
    until("every mail", || (maildir(&tag).len() >= usize::from(ORGANISATIONS)).then_some(()));
    for n in 1..=ORGANISATIONS {
        assert_eq!(maildir(&format!("{tag}-{n}")).len(), 1, "after {kills} kills");
    }
    println!("{kills} kills");
}

#[test]
fn a_range_is_told_of_only_while_it_is_proven_by_a_zone_or_by_the_registry() {
    let Some(folder) = server("NOROSHI_TEST_NGINX_FOLDER") else { return };
    let web = std::env::var("NOROSHI_TEST_NGINX").unwrap();
    if server("NOROSHI_TEST_DNS").is_none() {
        return;
    }
    let (dns, registry) = (free_port(), PathBuf::from(folder).join("files").join("rdap"));
    let alert =
        format!("resolvers = [\"127.0.0.1:{dns}\"]\nrdap-bootstrap = \"{web}/rdap\"\nmissing-max = 2");
    let place = Place::new("127.0.0.1:9", None, &alert);
    let by = ["--by", "aoki"];
    place.run(&[&["add", "city"], &by[..]].concat());
    for prefix in ["198.51.100.0/23", "203.0.113.0/24", "2001:db8:12::/48"] {
        let told = place.run(&[&["range", "add", "city", prefix], &by[..]].concat());
        assert!(told.contains("IN TXT \"noroshi-proof="), "{told}");
    }
    let taken = run_any(place.path(), &place.typed(&["range", "add", "city", "203.0.113.9/24", "--by", "b"]));
    assert!(!taken.status.success() && text(&taken.stderr).contains("entered already"));
    let shown = place.lines(&["show", "city", "--json"]).remove(0);
    let token = |prefix: &str| {
        let all = shown["ranges"].as_array().unwrap();
        let range = all.iter().find(|range| range["prefix"] == prefix).unwrap();
        format!("noroshi-proof={}", range["token"].as_str().unwrap())
    };
    // Both zones that make up the /23; the registry for the /24; and for IPv6 a token of somebody else.
    let zones = |second: &str| {
        format!(
            "server:\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n use-syslog: no\n interface: 127.0.0.1@{dns}\n \
             module-config: \"iterator\"\n local-zone: \"in-addr.arpa.\" static\n local-zone: \"ip6.arpa.\" static\n \
             local-data: '_noroshi-proof.100.51.198.in-addr.arpa. TXT \"{}\"'\n{second} \
             local-data: '_noroshi-proof.2.1.0.0.8.b.d.0.1.0.0.2.ip6.arpa. TXT \"{}\"'\n",
            token("198.51.100.0/23"),
            token("203.0.113.0/24"),
        )
    };
    let second = format!(
        " local-data: '_noroshi-proof.101.51.198.in-addr.arpa. TXT \"{}\"'\n",
        token("198.51.100.0/23")
    );
    let conf = place.path().join("unbound.conf");
    let resolver = |second: &str| {
        std::fs::write(&conf, zones(second)).unwrap();
        let killed = Killed::start(Command::new("unbound").arg("-d").arg("-c").arg(&conf));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        // A question for the root's name servers: whatever the answer.
        let question = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
        until("the resolver", || {
            socket.send_to(&question, ("127.0.0.1", dns)).ok()?;
            socket.recv(&mut [0; 512]).ok()
        });
        killed
    };
    std::fs::create_dir_all(registry.join("ip/203.0.113.0")).unwrap();
    let ipv4 = format!("{{\"services\":[[[\"203.0.0.0/8\",\"198.0.0.0/8\"],[\"{web}/rdap/\"]]]}}");
    std::fs::write(registry.join("ipv4.json"), ipv4).unwrap();
    let network = format!(
        "{{\"objectClassName\":\"ip network\",\"handle\":\"CITY-NET\",\"startAddress\":\"203.0.113.0\",\
         \"endAddress\":\"203.0.113.255\",\"remarks\":[{{\"description\":[\"City\",\"{}\"]}}]}}",
        token("203.0.113.0/24")
    );
    std::fs::write(registry.join("ip/203.0.113.0/24"), network).unwrap();
    let prove = |more: &[&str]| {
        let typed = [&["range", "prove", "city"], more, &["--json"], &by[..]].concat();
        let output = run_any(place.path(), &place.typed(&typed));
        let lines: Vec<Value> =
            text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (output.status.code(), lines)
    };
    let first = resolver(&second);
    let (code, lines) = prove(&[]);
    assert_eq!(code, Some(3), "one of them is not proven");
    let of = |prefix: &str| lines.iter().find(|line| line["prefix"] == prefix).unwrap();
    assert_eq!(of("198.51.100.0/23")["proof"], "reverse-dns", "{lines:?}");
    assert_eq!(of("203.0.113.0/24")["proof"], "rdap", "{lines:?}");
    assert_eq!(
        (&of("203.0.113.0/24")["proof"], &of("203.0.113.0/24")["found"]),
        (&"rdap".into(), &"CITY-NET".into())
    );
    let why = of("2001:db8:12::/48")["not-found"].to_string();
    assert!(why.contains("has 1 TXT records, and none of them is it"), "{why}");
    // One of the two zones has it no more: after two looks the range is told of no more.
    drop(first);
    let _second = resolver("");
    let (code, lines) = prove(&["198.51.100.0/23"]);
    assert!(code == Some(3) && lines[0]["not-found"].to_string().contains("101.51.198"), "{lines:?}");
    let proven = || {
        let shown = place.lines(&["show", "city", "--json"]).remove(0);
        let all = shown["ranges"].as_array().unwrap();
        all.iter().filter(|range| range["proven"].is_string()).count()
    };
    assert_eq!(proven(), 2);
    prove(&["198.51.100.0/23"]);
    assert_eq!(proven(), 1);
    edit(&place.config, "missing-max = 2", "missing-max = 0");
    let bad = run_any(place.path(), &place.typed(&["list"]));
    assert!(text(&bad.stderr).contains("missing-max"), "{}", text(&bad.stderr));
}

/// One line that had one address for some hours until now.
fn accounting(folder: &Path) -> PathBuf {
    let now = SystemClock.now().as_second();
    let begun = now - 3 * 3600;
    let record = |status: &str, at: i64| {
        format!(
            "Fri Nov 27 00:00:00 2026\n\tUser-Name = \"sub000101@example.ne.jp\"\n\tAcct-Status-Type = {status}\n\
             \tAcct-Session-Id = \"0001\"\n\tNAS-IP-Address = 192.0.2.1\n\tFramed-IP-Address = 198.51.100.7\n\
             \tAcct-Session-Time = {}\n\tAcct-Delay-Time = 0\n\tTimestamp = {at}\n\n",
            at - begun
        )
    };
    let text = [record("Start", begun), record("Interim-Update", begun + 3600), record("Stop", now)].concat();
    let path = folder.join("detail");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_subscriber_is_told_when_the_evidence_is_enough_and_not_by_a_single_packet() {
    let Some(smtp) = server("NOROSHI_TEST_SMTP") else { return };
    let log = std::env::var("NOROSHI_TEST_MAILLOG").unwrap();
    let place = Place::new(&smtp, Some(&log), "subscribers = { campaign = \"telescope\" }");
    let directory = place.path().join("directory.csv");
    let tag = format!("line{}", std::process::id());
    let people = format!(
        "user_name,contract,name,mail,language,opted_out\n\
         sub000101@example.ne.jp,C-1,利用者,{tag}-1@example.ne.jp,ja,no\n"
    );
    std::fs::write(&directory, people).unwrap();
    let usual = crate::world::testdata("directory.csv");
    edit(&place.config, &usual.display().to_string(), &directory.display().to_string());
    let config = place.config.to_str().unwrap();
    let with = |typed: &[&str]| run(place.path(), &[&["--config", config], typed].concat());
    with(&["consent", "grant", "--measure", "infection-notice", "--how", "terms"]);
    let running = Running::start(place.path(), &place.config);
    let (folder, written) = (place.path().to_owned(), place.config.clone());
    in_a_network_of_its_own(move || {
        let telescope = Telescope::start(&folder, &written, &["198.51.100.7", "198.51.100.8"]);
        // Whoever puts another's address on a packet.
        send("198.51.100.8", 1);
        let ask = |n: u8| {
            let at = (Ipv4Addr::new(198, 18, n, 1), 23).into();
            let _nobody = TcpStream::connect_timeout(&at, Duration::from_millis(20));
        };
        (0..15).for_each(ask);
        std::thread::sleep(Duration::from_secs(61));
        (15..30).for_each(ask);
        // Until it is looked at how it goes on.
        std::thread::sleep(Duration::from_secs(12));
        let (_, last) = telescope.end();
        assert_eq!(last["classes"]["scanner"]["sources"], 1, "{last}");
    });
    let events = with(&["event", "list", "--json", "--with-own"]);
    let event = |line: &str| serde_json::from_str::<Value>(line).unwrap()["event"].clone();
    let events: Vec<Value> = events.lines().map(event).collect();
    assert!(
        !events.is_empty() && events.iter().all(|event| event["source.ip"] == "198.51.100.7"),
        "{events:?}"
    );
    let first = events.iter().find(|event| event["source.port"].is_u64());
    let first = first.unwrap_or_else(|| panic!("no port in {events:?}"));
    assert_eq!(
        (&first["classification.type"], &first["extra.noroshi.measure"], &first["destination.port"]),
        (&"scanner".into(), &"infection-notice".into(), &23.into())
    );
    with(&["observe", "radius", accounting(place.path()).to_str().unwrap()]);
    let mail = until("the subscriber to be told", || maildir(&tag).pop());
    let mail = MessageParser::default().parse(&mail).unwrap();
    assert!(mail.body_text(0).unwrap().contains("198.51.100.7"));
    drop(running);
    assert!(!with(&["event", "list", "--json", "--with-own"]).contains("198.18."));
}
