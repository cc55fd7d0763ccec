//! Hits as dnstap, collected by `fstrm_capture` and read by BIND's `dnstap-read`.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::world::{Running, ask, others, port, until};

#[test]
fn other_programs_collect_and_read_what_rules_decided() {
    let Some(()) = others() else { return };
    let place = tempfile::tempdir().unwrap();
    let (socket, file) = (place.path().join("tap.sock"), place.path().join("tap"));
    let mut collecting = Command::new("fstrm_capture")
        .args(["-t", "protobuf:dnstap.Dnstap", "-u"])
        .arg(&socket)
        .arg("-w")
        .arg(&file)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the collector", || socket.exists().then_some(()));
    let list = place.path().join("list");
    std::fs::write(&list, "bad.example CNAME .\nsilent.example CNAME rpz-drop.\n").unwrap();
    let lines = format!("forward = [\"127.0.0.1:{}\"]\ndnstap = {socket:?}", port());
    let mut running =
        Running::start(&lines, &format!("[[resolver.rpz]]\nname = \"rpz.test\"\nfile = {list:?}\n"));
    assert_eq!(ask(running.port, "bad.example.", 1).unwrap().code, 3);
    assert!(ask(running.port, "silent.example.", 1).is_none());
    let _ = ask(running.port, "good.example.", 1);
    std::thread::sleep(Duration::from_secs(1));
    running.end();
    // What it has in hand it writes when it ends.
    std::thread::sleep(Duration::from_secs(1));
    Command::new("kill").arg(collecting.id().to_string()).status().unwrap();
    collecting.wait().unwrap();
    let output = Command::new("dnstap-read").arg("-p").arg(&file).output().unwrap();
    // As they were asked: in a pattern of upper and lower case.
    let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
    assert!(text.contains("cr 127.0.0.1:") && text.contains("bad.example/in/a"), "{text}");
    assert!(text.contains("cq 127.0.0.1:") && text.contains("nxdomain"), "{text}");
    assert!(!text.contains("good.example"), "of what no rule decided on nothing is told: {text}");
}
