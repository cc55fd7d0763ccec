//! The same question in this process and on a cluster of three others: a scheduler and two executors.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use noroshi_lake::{Engine, Format, Lake, LakeError, Limits, MinuteRow, Numbers};

const PATIENCE: Duration = Duration::from_secs(60);

const QUESTIONS: [&str; 9] = [
    "SELECT count(*), sum(packets) FROM minutes",
    "SELECT day, destination_port, sum(packets) AS n FROM minutes GROUP BY day, destination_port ORDER BY 1, 3 DESC, 2",
    "SELECT day, sum(hosts), sum(packets) FROM ports GROUP BY day ORDER BY day",
    "SELECT sum(hosts), sum(packets) FROM ports WHERE day = '2026-11-26'",
    "SELECT destination_port, hosts, packets FROM ports WHERE day = '2026-11-27' AND sensor = 'a' ORDER BY 1",
    "SELECT day, destination_port, tool, hosts, packets FROM asked ORDER BY 1, 2, 3, 4, 5",
    "(SELECT day, sum(packets) AS n FROM minutes GROUP BY day) UNION ALL (SELECT day, packets FROM minutes ORDER BY source, minute LIMIT 3) \
     ORDER BY 1, 2",
    "SELECT a.destination_port, a.hosts, b.n FROM ports a JOIN (SELECT destination_port, max(packets) AS n FROM minutes \
     GROUP BY destination_port) b ON a.destination_port = b.destination_port ORDER BY 1, 2, 3 LIMIT 50",
    "SELECT ip_text(source) AS ip, sum(packets) AS n FROM minutes WHERE in_network(source, '11.0.0.0/28') \
     AND day = '2026-11-27' GROUP BY source ORDER BY ip",
];

/// Ends with the test.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(words: &[&str]) -> Node {
    let program = env!("CARGO_BIN_EXE_noroshi-lake-node");
    Node(Command::new(program).args(words).stdout(Stdio::null()).spawn().unwrap())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn fill(lake: &Lake) {
    let writer = lake.writer().unwrap();
    for number in 0..4u64 {
        let mut batch = writer.batch("a".parse().unwrap(), Numbers::one(number));
        for n in 0..20_000u32 {
            batch
                .push(MinuteRow {
                    minute: 29_927_520 + i64::from(n % 1440) + 1440 * (number as i64 % 2),
                    source: std::net::Ipv4Addr::from(0x0b00_0000 + n % 5000).into(),
                    protocol: 6,
                    destination_port: Some((n % 97) as u16),
                    icmp: None,
                    flags: Some(2),
                    class: "scanner",
                    tool: None,
                    country: None,
                    packets: 1 + n % 3,
                })
                .unwrap();
        }
        batch.commit().unwrap();
    }
}

fn rows(lake: &Lake, engine: &Engine, sql: &str) -> Result<String, LakeError> {
    // More parts than one executor takes at once.
    let limits = Limits { threads: 8, ..Limits::default() };
    let mut text = Vec::new();
    lake.query_on(engine, sql, &limits)?.write(Format::Csv, &mut text)?;
    Ok(String::from_utf8(text).unwrap())
}

#[test]
fn a_cluster_of_three_answers_as_one_process_does() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().join("lake")).unwrap();
    fill(&lake);

    let scheduler = format!("127.0.0.1:{}", free_port());
    let path = lake.folder().to_str().unwrap();
    let planning = start(&["scheduler", path, &scheduler]);
    let works = ["one", "two"].map(|name| folder.path().join(name));
    let executors = works.each_ref().map(|work| {
        let (at, grpc) = (format!("127.0.0.1:{}", free_port()), free_port().to_string());
        std::fs::create_dir(work).unwrap();
        start(&["executor", &scheduler, &at, &grpc, work.to_str().unwrap()])
    });

    let cluster = Engine::Cluster(format!("df://{scheduler}"));
    let until = Instant::now() + PATIENCE;
    while let Err(error) = rows(&lake, &cluster, "SELECT count(*) FROM minutes") {
        assert!(Instant::now() < until, "{error}");
        std::thread::sleep(Duration::from_millis(200));
    }
    // Who has room asks for work: sooner or later both have had some, which they leave in their folders.
    let has_worked = |work: &PathBuf| std::fs::read_dir(work).unwrap().next().is_some();
    while !works.iter().all(has_worked) {
        assert!(Instant::now() < until, "an executor has nothing to do");
        rows(&lake, &cluster, "SELECT destination_port, count(*) FROM minutes GROUP BY 1").unwrap();
    }
    // Of days that are counted the answer comes from elsewhere: of none, one, and all of them.
    for counted in [None, Some("2026-11-26"), Some("2026-11-27")] {
        if let Some(day) = counted {
            assert!(lake.writer().unwrap().count(day.parse().unwrap()).unwrap().is_some());
        }
        for sql in QUESTIONS {
            let here = rows(&lake, &Engine::Embedded, sql).unwrap();
            assert!(here.lines().count() > 1, "{sql}: {here}");
            let there = rows(&lake, &cluster, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            assert_eq!(there, here, "{sql}, counted until {counted:?}");
        }
    }
    assert!(matches!(rows(&lake, &cluster, "DROP TABLE minutes"), Err(LakeError::NotAQuestion(_))));
    drop((planning, executors));
    assert!(rows(&lake, &cluster, "SELECT 1").is_err(), "it was they who answered");
}
