//! Any octets as a question to the resolver, answered from a policy with every kind of rule, and as another server's answer: an answer is a message, repeats the
//! question, and fits.
#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;

use domain::base::Message;
use libfuzzer_sys::fuzz_target;
use noroshi_resolver::cache::Wanted;
use noroshi_resolver::client::{Access, Transport};
use noroshi_resolver::clock::Clock;
use noroshi_resolver::forward::Forward;
use noroshi_resolver::heard::Heard;
use noroshi_resolver::message::Query;
use noroshi_resolver::name::{Name, Secret};
use noroshi_resolver::policy::{Editor, ZoneSettings};
use noroshi_resolver::resolver::{AtOnce, BackEnd, Resolver, Settings};

const RULES: &[u8] = b"@ SOA ns. host. 1 1 1 1 1\n*.a CNAME *.garden.test.\nb CNAME c.\nc TXT \"x\"\nc A 192.0.2.1\n*.d CNAME rpz-tcp-only.\n\
    e CNAME rpz-drop.\n*.f CNAME .\n24.0.2.0.192.rpz-client-ip CNAME *.\n";

static RESOLVER: LazyLock<Resolver> = LazyLock::new(|| {
    let secret = Secret([1; 16]);
    let zone = Name::from_text(b"rpz.", &Name::ROOT).unwrap();
    let mut editor = Editor::new(secret, vec![ZoneSettings::new(zone)]);
    editor.replace_by_file(0, RULES, 0).unwrap();
    let mut access = Access::local();
    access.grant("0.0.0.0/0".parse().unwrap(), true);
    let clock = Clock::set();
    let back_end = BackEnd::Forward(Forward::new([], clock.clone()));
    Resolver::new(Settings::default(), secret, editor.published(), access, back_end, clock)
});

fuzz_target!(|octets: &[u8]| {
    let policy = RESOLVER.policy();
    let mut out = Vec::new();
    for (client, transport) in
        [([127, 0, 0, 1], Transport::Udp), ([192, 0, 2, 7], Transport::Tcp), ([127, 0, 0, 1], Transport::Tls)]
    {
        if let AtOnce::Answered(_) =
            RESOLVER.answer(&policy, octets, IpAddr::from(client), transport, &mut out) {
            let message = Message::from_octets(&out).unwrap();
            assert!(message.header().qr() && out[..2] == octets[..2]);
            assert!(transport.is_stream() || out.len() <= 1232, "{}", out.len());
            for section in [message.answer(), message.authority(), message.additional()] {
                section.unwrap().for_each(|record| drop(record.unwrap()));
            }
            if let Ok(query) = Query::read(octets) {
                assert_eq!(out[12..12 + query.question.len()], *query.question);
            }
        }
    }
    if let Ok(heard) = Heard::read(octets) {
        let name = heard.answer.first().map_or(Name::ROOT, |rr| rr.owner);
        let wanted = Wanted { name, rtype: 1, dnssec_ok: true, checking_disabled: false };
        for (_, step) in heard.steps(&wanted, &Name::ROOT, 7) {
            assert!(step.octets() > 0 && step.answer.iter().chain(step.authority.iter()).count() < 10_000);
        }
    }
});
