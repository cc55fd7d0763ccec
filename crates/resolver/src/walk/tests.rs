//! Walks of a small world that a resolver knows already.

use super::*;
use crate::client::{Access, Transport};
use crate::clock::Clock;
use crate::consent::Consents;
use crate::forward::Forward;
use crate::heard::Heard;
use crate::message::{Asking, write_question};
use crate::name::Secret;
use crate::policy::{Editor, Override, Servers, ZoneSettings};
use crate::resolver::{AtOnce, BackEnd, Settings, WarningPage};
use crate::step::Rr;

const SECRET: Secret = Secret([5; 16]);

fn name(text: &str) -> Name {
    Name::from_text(text.as_bytes(), &Name::ROOT).unwrap()
}

/// A resolver that knows some of the world, with zones in their order.
struct World {
    resolver: Resolver,
    clock: Clock,
}

impl World {
    fn with(zones: &[&str], settings: Settings) -> Self {
        let named = |at: usize| ZoneSettings::new(name(&format!("rpz{at}.")));
        let mut editor = Editor::new(SECRET, (0..zones.len()).map(named).collect());
        for (at, text) in zones.iter().enumerate() {
            let read = editor.replace_by_file(at as u8, text.as_bytes(), 0).unwrap();
            assert_eq!(read.refused, []);
        }
        let clock = Clock::set();
        let back_end = BackEnd::Forward(Forward::new([], clock.clone()));
        let resolver =
            Resolver::new(settings, SECRET, editor.published(), Access::local(), back_end, clock.clone());
        Self { resolver, clock }
    }

    fn new(zones: &[&str]) -> Self {
        Self::with(zones, Settings::default())
    }

    /// Somebody knows these addresses, or where a name leads, for a minute.
    fn knows(self, owner: &str, records: &[(u16, &[u8])]) -> Self {
        self.knows_from(owner, records, None)
    }

    fn knows_from(self, owner: &str, records: &[(u16, &[u8])], servers: Option<&Servers>) -> Self {
        let owner = name(owner);
        let rr = |(rtype, data): &(u16, &[u8])| Rr { owner, rtype: *rtype, ttl: 60, data: data.to_vec() };
        let answer: Vec<Rr> = records.iter().map(rr).collect();
        let heard = Heard { answer, ..Heard::default() };
        let wanted = Wanted { name: owner, rtype: rtype::A, dnssec_ok: false, checking_disabled: false };
        for dnssec_ok in [false, true] {
            let wanted = Wanted { dnssec_ok, ..wanted };
            let (_, mut step) = heard.steps(&wanted, &Name::ROOT, self.clock.now_s()).remove(0);
            step.servers = servers.cloned().map(Arc::new);
            self.resolver.cache().keep(&wanted, Arc::new(step));
        }
        self
    }

    /// What a question comes to: the code and addresses, or why there is no answer.
    fn ask_with(&self, asked: &str, dnssec_ok: bool) -> String {
        let mut wire = Vec::new();
        let asking = Asking { rtype: rtype::A, recursion: true, dnssec_ok, checking_disabled: false };
        write_question(&mut wire, 1, &name(asked), asking, 1232);
        let mut out = Vec::new();
        let policy = self.resolver.policy();
        match self.resolver.answer(&policy, &wire, [127, 0, 0, 1].into(), Transport::Udp, &mut out) {
            AtOnce::Answered(_) => {
                let heard = Heard::read(&out).unwrap();
                let told = heard.answer.iter().map(|rr| match rr.rtype {
                    rtype::CNAME => Name::from_wire(&rr.data).unwrap().0.to_string(),
                    _ => format!("{:?}/{}", rr.data, rr.ttl),
                });
                format!("{} {}", heard.code, told.collect::<Vec<_>>().join(" ")).trim_end().to_owned()
            }
            AtOnce::Silent(_) => "silence".into(),
            AtOnce::Later => "later".into(),
            other => panic!("{other:?}"),
        }
    }

    fn ask(&self, asked: &str) -> String {
        self.ask_with(asked, false)
    }
}

const ADDRESS: [u8; 4] = [192, 0, 2, 1];
const A: &[(u16, &[u8])] = &[(rtype::A, &ADDRESS)];

