//! Sources by themselves, when they are due.

use std::path::PathBuf;

use super::{Place, list, map, write_new};
use crate::mail::until;
use crate::world::{run_any, server, text};

#[test]
fn the_watch_fetches_by_itself_when_it_is_time() {
    let Some(base) = server("NOROSHI_TEST_NGINX") else { return };
    let folder = PathBuf::from(std::env::var("NOROSHI_TEST_NGINX_FOLDER").unwrap());
    let name = format!("watch-{}.csv", std::process::id());
    let file = folder.join("files").join(&name);
    std::fs::write(&file, list(0..7)).unwrap();
    let place =
        Place::with("[source.web]\nformat = \"dated\"\npush = true\n[push]\nlisten = \"127.0.0.1:0\"\n");
    place.status("web");
    let watched = place.path("in");
    std::fs::create_dir(&watched).unwrap();
    place.configure(&format!(
        "[source.web]\nformat = \"dated\"\nurl = \"{base}/{name}\"\nevery = \"1s\"\n\
         [source.in]\nformat = \"dated\"\nfolder = \"{}\"\nevery = \"1s\"\nsettle-s = 0\n\
         [source.gone]\nformat = \"dated\"\nurl = \"http://127.0.0.1:1/\"\nevery = \"1s\"\n",
        watched.display()
    ));
    map(&place);
    let _running = place.start();
    let events = |n: i64| until("the events", || (place.counts().0 == n).then_some(()));
    events(7);
    std::fs::write(watched.join("a.csv"), list(100..103)).unwrap();
    events(10);
    write_new(&file, &list(0..8));
    events(11);
    let gone =
        until("the failure", || Some(place.status("gone")).filter(|s| s["failures"].as_u64() > Some(0)));
    assert!(gone["error"].as_str().unwrap().contains("127.0.0.1:1"), "{gone}");
    let out = run_any(&place.path("data"), &place.arguments(&["doctor", "--json"]));
    let sources = text(&out.stdout).lines().find(|l| l.contains("\"sources\"")).unwrap().to_owned();
    assert!(sources.contains("failing: gone"), "{sources}");
}

#[test]
fn a_table_that_changes_is_taken_while_events_flow_and_a_broken_one_is_not() {
    let place = Place::with("");
    let watched = place.path("in");
    std::fs::create_dir(&watched).unwrap();
    let (table, names) = (place.path("own.dat"), place.path("list.json"));
    std::fs::write(&table, "198.18.0.0/15\t64500\n").unwrap();
    let listed = |net: &str| {
        format!(r#"{{"name":"Ours","type":"cidr","list":["{net}"],"matching_attributes":["ip-src"]}}"#)
    };
    std::fs::write(&names, listed("192.0.2.0/24")).unwrap();
    place.configure(&format!(
        "[source.in]\nformat = \"dated\"\nfolder = \"{}\"\nevery = \"1s\"\nsettle-s = 0\n\
         [enrich]\nlook-s = 1\nonly-own = true\ntables = [{{ file = \"{}\" }}]\nwarning-lists = [\"{}\"]\n",
        watched.display(),
        table.display(),
        names.display()
    ));
    map(&place);
    place.status("in");
    let _running = place.start();
    let mut next = 0;
    // The event of an address that came in just now.
    let mut newest = || {
        std::fs::write(watched.join(format!("{next}.csv")), list(next..next + 1)).unwrap();
        next += 1;
        until("the event", || (place.counts().0 == i64::from(next)).then_some(()));
        place.run(&["event", "list", "--limit", "1", "--json"])["event"].clone()
    };
    assert_eq!(newest()["source.asn"], 64500);
    std::fs::write(&table, "198.18.0.0/15\t64501\n198.51.100.0/24\t64502\n").unwrap();
    std::fs::write(&names, listed("198.18.0.0/15")).unwrap();
    until("the new table", || (newest()["source.asn"] == 64501).then_some(()));
    until("the new list", || newest().get("extra.noroshi.warning_lists").map(drop));

    std::fs::write(&table, "<html>502</html>").unwrap();
    let doctor = || {
        let out = run_any(&place.path("data"), &place.arguments(&["doctor", "--json"]));
        text(&out.stdout).lines().find(|l| l.contains("\"tables\"")).unwrap().to_owned()
    };
    assert!(doctor().contains("own.dat"), "{}", doctor());
    std::fs::write(&names, listed("192.0.2.0/24")).unwrap();
    let event = until("the other file to be taken all the same", || {
        Some(newest()).filter(|event| event.get("extra.noroshi.warning_lists").is_none())
    });
    assert_eq!(event["source.asn"], 64501, "the table from before is in use");
    std::fs::write(&table, "198.18.0.0/15\t64503\n").unwrap();
    until("the mended table", || (newest()["source.asn"] == 64503).then_some(()));
    assert!(doctor().contains("\"fine\":true"), "{}", doctor());
}
