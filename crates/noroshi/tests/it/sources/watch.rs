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
