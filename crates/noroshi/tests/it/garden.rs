//! The walled garden with a real FreeRADIUS: a line is moved in and out again by CoA, and is restricted when it connects anew;
//! whoever is in it finds out why, and out.

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use noroshi_model::{Id, code};
use serde_json::Value;

use crate::mail::{Running, edit, free_port, until};
use crate::world::{Killed, configure, run, server, start_freeradius};

const SECRET: &str = "between-noroshi-and-nas";
const LINE: &str = "sub000101@example.ne.jp";

/// An access server that takes CoA-Requests and writes them down, and a RADIUS server that asks us of lines that connect.
fn start(program: &str, folder: &Path, coa: u16, auth: u16, ours: u16) -> Killed {
    let dir = folder.display();
    let with = format!(
        "client noroshi {{\n ipaddr = 127.0.0.1\n secret = {SECRET}\n}}\n\
         modules {{\n always ok {{\n rcode = ok\n }}\n\
         detail orders {{\n filename = {dir}/orders\n permissions = 0600\n }}\n\
         rest {{\n connect_uri = \"http://127.0.0.1:{ours}\"\n connect_timeout = 4.0\n\
         authorize {{\n uri = \"http://127.0.0.1:{ours}/authorize\"\n method = 'post'\n body = 'json'\n }}\n\
         pool {{\n start = 0\n min = 0\n max = 4\n spare = 1\n uses = 0\n retry_delay = 1\n lifetime = 0\n idle_timeout = 60\n }}\n }}\n}}\n\
         server nas {{\n listen {{\n type = coa\n ipaddr = 127.0.0.1\n port = {coa}\n }}\n\
         recv-coa {{\n orders\n ok\n }}\n send-coa {{\n ok\n }}\n}}\n\
         server login {{\n listen {{\n type = auth\n ipaddr = 127.0.0.1\n port = {auth}\n }}\n\
         authorize {{\n rest\n update control {{\n &Auth-Type := Accept\n }}\n }}\n}}\n"
    );
    start_freeradius(program, folder, &with)
}

/// One line, one address, for three days.
fn accounting(folder: &Path) -> std::path::PathBuf {
    let record = |status: &str, at: i64, lasted: i64| {
        format!(
            "Wed Nov 18 00:00:00 2026\n\tUser-Name = \"{LINE}\"\n\tAcct-Status-Type = {status}\n\
             \tAcct-Session-Id = \"0001\"\n\tNAS-IP-Address = 192.0.2.1\n\tFramed-IP-Address = 198.51.100.7\n\
             \tAcct-Session-Time = {lasted}\n\tAcct-Delay-Time = 0\n\tTimestamp = {at}\n\n"
        )
    };
    let begun = "2026-11-18T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
    let mut text = record("Start", begun, 0);
    for hours in (1..72).step_by(1) {
        text.push_str(&record("Interim-Update", begun + hours * 3600, hours * 3600));
    }
    text.push_str(&record("Stop", begun + 72 * 3600, 72 * 3600));
    let path = folder.join("detail");
    std::fs::write(&path, text).unwrap();
    path
}

