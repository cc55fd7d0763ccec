//! The same loop with PostgreSQL as the database, in one process and in one for each role.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::mail::{Running, Trouble, edit, over_postfix, troubled, until};
use crate::world::{configure, run, say, server};

/// Subscribers with a mail to come; every other one says no while the mails are on their way.
const SUBSCRIBERS: u32 = 200;

/// Works with a database of its own.
fn with_database(tag: &str, work: impl FnOnce(&str)) {
    let Some(url) = server("NOROSHI_TEST_POSTGRES") else { return };
    let name = format!("{tag}_{}", std::process::id());
    let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    work(&format!("{server}/{name}"));
    client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
}

#[test]
fn each_subscriber_gets_one_mail_with_postgresql_as_the_database() {
    with_database("loop", |url| over_postfix(Some(url), &format!("pg{}", std::process::id())));
}

#[test]
fn an_opt_out_takes_effect_within_a_second_in_every_role() {
    with_database("optout", |url| {
        let (address, mails) = troubled(Trouble::Slow);
        let folder = tempfile::tempdir().unwrap();
        let config = configure(folder.path(), &address, Some(url), None);
        let at = |name: &str| folder.path().join(name);
        let (mut directory, mut sessions, mut seized) = (
            "user_name,contract,name,mail,language\n".to_owned(),
            "address,subscriber,start,end\n".to_owned(),
            "time,client,port,bot_id,path\n".to_owned(),
        );
        for n in 0..SUBSCRIBERS {
            writeln!(directory, "user{n},C-{n},Person {n},p{n}@mail.example.net,en").unwrap();
            let range = "2026-11-19T00:00:00+09:00,2026-11-19T12:00:00+09:00";
            writeln!(sessions, "198.51.100.{n},user{n},{range}").unwrap();
            // Exact times: had they all been a full hour, nobody would be named.
            let time = format!("2026-11-19T06:{:02}:17+09:00", n % 60);
            writeln!(seized, "{time},198.51.100.{n},40000,b{n},\"/gate.php\"").unwrap();
        }
        for (name, text) in
            [("directory.csv", &directory), ("sessions.csv", &sessions), ("seized.csv", &seized)]
        {
            std::fs::write(at(name), text).unwrap();
        }
        edit(
            &config,
            crate::world::testdata("directory.csv").to_str().unwrap(),
            at("directory.csv").to_str().unwrap(),
        );
        let with = |arguments: &[&str]| {
            run(folder.path(), &[&["--config", config.to_str().unwrap()], arguments].concat());
        };
        with(&["sessions", "import", "--format", "csv", at("sessions.csv").to_str().unwrap()]);
        with(&["law", "approve", "takedown-notice", "--by", "aoki", "--why", "a test"]);
        with(&["observe", "seized", "--format", "gate", at("seized.csv").to_str().unwrap()]);

        let roles: Vec<Running> = [
            &["aggregate", "observe", "orient"][..],
            &["decide"],
            &["act"],
            &["ladder"],
            &["mail"],
            &["improve"],
        ]
        .into_iter()
        .map(|roles| Running::with_roles(folder.path(), &config, roles))
        .collect();
        until("the first mails", || (mails.lock().unwrap().len() > 5).then_some(()));
        let mut said: BTreeMap<String, Instant> = BTreeMap::new();
        for n in (0..SUBSCRIBERS).step_by(2) {
            with(&[
                "consent",
                "withdraw",
                "--measure",
                "*",
                "--contract",
                &format!("C-{n}"),
                "--how",
                "by telephone",
            ]);
            said.insert(format!("p{n}@"), Instant::now());
        }
        let got = || -> Vec<(String, Instant)> {
            let mails = mails.lock().unwrap();
            let name = |line: &str| Some(line.split_once('<')?.1.split_once('@')?.0.to_owned() + "@");
            mails.iter().filter_map(|(line, at)| Some((name(line)?, *at))).collect()
        };
        until("everybody else to be told", || {
            let told: BTreeSet<String> = got().into_iter().map(|(who, _)| who).collect();
            (1..SUBSCRIBERS).step_by(2).all(|n| told.contains(&format!("p{n}@"))).then_some(())
        });
        // Long enough for one too many.
        std::thread::sleep(Duration::from_secs(3));
        drop(roles);
        let got = got();
        let mut late: Vec<Duration> =
            got.iter().filter_map(|(who, at)| Some(at.saturating_duration_since(*said.get(who)?))).collect();
        late.sort();
        let told = late.len();
        let before = late.iter().filter(|late| late.is_zero()).count();
        let worst = late.last().copied().unwrap_or_default();
        say(format_args!(
            "opt-out: {} of {} had no mail, {before} had theirs before; the latest mail after an opt-out came {worst:?} after it",
            said.len() - told,
            said.len()
        ));
        assert!(said.len() - told > 10, "some were stopped, or this shows nothing");
        assert!(worst <= Duration::from_secs(1), "{late:?}");
    });
}
