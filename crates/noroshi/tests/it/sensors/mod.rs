//! Sensors apart from the hub: real NATS servers in networks of their own, a link between them that is cut and loses packets, and kills at
//! any moment. Each packet is taken in once, what is missing is told meanwhile, and no address of the telescope is in anything that is said.

mod field;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures_util::StreamExt as _;
use noroshi_wire::batch::{self, Head, Run};
use noroshi_wire::capture::Frames;
use serde_json::Value;

use crate::darknet::{in_a_network_of_its_own, kept};
use crate::nats;
use crate::world::{last_json, noroshi, run_any, say, text};

use field::*;

#[test]
fn nothing_is_lost_or_doubled_over_a_link_that_is_cut_and_loses_packets_while_everybody_is_killed() {
    let (cut_s, pace) = (wanted("NOROSHI_TEST_CUT_S", 6), wanted("NOROSHI_TEST_PACE", 1500));
    let Some(field) = Field::new("cut") else { return };
    let packets = pace * (cut_s + 6);
    let capture = capture(field.folder.path(), packets);
    let pace = pace.to_string();
    let begun = Instant::now();
    let (hub_server, leaf) = (field.nats_of_hub(), field.nats_of_sensor("north.conf"));
    let (hub, sensor) = (field.hub(), field.sensor(&capture, &pace));
    wait_for("the first packets", || field.packets() > 0);
    field.nets.link("down");
    let cut = Instant::now();
    std::thread::sleep(Duration::from_secs(1));
    sensor.kill();
    let sensor = field.sensor(&capture, &pace);
    std::thread::sleep(Duration::from_secs(1));
    leaf.kill();
    std::thread::sleep(Duration::from_secs(1));
    let leaf = field.nats_of_sensor("north.conf");
    wait_for("the gap is told", || has_gap(&hub.said(), "silent"));
    let meanwhile = field.packets();
    std::thread::sleep(Duration::from_secs(cut_s.into()).saturating_sub(cut.elapsed()));
    assert_eq!(field.packets(), meanwhile, "nothing comes over a link that is cut");
    let was_cut = cut.elapsed();
    field.nets.link("up");
    let up = Instant::now();
    wait_for("it comes again", || field.packets() > meanwhile);
    let again = up.elapsed();
    hub.kill();
    let hub = field.hub();
    std::thread::sleep(Duration::from_millis(300));
    hub_server.kill();
    let hub_server = field.nats_of_hub();
    std::thread::sleep(Duration::from_millis(700));
    sensor.kill();
    let mut sensor = field.sensor(&capture, &pace);
    wait_for("the sensor has handed over all", || sensor.child.try_wait().unwrap().is_some());
    wait_for("the hub has taken all", || field.packets() >= u64::from(packets));
    // The last batch may be without packets.
    let batches = last_json(&sensor.said())["batches"].clone();
    wait_for("the last batch", || field.listed()["batches"].as_u64() >= batches.as_u64());
    std::thread::sleep(Duration::from_secs(1));
    let listed = field.listed();
    let lost = field.nets.lost();
    say(format_args!(
        "{packets} packets, cut for {was_cut:.1?}, {lost} packets of the link lost, come again after {again:.1?}, all after {:.1?}: {listed}",
        begun.elapsed()
    ));
    assert_eq!((&listed["packets"], &listed["gaps"]), (&packets.into(), &serde_json::json!([])));
    assert_eq!(listed["batches"], batches);
    assert_eq!((&listed["lost"], &listed["refused"]), (&0.into(), &0.into()));
    // For history each batch is kept, and once, whoever was killed.
    let (batches, kept_packets) = kept(&field.path("kept"));
    let numbers: Vec<u64> = batches.iter().map(|(_, number)| *number).collect();
    assert_eq!(numbers, (0..listed["batches"].as_u64().unwrap()).collect::<Vec<_>>());
    assert_eq!(kept_packets.len() as u64, u64::from(packets));
    assert!(lost > 0, "the link lost nothing");
    let said = [hub.end(), sensor.said(), listed.to_string()].concat();
    assert!(has_gap(&said, "heard"));
    drop((hub_server, leaf));
    nobody_tells(&field, &said);
}

