//! A world of signed zones, whole and broken, on BIND: what we say of it is what Unbound says with the same anchor.

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use noroshi_resolver::heard::Heard;
use noroshi_resolver::message::{Asking, write_question};

use super::world::{Running, addresses, bind, name, others, port, until};
use crate::darknet::{in_a_network_of_its_own, ip};
use crate::world::Killed;

const AD: u16 = 0x20;
/// What every zone has, besides the address of its server.
const COMMON: &str =
    "$TTL 300\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns\nwww A 192.0.2.1\nwww AAAA 2001:db8::1\n";
/// What zones have in which there is not much.
const RICH: &str = "@ MX 10 www\nalias CNAME www\n*.wild A 192.0.2.2\nnot.wild A 192.0.2.3\n*.aliases CNAME www\n\
    a.b.empty TXT \"deep\"\nmany TXT \"one\" \"two\"\nmany A 192.0.2.4\nmany MX 5 WWW\nother DNAME nsec3.test.\n\
    loose NS ns.loose\nns.loose A 10.53.0.4\nleads CNAME www.tampered.test.\n";

/// How a zone is signed.
#[derive(Clone, Copy)]
struct Signing {
    algorithm: &'static str,
    arguments: &'static [&'static str],
}

const NSEC: Signing = Signing { algorithm: "13", arguments: &[] };
const PLAIN: Option<Signing> = None;

/// The zones, and what is said of them above.
struct Zones<'a> {
    folder: &'a Path,
    /// Those of each of the four servers.
    conf: [String; 4],
}

/// The server of a zone: one of the root, one of `test.`, one of the zones below it, and one of all others.
fn server(zone: &str) -> usize {
    match zone {
        "." => 1,
        "test" => 2,
        "a.between.test" => 3,
        zone if zone.matches('.').count() == 1 => 3,
        _ => 4,
    }
}

impl Zones<'_> {
    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).current_dir(self.folder).output().unwrap();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn key(&self, zone: &str, algorithm: &str, flags: &[&str]) -> String {
        let bits: &[&str] = if matches!(algorithm, "8" | "10") { &["-b", "2048"] } else { &[] };
        let arguments = [&["-q", "-a", algorithm], bits, flags, &[zone]].concat();
        self.run("dnssec-keygen", &arguments).trim().to_owned()
    }

    /// Writes a zone, signed as said and then changed, and says its DS record.
    fn zone(
        &mut self,
        zone: &str,
        text: &str,
        signing: Option<Signing>,
        change: impl Fn(String) -> String,
    ) -> String {
        let file = format!("zone-{zone}");
        let path = self.folder.join(&file);
        std::fs::write(&path, format!("{COMMON}ns A 10.53.0.{}\n{text}", server(zone))).unwrap();
        let mut ds = String::new();
        if let Some(Signing { algorithm, arguments }) = signing {
            let above = self.key(zone, algorithm, &["-f", "KSK"]);
            self.key(zone, algorithm, &[]);
            let flags = [&["-q", "-S", "-P", "-O", "full", "-o", zone, "-f", &file], arguments, &[&*file]];
            self.run("dnssec-signzone", &flags.concat());
            ds = self.run("dnssec-dsfromkey", &["-2", &above]);
        }
        let signed = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, change(signed)).unwrap();
        let conf = &mut self.conf[server(zone) - 1];
        writeln!(conf, "zone \"{zone}\" {{ type primary; file \"{file}\"; }};").unwrap();
        ds
    }
}

/// All lines but some.
fn without(gone: impl Fn(&str) -> bool) -> impl Fn(String) -> String {
    move |text| text.lines().filter(|line| !gone(line)).fold(String::new(), |kept, line| kept + line + "\n")
}

fn as_it_is(text: String) -> String {
    text
}

