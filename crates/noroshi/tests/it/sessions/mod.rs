//! The session book fed live by the real servers, each killed in mid-stream: whatever was acknowledged to the device or to the
//! access server can be asked about afterwards, and the answer is right.

mod forgetting;
mod freeradius;
mod kea;

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use noroshi_model::{Clock as _, SystemClock};

use crate::mail::{Running, until};
use crate::world::{Killed, configure, noroshi, run, say, text};

/// How far a question keeps from a session's border.
const BORDER_S: i64 = 1;

/// Who had an address at a time (Unix seconds).
#[derive(Clone, Debug)]
struct Known {
    ip: Ipv4Addr,
    line: String,
    at_s: i64,
}

/// A configuration with these lines more.
fn config(folder: &Path, more: &str) -> std::path::PathBuf {
    let path = configure(folder, "127.0.0.1:9", None, None);
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("[network]\n", &format!("[network]\nborder-s = {BORDER_S}\n"));
    std::fs::write(&path, format!("{text}\n{more}")).unwrap();
    let approve = ["law", "approve", "takedown-notice", "--by", "aoki", "--why", "a test"];
    run(folder, &[&["--config", path.to_str().unwrap()], approve.as_slice()].concat());
    path
}

/// The answers to many questions: `one LINE`, `none`, `ambiguous REASON`.
fn who(folder: &Path, config: &Path, asked: &[(Ipv4Addr, i64)]) -> Vec<String> {
    let path = folder.join("questions.csv");
    let mut file = std::fs::File::create(&path).unwrap();
    writeln!(file, "ip,time,port").unwrap();
    for (ip, at_s) in asked {
        writeln!(file, "{ip},{},", jiff::Timestamp::from_second(*at_s).unwrap()).unwrap();
    }
    drop(file);
    let output = noroshi(folder)
        .args(["--config", config.to_str().unwrap(), "sessions", "who", "--measure", "takedown-notice"])
        .args(["--case", "test", "--batch", path.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{} {}",
        text(&output.stderr),
        text(&output.stdout).lines().next().unwrap_or_default()
    );
    let said = text(&output.stdout);
    let answers: Vec<String> = said
        .lines()
        .map(|line| {
            let said: serde_json::Value = serde_json::from_str(line).unwrap();
            let more = said["subscriber"].as_str().or(said["reason"].as_str()).unwrap_or_default();
            format!("{} {more}", said["answer"].as_str().unwrap())
        })
        .collect();
    assert_eq!(answers.len(), asked.len());
    answers
}

/// Waits until everything that was acknowledged is answered with its line; never with another. How long that took.
fn until_known(folder: &Path, config: &Path, known: &[Known]) -> Duration {
    let asked: Vec<_> = known.iter().map(|one| (one.ip, one.at_s)).collect();
    let begun = Instant::now();
    until("all that was acknowledged to be known", || {
        let mut all = true;
        for (one, answer) in known.iter().zip(&who(folder, config, &asked)) {
            let right = *answer == format!("one {}", one.line);
            assert!(right || !answer.starts_with("one"), "{one:?}: {answer}");
            all &= right;
        }
        all.then_some(())
    });
    begun.elapsed()
}

fn now_s() -> i64 {
    SystemClock.now().as_second()
}
