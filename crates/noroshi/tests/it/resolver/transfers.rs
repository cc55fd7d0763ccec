//! We subscribe to BIND's zones: by AXFR, by IXFR, signed; and are killed.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::world::{Running, SECRET, addresses, ask, bind, others, port, until};

const ZONE: &str = "$TTL 60\n@ SOA ns. host. 1 3600 600 86400 60\n@ NS ns.\nbad.example CNAME .\n*.worse.example A 192.0.2.80\n";

fn primary(folder: &Path, at: u16, notify: u16) -> crate::world::Killed {
    let file = folder.join("rpz.zone");
    if !file.exists() {
        std::fs::write(&file, ZONE).unwrap();
    }
    let options = format!(
        "recursion no; max-ixfr-ratio unlimited; notify explicit; also-notify {{ 127.0.0.1 port {notify}; }};"
    );
    let zone = format!(
        "zone \"rpz.test\" {{ type primary; file \"{}\"; allow-transfer {{ key \"test.\"; }}; allow-update {{ key \"test.\"; }}; }};",
        file.display()
    );
    bind(folder, at, &options, &zone)
}

/// Changes BIND's zone.
fn update(folder: &Path, at: u16, lines: &str) {
    let key = folder.join("test.key");
    std::fs::write(&key, format!("key \"test.\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n"))
        .unwrap();
    let mut command = Command::new("nsupdate");
    let mut child = command.arg("-k").arg(&key).stdin(Stdio::piped()).spawn().unwrap();
    let text = format!("server 127.0.0.1 {at}\nzone rpz.test\n{lines}send\n");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// A resolver that fetches BIND's zone. Nobody is asked who would answer: what no rule decides fails.
fn subscriber(at: u16) -> Running {
    let zone =
        format!("[[resolver.rpz]]\nname = \"rpz.test.\"\nprimary = [\"127.0.0.1:{at}\"]\nkey = \"test.\"\n");
    Running::start("forward = [\"127.0.0.1:9\"]\n", &zone)
}

fn code(port: u16, asked: &str) -> Option<u16> {
    ask(port, asked, 1).map(|heard| heard.code)
}

#[test]
fn what_bind_changes_holds_here_at_once_and_after_a_kill() {
    if others().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = port();
    let mut ours = subscriber(at);
    let bind = primary(folder.path(), at, ours.port);
    until("the zone", || ours.serial());
    assert_eq!(code(ours.port, "bad.example."), Some(3));
    assert_eq!(addresses(&ask(ours.port, "x.worse.example.", 1).unwrap()), (0, vec![vec![192, 0, 2, 80]]));
    update(
        folder.path(),
        at,
        "update add new.example.rpz.test. 60 CNAME .\nupdate delete bad.example.rpz.test. CNAME\n",
    );
    until("the change", || (code(ours.port, "new.example.") == Some(3)).then_some(()));
    assert_ne!(code(ours.port, "bad.example."), Some(3));
    let told = ours.asked(&["status"]);
    assert_eq!(
        (&told["zones"][0]["transfers"]["whole"], &told["zones"][0]["transfers"]["changes"]),
        (&1.into(), &1.into())
    );
    // Killed while changes come in; BIND is gone when it starts again.
    for at_once in 0..20 {
        update(folder.path(), at, &format!("update add n{at_once}.example.rpz.test. 60 CNAME .\n"));
        if at_once == 12 {
            ours.kill();
        }
    }
    drop(bind);
    ours.again();
    let kept = ours.serial().unwrap();
    assert!((2..=22).contains(&kept), "{kept}");
    assert!(ours.log().contains(&format!("rpz.test. serial {kept}: ")), "{}", ours.log());
    assert_eq!(code(ours.port, "new.example."), Some(3));
    // A version is whole: each change adds one name, so the names say which it is.
    let names = (0..20).filter(|number| code(ours.port, &format!("n{number}.example.")) == Some(3)).count();
    assert_eq!(names as u64, kept - 2);
    let _bind = primary(folder.path(), at, ours.port);
    ours.asked(&["reload", "rpz.test."]);
    until("the last change", || (ours.serial() == Some(22)).then_some(()));
    assert_eq!(code(ours.port, "n19.example."), Some(3));
}

#[test]
fn a_zone_with_a_wrong_key_is_not_fetched_and_it_is_said_why() {
    if others().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = port();
    let ours = subscriber(at);
    std::fs::write(folder.path().join("rpz.zone"), ZONE).unwrap();
    let file = folder.path().join("rpz.zone");
    let wrong = format!(
        "key \"other.\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n\
         zone \"rpz.test\" {{ type primary; file \"{}\"; allow-transfer {{ key \"other.\"; }}; }};",
        file.display()
    );
    let _bind = bind(folder.path(), at, "recursion no; notify no;", &wrong);
    ours.asked(&["reload", "rpz.test."]);
    let failure = until("the failure", || {
        let told = ours.asked(&["status"]);
        let failure = told["zones"][0]["transfers"]["failure"].as_str().map(str::to_owned);
        failure.filter(|failure| failure.contains("REFUSED"))
    });
    assert_eq!(failure, "the primary says REFUSED");
    assert_eq!(ours.serial(), None);
}
