//! Months of telling, on a clock that is stepped: real mails to the demo's mailbox, a gateway of short messages that loses
//! answers, batches in a folder, people who are asked, and a program that ends and begins again at any moment.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use noroshi_act::notice::Addressee;
use noroshi_decide::ask_infection;
use noroshi_law::{InfectionNotice, Purpose as _, Sealed, Use};
use noroshi_model::case::StepState;
use noroshi_model::clock::{Clock as _, SteppedClock};
use noroshi_model::{Case, CaseState, Channel, ContractRef, Id, Step};
use noroshi_store::StoreError;
use noroshi_store::consent::TERMS;
use noroshi_store::outbox::Stopped;

mod forgotten;
mod judged;
mod networks;
mod wordings;

use super::{Stage, outbox, recover, until_idle};
use crate::config::{Config, File};
use crate::demo::mailbox;
use crate::house::{House, Stay};
use crate::outgoing;
use crate::receipts::Receipts;

/// 09:00 in Tokyo.
const START: &str = "2026-12-01T00:00:00Z";
/// Who can be reached how: by everything, by all but mail, by letter alone, and not at all.
const DIRECTORY: &str = "user_name,contract,name,mail,language,phone,address
a,C-1,利用者 一,one@example.net,ja,090-0000-0001,\"100-0001\n東京都例示区1-1\"
b,C-2,Subscriber Two,two (at) home@@,en,+81 90 0000 0002,\"1-2 Example, Tokyo\"
c,C-3,利用者 三,three (at) home@@,ja,,\"例示市3-3, \"\"角\"\"\"
d,C-4,利用者 四,four (at) home@@,ja,,
";
const LADDER: &str = r#"
[[ladder.rung]]
channel = "mail"
times = 2
[[ladder.rung]]
channel = "sms"
after-days = 3
[[ladder.rung]]
channel = "letter"
[[ladder.rung]]
channel = "call"
approval = true
"#;

struct World {
    folder: tempfile::TempDir,
    config: Config,
    clock: Arc<SteppedClock>,
    house: Option<House>,
    posts: Arc<Mutex<Vec<(String, String)>>>,
    cases: BTreeMap<String, Id>,
}