#[test]
fn an_earlier_zone_that_sees_the_answer_comes_before_a_later_one_that_sees_the_question() {
    let by_answer = "32.1.2.0.192.rpz-ip CNAME .\n";
    let by_question = "a.example CNAME *.\n";
    // Nothing is known: the earlier zone could decide, so the answer is fetched first.
    assert_eq!(World::new(&[by_answer, by_question]).ask("a.example."), "later");
    assert_eq!(World::new(&[by_answer, by_question]).knows("a.example.", A).ask("a.example."), "3");
    let elsewhere: &[(u16, &[u8])] = &[(rtype::A, &[192, 0, 2, 9])];
    assert_eq!(World::new(&[by_answer, by_question]).knows("a.example.", elsewhere).ask("a.example."), "0");
    // The other way round nobody waits.
    assert_eq!(World::new(&[by_question, by_answer]).ask("a.example."), "0");
    assert_eq!(World::new(&[by_question, by_answer]).knows("b.example.", A).ask("b.example."), "3");
}

#[test]
fn each_name_of_a_chain_is_looked_at_and_passthru_ends_it() {
    let target = name("c.example.");
    let chain =
        |world: World| world.knows("b.example.", &[(rtype::CNAME, target.wire())]).knows("c.example.", A);
    let listed = "c.example CNAME .\n";
    assert_eq!(chain(World::new(&[""])).ask("b.example."), "0 c.example. [192, 0, 2, 1]/60");
    assert_eq!(chain(World::new(&[listed])).ask("b.example."), "3 c.example.");
    let passing = "b.example CNAME rpz-passthru.\n";
    assert_eq!(chain(World::new(&[passing, listed])).ask("b.example."), "0 c.example. [192, 0, 2, 1]/60");
    assert_eq!(chain(World::new(&[passing, listed])).ask("c.example."), "3");
    let rule = "*.x CNAME b.example.\n";
    assert_eq!(chain(World::new(&[rule])).ask("y.x."), "0 b.example. c.example. [192, 0, 2, 1]/60");
    let round = World::new(&["a CNAME b.\nb CNAME a.\n"]);
    assert_eq!(round.ask("a."), "2", "a chain that goes round ends");
    let long = format!("*.l CNAME *.{}.\n", ["x".repeat(63), "y".repeat(63), "z".repeat(63)].join("."));
    assert_eq!(World::new(&[&long]).ask(&format!("{}.l.", "a".repeat(63))), "6", "it would be too long");
}

#[test]
fn by_its_name_servers_a_name_is_judged_once_they_are_known() {
    let rules = "ns.bad.rpz-nsdname CNAME .\n24.0.2.0.192.rpz-nsip CNAME rpz-drop.\n";
    let from = |server: &str, address: [u8; 4]| Servers {
        names: vec![name(server)],
        addresses: vec![address.into()],
    };
    let world = |servers: Option<Servers>| World::new(&[rules]).knows_from("a.example.", A, servers.as_ref());
    assert_eq!(world(None).ask("a.example."), "later");
    assert_eq!(world(Some(from("ns.good.", [198, 51, 100, 1]))).ask("a.example."), "0 [192, 0, 2, 1]/60");
    assert_eq!(
        world(Some(from("ns.bad.", [192, 0, 2, 53]))).ask("a.example."),
        "3",
        "the name comes before the address"
    );
    assert_eq!(world(Some(from("ns.good.", [192, 0, 2, 53]))).ask("a.example."), "silence");
}

#[test]
fn who_checks_signatures_gets_what_is_signed_as_it_is() {
    let signature = [&[0u8, 1][..], &[0; 16], &[0], &[9]].concat();
    let signed: &[(u16, &[u8])] = &[(rtype::A, &ADDRESS), (rtype::RRSIG, &signature)];
    let rules = "a.example CNAME .\nb.example CNAME .\n";
    let world = |settings| World::with(&[rules], settings).knows("a.example.", signed).knows("b.example.", A);
    let strict = world(Settings::default());
    assert_eq!(strict.ask("a.example."), "3");
    assert!(strict.ask_with("a.example.", true).starts_with("0 [192, 0, 2, 1]/60"));
    assert_eq!(strict.ask_with("b.example.", true), "3", "it is not signed");
    let breaking = world(Settings { break_dnssec: true, ..Settings::default() });
    assert_eq!(breaking.ask_with("a.example.", true), "3");
}

/// What a question of `client` comes to: code, addresses, and the words of the extended error.
fn asked(world: &World, client: &str, transport: Transport, rtype: u16, shows: bool) -> String {
    let mut wire = Vec::new();
    let asking = Asking { rtype, recursion: true, dnssec_ok: false, checking_disabled: false };
    write_question(&mut wire, 1, &name("a.example."), asking, 1232);
    if shows {
        // The OPT record is the message's end: it gets an option, and its length.
        let len = wire.len();
        wire[len - 2..].copy_from_slice(&4u16.to_be_bytes());
        wire.extend([0, 26, 0, 0]);
    }
    let mut out = Vec::new();
    let policy = world.resolver.policy();
    let at_once = world.resolver.answer(&policy, &wire, client.parse().unwrap(), transport, &mut out);
    assert!(matches!(at_once, AtOnce::Answered(_)), "{at_once:?}");
    let heard = Heard::read(&out).unwrap();
    let addresses: Vec<IpAddr> =
        heard.answer.iter().filter_map(|rr| crate::step::address(rr.rtype, &rr.data)).collect();
    let words = out.windows(4).position(|at| at == b"{\"j\"").map_or("", |_| " with words");
    let error = out.windows(2).any(|at| at == [0, 15]);
    format!("{} {addresses:?}{}{words}", heard.code, if error { " blocked" } else { "" })
}

