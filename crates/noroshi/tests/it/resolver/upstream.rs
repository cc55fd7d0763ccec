//! Real servers behind and before it: BIND with a signed zone, Unbound as a validator downstream.

use std::process::Command;
use std::time::Duration;

use super::world::{Running, addresses, ask, ask_with, bind, others, port, until};
use crate::world::Killed;

const ZONE: &str = "$TTL 300\n@ SOA ns.signed.test. host.signed.test. 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.1\nbrief 1 A 192.0.2.9\n\
    alias CNAME www\nbig TXT \"";

#[test]
fn a_validator_behind_us_still_validates_and_signed_answers_are_left_alone() {
    if others().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (upstream, validator) = (port(), port());
    let big = "x".repeat(200);
    let zone = format!("{ZONE}{big}\" \"{big}\" \"{big}\" \"{big}\" \"{big}\" \"{big}\" \"{big}\"\n");
    std::fs::write(folder.path().join("signed.zone"), zone).unwrap();
    let signed = "zone \"signed.test\" { type primary; file \"signed.zone\"; dnssec-policy default; inline-signing yes; };";
    let bind =
        bind(folder.path(), upstream, "recursion no; key-directory \".\"; minimal-responses yes;", signed);
    until("signatures", || {
        let heard = ask_with(upstream, "www.signed.test.", 1, true)?;
        heard.answer.iter().any(|rr| rr.rtype == 46).then_some(())
    });
    let list = folder.path().join("list.zone");
    std::fs::write(&list, "@ SOA ns. host. 1 1 1 1 1\nwww.signed.test CNAME .\n").unwrap();
    let rpz = |more: &str| format!("[[resolver.rpz]]\nname = \"rpz.\"\nfile = {list:?}\n{more}");
    let mut ours =
        Running::start(&format!("forward = [\"127.0.0.1:{upstream}\"]\n"), &rpz("override = \"disabled\"\n"));
    // What does not fit is asked for again over TCP, there and here.
    let asked = Command::new("dig")
        .args(["@127.0.0.1", "-p", &ours.port.to_string(), "+short", "TXT", "big.signed.test."])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&asked.stdout).matches(&big).count(), 7);
    let keys = ask_with(ours.port, "signed.test.", 48, true).unwrap();
    let key = keys.answer.iter().find(|rr| rr.rtype == 48 && rr.data[1] == 1).expect("a key that signs keys");
    let base64 = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(&key.data[4..])
    };
    let conf = folder.path().join("unbound.conf");
    let text = format!(
        "server:\n directory: \"{}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n use-syslog: no\n interface: 127.0.0.1@{validator}\n \
         module-config: \"validator iterator\"\n do-not-query-localhost: no\n do-ip6: no\n local-zone: \"test.\" nodefault\n \
         trust-anchor: \"signed.test. DNSKEY 257 3 {} {base64}\"\nremote-control:\n control-enable: no\n\
         forward-zone:\n name: \".\"\n forward-addr: 127.0.0.1@{}\n",
        folder.path().display(),
        key.data[3],
        ours.port
    );
    std::fs::write(&conf, text).unwrap();
    let _unbound = Killed::start(Command::new("unbound").arg("-d").arg("-c").arg(&conf));
    let authentic = |asked: &str| {
        let heard = until("the validator", || ask_with(validator, asked, 1, true));
        (heard.code, heard.flags & 0x20 != 0)
    };
    assert_eq!(authentic("www.signed.test."), (0, true));
    assert_eq!(authentic("alias.signed.test."), (0, true));
    assert_eq!(authentic("none.signed.test."), (3, true), "that there is none is proven, too");
    // With the rule: clients that do not check get it, those that do get the truth.
    ours.configure(&format!("forward = [\"127.0.0.1:{upstream}\"]\n"), &rpz(""));
    ours.kill();
    ours.again();
    assert_eq!(ask(ours.port, "www.signed.test.", 1).unwrap().code, 3);
    assert_eq!(ask_with(ours.port, "www.signed.test.", 1, true).unwrap().code, 0);
    // And by the operator's word, these too.
    ours.configure(&format!("forward = [\"127.0.0.1:{upstream}\"]\nbreak-dnssec = true\n"), &rpz(""));
    ours.kill();
    ours.again();
    assert_eq!(ask_with(ours.port, "www.signed.test.", 1, true).unwrap().code, 3);
    assert_eq!(ask(ours.port, "alias.signed.test.", 1).unwrap().code, 3, "it leads to the listed name");
    // Nobody answers any more: what was known still holds, for a while, and says so.
    assert_eq!(addresses(&ask(ours.port, "brief.signed.test.", 1).unwrap()), (0, vec![vec![192, 0, 2, 9]]));
    drop(bind);
    std::thread::sleep(Duration::from_millis(2100));
    let stale = ask(ours.port, "brief.signed.test.", 1).unwrap();
    assert_eq!((addresses(&stale), stale.answer[0].ttl), ((0, vec![vec![192, 0, 2, 9]]), 30));
    assert_eq!(ask(ours.port, "unknown.signed.test.", 1).unwrap().code, 2);
    assert_eq!(ours.asked(&["status"])["stale"], 1);
}