impl World {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mail_server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let gateway = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for name in ["letters", "calls"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        std::fs::write(path("directory.csv"), DIRECTORY).unwrap();
        std::fs::write(path("secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let text = format!(
            "data-dir = {:?}\n[operator]\nfrom = \"noroshi@example.ne.jp\"\npage = \"マイページ\"\n\
             [mail]\nserver = \"{}\"\nhours = \"08:00-22:00\"\n[sms]\nurl = \"http://{}/sms\"\nsecret-file = {:?}\n\
             [letter]\nfolder = {:?}\n[call]\nfolder = {:?}\n[directory]\nfile = {:?}\n{more}{LADDER}",
            path("data"),
            mail_server.local_addr().unwrap(),
            gateway.local_addr().unwrap(),
            path("secret"),
            path("letters"),
            path("calls"),
            path("directory.csv"),
        );
        let config = Config::try_from(toml::from_str::<File>(&text).unwrap()).unwrap();
        mailbox::start(mail_server, &path("mailbox")).unwrap();
        let posts = Arc::new(Mutex::new(Vec::new()));
        answer(gateway, Arc::clone(&posts));
        let clock = Arc::new(SteppedClock::at(START.parse().unwrap()));
        let mut world = Self { folder, config, clock, house: None, posts, cases: BTreeMap::new() };
        world.open();
        let now = world.clock.now();
        world.tx(|tx| tx.put_consent(TERMS, InfectionNotice::MEASURE, true, "the terms", now));
        world
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn open(&mut self) {
        self.house = None;
        // The lock is a moment longer with a child of the gateway's that has not begun yet (openssl, which inherits it).
        let open = || {
            let receipts = Receipts::Mailbox(self.path("mailbox"));
            House::open(self.config.clone(), Arc::clone(&self.clock) as _, receipts, Stay::Worker)
        };
        let house = (0..100).find_map(|_| match open() {
            Ok(house) => Some(house),
            Err(e) if e.to_string().contains("another noroshi") => {
                std::thread::sleep(std::time::Duration::from_millis(10));
                None
            }
            Err(e) => panic!("{e:#}"),
        });
        self.house = Some(house.expect("the lock to be free within a second"));
        recover(self.house(), &Stage::ALL, true).unwrap();
    }

    fn house(&self) -> &House {
        self.house.as_ref().unwrap()
    }

    fn tx<T>(&self, work: impl FnMut(&mut noroshi_store::Tx<'_>) -> Result<T, StoreError>) -> T {
        self.house().store.tx("test", work).unwrap()
    }

    fn work(&self) {
        until_idle(self.house(), &Stage::ALL).unwrap();
    }

    /// A case about a contract, as act makes it.
    fn find(&mut self, contract: &str, held_out: Option<SignedDuration>) {
        let (house, now) = (self.house(), self.clock.now());
        let permit = house.permit::<InfectionNotice>(ask_infection(Use::Identify), "").unwrap().unwrap();
        let contract_ref = ContractRef::parse(contract).unwrap();
        let party = house.party(&contract_ref);
        let addressee = Sealed::new(Addressee { contract: contract_ref });
        let addressee = house.vault.open_one(addressee, "test", &permit, now, &mut house.evidence()).unwrap();
        let addressee = house.vault.shelve(&addressee).unwrap();
        let case = Case {
            id: Id::random().unwrap(),
            party,
            family: "mirai".into(),
            campaign: "sinkhole".into(),
            measure: InfectionNotice::MEASURE.into(),
            state: CaseState::Open,
            opened: now,
            first_seen: now,
            last_seen: now,
            steps: 0,
            last_step: None,
            next: Some(now),
            held_out_until: held_out.map(|for_| now + for_),
            closed: None,
            reinfected: false,
            held_by: None,
            merged_into: None,
            forgotten: None,
        };
        self.tx(|tx| {
            tx.put_case(&case)?;
            tx.add_sighting(&case.id, now, Ipv4Addr::new(198, 51, 100, 7).into())?;
            tx.put_addressee(&case.id, &outgoing::pack(&addressee))
        });
        self.cases.insert(contract.to_owned(), case.id);
    }

    fn seen_again(&self) {
        let now = self.clock.now();
        self.tx(|tx| {
            for id in self.cases.values() {
                let Some(case) = tx.case(id)?.filter(|case| case.state.is_open()) else { continue };
                let next = (case.state != CaseState::Held).then_some(now);
                tx.put_case(&Case { last_seen: now, next, ..case })?;
            }
            Ok(())
        });
    }

    /// The steps of a contract's case as `mail sent 12-01 09:00`.
    fn steps(&self, contract: &str) -> Vec<String> {
        let zone = TimeZone::get("Asia/Tokyo").unwrap();
        let line = |step: &noroshi_store::outbox::Outgoing| {
            let at = step.changed.to_zoned(zone.clone());
            format!("{} {} {}", step.step.channel, step.step.state, at.strftime("%m-%d %H:%M"))
        };
        self.tx(|tx| tx.steps(&self.cases[contract])).iter().map(line).collect()
    }

    /// A person approves everything that waits.
    fn approve(&self) {
        let now = self.clock.now();
        self.tx(|tx| {
            for channel in Channel::ALL {
                for waiting in tx.steps_in(*channel, StepState::Proposed, Timestamp::UNIX_EPOCH, 10)? {
                    let due = self.config.reach.ladder.open(*channel, now);
                    let step = Step { state: StepState::Pending, due, ..waiting.step };
                    outbox::write(tx, StepState::Proposed, &step, now)?;
                }
            }
            Ok(())
        });
    }

    fn batch(&self, folder: &str) -> String {
        let mut text = String::new();
        let mut files: Vec<_> =
            std::fs::read_dir(self.path(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            assert!(!file.file_name().unwrap().to_string_lossy().starts_with('.'), "{}", file.display());
            text.push_str(&std::fs::read_to_string(file).unwrap());
        }
        text
    }
}

/// A gateway: it takes every message and loses the answer to every first one. What came: the id, and the body.
fn answer(listener: TcpListener, posts: Arc<Mutex<Vec<(String, String)>>>) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut headers = BTreeMap::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                match line.trim_end().split_once(": ") {
                    Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
                    None if line.trim().is_empty() => break,
                    None => None,
                };
            }
            let mut body = vec![0; headers["content-length"].parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            let (id, body) = (headers["webhook-id"].clone(), String::from_utf8(body).unwrap());
            let signed = format!("{id}.{}.{body}", headers["webhook-timestamp"]);
            assert_eq!(headers["webhook-signature"], format!("v1,{}", signature(&signed)));
            let first = !posts.lock().unwrap().iter().any(|(known, _)| *known == id);
            posts.lock().unwrap().push((id, body));
            if !first {
                let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                reader.get_mut().write_all(answer).unwrap();
            }
        }
    });
}