struct Place {
    folder: tempfile::TempDir,
    config: std::path::PathBuf,
    portal: u16,
    auth: u16,
    coa: u16,
    ours: u16,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = configure(folder.path(), "127.0.0.1:9", None, None);
        let (portal, auth, coa, ours) = (free_port(), free_port(), free_port(), free_port());
        std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
        std::fs::create_dir(folder.path().join("radius")).unwrap();
        edit(
            &config,
            "[portal]\nlisten = \"127.0.0.1:0\"",
            &format!("[portal]\nlisten = \"127.0.0.1:{portal}\""),
        );
        let text = std::fs::read_to_string(&config).unwrap();
        let more = format!(
            "[outcome]\nhold-out-percent = 0\n[[ladder.rung]]\nchannel = \"walled-garden\"\n[walled-garden]\n\
             servers = [\"127.0.0.1:{coa}\"]\nsecret-file = {:?}\nenter = {{ Filter-Id = \"walled-garden\" }}\n\
             leave = {{ Filter-Id = \"normal\" }}\nlisten = \"127.0.0.1:{ours}\"\nprefixes = [\"100.64.0.0/16\"]\n\
             hours = \"00:00-24:00\"\n",
            folder.path().join("secret")
        );
        std::fs::write(&config, format!("{text}{more}")).unwrap();
        Self { folder, config, portal, auth, coa, ours }
    }

    fn run(&self, typed: &[&str]) -> String {
        run(self.folder.path(), &[&["--config", self.config.to_str().unwrap()], typed].concat())
    }

    fn start(&self) -> Running {
        Running::start(self.folder.path(), &self.config)
    }

    /// What the access server was told, as FreeRADIUS wrote it down.
    fn orders(&self) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(self.folder.path().join("radius/orders")).unwrap_or_default();
        let value = |record: &str, name: &str| {
            let line = record.lines().find_map(|line| line.trim().strip_prefix(&format!("{name} = ")));
            line.unwrap_or_default().trim_matches('"').to_owned()
        };
        let records = text.split("\n\n").filter(|record| record.contains("User-Name"));
        records.map(|record| (value(record, "User-Name"), value(record, "Filter-Id"))).collect()
    }

    /// A line connects: the Filter-Id in the Access-Accept.
    fn connects(&self, line: &str) -> Option<String> {
        let name = [&[1, (line.len() + 2) as u8], line.as_bytes()].concat();
        let length = ((20 + name.len()) as u16).to_be_bytes();
        let request = [&[1, 7, length[0], length[1]], &[9; 16][..], &name].concat();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(1000))).unwrap();
        let answer = until("an answer of FreeRADIUS", || {
            let _refused = socket.send_to(&request, ("127.0.0.1", self.auth));
            let mut answer = [0; 4096];
            let got = socket.recv(&mut answer).ok()?;
            Some(answer[..got].to_vec())
        });
        assert_eq!(answer[0], 2, "an Access-Accept");
        let mut left = &answer[20..];
        while let [code, length, ..] = left {
            let (attribute, rest) = left.split_at(usize::from(*length));
            if *code == 11 {
                return Some(String::from_utf8(attribute[2..].to_vec()).unwrap());
            }
            left = rest;
        }
        None
    }

    fn web(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.portal)
    }

    fn captive(&self, from: &str) -> Value {
        let mut answer =
            agent().get(self.web("/captive-portal/api")).header("X-Forwarded-For", from).call().unwrap();
        assert_eq!(answer.headers()["content-type"], "application/captive+json");
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().max_redirects(0).max_redirects_will_error(false).build().into()
}