fn warning(by_consent: Option<u8>) -> World {
    let settings = ZoneSettings {
        action: Override::Warn,
        by_consent,
        structured_error: Some("{\"j\":\"malware\"}".into()),
        ..ZoneSettings::new(name("rpz0."))
    };
    let mut editor = Editor::new(SECRET, vec![settings]);
    editor.replace_by_file(0, "a.example CNAME .\nb.example CNAME rpz-passthru.\n".as_bytes(), 0).unwrap();
    let clock = Clock::set();
    let back_end = BackEnd::Forward(Forward::new([], clock.clone()));
    let page = WarningPage { v4: Some([198, 51, 100, 1].into()), v6: "2001:db8::1".parse().ok(), ttl_s: 5 };
    let settings = Settings { warning: page, ..Settings::default() };
    let mut access = Access::local();
    access.grant("192.0.2.0/24".parse().unwrap(), true);
    access.grant("2001:db8::/32".parse().unwrap(), true);
    let nobody = Consents::nobody(&["192.0.2.0/24".parse().unwrap()], 56).unwrap();
    nobody.holds_until(u32::MAX);
    let resolver = Resolver::new(settings, SECRET, editor.published(), access, back_end, clock.clone());
    World { resolver: resolver.by_consent(vec![nobody]), clock }.knows("a.example.", A)
}

#[test]
fn a_warning_leads_to_its_page_over_the_clients_own_family() {
    let world = warning(None);
    let (v4, v6) = ("192.0.2.7", "2001:db8::7");
    let ask = |client, rtype| asked(&world, client, Transport::Udp, rtype, false);
    assert_eq!(ask(v4, rtype::A), "0 [198.51.100.1] blocked");
    assert_eq!(ask(v4, rtype::AAAA), "0 [] blocked");
    assert_eq!(ask(v6, rtype::AAAA), "0 [2001:db8::1] blocked");
    assert_eq!(ask(v6, rtype::A), "0 [] blocked");
    assert_eq!(ask(v4, 65), "0 [] blocked", "nor does an HTTPS record lead elsewhere");
    assert_eq!(asked(&world, v4, Transport::Tls, rtype::A, true), "3 [] blocked with words");
    assert_eq!(
        asked(&world, v4, Transport::Udp, rtype::A, true),
        "0 [198.51.100.1] blocked with words",
        "a program does not believe what anybody may have sent"
    );
}

#[test]
fn who_goes_on_gets_what_was_asked_for_until_it_ends() {
    let world = warning(None);
    let now_s = world.clock.now_s();
    let ask = |client| asked(&world, client, Transport::Udp, rtype::A, false);
    world.resolver.exemptions().add("192.0.2.7".parse().unwrap(), &name("a.example."), now_s, now_s + 30);
    assert_eq!(ask("192.0.2.7"), "0 [192.0.2.1]");
    assert_eq!(ask("192.0.2.8"), "0 [198.51.100.1] blocked", "nobody else");
    world.clock.advance(30);
    assert_eq!(ask("192.0.2.7"), "0 [198.51.100.1] blocked");
}

#[test]
fn without_consent_there_is_a_plain_answer() {
    let world = warning(Some(0));
    let ask = |client| asked(&world, client, Transport::Udp, rtype::A, false);
    assert_eq!(ask("192.0.2.7"), "0 [192.0.2.1]");
    world.resolver.consents()[0].say("192.0.2.7/32".parse().unwrap(), true);
    assert_eq!(
        (ask("192.0.2.7"), ask("192.0.2.8")),
        ("0 [198.51.100.1] blocked".into(), "0 [192.0.2.1]".into())
    );
    world.resolver.consents()[0].say("192.0.2.7/32".parse().unwrap(), false);
    assert_eq!(ask("192.0.2.7"), "0 [192.0.2.1]");
}

#[test]
fn what_is_known_grows_old() {
    let world = World::new(&[""]).knows("a.example.", A);
    world.clock.advance(50);
    assert_eq!(world.ask("a.example."), "0 [192, 0, 2, 1]/10");
    world.clock.advance(10);
    assert_eq!(world.ask("a.example."), "later");
}
