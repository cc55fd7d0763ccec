//! `cargo xtask test`, the one command of the README: the servers, then `cargo test` with their addresses in
//! the environment, then a plain account of what ran, how long it took, and what was skipped and how to get
//! it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::cargo;
use crate::servers::Servers;

/// What followed `--` on the command line, to be handed to `cargo test`.
pub fn arguments(typed: Vec<String>) -> Result<Vec<String>> {
    match typed.split_first() {
        None => Ok(typed),
        Some((dashes, rest)) if dashes == "--" => Ok(rest.to_vec()),
        Some((other, _)) => bail!("{other}: arguments for cargo test go after `--`"),
    }
}

/// Starts the servers, builds and runs the tests, prints the account.
pub fn test(root: &Path, args: &[String]) -> Result<ExitCode> {
    let (servers, starting) = timed(|| Servers::start(root));
    servers.announce();
    if in_ci() && servers.lacks_any() {
        bail!("in CI every server has to be there");
    }
    let (built, building) = timed(|| cargo_test(root, &servers, args, true));
    let mut tally = built?;
    let mut running = Duration::ZERO;
    if tally.succeeded {
        let (ran, took) = timed(|| cargo_test(root, &servers, args, false));
        (tally, running) = (ran?, took);
    }
    let skipped = servers.skipped_lines();
    let ((), stopping) = timed(|| drop(servers));

    println!("\n== what ran");
    for (name, took) in [("servers, start", starting), ("tests, build", building)] {
        println!("{name:<16}{:>7.1} s", took.as_secs_f64());
    }
    println!("{:<16}{:>7.1} s  {tally}", "tests, run", running.as_secs_f64());
    println!("{:<16}{:>7.1} s", "servers, stop", stopping.as_secs_f64());
    if args.is_empty() {
        println!("the doctests and the house rules (tidy) are among the tests");
    }
    println!("== what was skipped");
    println!("{}", if skipped.is_empty() { "nothing".to_owned() } else { skipped.join("\n") });
    ensure!(!tally.succeeded || tally.passed > 0 || !args.is_empty(), "no test ran at all");
    Ok(if tally.succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts the servers, prints the lines another shell needs, and waits for Ctrl-C or the end of stdin.
pub fn wait_with_servers(root: &Path) -> Result<ExitCode> {
    let servers = Servers::start(root);
    servers.announce();
    for (name, value) in servers.environment() {
        println!("export {name}='{value}'");
    }
    eprintln!("xtask: running until Ctrl-C or the end of stdin");
    std::io::stdin().lock().read_to_end(&mut Vec::new()).context("waiting on stdin")?;
    drop(servers);
    Ok(ExitCode::SUCCESS)
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// The sums of cargo's "test result" lines.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    succeeded: bool,
    programs: u32,
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Tally {
    fn read(&mut self, line: &str) {
        let Some((_, counts)) = line.split_once("test result: ").and_then(|(_, rest)| rest.split_once(". "))
        else {
            return;
        };
        self.programs += 1;
        for count in counts.split("; ") {
            let mut words = count.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u32>().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { succeeded, programs, passed, failed, ignored } = self;
        let verdict = if *succeeded { "ok" } else { "FAILED" };
        write!(
            f,
            "{verdict}: {passed} passed, {failed} failed, {ignored} ignored, in {programs} test programs"
        )
    }
}

/// How many tests of a program run at once, where nobody says.
const THREADS: &str = "RUST_TEST_THREADS";

/// Twice as many as there are processors: a test waits for servers, processes and timers for more than half of its time.
fn test_threads() -> usize {
    2 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Runs `cargo test`, or only builds it, echoing its lines while adding up the results.
fn cargo_test(root: &Path, servers: &Servers, args: &[String], only_build: bool) -> Result<Tally> {
    let mut command = cargo();
    command.current_dir(root).args(["test", "--release"]);
    command.arg(if only_build { "--no-run" } else { "--no-fail-fast" });
    if !args.iter().take_while(|arg| *arg != "--").any(|arg| arg.starts_with("-p") || arg == "--package") {
        command.arg("--workspace");
    }
    command.args(args).envs(servers.environment());
    if std::env::var_os(THREADS).is_none() {
        command.env(THREADS, test_threads().to_string());
    }
    let mut child = command.stdout(Stdio::piped()).spawn().context("starting cargo test")?;
    let mut tally = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        let mut out = std::io::stdout().lock();
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line?;
            tally.read(&String::from_utf8_lossy(&line));
            out.write_all(&line)?;
            out.write_all(b"\n")?;
        }
    }
    tally.succeeded = child.wait()?.success();
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_add_up() {
        let mut tally = Tally::default();
        tally.read("test tidy::tests::the_house_is_tidy ... ok");
        tally.read(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.10s",
        );
        tally.read("test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!(tally, Tally { succeeded: false, programs: 2, passed: 17, failed: 2, ignored: 1 });
    }

    #[test]
    fn arguments_for_cargo_come_after_two_dashes() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(arguments(words("-- -p noroshi-law seals")).unwrap(), words("-p noroshi-law seals"));
        assert!(arguments(words("-p noroshi-law")).is_err());
        assert!(arguments(vec![]).unwrap().is_empty());
    }
}
