//! The API of a running program: who gets in, what they may, what they are told; and webhooks, with a receiver that refuses, dies, and
//! a program that is killed in between.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use noroshi_model::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::mail::{Running, edit, feed, free_port, until};
use crate::world::{configure, run, run_any, text};

/// A folder with a configuration whose ladder proposes each mail to a person.
struct Place {
    folder: tempfile::TempDir,
    config: PathBuf,
}

impl Place {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = configure(folder.path(), "127.0.0.1:9", None, None);
        let text = std::fs::read_to_string(&config).unwrap();
        let ladder = format!(
            "[outcome]\nhold-out-percent = 0\n[[ladder.rung]]\nchannel = \"mail\"\napproval = true\n{more}"
        );
        std::fs::write(&config, format!("{text}{ladder}")).unwrap();
        Self { folder, config }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, arguments: &[&str]) -> String {
        run(self.path(), &[&["--config", self.config.to_str().unwrap()], arguments].concat())
    }

    fn start(&self) -> Running {
        Running::start(self.path(), &self.config)
    }

    fn token(&self, name: &str, scopes: &str) -> String {
        self.run(&["token", "add", name, "--scope", scopes]).trim().to_owned()
    }
}

struct Answer {
    status: u16,
    headers: ureq::http::HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.body))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A problem after RFC 9457, whose status is the answer's.
    fn problem(&self) -> u16 {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.body);
        assert_eq!(
            (&self.json()["status"], &self.json()["type"]),
            (&json!(self.status), &json!("about:blank"))
        );
        assert!(!self.json()["detail"].as_str().unwrap().is_empty());
        self.status
    }
}

struct Client {
    agent: ureq::Agent,
    base: String,
}

impl Client {
    fn new(port: u16) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_idle_connections(0)
            .build()
            .new_agent();
        Self { agent, base: format!("http://127.0.0.1:{port}") }
    }

    fn ask(&self, method: &str, path: &str, token: &str, body: Option<&Value>) -> Answer {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = match body {
            Some(body) => self
                .agent
                .run(request.header("content-type", "application/json").body(body.to_string()).unwrap()),
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut answer = answer.unwrap();
        assert_eq!(answer.headers().get("cache-control").unwrap(), "no-store", "{method} {path}");
        let body = answer.body_mut().read_to_string().unwrap();
        Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body }
    }

    fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, token, None)
    }

    fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.ask("POST", path, token, Some(body))
    }

    /// All rows of a list, page by page.
    fn walk(&self, path: &str, token: &str) -> Vec<Value> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let between = if path.contains('?') { "&" } else { "?" };
            let page = self.get(&format!("{path}{between}limit=3{cursor}"), token);
            assert_eq!(page.status, 200, "{}", page.body);
            let page = page.json();
            let items = page["items"].as_array().unwrap().clone();
            assert!(items.len() <= 3);
            found.extend(items);
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    }
}

const SCOPES: [&str; 10] = [
    "cases:read",
    "steps:read",
    "steps:write",
    "ladder:read",
    "ladder:write",
    "events:read",
    "intake:read",
    "law:read",
    "evidence:read",
    "outcome:read",
];

/// Cases that the recordings make, and how many of them are held because their subscribers have opted out.
const CASES: usize = 32;
const HELD: usize = 2;

/// A place at work with cases, steps that wait, a knowledge feed and a quarantine; its client.
fn at_work(more: &str) -> (Place, Running, Client, String) {
    let port = free_port();
    let place = Place::new(&format!("[api]\nlisten = \"127.0.0.1:{port}\"\nper-second = 500\n{more}"));
    feed(place.path(), &place.config);
    let list = place.path().join("scanners.txt");
    std::fs::write(&list, "192.0.2.1\n192.0.2.2\n192.0.2.3\nnot an address\n").unwrap();
    place.run(&[
        "feed",
        "load",
        "--format",
        "ip-list",
        "--params",
        "{\"type\":\"scanner\"}",
        "--feed-name",
        "scanners",
        list.to_str().unwrap(),
    ]);
    let all = place.token("all", &SCOPES.join(","));
    let running = place.start();
    until("the API", || TcpStream::connect(("127.0.0.1", port)).ok());
    let client = Client::new(port);
    until("the cases", || (client.walk("/api/v1/cases", &all).len() == CASES).then_some(()));
    until("steps that wait", || (client.walk("/api/v1/steps", &all).len() == CASES - HELD).then_some(()));
    (place, running, client, all)
}

