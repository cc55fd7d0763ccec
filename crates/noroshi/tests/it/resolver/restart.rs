//! Another one takes the place of a resolver that runs, and sockets are opened by somebody else: no question is lost.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::world::{Running, addresses, ask_within};
use crate::world::server;

const LINES: &str = "forward = [\"127.0.0.1:9\"]\n";
const TABLES: &str = "[[resolver.rpz]]\nname = \"own.\"\nlocal = true\n";
/// Opens sockets as systemd does, from descriptor 3 on, and starts a program with them again and again.
const KEEPER: &str = "
import ctypes, os, socket, subprocess, sys, time
at = ('127.0.0.1', int(sys.argv[1]))
udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
assert (udp.fileno(), tcp.fileno()) == (3, 4)
tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
udp.bind(at), tcp.bind(at), tcp.listen()
die_with_us = lambda: ctypes.CDLL(None).prctl(1, 9)
while True:
    environment = {**os.environ, 'LISTEN_FDS': '2'}
    program = subprocess.Popen(sys.argv[2:], pass_fds=(3, 4), env=environment, preexec_fn=die_with_us)
    time.sleep(1.5)
    program.terminate(), program.wait()
";
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for a name all the time, by several clients, while `meanwhile` happens: how often, and how often in vain.
fn asked_while(port: u16, meanwhile: impl FnOnce()) -> (usize, usize) {
    let (asked, lost, over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let heard = ask_within(PATIENCE, port, "bad.example.", 1, false);
                    let right =
                        heard.is_some_and(|heard| addresses(&heard) == (0, vec![vec![192, 0, 2, 80]]));
                    lost.fetch_add(usize::from(!right), Ordering::Relaxed);
                    asked.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
        // Whatever happens, the clients end, or this would never.
        let happened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(meanwhile));
        over.store(true, Ordering::Relaxed);
        happened.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    (asked.into_inner(), lost.into_inner())
}

#[test]
fn another_takes_its_place_and_no_question_is_lost() {
    let mut ours = Running::start(LINES, TABLES);
    ours.asked(&["rule", "own.", "--add", "bad.example A 192.0.2.80"]);
    assert!(ours.refused(&["--listen", "127.0.0.1:0"]).contains("--take-over"), "two with one folder");
    let (asked, lost) = asked_while(ours.port, || {
        for number in 0..3 {
            let next = ours.spawn(ours.command(&["--take-over"]));
            ours.replace(next);
            // What was added before holds, and more can be.
            let told = ours.asked(&["rule", "own.", "--add", &format!("more{number}.example CNAME .")]);
            assert_eq!(told["rules"], 2 + number, "{told}");
        }
    });
    assert!(asked > 200 && lost == 0, "{lost} of {asked}\n{}", ours.log());

    // One that fails on the way takes nothing.
    let missing = format!("missing.={}", ours.path("nothing").display());
    let mut failing = ours.spawn(ours.command(&["--take-over", "--rpz", &missing]));
    assert!(!failing.wait().unwrap().success());
    assert!(ours.log().contains("nothing"), "{}", ours.log());
    assert_eq!(ours.asked(&["rule", "own.", "--remove", "more0.example CNAME ."])["rules"], 3);
    let (asked, lost) = asked_while(ours.port, || std::thread::sleep(Duration::from_millis(300)));
    assert!(asked > 20 && lost == 0, "{lost} of {asked}");
}

#[test]
fn sockets_that_somebody_else_opened_keep_questions_over_a_restart() {
    let Some(python) = server("NOROSHI_TEST_DNSPYTHON") else { return };
    let mut ours = Running::start(LINES, TABLES);
    ours.asked(&["rule", "own.", "--add", "bad.example A 192.0.2.80"]);
    ours.kill();
    let started = ours.command(&[]);
    let mut command = Command::new(python);
    command
        .args(["-c", KEEPER, &ours.port.to_string()])
        .arg(started.get_program())
        .args(started.get_args())
        .envs(started.get_envs().filter_map(|(name, value)| Some((name, value?))));
    ours.again_by(command);
    let (asked, lost) = asked_while(ours.port, || std::thread::sleep(Duration::from_secs(5)));
    assert!(asked > 200 && lost == 0, "{lost} of {asked}\n{}", ours.log());
    assert!(ours.log().matches("(udp, tcp)").count() >= 4, "it was started again: {}", ours.log());
}