/// The world: its configuration for BIND, and the anchors of its root and of an island in it.
fn world(folder: &Path) -> ([String; 4], Vec<String>) {
    let mut zones = Zones { folder, conf: Default::default() };
    let signing = |algorithm, arguments| Some(Signing { algorithm, arguments });
    let mut below = String::new();
    let mut add = |zone: &str, ds: &str| {
        writeln!(below, "{zone}. NS ns.{zone}.\nns.{zone}. A 10.53.0.3\n{ds}").unwrap();
    };
    // Whole.
    let foreign = format!(
        "{RICH}there CNAME www.nsec3\nunsigned CNAME www.unsigned.test.\nbroken CNAME www.tampered.test.\n"
    );
    let foreign = foreign.replace("www.nsec3\n", "www.nsec3.test.\n");
    for (zone, text, signed) in [
        ("nsec.test", &*foreign, signing("13", &[])),
        ("nsec3.test", RICH, signing("15", &["-3", "-", "-H", "0"])),
        ("salted.test", RICH, signing("8", &["-3", "ABCD", "-H", "10"])),
        ("optout.test", RICH, signing("14", &["-3", "-", "-H", "0", "-A"])),
        ("rsa512.test", RICH, signing("10", &[])),
        ("many.test", RICH, signing("13", &["-3", "-", "-H", "150"])),
        ("a.between.test", "", signing("13", &[])),
    ] {
        let ds = zones.zone(zone, text, signed, as_it_is);
        add(zone, &ds);
    }
    zones.zone("loose.optout.test", "", PLAIN, as_it_is);
    zones.zone("loose.nsec.test", "", PLAIN, as_it_is);
    zones.zone("loose.nsec3.test", "", PLAIN, as_it_is);
    // Unsigned, and signed below that.
    let islands = ["signed", "island"].map(|zone| format!("{zone} NS ns.{zone}\nns.{zone} A 10.53.0.4\n"));
    zones.zone("unsigned.test", &(RICH.to_owned() + &islands.concat()), PLAIN, as_it_is);
    add("unsigned.test", "");
    zones.zone("signed.unsigned.test", "", Some(NSEC), as_it_is);
    let island = zones.zone("island.unsigned.test", RICH, Some(NSEC), as_it_is);
    zones.zone("future-kind.test", "", PLAIN, as_it_is);
    add("future-kind.test", &format!("future-kind.test. DS 1 200 2 {}\n", "AB".repeat(32)));
    // Broken.
    let past: &[&str] = &["-s", "20200101000000", "-e", "20200201000000"];
    let future: &[&str] = &["-s", "20350101000000", "-e", "20360101000000"];
    let changed = |text: String| text.replace("192.0.2.1\n", "192.0.2.66\n");
    for (zone, signed, change) in [
        ("expired.test", signing("13", past), &as_it_is as &dyn Fn(String) -> String),
        ("early.test", signing("13", future), &as_it_is),
        ("tampered.test", signing("13", &[]), &changed),
        (
            "nosig.test",
            signing("13", &[]),
            &without(|line| line.starts_with("www.") && line.contains("RRSIG\tA ")),
        ),
        (
            "noproof.test",
            signing("13", &[]),
            &without(|line| !line.starts_with("noproof.") && line.contains("NSEC")),
        ),
        ("believed.test", signing("13", &[]), &changed),
    ] {
        let ds = zones.zone(zone, RICH, signed, change);
        add(zone, &ds);
    }
    zones.zone("wrongds.test", "", Some(NSEC), as_it_is);
    let other = zones.key("wrongds.test", "13", &["-f", "KSK"]);
    let ds = zones.run("dnssec-dsfromkey", &["-2", &other]);
    add("wrongds.test", &ds);
    zones.zone("stripped.test", RICH, PLAIN, as_it_is);
    add("stripped.test", &ds.replace("wrongds", "stripped"));
    let test = zones.zone("test", &below, Some(NSEC), as_it_is);
    let root = "$TTL 300\ntest. NS ns.test.\nns.test. A 10.53.0.2\n";
    let root = zones.zone(".", &format!("{root}{test}"), signing("8", &[]), as_it_is);
    (zones.conf, vec![root.trim().into(), island.trim().into()])
}

fn unbound(folder: &Path, port: u16, anchors: &[String], asked: &str) -> Killed {
    let anchors: String = anchors.iter().map(|anchor| format!(" trust-anchor: \"{anchor}\"\n")).collect();
    let conf = folder.join("unbound.conf");
    let text = format!(
        "server:\n directory: \"{}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n use-syslog: no\n interface: 127.0.0.1@{port}\n \
         module-config: \"validator iterator\"\n do-not-query-localhost: no\n do-ip6: no\n local-zone: \"test.\" nodefault\n \
         val-nsec3-keysize-iterations: \"1024 100 2048 100 4096 100\"\n domain-insecure: \"believed.test.\"\n \
         minimal-responses: yes\n{anchors}{asked}remote-control:\n control-enable: no\n",
        folder.display()
    );
    std::fs::write(&conf, text).unwrap();
    Killed::start(Command::new("unbound").arg("-d").arg("-c").arg(&conf))
}