#[test]
fn each_route_of_the_document_takes_its_scope_and_no_other_and_gives_what_it_says() {
    let (place, _running, client, all) = at_work("");
    let printed: Value = serde_json::from_str(&text(
        &std::process::Command::new(env!("CARGO_BIN_EXE_noroshi"))
            .args(["api", "openapi"])
            .output()
            .unwrap()
            .stdout,
    ))
    .unwrap();
    let any = place.token("any", "outcome:read");
    assert_eq!(
        client.get("/api/v1/openapi.json", &any).json(),
        printed,
        "the same with and without a server"
    );
    assert_eq!(client.get("/api/v1/openapi.json", "").problem(), 401);
    let tokens: BTreeMap<&str, (String, String)> = SCOPES
        .iter()
        .map(|scope| {
            let others: Vec<&str> = SCOPES.iter().filter(|other| *other != scope).copied().collect();
            let name = scope.replace(':', "-");
            let only = place.token(&format!("only-{name}"), scope);
            (*scope, (only, place.token(&format!("not-{name}"), &others.join(","))))
        })
        .collect();
    let case = client.walk("/api/v1/cases", &all)[0]["id"].as_str().unwrap().to_owned();
    let mut walked = 0;
    for (path, item) in printed["paths"].as_object().unwrap() {
        let path = path
            .replace("{id}", &case)
            .replace("{case}", &case)
            .replace("{number}", "77")
            .replace("{index}", "0");
        for (method, operation) in item.as_object().unwrap() {
            let (method, body) =
                (method.to_uppercase(), (method == "post").then(|| json!({ "nonsense": 1 })));
            let ask = |token: &str| client.ask(&method, &path, token, body.as_ref());
            let scope = operation["security"][0]["token"][0].as_str().unwrap();
            let (only, not) = &tokens[scope];
            let nobody = ask("");
            assert_eq!(
                (nobody.problem(), nobody.header("www-authenticate")),
                (401, "Bearer realm=\"noroshi\"")
            );
            let stranger = ask(&format!("noroshi_api_{}", "0".repeat(64)));
            assert_eq!(stranger.problem(), 401);
            assert!(stranger.header("www-authenticate").contains("error=\"invalid_token\""));
            let other = ask(not);
            assert_eq!(other.problem(), 403, "{path} without {scope}");
            let wanted = format!("error=\"insufficient_scope\", scope=\"{scope}\"");
            assert!(other.header("www-authenticate").contains(&wanted));
            let mine = ask(only);
            if method == "GET" {
                assert_eq!((mine.status, mine.header("content-type")), (200, "application/json"), "{path}");
            } else {
                assert_eq!(mine.problem(), 422, "{path}: {}", mine.body);
            }
            walked += 1;
        }
    }
    assert_eq!(walked, 18);
}

