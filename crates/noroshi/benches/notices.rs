//! How many notices an hour, and how long from a line of a feed to the mail: the whole program over loopback, from the log of a seized
//! server over the session book, the rules, the evidence log and the directory to a mail server that takes everything.
//! `NOROSHI_BENCH_NOTICES=2000` makes it smaller, `NOROSHI_BENCH_DATABASE` takes a PostgreSQL instead of SQLite.
//!
//! `cargo bench -p noroshi --bench notices`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement may stop at once, and prints")]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Lines a second, and for how many seconds, in the second part.
const LINES_A_SECOND: u32 = 20;
const SECONDS: u32 = 60;

/// Mails by their recipient, and when each was taken.
type Taken = Arc<Mutex<Vec<(u32, Instant)>>>;

/// A mail server that takes everything.
fn sink() -> (String, Taken) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, taken) = (listener.local_addr().unwrap().to_string(), Taken::default());
    let all = Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, all) = (stream.unwrap(), Arc::clone(&all));
            std::thread::spawn(move || take(stream, &all));
        }
    });
    (at, taken)
}

fn take(stream: TcpStream, all: &Taken) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut out = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream).lines();
    out.write_all(b"220 sink ESMTP\r\n").ok()?;
    let mut to = 0;
    while let Some(Ok(line)) = lines.next() {
        let answer: &[u8] =
            match line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "EHLO" => b"250-sink\r\n250 8BITMIME\r\n",
                "RCPT" => {
                    to = line.split_once("<s").and_then(|(_, rest)| rest.split('@').next()?.parse().ok())?;
                    b"250 ok\r\n"
                }
                "DATA" => {
                    out.write_all(b"354 go on\r\n").ok()?;
                    lines.by_ref().map_while(Result::ok).take_while(|line| line != ".").for_each(drop);
                    all.lock().unwrap().push((to, Instant::now()));
                    b"250 taken\r\n"
                }
                "QUIT" => return None,
                _ => b"250 ok\r\n",
            };
        out.write_all(answer).ok()?;
    }
    None
}

/// A network with so many subscribers, each of whom had one address on one day.
struct World {
    folder: tempfile::TempDir,
    config: PathBuf,
}