#[test]
fn it_finds_its_way_from_the_root_down() {
    if others().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = port();
    // One server plays all: zones and the zones below them, so that each step is an answer or a referral of its own.
    for (zone, text) in [
        (
            "world",
            "$TTL 60\n@ SOA ns.world. h.world. 1 1 1 1 60\n@ NS ns.world.\nns A 127.0.0.1\nwww A 192.0.2.7\nalias CNAME www.other.\n",
        ),
        (
            "other",
            "$TTL 60\n@ SOA ns.other. h.other. 1 1 1 1 60\n@ NS ns.other.\nns A 127.0.0.1\nwww A 192.0.2.8\n",
        ),
    ] {
        std::fs::write(folder.path().join(zone), text).unwrap();
    }
    let zones = "zone \"world\" { type primary; file \"world\"; };\nzone \"other\" { type primary; file \"other\"; };";
    let _bind = bind(folder.path(), at, "recursion no;", zones);
    let stub = |zone: &str| format!("[[resolver.stub]]\nzone = \"{zone}\"\nservers = [\"127.0.0.1:{at}\"]\n");
    let ours = Running::start("", &(stub("world.") + &stub("other.")));
    let found = |asked: &str| ask(ours.port, asked, 1).map(|heard| addresses(&heard));
    assert_eq!(found("www.world."), Some((0, vec![vec![192, 0, 2, 7]])));
    assert_eq!(found("alias.world."), Some((0, vec![vec![192, 0, 2, 8]])), "on into another zone");
    assert_eq!(found("none.world."), Some((3, vec![])));
    assert_eq!(found("a.b.c.d.none.world."), Some((3, vec![])));
    let explained = ours.asked(&["explain", "www.world."]);
    assert_eq!(explained["rules"], serde_json::json!([]));
}

#[test]
fn a_rule_that_is_added_here_holds_at_once_and_after_a_kill() {
    let zone = "[[resolver.rpz]]\nname = \"own.\"\nlocal = true\ntags = [\"home\"]\n[[resolver.client]]\nnetwork = \"127.0.0.0/8\"\ntags = [\"home\"]\n";
    let mut ours = Running::start("forward = [\"127.0.0.1:9\"]\n", zone);
    let code = |ours: &Running, asked: &str| ask(ours.port, asked, 1).map(|heard| heard.code);
    let added = ours.asked(&[
        "rule",
        "own.",
        "--add",
        "bad.example CNAME .",
        "--add",
        "*.worse.example A 192.0.2.80",
    ]);
    assert_eq!((&added["serial"], &added["rules"]), (&2.into(), &2.into()));
    assert_eq!(code(&ours, "bad.example."), Some(3));
    ours.kill();
    ours.again();
    assert_eq!(code(&ours, "bad.example."), Some(3));
    let told = ours.asked(&["explain", "x.worse.example."]);
    assert_eq!(
        (&told["decides"]["trigger"], &told["rules"][0]["rule"]),
        (&"qname".into(), &"*.worse.example.".into()),
        "{told}"
    );
    let gone = ours.asked(&["rule", "own.", "--remove", "bad.example CNAME ."]);
    assert_eq!((&gone["serial"], &gone["rules"]), (&3.into(), &1.into()));
    assert_ne!(code(&ours, "bad.example."), Some(3));
    // What is none, or says otherwise than another, changes nothing.
    for wrong in ["bad..example CNAME .", "x.rpz-other CNAME .", "*.worse.example CNAME ."] {
        let refused = ours.refused(&["rule", "own.", "--add", "good.example CNAME .", "--add", wrong]);
        assert!(!refused.is_empty());
        assert_ne!(code(&ours, "good.example."), Some(3), "{wrong}");
    }
    assert_eq!(ours.serial(), Some(3));
}
