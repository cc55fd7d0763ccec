//! From packets to the console: a telescope counts, and its pages show every packet and each mark's record, as it happens and after a
//! restart.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::counters::Serving;
use crate::darknet::in_a_network_of_its_own;
use crate::mail::until;
use crate::world::{configure, noroshi};

/// A telescope over addresses of the loopback that nobody uses; none where that is not allowed.
fn watch(folder: &Path, config: &Path) -> Option<Child> {
    let mut child = noroshi(folder)
        .args(["--config", config.to_str().unwrap(), "darknet", "live", "--interface", "lo"])
        .args(["--network", "127.77.0.0/16", "--name", "north", "--statistics"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("watching lo") {
        line.clear();
        if said.read_line(&mut line).unwrap() == 0 || line.contains("CAP_NET_RAW") {
            println!("not run: {line}");
            child.wait().unwrap();
            return None;
        }
    }
    std::thread::spawn(move || said.read_to_string(&mut String::new()));
    Some(child)
}

fn end(mut telescope: Child) {
    std::thread::sleep(Duration::from_millis(1500));
    Command::new("kill").arg(telescope.id().to_string()).status().unwrap();
    assert!(telescope.wait().unwrap().success());
}

/// Questions to a port, from so many senders, one each.
fn ask(senders: u8, port: u16) {
    for n in 1..=senders {
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 9, 9, n), 0)).unwrap();
        let _refused = socket.send_to(b"anybody?", (Ipv4Addr::new(127, 77, 1, n), port));
    }
}

/// Events of a stream as they come.
fn events(serving: &Serving) -> Receiver<(String, Value)> {
    let (told, events) = channel();
    let mut body = serving.open("/telescope/live").into_body();
    std::thread::spawn(move || {
        let mut name = String::new();
        for line in BufReader::new(body.as_reader()).lines().map_while(Result::ok) {
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                let _nobody_listens = told.send((name.clone(), serde_json::from_str(data).unwrap()));
            }
        }
    });
    events
}

fn json(serving: &Serving, path: &str) -> Value {
    serde_json::from_str(&serving.get(path)).unwrap()
}

/// A row of the day's counts.
fn count(page: &Value, list: &str, name: &str) -> (u64, u64) {
    let rows = page["counts"][list].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name}: {page}"));
    (row["hosts"].as_u64().unwrap(), row["packets"].as_u64().unwrap())
}

#[test]
fn every_packet_is_in_the_pages_and_each_mark_has_its_record() {
    in_a_network_of_its_own(|| {
        let folder = tempfile::tempdir().unwrap();
        let config = configure(folder.path(), "127.0.0.1:1", None, None);
        let Some(telescope) = watch(folder.path(), &config) else { return };
        let serving = Serving::start(folder.path(), &config);
        let events = events(&serving);
        // The stream begins with what comes after its first look.
        std::thread::sleep(Duration::from_secs(3));
        ask(40, 5060);
        let mut marks = Vec::new();
        while marks.len() < 20 {
            let (name, event) = events.recv_timeout(Duration::from_secs(60)).expect("what was seen is told");
            assert_eq!(name, "sightings", "{event}");
            marks.extend(event["sightings"].as_array().unwrap().iter().cloned());
        }
        for mark in marks.iter().take(5) {
            let record = json(&serving, &format!("{}.json", mark["href"].as_str().unwrap()));
            assert_eq!((&record["id"], &record["port"]), (&mark["id"], &5060.into()));
            assert_eq!((&record["telescope"], &mark["what"]), (&"north".into(), &"udp/5060".into()));
            assert!(record["ip"].as_str().unwrap().starts_with("127.9.9."), "{record}");
        }
        ask(10, 53);
        end(telescope);
        let page = json(&serving, "/telescope.json");
        let in_minutes = |page: &Value| {
            let minutes = page["minutes"].as_array().unwrap().iter();
            minutes.map(|minute| minute["packets"].as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!((in_minutes(&page), page["telescopes"][0]["addresses"].as_u64()), (50, Some(65_536)));
        // Within four standard errors; and what is counted in two hours counts in each.
        let (hosts, packets) = count(&page, "ports-by-hosts", "5060");
        assert!(packets == 40 && (29..=51).contains(&hosts), "{hosts} hosts, {packets} packets");
        assert_eq!(count(&page, "ports-by-packets", "53").1, 10);
        assert_eq!(page["counts"]["all"]["packets"], 50);

        let telescope = watch(folder.path(), &config).unwrap();
        ask(3, 5060);
        end(telescope);
        let page = json(&serving, "/telescope.json");
        assert_eq!(
            (in_minutes(&page), count(&page, "ports-by-hosts", "5060").1),
            (53, 43),
            "after a restart"
        );
        assert_eq!(page["counts"]["all"]["packets"], 53);
        let svg = serving.get("/telescope/day.svg");
        assert!(svg.contains("most 5") && svg.starts_with("<svg"), "{svg}");
    });
}

#[test]
fn a_table_that_changes_is_taken_while_it_watches() {
    in_a_network_of_its_own(|| {
        let folder = tempfile::tempdir().unwrap();
        let config = configure(folder.path(), "127.0.0.1:1", None, None);
        let table = folder.path().join("ours.csv");
        let written = std::fs::read_to_string(&config).unwrap();
        let tables = format!(
            "[enrich]\nlook-s = 1\ntables = [{{ file = \"{}\", format = \"ranges\" }}]\n",
            table.display()
        );
        std::fs::write(&config, format!("{written}{tables}")).unwrap();
        let says =
            |country: &str| std::fs::write(&table, format!("127.9.9.0,127.9.9.255,{country}\n")).unwrap();
        says("JP");
        let Some(telescope) = watch(folder.path(), &config) else { return };
        let serving = Serving::start(folder.path(), &config);
        let mut port = 2000;
        // Of senders that come now.
        let mut country = || {
            port += 1;
            ask(3, port);
            until("they are written down", || {
                let newest = json(&serving, "/telescope/sightings.json")["sightings"][0].clone();
                (newest["port"] == port).then(|| newest["country"].as_str().unwrap().to_owned())
            })
        };
        assert_eq!(country(), "JP");
        says("KR");
        until("the new table", || (country() == "KR").then_some(()));
        // What is broken is not taken.
        std::fs::write(&table, "\0\0\0").unwrap();
        std::thread::sleep(Duration::from_secs(4));
        assert_eq!(country(), "KR");
        end(telescope);
    });
}