#[test]
fn lists_are_read_on_to_their_end_and_say_nothing_of_lines_addresses_or_people() {
    let (place, _running, client, all) = at_work("");
    let listed = place.run(&["case", "list", "--json"]);
    let expected: BTreeSet<String> = listed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    let cases = client.walk("/api/v1/cases", &all);
    let found: BTreeSet<String> = cases.iter().map(|case| case["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((cases.len(), &found), (expected.len(), &expected));
    assert_eq!(client.walk("/api/v1/cases?state=clean", &all).len(), 0);
    let open = cases.iter().filter(|case| case["state"] == "open").count();
    assert_eq!(client.walk("/api/v1/cases?state=open&campaign=gate&family=mirai", &all).len(), open);
    assert_eq!((open, expected.len()), (CASES - HELD, CASES));

    // What is counted aside may be of before the first case.
    until("the outcome", || client.walk("/api/v1/outcome", &all).pop());
    let mut said = String::new();
    for case in &expected {
        let file = client.get(&format!("/api/v1/cases/{case}"), &all);
        let whats: Vec<Value> =
            file.json()["story"].as_array().unwrap().iter().map(|line| line["what"].clone()).collect();
        assert!(whats.contains(&json!("identified")) && whats.contains(&json!("seen")), "{whats:?}");
        said += &file.body;
    }
    for path in
        ["steps", "outcome", "intake", "quarantine", "law/refusals", "law/consents", "evidence/entries"]
    {
        let rows = client.walk(&format!("/api/v1/{path}"), &all);
        // Nobody consented to anything here, and nothing was refused that has to be.
        assert!(!rows.is_empty() || path.starts_with("law/"), "{path}");
        said += &Value::from(rows).to_string();
    }
    for hidden in ["198.51.100.", "203.0.113.", "sub0001", "@example", "C-000"] {
        assert!(!said.contains(hidden), "{hidden}");
    }
    let entries = client.walk("/api/v1/evidence/entries", &all);
    let indexes: Vec<u64> = entries.iter().map(|entry| entry["index"].as_u64().unwrap()).collect();
    let expected: Vec<u64> = (0..indexes.len() as u64).rev().collect();
    assert_eq!(indexes, expected, "each once, newest first");
    let proof = place.path().join("proof.json");
    std::fs::write(&proof, client.get("/api/v1/evidence/entries/0/proof", &all).body).unwrap();
    let key = place.path().join("keys/evidence.pub");
    place.run(&["evidence", "verify", "--proof", proof.to_str().unwrap(), "--key", key.to_str().unwrap()]);

    // Of the events, those under a measure stay.
    let (mut after, mut numbers, mut kept_back) = (0, Vec::new(), 0);
    loop {
        let page = client.get(&format!("/api/v1/events?after={after}&limit=2"), &all).json();
        let items = page["items"].as_array().unwrap();
        assert_eq!(
            page["read"].as_u64().unwrap(),
            items.len() as u64
                + page["not-wanted"].as_u64().unwrap()
                + page["under-a-measure"].as_u64().unwrap()
        );
        for item in items {
            assert_eq!(item["event"]["feed.name"], "scanners");
            assert!(item["event"].get("extra.noroshi.measure").is_none());
            numbers.push(item["number"].as_u64().unwrap());
        }
        kept_back += page["under-a-measure"].as_u64().unwrap();
        after = page["next"].as_u64().unwrap();
        if page["more"] == false {
            break;
        }
    }
    assert!(numbers.len() == 3 && numbers.is_sorted() && kept_back > 3, "{numbers:?} {kept_back}");
    let none = client.get("/api/v1/events?type=c2-server", &all).json();
    assert_eq!((none["items"].as_array().unwrap().len(), &none["not-wanted"]), (0, &json!(3)));
}

#[test]
fn what_makes_no_sense_is_a_problem_with_its_reason_and_never_an_error_of_ours() {
    let (_place, _running, client, all) = at_work("");
    for (path, status) in [
        ("/api/v1/cases?stat=open", 400),
        ("/api/v1/cases?state=opened", 400),
        ("/api/v1/cases?limit=0", 400),
        ("/api/v1/cases?limit=201", 400),
        ("/api/v1/cases?limit=1&limit=2", 400),
        ("/api/v1/cases?cursor=x", 400),
        ("/api/v1/cases?campaign=%00", 400),
        ("/api/v1/cases?campaign=%ff%fe", 200),
        ("/api/v1/cases?access_token=x", 400),
        ("/api/v1/cases?opened-since=yesterday", 400),
        ("/api/v1/cases/0123", 404),
        ("/api/v1/cases/00000000000000000000000000000000", 404),
        ("/api/v1/evidence/entries/999999/proof", 404),
        ("/api/v1/evidence/entries/99999999999999999999/proof", 404),
        ("/api/v1/evidence/entries/18446744073709551615/proof", 404),
        ("/api/v1/events?after=-1", 400),
        ("/api/v1/events?after=9223372036854775807", 200),
        ("/api/v1/nothing", 404),
        ("/", 404),
    ] {
        let answer = client.get(path, &all);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        if status != 200 {
            answer.problem();
        }
    }
    let long = format!("/api/v1/cases?campaign={}", "x".repeat(3000));
    assert_eq!(client.get(&long, &all).problem(), 414);
    let wrong = client.ask("DELETE", "/api/v1/cases", &all, None);
    assert_eq!((wrong.problem(), wrong.header("allow")), (405, "GET,HEAD"));
    let stop = "/api/v1/ladder/stop";
    assert_eq!(client.ask("POST", stop, &all, None).problem(), 415);
    assert_eq!(client.post(stop, &all, &json!({ "scope": "channel:fax", "why": "x" })).problem(), 422);
    assert_eq!(client.post(stop, &all, &json!({ "scope": "*", "why": " " })).problem(), 422);
    assert_eq!(client.post(stop, &all, &json!({ "scope": "*", "why": "x".repeat(20_000) })).problem(), 413);
}

#[test]
fn who_writes_is_in_the_evidence_log_by_the_tokens_name_and_a_revoked_token_writes_no_more() {
    let (place, _running, client, all) = at_work("");
    let waiting = client.walk("/api/v1/steps", &all);
    let step = |n: usize, verdict: &str| {
        let step = &waiting[n];
        format!("/api/v1/steps/{}/{}/{verdict}", step["case"].as_str().unwrap(), step["number"])
    };
    let writer = place.token("soar.1", "steps:write,ladder:write");
    let status = |path: &str, body: Value| client.post(path, &writer, &body).status;
    assert_eq!(status(&step(0, "approve"), json!({ "why": "a known botnet" })), 204);
    assert_eq!(status(&step(0, "approve"), json!({})), 409);
    assert_eq!(status(&step(0, "reject"), json!({})), 409);
    assert_eq!(status(&step(1, "reject"), json!({})), 204);
    assert_eq!(client.walk("/api/v1/steps", &all).len(), waiting.len() - 2);
    let (stop, go) = ("/api/v1/ladder/stop", "/api/v1/ladder/go");
    let switched = || json!({ "scope": "campaign:gate", "why": "a wrong list" });
    assert_eq!((status(go, switched()), status(stop, switched()), status(stop, switched())), (409, 204, 409));
    let stopped = client.get("/api/v1/ladder/stopped", &all).json();
    assert_eq!(stopped["items"][0]["person"], "token:soar.1", "{stopped}");
    assert_eq!((status(go, switched()), status(go, switched())), (204, 409));
    let log = place.run(&["evidence", "list", "--json"]);
    for said in [
        "approved by token:soar.1 a known botnet",
        "rejected by token:soar.1",
        "token:soar.1: stopped telling (campaign:gate): a wrong list",
        "token:soar.1: let telling go on (campaign:gate): a wrong list",
    ] {
        assert!(log.contains(said), "{said} in {log}");
    }
    place.run(&["evidence", "verify"]);

    place.run(&["token", "revoke", "soar.1"]);
    assert_eq!(
        client.post(stop, &writer, &switched()).problem(),
        401,
        "at the next request, in another process"
    );
    for again in [&["token", "revoke", "soar.1"][..], &["token", "add", "soar.1", "--scope", "cases:read"]] {
        let config = ["--config", place.config.to_str().unwrap()];
        assert!(!run_any(place.path(), &[&config, again].concat()).status.success(), "{again:?}");
    }
    let short = place.run(&["token", "add", "short", "--scope", "cases:read", "--expires", "2s"]);
    assert_eq!(client.get("/api/v1/cases", short.trim()).status, 200);
    until("it to be over", || (client.get("/api/v1/cases", short.trim()).status == 401).then_some(()));
    let list = place.run(&["token", "list", "--json"]);
    assert!(list.contains("\"used\":\"20") && list.contains("\"revoked\":\"20"), "{list}");
    let database = std::fs::read(place.path().join("noroshi.db")).unwrap();
    let secret = all.trim_start_matches("noroshi_api_").as_bytes();
    assert!(!database.windows(secret.len()).any(|window| window == secret), "no token is kept");
}

#[test]
fn who_asks_too_fast_is_told_when_to_come_back_and_others_are_served() {
    let port = free_port();
    let place = Place::new(&format!("[api]\nlisten = \"127.0.0.1:{port}\"\nper-second = 1\n"));
    let (fast, slow) = (place.token("fast", "law:read"), place.token("slow", "law:read"));
    let _running = place.start();
    until("the API", || TcpStream::connect(("127.0.0.1", port)).ok());
    let client = Client::new(port);
    let answers: Vec<Answer> = (0..30).map(|_| client.get("/api/v1/law/measures", &fast)).collect();
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((5..29).contains(&served), "{served}");
    let turned = answers.iter().find(|answer| answer.status != 200).unwrap();
    assert_eq!((turned.problem(), turned.header("retry-after")), (429, "1"));
    assert_eq!(client.get("/api/v1/law/measures", &slow).status, 200);
    // Guessing is turned away by its own count, which is nobody else's.
    let guess = |n: usize| client.get("/api/v1/law/measures", &format!("noroshi_api_{n:064x}")).status;
    let guesses: BTreeSet<u16> = (0..30).map(guess).collect();
    assert_eq!(guesses, BTreeSet::from([401, 429]));
    assert_eq!(client.get("/api/v1/law/measures", &slow).status, 200);
}

/// The secret of both ends.
pub const SECRET: &[u8] = b"01234567890123456789012345678901";

/// A receiver: what it has, by id, with how often each came; and what it says to the nth post.
#[derive(Clone)]
pub struct Receiver {
    came: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Receiver {
    /// Serves until the listener is gone; answers the posts in turn with these.
    pub fn start(port: u16, answers: &'static [u16]) -> Self {
        let receiver = Self { came: Arc::default() };
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let came = Arc::clone(&receiver.came);
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                // Whoever is killed in the middle of it leaves half a post.
                let Some((headers, body)) = read(&stream) else { continue };
                let signed = format!("{}.{}.{body}", headers["webhook-id"], headers["webhook-timestamp"]);
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET);
                let signature = headers["webhook-signature"].strip_prefix("v1,").unwrap();
                ring::hmac::verify(&key, signed.as_bytes(), &STANDARD.decode(signature).unwrap()).unwrap();
                let sent: i64 = headers["webhook-timestamp"].parse().unwrap();
                assert!((SystemClock.now().as_second() - sent).abs() < 120, "a time of now");
                let status = answers[n % answers.len()];
                came.lock()
                    .unwrap()
                    .push((headers["webhook-id"].clone(), serde_json::from_str(&body).unwrap()));
                // 0: it dies over the answer.
                if status != 0 {
                    let said =
                        format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    let _gone = stream.write_all(said.as_bytes());
                }
            }
        });
        receiver
    }

    pub fn came(&self) -> Vec<(String, Value)> {
        self.came.lock().unwrap().clone()
    }

    /// Messages by id; the same one always says the same.
    pub fn messages(&self) -> BTreeMap<String, Value> {
        let mut messages = BTreeMap::new();
        for (id, body) in self.came() {
            let before = messages.insert(id, body.clone());
            assert!(before.is_none_or(|before| before == body));
        }
        messages
    }
}