/// An answer, and the extended error of one that has no records.
fn ask(
    port: u16,
    asked: &str,
    rtype: u16,
    dnssec_ok: bool,
    checking_disabled: bool,
) -> Option<(Heard, Option<u16>)> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut question = Vec::new();
    let asking = Asking { rtype, recursion: true, dnssec_ok, checking_disabled };
    write_question(&mut question, fastrand::u16(..), &name(asked), asking, 4096);
    socket.send_to(&question, ("127.0.0.1", port)).unwrap();
    let mut answer = [0; 4096];
    let (len, _) = socket.recv_from(&mut answer).ok()?;
    assert_eq!(answer[..2], question[..2]);
    // After the question an OPT record of eleven octets begins, and then its first option.
    let option = answer[question.len()..len].first_chunk::<6>();
    let error = option
        .filter(|option| option[..2] == [0, 15])
        .map(|option| u16::from_be_bytes([option[4], option[5]]));
    Some((Heard::read(&answer[..len]).unwrap(), error))
}

const A: u16 = 1;
const SOA: u16 = 6;
const MX: u16 = 15;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const DS: u16 = 43;
const DNAME: u16 = 39;
const NSEC_RECORD: u16 = 47;
const DNSKEY: u16 = 48;
const ANY: u16 = 255;

/// What is to be said: whether it is secure, and the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Secure(u16),
    Insecure(u16),
    /// With this extended error.
    Bogus(u16),
}
use Said::{Bogus, Insecure, Secure};

/// The questions, and their answers.
const TABLE: &[(&str, u16, Said)] = &[
    // Records.
    ("www.nsec.test.", A, Secure(0)),
    ("WWW.nsec.test.", AAAA, Secure(0)),
    ("nsec.test.", MX, Secure(0)),
    ("nsec.test.", SOA, Secure(0)),
    ("nsec.test.", DNSKEY, Secure(0)),
    ("nsec.test.", DS, Secure(0)),
    ("test.", DS, Secure(0)),
    (".", DNSKEY, Secure(0)),
    (".", SOA, Secure(0)),
    ("many.nsec.test.", TXT, Secure(0)),
    ("many.nsec.test.", MX, Secure(0)),
    ("many.nsec.test.", ANY, Secure(0)),
    ("www.nsec.test.", NSEC_RECORD, Secure(0)),
    ("www.nsec3.test.", A, Secure(0)),
    ("www.salted.test.", A, Secure(0)),
    ("www.optout.test.", A, Secure(0)),
    ("www.rsa512.test.", A, Secure(0)),
    ("www.many.test.", A, Secure(0)),
    ("www.a.between.test.", A, Secure(0)),
    ("a.between.test.", DS, Secure(0)),
    // Aliases.
    ("alias.nsec.test.", A, Secure(0)),
    ("there.nsec.test.", A, Secure(0)),
    ("there.nsec.test.", TXT, Secure(0)),
    ("unsigned.nsec.test.", A, Insecure(0)),
    ("broken.nsec.test.", A, Bogus(6)),
    ("www.other.nsec.test.", A, Secure(0)),
    ("none.other.nsec.test.", A, Secure(3)),
    ("other.nsec.test.", DNAME, Secure(0)),
    ("alias.optout.test.", AAAA, Secure(0)),
    // Wildcards.
    ("a.wild.nsec.test.", A, Secure(0)),
    ("a.b.wild.nsec.test.", A, Secure(0)),
    ("a.wild.nsec.test.", TXT, Secure(0)),
    ("not.wild.nsec.test.", A, Secure(0)),
    ("x.aliases.nsec.test.", A, Secure(0)),
    ("a.wild.nsec3.test.", A, Secure(0)),
    ("a.b.wild.nsec3.test.", A, Secure(0)),
    ("a.wild.nsec3.test.", TXT, Secure(0)),
    ("x.aliases.nsec3.test.", A, Secure(0)),
    ("a.wild.salted.test.", A, Secure(0)),
    ("a.wild.optout.test.", A, Insecure(0)),
    // There is none.
    ("www.nsec.test.", TXT, Secure(0)),
    ("none.nsec.test.", A, Secure(3)),
    ("a.none.nsec.test.", A, Secure(3)),
    ("empty.nsec.test.", A, Secure(0)),
    ("b.empty.nsec.test.", A, Secure(0)),
    ("www.nsec3.test.", TXT, Secure(0)),
    ("none.nsec3.test.", A, Secure(3)),
    ("a.b.c.none.nsec3.test.", A, Secure(3)),
    ("b.empty.nsec3.test.", A, Secure(0)),
    ("none.salted.test.", A, Secure(3)),
    ("none.optout.test.", A, Insecure(3)),
    ("www.optout.test.", TXT, Secure(0)),
    ("none.rsa512.test.", A, Secure(3)),
    ("none.many.test.", A, Insecure(3)),
    ("www.many.test.", TXT, Insecure(0)),
    ("between.test.", A, Secure(0)),
    ("none.", A, Secure(3)),
    ("none.test.", DS, Secure(3)),
    ("www.nsec.test.", DS, Secure(0)),
    // Unsigned zones.
    ("www.unsigned.test.", A, Insecure(0)),
    ("none.unsigned.test.", A, Insecure(3)),
    ("www.unsigned.test.", TXT, Insecure(0)),
    ("unsigned.test.", DS, Secure(0)),
    ("www.loose.nsec.test.", A, Insecure(0)),
    ("loose.nsec.test.", DS, Secure(0)),
    ("www.loose.nsec3.test.", A, Insecure(0)),
    ("none.loose.nsec3.test.", A, Insecure(3)),
    ("www.loose.optout.test.", A, Insecure(0)),
    ("none.loose.optout.test.", A, Insecure(3)),
    ("loose.optout.test.", DS, Insecure(0)),
    ("www.signed.unsigned.test.", A, Insecure(0)),
    ("leads.unsigned.test.", A, Bogus(6)),
    ("www.future-kind.test.", A, Insecure(0)),
    ("none.future-kind.test.", A, Insecure(3)),
    // Anchors of the operator's.
    ("www.island.unsigned.test.", A, Secure(0)),
    ("none.island.unsigned.test.", A, Secure(3)),
    ("www.believed.test.", A, Insecure(0)),
    ("none.believed.test.", A, Insecure(3)),
    ("leads.believed.test.", A, Bogus(6)),
    // What is broken.
    ("www.expired.test.", A, Bogus(7)),
    ("none.expired.test.", A, Bogus(7)),
    ("www.early.test.", A, Bogus(8)),
    ("www.tampered.test.", A, Bogus(6)),
    ("alias.tampered.test.", A, Bogus(6)),
    ("www.tampered.test.", AAAA, Secure(0)),
    ("www.nosig.test.", A, Bogus(10)),
    ("www.nosig.test.", AAAA, Secure(0)),
    ("none.noproof.test.", A, Bogus(12)),
    ("a.wild.noproof.test.", A, Bogus(12)),
    ("www.noproof.test.", A, Secure(0)),
    ("www.wrongds.test.", A, Bogus(9)),
    ("www.stripped.test.", A, Bogus(9)),
    ("none.stripped.test.", A, Bogus(9)),
];