/// The signature as openssl makes it.
fn signature(text: &str) -> String {
    let script = "printf '%s' \"$1\" | openssl dgst -sha256 -mac HMAC -macopt hexkey:$(printf '%s' \
                  MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw | base64 -d | od -An -v -tx1 | tr -d ' \\n') -binary | base64 -w0";
    let output = Command::new("sh").args(["-c", script, "sh", text]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Forty days, each line seen twice a day, worked every hour; ended and begun again before each where asked.
fn months(again: bool) -> World {
    let mut world = World::new("[outcome]\nhold-out-percent = 0\n");
    for contract in ["C-1", "C-2", "C-3", "C-4"] {
        world.find(contract, None);
    }
    for hour in 0..960 {
        if again {
            world.open();
        }
        if hour % 12 == 0 {
            world.seen_again();
        }
        world.work();
        // Between the ticks: a message whose answer was lost is due a minute later.
        world.clock.step(SignedDuration::from_mins(2));
        world.work();
        if hour % 240 == 239 {
            world.approve();
        }
        world.clock.step(SignedDuration::from_mins(58));
    }
    world
}

#[test]
fn each_is_told_by_the_ways_that_reach_them_and_a_restart_at_any_moment_changes_nothing() {
    let world = months(false);
    assert_eq!(
        world.steps("C-1"),
        [
            "mail delivered 12-01 09:00",
            "mail delivered 12-08 09:00",
            "sms sent 12-11 09:02",
            "letter sent 12-19 06:00",
            "call sent 01-01 08:00"
        ]
    );
    assert_eq!(
        world.steps("C-2"),
        [
            "mail failed 12-01 09:00",
            "sms sent 12-01 09:02",
            "letter sent 12-09 06:00",
            "call sent 12-22 08:00"
        ]
    );
    assert_eq!(
        world.steps("C-3"),
        [
            "mail failed 12-01 09:00",
            "sms failed 12-01 09:00",
            "letter sent 12-02 06:00",
            "call failed 12-12 08:00"
        ]
    );
    assert_eq!(
        world.steps("C-4"),
        [
            "mail failed 12-01 09:00",
            "sms failed 12-01 09:00",
            "letter failed 12-02 06:00",
            "call failed 12-12 08:00"
        ]
    );

    let posts = world.posts.lock().unwrap().clone();
    let ids: std::collections::BTreeSet<&String> = posts.iter().map(|(id, _)| id).collect();
    assert_eq!(
        (posts.len(), ids.len()),
        (4, 2),
        "each twice under one id, because the first answer was lost"
    );
    let said: serde_json::Value = serde_json::from_str(&posts[0].1).unwrap();
    let text = said["data"]["text"].as_str().unwrap();
    assert_eq!((&said["data"]["to"], &said["data"]["language"]), (&"+819000000002".into(), &"en".into()));
    assert!(text.contains("マイページ") && !text.contains("http") && text.chars().count() <= 240, "{text}");

    let letters = world.batch("letters");
    assert!(
        letters.contains("\"100-0001\n東京都例示区1-1\"") && letters.contains("\"例示市3-3, \"\"角\"\"\""),
        "{letters}"
    );
    assert_eq!(
        letters.matches("reference,language,name,address,code,subject,text\r\n").count(),
        3,
        "{letters}"
    );
    assert!(
        letters.contains("マイページ") && !letters.contains("/n/"),
        "a page that can be typed: {letters}"
    );
    let calls = world.batch("calls");
    assert!(
        calls.contains("利用者 一,09000000001,") && calls.contains("Subscriber Two,+819000000002,"),
        "{calls}"
    );
    assert_eq!(mailbox::mails(&world.path("mailbox")).unwrap().len(), 2);
    assert!(world.house().evidence().verify().unwrap().intact());

    let again = months(true);
    for contract in ["C-1", "C-2", "C-3", "C-4"] {
        assert_eq!(again.steps(contract), world.steps(contract), "begun again before each step");
    }
    assert_eq!(mailbox::mails(&again.path("mailbox")).unwrap().len(), 2);
    let reference = |text: &str| text.lines().count();
    assert_eq!(reference(&again.batch("letters")), reference(&letters));
}

#[test]
fn nobody_is_told_while_it_is_stopped_nor_who_is_held_out_or_has_opted_out() {
    let mut world = World::new("");
    world.find("C-1", None);
    world.find("C-2", Some(SignedDuration::from_hours(14 * 24)));
    let since = world.clock.now();
    let stopped = Stopped { scope: "*".into(), since, person: "p".into(), why: "w".into() };
    assert!(world.tx(|tx| tx.stop(&stopped)));
    world.work();
    assert_eq!((world.steps("C-1").len(), world.steps("C-2").len()), (0, 0));
    assert!(world.tx(|tx| tx.go_on("*", "p", "w", since)));
    world.work();
    assert_eq!((world.steps("C-1").len(), world.steps("C-2").len()), (1, 0));
    for _ in 0..30 {
        world.clock.step(SignedDuration::from_hours(12));
        world.seen_again();
        if world.clock.now() == since + SignedDuration::from_hours(36) {
            let party = world.tx(|tx| tx.case(&world.cases["C-1"])).unwrap().party;
            let now = world.clock.now();
            world.tx(|tx| tx.put_consent(&party, "*", false, "the page", now));
        }
        world.work();
    }
    assert_eq!(world.steps("C-1"), ["mail delivered 12-01 09:00"]);
    assert_eq!(world.tx(|tx| tx.case(&world.cases["C-1"])).unwrap().state, CaseState::Held);
    assert_eq!(
        world.steps("C-2"),
        ["mail failed 12-15 09:00", "sms sent 12-16 09:00"],
        "after the time they were held out"
    );
}

#[test]
fn a_step_of_a_way_that_is_configured_no_more_goes_on_by_the_next_and_one_ways_trouble_is_not_the_others() {
    let mut world = World::new("[outcome]\nhold-out-percent = 0\n");
    world.find("C-2", None);
    world.work();
    assert_eq!(world.steps("C-2")[1], "sms pending 12-01 09:00");
    world.config.reach.gateway = None;
    world.config.reach.ways.sms = None;
    world.clock.step(SignedDuration::from_hours(1));
    world.open();
    assert_eq!(world.steps("C-2")[1], "sms failed 12-01 10:00");
    // The folder of letters is gone: that is told, and a call at the same hour is listed all the same.
    world.config.reach.ladder.hours.insert(Channel::Call, "06:00-07:00".parse().unwrap());
    world.open();
    std::fs::remove_dir(world.path("letters")).unwrap();
    world.find("C-1", None);
    let call = Step {
        case: world.cases["C-1"].clone(),
        number: 1,
        channel: Channel::Call,
        state: StepState::Pending,
        attempts: 0,
        due: world.clock.now(),
        reply: String::new(),
    };
    let now = world.clock.now();
    world.tx(|tx| tx.insert_step(&call, "<1@x>", now));
    world.clock.step(SignedDuration::from_hours(20));
    while Stage::Ladder.step(world.house()).unwrap() > 0 {}
    assert!(Stage::Reach.step(world.house()).is_err(), "letters, and no folder");
    assert_eq!(world.steps("C-1"), ["call sent 12-02 06:00"]);
}

#[test]
fn a_batch_that_was_cut_off_is_written_again_or_given_its_name_as_the_outbox_says() {
    let mut world = World::new("[outcome]\nhold-out-percent = 0\n");
    world.find("C-3", None);
    world.work();
    let part = |name: &str| world.path("letters").join(format!(".{name}.part"));
    // Cut off before the commit.
    std::fs::write(part("letter-1.csv"), "half").unwrap();
    // Cut off after it.
    let step = Step {
        case: world.cases["C-3"].clone(),
        number: 9,
        channel: Channel::Letter,
        state: StepState::Sent,
        attempts: 1,
        due: world.clock.now(),
        reply: "letter-2.csv".into(),
    };
    let now = world.clock.now();
    world.tx(|tx| tx.insert_step(&step, "<9@x>", now));
    std::fs::write(part("letter-2.csv"), "whole").unwrap();
    world.open();
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names(&world.path("letters")), ["letter-2.csv"]);
}
