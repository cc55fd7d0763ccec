//! What a page of the console costs at a million cases, as whoever opens it waits: the program serves them over loopback, from a
//! database with so many cases, steps, sightings and visits, and ten times as many lines in quarantine. One case in ten was held out, and
//! half of them are in a trial of wordings. `NOROSHI_BENCH_CASES=10000` makes it smaller.
//!
//! `cargo bench -p noroshi --bench pages`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement may stop at once, and prints")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use noroshi_model::case::StepState;
use noroshi_model::wording::{Round, Share};
use noroshi_model::{Case, CaseState, Channel, Clock as _, Id, Step, SystemClock, VisitKind};
use noroshi_portal::Cursor;
use noroshi_store::quarantine::NewQuarantine;
use noroshi_store::{Address, Store, StoreError};

const BATCH: u64 = 5_000;
/// Lines in quarantine for each case.
const LINES_A_CASE: u64 = 10;
/// Times that each page is opened.
const OPENED: usize = 500;

fn case_of(n: u64, begun: Timestamp) -> Case {
    let opened = begun + SignedDuration::from_secs((n * 30) as i64);
    // One in ten is still open.
    let state = CaseState::ALL[if n.is_multiple_of(10) { (n / 10 % 4) as usize } else { 4 }];
    Case {
        id: Id::of("case", &[&n.to_be_bytes()]),
        party: format!("party {n}"),
        family: format!("family {}", n % 40),
        campaign: format!("campaign {}", n % 25),
        measure: "infection-notice".into(),
        state,
        opened,
        first_seen: opened,
        last_seen: opened,
        steps: 1,
        last_step: Some(opened),
        next: None,
        held_out_until: n.is_multiple_of(10).then_some(opened + SignedDuration::from_hours(14 * 24)),
        closed: (!state.is_open()).then_some(opened + SignedDuration::from_hours(400)),
        reinfected: n.is_multiple_of(17),
        held_by: None,
        merged_into: None,
        forgotten: None,
    }
}

fn bad_line(case: u64, line: u64) -> NewQuarantine {
    NewQuarantine {
        campaign: format!("campaign {}", case % 25),
        feed: format!("feed {}", case % 25),
        source: format!("report-{}.csv", case / 1_000),
        line: case * LINES_A_CASE + line,
        reason: "time.source is not a time".into(),
        content: Some(format!("\"{case}\",\"20 Nov 12:12\",203.0.113.77,mirai,{line}").into_bytes()),
        bytes: 48,
        how: "{}".into(),
    }
}