fn read(stream: &TcpStream) -> Option<(BTreeMap<String, String>, String)> {
    let mut reader = BufReader::new(stream);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => drop(headers.insert(name.to_ascii_lowercase(), value.to_owned())),
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    Some((headers, text(&body)))
}

#[test]
fn what_happens_is_told_at_least_once_under_one_id_whoever_dies_and_a_dead_webhook_holds_up_nobody() {
    let (flaky, steady, dead, console) = (free_port(), free_port(), free_port(), free_port());
    let place = Place::new("");
    std::fs::write(place.path().join("hook"), format!("whsec_{}\n", STANDARD.encode(SECRET))).unwrap();
    let secret = place.path().join("hook");
    let hooks =
        [("flaky", flaky, "\"case.opened\""), ("steady", steady, "\"*\""), ("dead", dead, "\"case.*\"")];
    let more: String = hooks
        .iter()
        .map(|(name, port, events)| {
            format!(
                "[[webhook]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:{port}/hook\"\nevents = [{events}]\n\
                 secret-file = {secret:?}\n"
            )
        })
        .collect();
    let written = std::fs::read_to_string(&place.config).unwrap() + &more;
    std::fs::write(&place.config, written).unwrap();
    edit(
        &place.config,
        "[console]\nlisten = \"127.0.0.1:0\"",
        &format!("[console]\nlisten = \"127.0.0.1:{console}\""),
    );
    let running = place.start();
    until("the webhooks to be known", || {
        let listed = run_any(place.path(), &["--config", place.config.to_str().unwrap(), "webhook", "list"]);
        text(&listed.stdout).contains("steady").then_some(())
    });
    let refusing = Receiver::start(flaky, &[204, 500, 0, 200, 429, 400]);
    let all = Receiver::start(steady, &[200]);
    feed(place.path(), &place.config);
    until("some messages", || (refusing.came().len() >= 3).then_some(()));
    // Killed in the middle of it, and begun again.
    drop(running);
    let _running = place.start();
    let cases: BTreeSet<String> = until("cases", || {
        let listed = place.run(&["case", "list", "--json"]);
        let ids: BTreeSet<String> = listed
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
            .collect();
        let told = |receiver: &Receiver| -> BTreeSet<String> {
            let messages = receiver.messages();
            let opened = messages.values().filter(|body| body["type"] == "case.opened");
            opened.map(|body| body["data"]["case"].as_str().unwrap().to_owned()).collect()
        };
        (ids.len() == CASES && told(&refusing) == ids && told(&all) == ids).then_some(ids)
    });
    until("what the flaky one has not taken", || {
        place
            .run(&["webhook", "list"])
            .contains(&format!("{} delivered, 0 waiting", cases.len()))
            .then_some(())
    });
    assert!(refusing.came().len() > cases.len(), "what was not taken came again");
    let by_case: BTreeSet<String> =
        refusing.messages().into_values().map(|body| body["data"]["case"].to_string()).collect();
    assert_eq!((refusing.messages().len(), by_case.len()), (cases.len(), cases.len()), "one id for each");

    place.run(&["ladder", "stop", "--by", "Aoki", "--why", "for Taro"]);
    until("the switch and the steps", || {
        let kinds: BTreeSet<String> =
            all.messages().values().map(|body| body["type"].as_str().unwrap().to_owned()).collect();
        ["ladder.stopped", "step.proposed"].iter().all(|kind| kinds.contains(*kind)).then_some(())
    });
    let said: String = all.messages().values().map(ToString::to_string).collect();
    for hidden in ["198.51.100.", "203.0.113.", "2001:db8", "sub0001", "party", "Aoki", "Taro"] {
        assert!(!said.contains(hidden), "{hidden}");
    }
    let list = place.run(&["webhook", "list", "--json"]);
    let states: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let dead = states.iter().find(|state| state["name"] == "dead").unwrap();
    assert!(dead["failures"].as_u64() > Some(0) && dead["failing"].is_string(), "{dead}");
    assert!(dead["waiting"].as_u64() >= Some(cases.len() as u64) && dead["delivered"] == 0, "{dead}");
    let doctor = run_any(place.path(), &["--config", place.config.to_str().unwrap(), "doctor"]);
    assert!(text(&doctor.stdout).contains("act  webhooks: dead ("), "{}", text(&doctor.stdout));
    let metrics = Client::new(console);
    let metrics = metrics.agent.get(format!("{}/metrics", metrics.base)).call().unwrap();
    let metrics = metrics.into_body().read_to_string().unwrap();
    assert!(!metrics.contains("noroshi_webhook_failures{webhook=\"dead\"} 0"), "{metrics}");
    assert!(metrics.contains("noroshi_webhook_failures{webhook=\"steady\"} 0"), "{metrics}");
    assert!(metrics.contains(&format!(
        "noroshi_webhook_messages_total{{webhook=\"flaky\",outcome=\"delivered\"}} {}",
        cases.len()
    )));
}
