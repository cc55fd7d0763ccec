//! The book against the recordings: every line of `testdata/truth.csv` must be answered as it states, and nobody is ever
//! named wrongly. The recordings were made by real FreeRADIUS and nginx; the truth was worked out independently.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::BTreeMap;
use std::fs::File;
use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use noroshi_act::book::{Answer, Book, Rules};
use noroshi_act::clocks::Clocks;
use noroshi_act::directory::{CsvDirectory, Directory as _};
use noroshi_law::evidence::Digest;
use noroshi_law::{
    Ask, Dossier, Gate, Ledger, LedgerError, Permit, Record, Register, Role, Rulebook, Ruling, Standing,
    TakedownNotice, Use,
};
use noroshi_wire::radius::{Accounting, read_detail};

struct Yes;

impl Rulebook for Yes {
    fn judge(&self, _: &Ask, _: &Dossier, _: Standing) -> Ruling {
        Ruling { allowed: true, rule: "test".into(), reason: String::new(), policy_set: Digest::ZERO }
    }
    fn policy_set(&self) -> Digest {
        Digest::ZERO
    }
}

#[derive(Default)]
struct Notes(u64);

impl Ledger for Notes {
    fn append(&mut self, _: Record) -> Result<u64, LedgerError> {
        self.0 += 1;
        Ok(self.0 - 1)
    }
}

fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}

fn permit(notes: &mut Notes) -> Permit<TakedownNotice> {
    let register = Register::shipped().unwrap();
    let ask = Ask::of::<TakedownNotice>(Role::System, Use::Identify, &["source.ip", "time.source"]);
    let standing = Standing::of_terms(true, Timestamp::UNIX_EPOCH);
    Gate::new(&Yes, &register).permit(ask, standing, notes).unwrap()
}

/// All records of the recordings, opened, and the access servers' clocks.
fn records(permit: &Permit<TakedownNotice>, notes: &mut Notes) -> (Vec<Accounting>, Clocks) {
    let mut records = Vec::new();
    let mut samples = Vec::new();
    for day in ["20261118", "20261119", "20261120"] {
        let file = File::open(testdata(&format!("radius/detail-{day}.txt"))).unwrap();
        for record in read_detail(file) {
            let (sealed, sample) = record.unwrap().unwrap();
            samples.extend(sample.offset_s.map(|offset_s| (sample.nas, offset_s, 1)));
            records.push(sealed.open(permit, "test", Timestamp::UNIX_EPOCH, notes).unwrap().read().clone());
        }
    }
    (records, Clocks::estimate(samples))
}

fn truth(name: &str) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(testdata(name)).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines
        .map(|l| header.iter().map(|h| h.to_string()).zip(l.split(',').map(str::to_owned)).collect())
        .collect()
}

#[test]
fn every_line_of_the_truth_is_answered_as_it_states_and_nobody_is_named_wrongly() {
    let mut notes = Notes::default();
    let permit = permit(&mut notes);
    let (records, clocks) = records(&permit, &mut notes);
    assert!(records.len() > 400, "the recordings are there");
    let directory = CsvDirectory::read(File::open(testdata("directory.csv")).unwrap()).unwrap();
    let rules = Rules { shared: vec!["203.0.113.200/32".parse().unwrap()], ..Rules::default() };
    let mut checked = BTreeMap::<&str, u32>::new();
    let mut wrong = Vec::new();
    for line in truth("truth.csv").into_iter().chain(truth("truth-nozone.csv")) {
        let verdict = line["verdict"].as_str();
        if matches!(verdict, "filtered" | "quarantined") {
            continue;
        }
        let ip: IpAddr = line["address"].parse().unwrap();
        let at: Timestamp = line["time"].parse().unwrap();
        let of_address: Vec<Accounting> = records.iter().filter(|r| r.covers(ip)).cloned().collect();
        let answer = Book::assemble(&of_address, &clocks, &rules, false).answer(ip, at);
        let said = match &answer {
            Answer::One(holder, margin) => {
                assert!(*margin > rules.border_s, "a margin within the border: {line:?}");
                let contract = directory.contract(holder).expect("every user is in the directory");
                format!("one {}", contract.as_str())
            }
            Answer::None => "none ".into(),
            Answer::Ambiguous(_) => "ambiguous ".into(),
        };
        let stated = format!("{verdict} {}", line["contract"]);
        if said != stated {
            wrong.push(format!("{line:?}: said {said:?} ({answer:?})"));
        }
        *checked.entry(if verdict == "one" { "one" } else { "not one" }).or_default() += 1;
    }
    assert!(checked["one"] > 150 && checked["not one"] > 40, "{checked:?}");
    assert!(wrong.is_empty(), "{} wrong of {checked:?}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_access_server_nine_hours_off_is_found() {
    let mut notes = Notes::default();
    let permit = permit(&mut notes);
    let (_, clocks) = records(&permit, &mut notes);
    let wrong: Vec<_> =
        clocks.iter().filter(|c| c.is_wrong()).map(|c| (c.nas.as_str(), c.offset_s)).collect();
    assert_eq!(wrong, [("192.0.2.2", 9 * 3600)]);
}