fn address(n: u32) -> String {
    format!("20.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255)
}

impl World {
    fn new(people: u32, mail_server: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut directory = "user_name,contract,name,mail,language\n".to_owned();
        let mut sessions = "address,subscriber,start,end,server\n".to_owned();
        for n in 0..people {
            let lang = if n.is_multiple_of(2) { "ja" } else { "en" };
            writeln!(directory, "u{n},C-{n},利用者 {n},s{n}@mail.example.net,{lang}").unwrap();
            writeln!(sessions, "{},u{n},2026-11-19T00:00:00Z,2026-11-19T23:00:00Z,bras1", address(n))
                .unwrap();
        }
        std::fs::write(path("directory.csv"), directory).unwrap();
        std::fs::write(path("sessions.csv"), sessions).unwrap();
        let database = std::env::var("NOROSHI_BENCH_DATABASE").map(|at| format!("database = \"{at}\"\n"));
        let text = format!(
            "data-dir = {:?}\n{}[operator]\nname = \"例示 ISP\"\ndesk = \"0120\"\nfrom = \"noroshi@example.ne.jp\"\npage = \"マイページ\"\n\
             [network]\nown = [\"20.0.0.0/8\"]\nclock-error-s = {{ gate = 0 }}\n[mail]\nserver = \"{mail_server}\"\nsettle-s = 0\n\
             [portal]\nlisten = \"127.0.0.1:0\"\nbase-url = \"https://care.example.ne.jp\"\n[console]\nlisten = \"127.0.0.1:0\"\n\
             [directory]\nfile = {:?}\n\
             [seized.gate]\naddress = \"client\"\ntime = \"time\"\nmalware-name = \"mirai\"\n",
            path("data"),
            database.unwrap_or_default(),
            path("directory.csv"),
        );
        std::fs::write(path("noroshi.toml"), text).unwrap();
        let config = path("noroshi.toml");
        let world = Self { folder, config };
        world.run(&[
            "sessions", "import", "--format", "csv", "--params",
            r#"{"address":"address","subscriber":"subscriber","start":"start","end":"end","server":"server"}"#,
            world.path("sessions.csv").to_str().unwrap(),
        ]);
        world.run(&["law", "approve", "takedown-notice", "--by", "aoki", "--why", "a measurement"]);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_noroshi"));
        command.arg("--config").arg(&self.config).env_remove("NOROSHI_CONFIG");
        command
    }

    fn run(&self, arguments: &[&str]) {
        let output = self.command().args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Takes in a log in which these people were seen.
    fn observe(&self, people: std::ops::Range<u32>) {
        let log = self.path(&format!("gate-{}.csv", people.start));
        let mut text = "time,client\n".to_owned();
        people.for_each(|n| writeln!(text, "2026-11-19T12:00:00Z,{}", address(n)).unwrap());
        std::fs::write(&log, text).unwrap();
        self.run(&["observe", "seized", "--format", "gate", "--campaign", "gate", log.to_str().unwrap()]);
    }
}

struct Working(Child);

impl Drop for Working {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn work(world: &World) -> Working {
    let child = world.command().arg("run").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Working(child.unwrap())
}

/// CPU seconds of a process so far, and its largest resident size in MiB.
fn used(process: &Child) -> (f64, u64) {
    let proc = Path::new("/proc").join(process.id().to_string());
    let stat = std::fs::read_to_string(proc.join("stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
    let status = std::fs::read_to_string(proc.join("status")).unwrap_or_default();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse::<u64>().ok());
    ((ticks(11) + ticks(12)) / 100.0, peak.unwrap_or(0) / 1024)
}

fn wait_for(taken: &Taken, count: usize) {
    let begun = Instant::now();
    while taken.lock().unwrap().len() < count {
        assert!(
            begun.elapsed() < Duration::from_secs(3600),
            "{} of {count} mails",
            taken.lock().unwrap().len()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn main() {
    // `cargo test --benches` asks for nothing to be measured.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let notices: u32 = std::env::var("NOROSHI_BENCH_NOTICES").map_or(20_000, |text| text.parse().unwrap());
    let later = LINES_A_SECOND * SECONDS;
    let (mail_server, taken) = sink();
    let world = World::new(notices + later, &mail_server);
    world.observe(0..notices);

    let begun = Instant::now();
    let working = work(&world);
    wait_for(&taken, notices as usize);
    let whole = begun.elapsed();
    let (cpu, peak) = used(&working.0);
    let mut times: Vec<Instant> = taken.lock().unwrap().drain(..).map(|(_, at)| at).collect();
    times.sort_unstable();
    let (from, to) = (times.len() / 10, times.len() * 9 / 10);
    let sending = (to - from) as f64 / (times[to] - times[from]).as_secs_f64();
    println!(
        "{notices} notices of a log's lines in {:.1} s: {:.0} an hour; {:.2} ms CPU each, {peak} MiB at most",
        whole.as_secs_f64(),
        f64::from(notices) / whole.as_secs_f64() * 3600.0,
        cpu * 1000.0 / f64::from(notices),
    );
    println!(
        "while mails were sent (the middle eight tenths): {sending:.0} a second, {:.0} an hour",
        sending * 3600.0
    );

    let mut read = Vec::new();
    for second in 0..SECONDS {
        let begun = Instant::now();
        let first = notices + second * LINES_A_SECOND;
        world.observe(first..first + LINES_A_SECOND);
        read.extend((0..LINES_A_SECOND).map(|_| begun));
        std::thread::sleep(Duration::from_secs(1).saturating_sub(begun.elapsed()));
    }
    wait_for(&taken, later as usize);
    let mut waits: Vec<f64> = taken
        .lock()
        .unwrap()
        .iter()
        .map(|(to, at)| (*at - read[(to - notices) as usize]).as_secs_f64())
        .collect();
    waits.sort_by(f64::total_cmp);
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    println!(
        "from a line that is read to the mail that is taken, {LINES_A_SECOND} lines a second for {SECONDS} s: \
         p50 {:.2} s, p99 {:.2} s, the longest {:.2} s",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