/// No address of the telescope is in what was said, by whomever.
fn nobody_tells(field: &Field, said: &str) {
    let logs = ["nats-hub.log", "nats-sensor.log", "hub.log", "sensor.log", "hub/sensors/north.json"];
    let logs = logs.map(|name| std::fs::read_to_string(field.path(name)).unwrap());
    for said in logs.iter().map(String::as_str).chain([said]) {
        assert!(!said.contains(SECRET), "{}", said.lines().find(|line| line.contains(SECRET)).unwrap_or(""));
    }
}

#[test]
fn the_hub_comes_to_what_a_replay_comes_to_and_strangers_are_refused() {
    let Some(field) = Field::new("same") else { return };
    let capture = capture(field.folder.path(), 4000);
    let hub_server = field.nats_of_hub();
    let certificates = field.path("hub/sensors/nats");
    // One whose certificate nobody vouches for, and one who is not this sensor.
    let stranger = certificates.join("stranger");
    std::fs::create_dir(&stranger).unwrap();
    let script = std::fs::read_to_string(certificates.join("certificates.sh")).unwrap();
    std::fs::write(stranger.join("certificates.sh"), &script).unwrap();
    field.certificates(&stranger);
    std::fs::write(certificates.join("certificates.sh"), script.replace("north", "south")).unwrap();
    field.certificates(&certificates);
    let conf = std::fs::read_to_string(certificates.join("north.conf")).unwrap();
    for (name, from, why) in [
        ("stranger", "stranger/north", "unknown authority|bad certificate"),
        ("south", "south", "uthentication|not accept"),
    ] {
        let file = format!("{name}.conf");
        std::fs::write(certificates.join(&file), conf.replace("\"north.", &format!("\"{from}."))).unwrap();
        let leaf = field.nats_of_sensor(&file);
        let refused = || {
            let said = std::fs::read_to_string(field.path("nats-hub.log")).unwrap();
            why.split('|').any(|why| said.contains(why))
        };
        wait_for(name, refused);
        leaf.kill();
    }
    let (leaf, mut hub) = (field.nats_of_sensor("north.conf"), field.hub());
    let mut sensor = field.sensor(&capture, "1000000");
    wait_for("the sensor has handed over all", || sensor.child.try_wait().unwrap().is_some());
    wait_for("the hub has taken all", || field.packets() >= 4000);
    assert!(hub.child.try_wait().unwrap().is_none());
    let said = hub.end();
    let replayed = noroshi(field.folder.path())
        .args([
            "darknet",
            "replay",
            "--network",
            "198.18.0.0/15",
            "--organisation",
            "all=0.0.0.0/0",
            "--json",
        ])
        .arg(&capture)
        .output()
        .unwrap();
    let (told, replayed) = (last_json(&said), last_json(&text(&replayed.stdout)));
    for key in
        ["packets", "ours", "sources", "classes", "tools", "first", "last", "alerts", "victims", "not_read"]
    {
        assert_eq!(told[key], replayed[key], "{key}");
    }
    assert_eq!(told["packets"], 4000);
    drop((hub_server, leaf));
    nobody_tells(&field, &said);
}