#[test]
fn freeradius_is_told_to_move_a_line_in_and_out_and_the_subscriber_finds_the_way() {
    let Some(program) = server("NOROSHI_TEST_FREERADIUS") else { return };
    let place = Place::new();
    let radius = place.folder.path().join("radius");
    let _freeradius = start(&program, &radius, place.coa, place.auth, place.ours);
    for measure in ["infection-notice", "line-quarantine"] {
        place.run(&["consent", "grant", "--measure", measure, "--how", "terms"]);
    }
    place.run(&["sessions", "import", accounting(place.folder.path()).to_str().unwrap()]);
    let report = place.folder.path().join("report.csv");
    std::fs::write(
        &report,
        "2026-11-18T10:10:10Z,198.51.100.7,mirai\n2026-11-20T10:11:12Z,198.51.100.7,mirai\n",
    )
    .unwrap();
    let params = r#"{"columns": ["time.source", "source.ip", "malware.name"], "type": "infected-system"}"#;
    let load =
        ["feed", "load", report.to_str().unwrap(), "--format", "generic-csv", "--feed-name", "sinkhole"];
    let under = ["--params", params, "--campaign", "sinkhole", "--measure", "infection-notice"];
    place.run(&[load.as_slice(), &under].concat());
    let mut running = place.start();
    let proposed = || {
        let listed = place.run(&["step", "list", "--json"]);
        listed.lines().next().map(|line| serde_json::from_str::<Value>(line).unwrap())
    };
    let step = until("a step that waits for a person", proposed);
    let case = step["case"].as_str().unwrap().to_owned();
    assert_eq!(step["channel"], "walled-garden");
    assert_eq!(place.orders(), [], "nobody is restricted without a person's word");

    // One person has approved the measure: two are needed, and the step is stopped by the rules.
    place.run(&["law", "approve", "line-quarantine", "--by", "aoki", "--why", "counsel judged it"]);
    place.run(&["step", "approve", &case, "--by", "baba"]);
    let stopped =
        || place.run(&["step", "list", "--state", "stopped"]).contains("second-person-missing").then_some(());
    until("the rules to refuse", stopped);
    assert_eq!(place.orders(), []);
    place.run(&["law", "approve", "line-quarantine", "--by", "chiba", "--why", "and I too"]);
    std::fs::write(&report, "2026-11-20T20:11:12Z,198.51.100.7,mirai\n").unwrap();
    place.run(&[load.as_slice(), &under].concat());
    until("the step to be proposed again", proposed);

    // Killed as soon as it is approved, and begun again.
    place.run(&["step", "approve", &case, "--by", "baba", "--why", "three days"]);
    drop(running);
    running = place.start();
    let order = |to: &str| (LINE.to_owned(), to.to_owned());
    until("the line to be moved in", || place.orders().contains(&order("walled-garden")).then_some(()));
    until("that it was", || {
        place.run(&["step", "list", "--state", "sent"]).contains("moved the line").then_some(())
    });
    assert_eq!(place.run(&["garden", "list", "--json"]).lines().count(), 1);
    assert_eq!(place.connects(LINE).as_deref(), Some("walled-garden"), "also when it connects again");
    assert_eq!(place.connects("sub000102@example.ne.jp"), None);
    assert_eq!(
        place.captive("100.64.3.4"),
        serde_json::json!({ "captive": true, "user-portal-url": "https://care.example.ne.jp/garden" })
    );
    assert_eq!(place.captive("198.51.100.7")["captive"], false);

    // From the page that devices are sent to, by the code of the notice, to the way out.
    let page = agent().get(place.web("/garden?lang=en")).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(page.contains("name=\"code\"") && page.contains("Emergency calls work"), "{page}");
    let code = code::code(&Id::parse(&case).unwrap());
    let found = agent().post(place.web("/code?lang=en")).send_form([("code", code.as_str())]).unwrap();
    let notice = found.headers()["location"].to_str().unwrap().to_owned();
    let page = agent().get(place.web(&notice)).call().unwrap().body_mut().read_to_string().unwrap();
    let release =
        page.split("action=\"").find(|rest| rest.split('"').next().unwrap().contains("/release")).unwrap();
    assert_eq!(place.orders().last(), Some(&order("walled-garden")), "looking lets nobody out");
    agent().post(place.web(release.split('"').next().unwrap())).send_empty().unwrap();
    until("the line to be moved out", || (place.orders().last() == Some(&order("normal"))).then_some(()));
    until("that it was", || place.run(&["garden", "list"]).is_empty().then_some(()));
    assert_eq!(place.connects(LINE), None);
    let story = place.run(&["case", "show", &case]);
    assert!(
        story.contains("let out") && story.contains("the subscriber says that the steps are done"),
        "{story}"
    );
    let evidence = place.run(&["evidence", "list", "--json"]);
    for word in ["\"restrict\"", "\"release\"", "approved by baba"] {
        assert!(evidence.contains(word), "{word} in {evidence}");
    }
    assert!(!story.contains(LINE) && !evidence.contains(LINE));
    place.run(&["evidence", "verify"]);
    drop(running);
}