/// Whom we trust, as lines of `[resolver]`.
fn trusting(anchors: &[String]) -> String {
    format!(
        "dnssec = \"validate\"\ntrust-anchor = {anchors:?}\nnegative-trust-anchor = [\"believed.test.\"]\n"
    )
}

fn said(port: u16, asked: &str, kind: u16, dnssec_ok: bool) -> Said {
    let (heard, error) = ask(port, asked, kind, dnssec_ok, false).expect("an answer");
    match heard.code {
        2 => Bogus(error.unwrap_or(0)),
        code if heard.flags & AD != 0 => Secure(code),
        code => Insecure(code),
    }
}

/// Both say of every question in the table what it says.
fn agree(ours: u16, theirs: u16) {
    until("Unbound", || ask(theirs, "www.nsec.test.", A, true, false));
    let mut wrong = Vec::new();
    for (asked, kind, wanted) in TABLE {
        let (by_us, by_unbound) = (said(ours, asked, *kind, true), said(theirs, asked, *kind, true));
        // Why, only newer ones tell.
        let agreed = matches!((by_us, by_unbound), (Bogus(_), Bogus(_))) || by_us == by_unbound;
        if !agreed || by_us != *wanted {
            wrong.push(format!("{asked} {kind}: {by_us:?}, Unbound {by_unbound:?}, not {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), TABLE.len(), wrong.join("\n"));
}

#[test]
fn what_is_signed_is_judged_as_unbound_judges_it() {
    if others().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (upstream, theirs) = (port(), port());
    let (conf, anchors) = world(folder.path());
    let _bind = bind(folder.path(), upstream, "recursion no; minimal-responses yes;", &conf.concat());
    let forward = format!("forward-zone:\n name: \".\"\n forward-addr: 127.0.0.1@{upstream}\n");
    let _unbound = unbound(folder.path(), theirs, &anchors, &forward);
    let stub = format!("[[resolver.stub]]\nzone = \".\"\nservers = [\"127.0.0.1:{upstream}\"]\n");
    // The first list waits for every answer, the second has a rule for a name whose signatures have ended.
    let lists = [("first", "32.99.2.0.192.rpz-ip A 192.0.2.80"), ("second", "www.expired.test A 192.0.2.80")];
    let rpz = lists.map(|(list, rule)| {
        let file = folder.path().join(list);
        std::fs::write(&file, format!("@ SOA ns. host. 1 1 1 1 1\n{rule}\n")).unwrap();
        format!("[[resolver.rpz]]\nname = \"{list}.\"\nfile = {file:?}\n")
    });
    let tables = stub + &rpz.concat();
    let mut ours = Running::start(&trusting(&anchors), &tables);
    agree(ours.port, theirs);
    // And a validator behind us comes to the same.
    let behind = port();
    let place = tempfile::tempdir().unwrap();
    let forward = format!("forward-zone:\n name: \".\"\n forward-addr: 127.0.0.1@{}\n", ours.port);
    let _behind = unbound(place.path(), behind, &anchors, &forward);
    agree(ours.port, behind);
    // Once more, from the cache, and for clients that want no signatures.
    for (asked, kind, wanted) in TABLE {
        assert_eq!(said(ours.port, asked, *kind, true), *wanted, "{asked} {kind}");
        assert_eq!(said(ours.port, asked, *kind, false), *wanted, "{asked} {kind}");
        let (heard, _) = ask(ours.port, asked, *kind, false, false).unwrap();
        let mut all = heard.answer.iter().chain(&heard.authority);
        assert!(
            matches!(*kind, ANY | NSEC_RECORD) || all.all(|rr| !matches!(rr.rtype, 46 | 47 | 50)),
            "{asked} {kind}"
        );
    }
    // Who checks signatures gets everything.
    let (heard, _) = ask(ours.port, "www.tampered.test.", A, true, true).unwrap();
    assert_eq!((heard.code, heard.flags & AD), (0, 0));
    assert!(heard.answer.iter().any(|rr| rr.rtype == 46));
    // Of what is forged a rule makes nothing that looks right (above), unless the operator wants it to.
    ours.configure(&(trusting(&anchors) + "break-dnssec = true\n"), &tables);
    ours.kill();
    ours.again();
    let (heard, _) = ask(ours.port, "www.expired.test.", A, true, false).unwrap();
    assert_eq!((heard.flags & AD, addresses(&heard)), (0, (0, vec![vec![192, 0, 2, 80]])));
    assert_eq!(said(ours.port, "www.expired.test.", AAAA, true), Insecure(0));
    assert_eq!(said(ours.port, "www.nsec.test.", A, true), Secure(0));
}

#[test]
fn from_the_root_down_it_is_judged_the_same() {
    if others().is_some() {
        in_a_network_of_its_own(|| {
            for last in 1..=4 {
                assert!(ip(&["address", "add", &format!("10.53.0.{last}/32"), "dev", "lo"]));
            }
            a_server_for_each_level();
        });
    }
}

fn a_server_for_each_level() {
    let folder = tempfile::tempdir().unwrap();
    let (conf, anchors) = world(folder.path());
    let _servers: Vec<Killed> =
        (1..).zip(&conf).map(|(last, zones)| named(folder.path(), last, zones)).collect();
    let hints = folder.path().join("hints");
    std::fs::write(&hints, ". 3600 NS ns.\nns. 3600 A 10.53.0.1\n").unwrap();
    let theirs = port();
    let _unbound = unbound(folder.path(), theirs, &anchors, &format!(" root-hints: {hints:?}\n"));
    let ours = Running::start(&(trusting(&anchors) + "root = [\"10.53.0.1\"]\n"), "");
    agree(ours.port, theirs);
}

/// BIND at one of the four addresses.
fn named(folder: &Path, last: usize, zones: &str) -> Killed {
    let conf = folder.join(format!("named-{last}.conf"));
    let text = format!(
        "options {{ directory {folder:?}; listen-on port 53 {{ 10.53.0.{last}; }}; listen-on-v6 {{ none; }}; pid-file none;\n\
         session-keyfile none; empty-zones-enable no; dnssec-validation no; recursion no; minimal-responses yes; }};\n\
         controls {{}};\n{zones}"
    );
    std::fs::write(&conf, text).unwrap();
    let killed =
        Killed::start(Command::new("named").args(["-f", "-n", "1", "-c"]).arg(&conf).current_dir(folder));
    until("BIND", || std::net::TcpStream::connect(("10.53.0.".to_owned() + &last.to_string(), 53)).ok());
    killed
}
