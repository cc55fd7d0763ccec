//! Others subscribe to our zones: BIND and PowerDNS with signatures, Unbound (whose Debian version cannot sign) without.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use super::world::{Running, SECRET, addresses, ask, bind, others, port, until};
use crate::world::Killed;

/// Rules of which a sample is asked for.
const RULES: usize = 3000;
const SAMPLE: usize = 1000;

/// A list of names, half for themselves, half for all below.
fn zone(serial: u32, more: &str) -> (String, Vec<String>) {
    let mut random = fastrand::Rng::with_seed(11);
    let mut text = format!("$TTL 60\n@ SOA ns. host. {serial} 3600 600 86400 60\n@ NS ns.\n{more}");
    let mut asked = Vec::new();
    for at in 0..RULES {
        let name = format!("n{:x}.{}", random.u32(..), ["com", "net", "co.jp"][at % 3]);
        let star = at % 2 == 1;
        let action = ["CNAME .", "A 192.0.2.80", "CNAME *."][random.usize(..3)];
        writeln!(text, "{}{name} {action}", if star { "*." } else { "" }).unwrap();
        asked.push(if star { format!("www.{name}.") } else { format!("{name}.") });
    }
    random.shuffle(&mut asked);
    asked.truncate(SAMPLE);
    (text, asked)
}

fn unbound(folder: &Path, port: u16, primary: u16) -> Killed {
    let dir = folder.display();
    let conf = folder.join("unbound.conf");
    let text = format!(
        "server:\n directory: \"{dir}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n use-syslog: no\n interface: 127.0.0.1@{port}\n \
         module-config: \"respip iterator\"\n do-not-query-localhost: no\n do-ip6: no\nremote-control:\n control-enable: no\n\
         forward-zone:\n name: \".\"\n forward-addr: 127.0.0.1@9\n\
         rpz:\n name: \"plain.test.\"\n primary: 127.0.0.1@{primary}\n allow-notify: 127.0.0.1\n"
    );
    std::fs::write(&conf, text).unwrap();
    Killed::start(Command::new("unbound").arg("-d").arg("-c").arg(&conf))
}

fn powerdns(folder: &Path, port: u16, primary: u16) -> Killed {
    let lua = folder.join("rpz.lua");
    std::fs::write(
        &lua,
        format!(
            "rpzPrimary(\"127.0.0.1:{primary}\", \"signed.test\", {{refresh=1, tsigname=\"test\", tsigalgo=\"hmac-sha256\", tsigsecret=\"{SECRET}\"}})\n"
        ),
    )
    .unwrap();
    let conf = format!(
        "local-address=127.0.0.1\nlocal-port={port}\nthreads=1\nforward-zones-recurse=.=127.0.0.1:9\ndont-query=\ndnssec=off\n\
         security-poll-suffix=\ndisable-packetcache=yes\ndaemon=no\ndisable-syslog=yes\nwrite-pid=no\nhint-file=no\nsocket-dir={}\nlua-config-file={}\n",
        folder.display(),
        lua.display()
    );
    std::fs::write(folder.join("recursor.conf"), conf).unwrap();
    Killed::start(Command::new("pdns_recursor").arg(format!("--config-dir={}", folder.display())))
}

#[test]
fn bind_unbound_and_powerdns_subscribe_and_answer_the_same() {
    if others().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    let (ports, ours_file) = ([port(), port(), port()], folder.path().join("rpz.zone"));
    let [bind_at, unbound_at, powerdns_at] = ports;
    let (text, asked) = zone(1, "");
    std::fs::write(&ours_file, text).unwrap();
    let table = |name: &str, key: &str, notify: u16| {
        format!(
            "[[resolver.rpz]]\nname = \"{name}\"\nfile = {ours_file:?}\ntransfer = [\"127.0.0.0/8\"]\n{key}notify = [\"127.0.0.1:{notify}\"]\n"
        )
    };
    let tables =
        table("signed.test.", "transfer-key = \"test.\"\n", bind_at) + &table("plain.test.", "", unbound_at);
    let ours = Running::start("forward = [\"127.0.0.1:9\"]\n", &tables);
    let primary = ours.port;
    let options = "recursion yes; allow-query { any; }; forwarders { 127.0.0.1 port 9; }; forward only; notify no;\n\
                   response-policy { zone \"signed.test\" min-update-interval 0; } qname-wait-recurse no;";
    let secondary = format!(
        "zone \"signed.test\" {{ type secondary; primaries {{ 127.0.0.1 port {primary} key \"test.\"; }}; file \"signed.db\"; allow-notify {{ any; }}; }};"
    );
    let _bind = bind(&made("bind"), bind_at, options, &secondary);
    let _unbound = unbound(&made("unbound"), unbound_at, primary);
    let _powerdns = powerdns(&made("powerdns"), powerdns_at, primary);
    let same = |asked: &str, port: u16| {
        let wanted = addresses(&ask(primary, asked, 1).unwrap());
        ask(port, asked, 1).map(|heard| addresses(&heard)).filter(|found| *found == wanted)
    };
    for port in ports {
        until("the zone", || same(&asked[0], port));
    }
    let mut differing = Vec::new();
    for asked in &asked {
        for port in ports {
            if same(asked, port).is_none() {
                differing.push((asked.clone(), port));
            }
        }
    }
    assert!(differing.is_empty(), "of {SAMPLE} names: {differing:?}, ports {ports:?}");
    // One rule more: it is told, and fetched as a change.
    std::fs::write(&ours_file, zone(2, "added.example A 192.0.2.81\n").0).unwrap();
    let told = ours.asked(&["reload"]);
    assert_eq!(
        (&told[0]["records"], &told[0]["serial"]),
        (&1.into(), &2.into()),
        "one record changed: {told}"
    );
    for port in ports {
        until(&format!("the added rule at {port} of {ports:?}"), || {
            let heard = ask(port, "added.example.", 1)?;
            (addresses(&heard) == (0, vec![vec![192, 0, 2, 81]])).then_some(())
        });
    }
    // Who does not sign gets nothing, though from the same network.
    let refused = Command::new("dig")
        .args(["@127.0.0.1", "-p", &primary.to_string(), "+tries=1", "AXFR", "signed.test."])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&refused.stdout).contains("Transfer failed"), "{refused:?}");
    let key = format!("hmac-sha256:test.:{SECRET}");
    let dig = |kind: &str| {
        let output = Command::new("dig")
            .args([
                "@127.0.0.1",
                "-p",
                &primary.to_string(),
                "-y",
                &key,
                "+noall",
                "+answer",
                kind,
                "signed.test.",
            ])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(dig("AXFR").lines().count(), RULES + 1 + 3, "all rules, NS and both SOAs");
    let changes = dig("IXFR=1");
    assert_eq!(changes.lines().count(), 5, "{changes}");
    assert_eq!(dig("IXFR=2").lines().count(), 1);
}