fn fill(database: &Path, cases: u64) {
    let store = Store::open(Address::Sqlite(database.to_owned())).unwrap();
    let share = |wording: &str| Share {
        wording: wording.into(),
        percent: 50,
        form: Id::of("form", &[wording.as_bytes()]).to_string(),
    };
    let round = Round::new(vec![share("usual"), share("short")]);
    let begun = begin(cases);
    for first in (0..cases).step_by(BATCH as usize) {
        store
            .tx("bench", |tx| {
                for n in first..cases.min(first + BATCH) {
                    let case = case_of(n, begun);
                    tx.put_case(&case)?;
                    let (channel, state) = (Channel::Mail, StepState::Sent);
                    let step = Step {
                        case: case.id.clone(),
                        number: 1,
                        channel,
                        state,
                        attempts: 1,
                        due: case.opened,
                        reply: "2.0.0 Ok".into(),
                    };
                    tx.insert_step(&step, &format!("<{n}@example.jp>"), case.opened)?;
                    tx.add_sighting(&case.id, case.opened, [198, 51, 100, (n % 250) as u8].into())?;
                    if n.is_multiple_of(3) {
                        tx.visit(&case.id, VisitKind::Opened, case.opened)?;
                    }
                    if n.is_multiple_of(2) {
                        tx.allot_wording(&case.id, &round, (n / 2 % 2) as usize, case.opened)?;
                    }
                    let lines: Vec<NewQuarantine> = (0..LINES_A_CASE).map(|line| bad_line(n, line)).collect();
                    tx.insert_quarantined(&lines, case.opened)?;
                }
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }
}

/// So long ago that the last case is of today.
fn begin(cases: u64) -> Timestamp {
    SystemClock.now() - SignedDuration::from_secs((cases * 30) as i64)
}

struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A connection that is kept, as a browser keeps one.
struct Client {
    stream: BufReader<TcpStream>,
    cookie: String,
    port: u16,
}

impl Client {
    fn get(&mut self, path: &str) -> (u16, Vec<(String, String)>, Vec<u8>) {
        let ask = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost:{}\r\nCookie: {}\r\n\r\n",
            self.port, self.cookie
        );
        self.stream.get_mut().write_all(ask.as_bytes()).unwrap();
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let length =
            headers.iter().find(|(name, _)| name == "content-length").map_or("0", |(_, value)| value);
        let mut body = vec![0; length.parse().unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        (status, headers, body)
    }
}

fn main() {
    let cases = std::env::var("NOROSHI_BENCH_CASES").map_or(1_000_000, |n| n.parse().expect("a number"));
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (folder.path().join("noroshi.toml"), folder.path().join("data"));
    let (portal, console) = (free_port(), free_port());
    let text = format!(
        "data-dir = {data:?}\n[network]\nown = [\"198.51.100.0/24\"]\n[portal]\nlisten = \"127.0.0.1:{portal}\"\n\
         [console]\nlisten = \"127.0.0.1:{console}\"\n"
    );
    std::fs::write(&config, text).unwrap();
    std::fs::create_dir(&data).unwrap();
    let begun = Instant::now();
    fill(&data.join("noroshi.db"), cases);
    println!("{cases} cases in {:.0} s", begun.elapsed().as_secs_f64());
    let mut run = Command::new(env!("CARGO_BIN_EXE_noroshi"));
    run.arg("--config").arg(&config).args(["run", "--role", "mail"]).stderr(Stdio::piped());
    let mut serving = Serving(run.spawn().unwrap());
    let said = BufReader::new(serving.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let login = said.into_iter().find_map(|line| Some(line.strip_prefix("console  ")?.to_owned())).unwrap();
    let stream = BufReader::new(TcpStream::connect(("127.0.0.1", console)).unwrap());
    let mut client = Client { stream, cookie: String::new(), port: console };
    let (_, headers, _) =
        client.get(login.split_once("/login").map(|(_, rest)| format!("/login{rest}")).unwrap().as_str());
    let cookie = headers.iter().find(|(name, _)| name == "set-cookie").unwrap();
    client.cookie = cookie.1.split(';').next().unwrap().to_owned();
    let one = case_of(cases / 2, begin(cases));
    let deep = format!("/cases?after={}-{}", one.opened.as_millisecond(), one.id);
    let case = format!("/cases/{}", one.id);
    let of_line =
        Cursor { at: one.opened.as_millisecond(), keys: vec![bad_line(cases / 2, 0).id().to_string()] };
    let old_lines = format!("/quarantine?after={}", of_line.encode());
    println!("{:<44} {:>8} {:>8} {:>8} {:>9}", "page", "first ms", "p50 ms", "p99 ms", "bytes");
    let pages = [
        "/",
        "/cases",
        &deep,
        "/cases?state=held",
        "/cases?campaign=campaign%207&family=family%207",
        "/cases?q=AB3D-92F0",
        "/cases?waiting=1",
        &case,
        "/campaigns",
        "/steps",
        "/outcome",
        "/outcome/networks",
        "/outcome/wordings",
        "/quarantine",
        &old_lines,
        "/law",
        "/law/refusals",
        "/evidence",
        "/people",
        "/today.json",
    ];
    for path in pages {
        let mut taken: Vec<Duration> = Vec::with_capacity(OPENED);
        let mut bytes = 0;
        for _ in 0..=OPENED {
            let begun = Instant::now();
            let (status, _, body) = client.get(path);
            taken.push(begun.elapsed());
            assert_eq!(status, 200, "{path}");
            bytes = body.len();
        }
        let first = taken.remove(0);
        taken.sort_unstable();
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        let shown = path.split("-").next().unwrap_or(path);
        println!(
            "{shown:<44} {:>8.1} {:>8.2} {:>8.2} {bytes:>9}",
            ms(first),
            ms(taken[OPENED / 2]),
            ms(taken[OPENED * 99 / 100])
        );
    }
}
