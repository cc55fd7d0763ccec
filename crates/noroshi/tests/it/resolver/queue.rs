//! Rules from a real NATS server: they hold as soon as they are there, once, over restarts of both, and what is no rule stops nobody.

use std::time::{Duration, Instant};

use async_nats::jetstream::stream;
use tokio::runtime::Runtime;

use super::world::{Running, ask, port, until};
use crate::nats::{Nats, program};

#[test]
fn a_rule_from_the_queue_holds_at_once() {
    let Some(program) = program() else { return };
    let (place, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
    let nats = Nats::start(&program, place.path(), port());
    let context = runtime.block_on(async {
        let context = nats.context().await;
        let config = stream::Config {
            name: "RULES".into(),
            subjects: vec!["rules".into()],
            ..stream::Config::default()
        };
        context.get_or_create_stream(config).await.unwrap();
        context
    });
    let publish = |message: &str| {
        let message = message.to_owned();
        runtime.block_on(async { context.publish("rules", message.into()).await.unwrap().await.unwrap() });
    };
    publish("{\"zone\": \"own.test\", \"add\": [\"early.example CNAME .\"]}");
    let lines = format!("forward = [\"127.0.0.1:{}\"]", port());
    let tables = format!(
        "[resolver.queue]\nnats = \"{}\"\nstream = \"RULES\"\n[[resolver.rpz]]\nname = \"own.test\"\nlocal = true\n",
        nats.url()
    );
    let mut running = Running::start(&lines, &tables);
    let blocked =
        |running: &Running, name: &str| ask(running.port, name, 1).is_some_and(|heard| heard.code == 3);
    until("what was there before", || blocked(&running, "early.example.").then_some(()));

    let mut took = Vec::new();
    for number in 0..20 {
        let begun = Instant::now();
        publish(&format!("{{\"zone\": \"own.test\", \"add\": [\"n{number}.example CNAME .\"]}}"));
        while !blocked(&running, &format!("n{number}.example.")) {
            assert!(begun.elapsed() < Duration::from_secs(10));
        }
        took.push(begun.elapsed());
    }
    took.sort();
    println!("from being published to the first answer: median {:?}, longest {:?}", took[10], took[19]);

    for none in [
        "",
        "[]",
        "{\"zone\": \"other.test\"}",
        "{\"zone\": \"own.test\", \"add\": [\"x SOA\"]}",
        "{\"zone\": \"own.test\", \"ad\": []}",
    ] {
        publish(none);
    }
    publish(
        "{\"zone\": \"own.test\", \"add\": [\"last.example CNAME .\"], \"remove\": [\"n3.example CNAME .\"]}",
    );
    until("the rule behind", || blocked(&running, "last.example.").then_some(()));
    assert!(!blocked(&running, "n3.example.") && blocked(&running, "n4.example."));
    assert_eq!(running.log().matches("a message is no change").count(), 5, "{}", running.log());

    let serial = running.serial();
    running.kill();
    running.again();
    until("what is kept", || blocked(&running, "last.example.").then_some(()));
    publish("{\"zone\": \"own.test\", \"add\": [\"after.example CNAME .\"]}");
    until("the queue again", || blocked(&running, "after.example.").then_some(()));
    assert_eq!(running.serial(), serial.map(|serial| serial + 1), "nothing is taken twice");
}