#[test]
fn a_batch_that_is_missing_is_told_of_waited_for_and_taken_when_it_comes() {
    let Some(program) = nats::program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let capture = capture(folder.path(), 3000);
    let port = nats::free_port();
    let server = format!("nats://127.0.0.1:{port}");
    let sensor = || {
        let mut command = noroshi(&folder.path().join("sensor"));
        command.args([
            "sensor",
            "--name",
            "north",
            "--server",
            &server,
            "--every-ms",
            "100",
            "--pace",
            "5000",
        ]);
        command.args(["--json", "--stream-mib", "64", "--replay"]).arg(&capture);
        Process::start(&mut command, &folder.path().join("sensor.log"))
    };
    // Without a server all batches wait in the spool.
    let first = sensor();
    let spool = || {
        let runs = std::fs::read_dir(folder.path().join("sensor/spool")).into_iter().flatten();
        let files = runs.flat_map(|run| std::fs::read_dir(run.unwrap().path()).unwrap());
        let batches = files
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "batch"));
        let mut batches: Vec<_> = batches.collect();
        batches.sort();
        batches
    };
    wait_for("batches", || spool().len() >= 4);
    first.kill();
    let batches = spool();
    let (missing, aside) = (&batches[1], folder.path().join("aside"));
    std::fs::rename(missing, &aside).unwrap();
    let configuration = format!(
        "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\", domain: north }}\n",
        folder.path().join("js").display()
    );
    std::fs::write(folder.path().join("nats.conf"), configuration).unwrap();
    let mut command = Command::new(&program);
    command.arg("-c").arg(folder.path().join("nats.conf"));
    let _server = Process::start(&mut command, &folder.path().join("nats.log"));
    let data = folder.path().join("hub");
    let hub = |patience: &str| {
        let mut command = noroshi(&data);
        command.args(["darknet", "hub", "--json", "--sensor", "north", "--server", &server]);
        command.args(["--patience-s", patience, "--again-after-s", "1"]);
        Process::start(&mut command, &folder.path().join("hub.log"))
    };
    let listed = || last_json(&text(&run_any(&data, &["darknet", "sensors", "list", "--json"]).stdout));
    let hub_before = hub("600");
    let mut second = sensor();
    wait_for("the sensor has handed over the rest", || second.child.try_wait().unwrap().is_some());
    wait_for("the gap is told", || has_gap(&hub_before.said(), "open"));
    wait_for("the gap is listed", || listed()["gaps"][0]["state"] == "open");
    let (gap, taken) = (listed()["gaps"][0].clone(), listed()["packets"].as_u64().unwrap());
    assert_eq!((&gap["from"], &gap["to"], &listed()["batches"]), (&1.into(), &1.into(), &1.into()));
    // What is no batch, or another sensor's, is refused and does not come again.
    let south = Head {
        sensor: "south".parse().unwrap(),
        run: Run([1; 16]),
        number: 0,
        before: 0,
        made_ns: 0,
        lost: 0,
        left_out: 0,
    };
    publish(&server, &[b"hello".to_vec(), batch::write(&south, &Frames::default()).unwrap()]);
    wait_for("both are refused", || listed()["refused"] == 2);
    assert!(hub_before.said().contains("sensor north: a batch of another sensor"), "{}", hub_before.said());
    hub_before.kill();
    // Who does not wait takes the others, and knows what is missing.
    let hub_after = hub("1");
    let without = 3000 - gap["packets"].as_u64().unwrap();
    wait_for("the others are taken", || listed()["packets"] == without);
    assert_eq!(
        (&listed()["gaps"][0]["state"], &listed()["gaps"][0]["packets"]),
        (&"missing".into(), &gap["packets"])
    );
    std::fs::rename(&aside, missing).unwrap();
    let mut third = sensor();
    wait_for("the sensor has handed over what was missing", || third.child.try_wait().unwrap().is_some());
    wait_for("it is taken", || listed()["packets"] == 3000);
    assert_eq!(listed()["gaps"], serde_json::json!([]));
    assert!(has_gap(&hub_after.said(), "filled"));
    let told = last_json(&hub_after.end());
    assert_eq!((&told["packets"], &listed()["late"]), (&(3000 - taken).into(), &0.into()), "{told}");
}

/// Puts messages into the stream of the sensor north.
fn publish(server: &str, messages: &[Vec<u8>]) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let context = jetstream::new(async_nats::connect(server).await.unwrap());
        for message in messages {
            let stored = context.publish("noroshi.sensor.north", message.clone().into()).await.unwrap();
            stored.await.unwrap();
        }
    });
}

/// Whoever is at a sensor's server reaches the hub's in the sensor's own inbox, is reached for its own stream, and that is all.
#[test]
fn a_sensor_that_was_broken_into_sees_and_reaches_nothing_of_others() {
    let Some(field) = Field::new("isle") else { return };
    let (hub_server, leaf) = (field.nats_of_hub(), field.nats_of_sensor("north.conf"));
    let met = Arc::new(AtomicUsize::new(0));
    let client = |(network, user, file): (&str, &'static str, &str),
                  subscribe: Vec<&'static str>,
                  publish: Vec<&'static str>,
                  wanted: &'static str| {
        let network = std::fs::File::open(format!("/run/netns/{network}")).unwrap();
        let password =
            std::fs::read_to_string(field.path("hub/sensors").join(file)).unwrap().trim().to_owned();
        let met = Arc::clone(&met);
        std::thread::spawn(move || {
            nix::sched::setns(network, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(heard((user, password), &subscribe, &publish, wanted, &met))
        })
    };
    let to_hub = vec![
        "_INBOX.south.1",
        "noroshi.sensor.south",
        "$JS.ACK.noroshi-south.1",
        "anything",
        "_INBOX.north.1",
    ];
    let to_sensor = vec![
        "secret",
        "_INBOX.south.2",
        "$JS.south.API.INFO",
        "$JS.ACK.noroshi-south.2",
        "$JS.ACK.noroshi-north.2",
    ];
    let hub_hears = vec!["_INBOX.south.>", "noroshi.>", "anything", "$JS.>", "_INBOX.north.>"];
    let sensor_hears = vec!["secret", "_INBOX.>", "$JS.>"];
    let (at_hub, at_sensor) = (&*field.nets.hub, &*field.nets.sensor);
    let both = [
        client((at_hub, "hub", "hub.password"), hub_hears, to_sensor, "_INBOX.north.1"),
        client((at_sensor, "sensor", "north.password"), sensor_hears, to_hub, "$JS.ACK.noroshi-north.2"),
    ];
    let [at_hub, at_sensor] = both.map(|client| client.join().unwrap());
    drop((hub_server, leaf));
    let from_other = |heard: Vec<String>, own: &[&str]| -> Vec<String> {
        let mut heard: Vec<_> =
            heard.into_iter().filter(|subject| !own.contains(&subject.as_str())).collect();
        heard.sort();
        heard.dedup();
        heard
    };
    let own_of_hub = [
        "secret",
        "_INBOX.south.2",
        "$JS.south.API.INFO",
        "$JS.ACK.noroshi-south.2",
        "$JS.ACK.noroshi-north.2",
    ];
    assert_eq!(from_other(at_hub, &own_of_hub), ["_INBOX.north.1"]);
    let own_of_sensor =
        ["_INBOX.south.1", "noroshi.sensor.south", "$JS.ACK.noroshi-south.1", "anything", "_INBOX.north.1"];
    assert_eq!(from_other(at_sensor, &own_of_sensor), ["$JS.ACK.noroshi-north.2"]);
}

/// What is heard on these subjects until both have heard what each is to hear and a second has passed, in which all of those are said again
/// and again.
async fn heard(
    login: (&str, String),
    subscribe: &[&str],
    publish: &[&str],
    wanted: &str,
    met: &AtomicUsize,
) -> Vec<String> {
    let options = || async_nats::ConnectOptions::with_user_and_password(login.0.to_owned(), login.1.clone());
    let begun = Instant::now();
    let client = loop {
        match options().connect("127.0.0.1:4222").await {
            Ok(client) => break client,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
    };
    let mut all = Vec::new();
    for subject in subscribe {
        all.push(client.subscribe(subject.to_string()).await.unwrap());
    }
    let (mut heard, mut rounds) = (Vec::new(), 0);
    while rounds < 10 && begun.elapsed() < PATIENCE {
        for subject in publish {
            client.publish(subject.to_string(), "hello".into()).await.unwrap();
        }
        client.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        for subscriber in &mut all {
            while let Ok(Some(message)) =
                tokio::time::timeout(Duration::from_millis(1), subscriber.next()).await
            {
                let subject = message.subject.to_string();
                if subject == wanted && !heard.contains(&subject) {
                    met.fetch_add(1, Ordering::Relaxed);
                }
                heard.push(subject);
            }
        }
        rounds += usize::from(met.load(Ordering::Relaxed) == 2);
    }
    heard
}

#[test]
fn a_sensor_watches_an_interface_and_keeps_what_it_saw_while_its_server_is_away() {
    in_a_network_of_its_own(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = noroshi(folder.path());
        command.args([
            "sensor",
            "--name",
            "north",
            "--interface",
            "lo",
            "--network",
            "127.77.0.0/16",
            "--json",
        ]);
        let sensor = Process::start(&mut command, &folder.path().join("said"));
        wait_for("it watches, or may not", || {
            sensor.said().contains("watching lo") || sensor.said().contains("CAP_NET_RAW")
        });
        if sensor.said().contains("CAP_NET_RAW") {
            return println!("not run: {}", sensor.said());
        }
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for n in 0..500 {
            // One in five to somebody else.
            let to = std::net::Ipv4Addr::new(
                127,
                if n % 5 == 0 { 9 } else { 77 },
                (n / 200) as u8,
                (n % 200) as u8 + 1,
            );
            let _refused = socket.send_to(b"anybody?", (to, 5060));
        }
        std::thread::sleep(Duration::from_millis(1500));
        let said = sensor.end();
        let told = last_json(&said);
        assert_eq!((&told["packets"], &told["lost"]), (&400.into(), &0.into()), "{said}");
        assert!(
            told["waiting"].as_u64().unwrap() >= 1 && told["left_out"].as_u64().unwrap() >= 100,
            "{said}"
        );
        assert!(!said.contains("127.77") && said.contains("batches wait"), "{said}");
    });
}

/// Two sensors; what one brings is of a time that the other has left behind.
#[test]
fn what_a_sensor_brings_after_others_went_on_counts_and_is_no_campaign() {
    let Some(program) = nats::program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let [client, leaf, north, south] = [(); 4].map(|()| nats::free_port());
    let mut servers = Vec::new();
    let mut serve = |name: &str, configuration: String| {
        std::fs::write(path(&format!("{name}.conf")), configuration).unwrap();
        let mut command = Command::new(&program);
        command.arg("-c").arg(path(&format!("{name}.conf")));
        servers.push(Process::start(&mut command, &path(&format!("{name}.log"))));
    };
    let link = format!("leafnodes {{ listen: \"127.0.0.1:{leaf}\" }}");
    serve("servers-hub", format!("listen: \"127.0.0.1:{client}\"\n{link}\n"));
    for (name, port) in [("north", north), ("south", south)] {
        let store = path(&format!("js-{name}")).display().to_string();
        serve(
            name,
            format!(
                "listen: \"127.0.0.1:{port}\"\nserver_name: {name}\njetstream {{ store_dir: \"{store}\", domain: {name} }}\n\
                 leafnodes {{ reconnect: 1, remotes: [ {{ url: \"nats://127.0.0.1:{leaf}\" }} ] }}\n"
            ),
        );
    }
    let mut command = noroshi(&path("hub"));
    command.args([
        "darknet",
        "hub",
        "--json",
        "--sensor",
        "north",
        "--sensor",
        "south",
        "--network",
        "198.18.0.0/15",
    ]);
    command.args(["--server", &format!("nats://127.0.0.1:{client}"), "--organisation", "city=129.7.0.0/16"]);
    let hub = Process::start(&mut command, &path("hub.log"));
    let listed = |name: &str| -> Value {
        let told = text(&run_any(&path("hub"), &["darknet", "sensors", "list", "--json"]).stdout);
        let mut all = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        all.find(|sensor| sensor["sensor"] == name).unwrap_or(Value::Null)
    };
    // The second is an hour behind the first.
    for (name, port, begun_ms, first, asked) in
        [("north", north, NIGHT_MS, 60, 49152), ("south", south, NIGHT_MS - 3_600_000, 120, 50000)]
    {
        let file = path(&format!("{name}.pcap"));
        let packets = with_a_botnet(&file, begun_ms, first, asked);
        let mut command = noroshi(&path(name));
        command.args(["sensor", "--name", name, "--server", &format!("nats://127.0.0.1:{port}")]);
        command.args(["--stream-mib", "64", "--replay"]).arg(&file);
        let mut sensor = Process::start(&mut command, &path(&format!("sensor-{name}.log")));
        wait_for("the sensor has handed over all", || sensor.child.try_wait().unwrap().is_some());
        wait_for("the hub has taken all", || listed(name)["packets"] == packets);
    }
    assert_eq!((&listed("north")["late"], &listed("south")["late"]), (&0.into(), &1260.into()));
    let told = last_json(&hub.end());
    let ports: Vec<_> = told["campaigns"].as_array().unwrap().iter().map(|one| one["port"].clone()).collect();
    assert_eq!(ports, [49152]);
    assert_eq!((&told["packets"], &told["sources"]), (&2520.into(), &220.into()), "{told}");
    let [alert] = told["alerts"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!((&alert["ip"], &alert["alerted"]), (&"129.7.7.7".into(), &"2026-11-26T23:15:18Z".into()));
}
