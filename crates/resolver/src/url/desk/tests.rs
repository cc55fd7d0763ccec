//! A client as the public documentation describes one, over nothing but what is said in JSON.

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::*;
use crate::url::{Canonical, Hash, List};

fn list(name: &str, urls: impl Iterator<Item = String>) -> List {
    let text: String = urls.map(|url| url + "\n").collect();
    let (list, refused) = List::read(name, text.as_bytes()).unwrap();
    assert_eq!(refused, []);
    list
}

fn urls(numbers: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    numbers.map(|number| format!("http://h{}.test/p/{number}", number % 7))
}

fn desk(lists: Vec<List>) -> (Desk, Arc<ArcSwap<Lists>>) {
    let lists = Arc::new(ArcSwap::from_pointee(Lists::new(lists).unwrap()));
    (Desk::new(Arc::clone(&lists)), lists)
}

fn post(desk: &Desk, path: &str, body: &Value) -> (u16, Value) {
    let answer = desk.answer("POST", path, body.to_string().as_bytes());
    (answer.status, serde_json::from_slice(&answer.json).unwrap())
}

fn base64(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// Reads the code bit by bit, as the documentation says it, apart from how `rice` does.
fn rice(code: &Value) -> Vec<u32> {
    let data = base64(&code["encodedData"]);
    let bit = |at: u64| u64::from(data[usize::try_from(at / 8).unwrap()] >> (at % 8) & 1);
    let (mut at, k) = (0, code["riceParameter"].as_u64().unwrap());
    let mut number: u64 = code["firstValue"].as_str().unwrap().parse().unwrap();
    let mut numbers = vec![u32::try_from(number).unwrap()];
    for _ in 0..code["numEntries"].as_u64().unwrap() {
        let mut quotient = 0;
        while bit(at) == 1 {
            (quotient, at) = (quotient + 1, at + 1);
        }
        at += 1;
        let remainder = (0..k).fold(0, |remainder, place| remainder | bit(at + place) << place);
        at += k;
        number += (quotient << k) + remainder;
        numbers.push(u32::try_from(number).unwrap());
    }
    numbers
}

/// What a client has of a list.
#[derive(Default)]
struct Client {
    prefixes: Vec<Vec<u8>>,
    state: String,
}

impl Client {
    /// Asks for what changed, carries it out and checks it; what kind of answer it was.
    fn update(&mut self, desk: &Desk, name: &str, compressions: &[&str]) -> String {
        let wanted = json!({
            "threatType": name, "platformType": "ANY_PLATFORM", "threatEntryType": "URL", "state": self.state,
            "constraints": {"supportedCompressions": compressions},
        });
        let body = json!({"client": {"clientId": "c", "clientVersion": "1"}, "listUpdateRequests": [wanted]});
        let (status, answer) = post(desk, "/v4/threatListUpdates:fetch", &body);
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["minimumWaitDuration"], "300s");
        let update = &answer["listUpdateResponses"][0];
        assert_eq!(
            (update["threatType"].as_str(), update["platformType"].as_str()),
            (Some(name), Some("ANY_PLATFORM"))
        );
        if update["responseType"] == "FULL_UPDATE" {
            self.prefixes.clear();
        }
        let mut places: Vec<u32> = Vec::new();
        for removed in update["removals"].as_array().unwrap() {
            places = match removed["compressionType"].as_str() {
                Some("RICE") => rice(&removed["riceIndices"]),
                _ => serde_json::from_value(removed["rawIndices"]["indices"].clone()).unwrap(),
            };
        }
        for place in places.iter().rev() {
            self.prefixes.remove(*place as usize);
        }
        for added in update["additions"].as_array().unwrap() {
            if added["compressionType"] == "RICE" {
                assert!(compressions.contains(&"RICE"));
                self.prefixes
                    .extend(rice(&added["riceHashes"]).iter().map(|number| number.to_le_bytes().to_vec()));
            } else {
                let size = usize::try_from(added["rawHashes"]["prefixSize"].as_u64().unwrap()).unwrap();
                let octets = base64(&added["rawHashes"]["rawHashes"]);
                self.prefixes.extend(octets.chunks(size).map(<[u8]>::to_vec));
            }
        }
        self.prefixes.sort();
        assert_eq!(base64(&update["checksum"]["sha256"]), digest(&SHA256, &self.prefixes.concat()).as_ref());
        self.state = update["newClientState"].as_str().unwrap().to_owned();
        update["responseType"].as_str().unwrap().to_owned()
    }

    /// The lists that a URL is on, asked for only where a prefix of it is held; and how many were asked for.
    fn look_up(&self, desk: &Desk, names: &[&str], url: &str) -> (Vec<String>, usize) {
        let hashes: Vec<Hash> = Canonical::of(url.as_bytes()).unwrap().hashes().collect();
        let starts = |prefix: &&Vec<u8>| hashes.iter().any(|hash| hash.0.starts_with(prefix));
        let asked: Vec<Value> = self
            .prefixes
            .iter()
            .filter(starts)
            .map(|prefix| json!({"hash": STANDARD.encode(prefix)}))
            .collect();
        let count = asked.len();
        if asked.is_empty() {
            return (Vec::new(), 0);
        }
        let body = json!({"client": {}, "clientStates": [self.state], "threatInfo": {
            "threatTypes": names, "platformTypes": ["ANY_PLATFORM"], "threatEntryTypes": ["URL"], "threatEntries": asked,
        }});
        let (status, answer) = post(desk, "/v4/fullHashes:find", &body);
        assert_eq!((status, &answer["negativeCacheDuration"]), (200, &json!("300s")));
        let matches = answer["matches"].as_array().unwrap().iter();
        let of_url = matches.filter(|found| {
            assert_eq!(found["cacheDuration"], "300s");
            hashes.iter().any(|hash| hash.0 == *base64(&found["threat"]["hash"]))
        });
        (of_url.map(|found| found["threatType"].as_str().unwrap().to_owned()).collect(), count)
    }
}

#[test]
fn a_client_keeps_a_list_up_to_date_and_asks_for_prefixes_only() {
    for compressions in [&["RICE", "RAW"][..], &["RAW"], &[]] {
        let all = vec![list("MALWARE", urls(0..3000)), list("other", urls(2990..2991))];
        let (desk, lists) = desk(all);
        let mut client = Client::default();
        assert_eq!(client.update(&desk, "MALWARE", compressions), "FULL_UPDATE");
        assert_eq!(client.prefixes.len(), 3000);
        let (names, other) = (["MALWARE", "other"], "http://h0.test/p/none");
        assert_eq!(client.look_up(&desk, &names, "http://h1.test/p/2990?x").0, ["MALWARE", "other"]);
        assert_eq!(client.look_up(&desk, &names[1..], "http://h1.test/p/2990").0, ["other"]);
        assert_eq!(client.look_up(&desk, &names, other), (vec![], 0));

        assert_eq!(client.update(&desk, "MALWARE", compressions), "PARTIAL_UPDATE");
        let changed = lists.load().with(0, list("MALWARE", urls(500..3300))).unwrap();
        lists.store(Arc::new(changed));
        assert_eq!(client.update(&desk, "MALWARE", compressions), "PARTIAL_UPDATE");
        assert_eq!(client.prefixes.len(), 2800);
        assert_eq!(client.look_up(&desk, &names, "http://h0.test/p/0").0, [""; 0]);
        assert_eq!(client.look_up(&desk, &names, "http://h1.test/p/3298").0, ["MALWARE"]);

        lists.store(Arc::new(lists.load().with(0, List::empty("MALWARE")).unwrap()));
        assert_eq!(client.update(&desk, "MALWARE", compressions), "FULL_UPDATE");
        assert_eq!(client.prefixes.len(), 0);
    }
}

#[test]
fn a_state_is_known_after_a_restart_if_it_is_the_last() {
    let (before, _) = desk(vec![list("a", urls(0..10))]);
    let mut client = Client::default();
    client.update(&before, "a", &["RICE"]);
    let (after, lists) = desk(vec![list("a", urls(0..10))]);
    assert_eq!(client.update(&after, "a", &["RICE"]), "PARTIAL_UPDATE");
    lists.store(Arc::new(Lists::new(vec![list("b", urls(0..1)), list("a", urls(0..11))]).unwrap()));
    assert_eq!(client.update(&after, "a", &["RICE"]), "PARTIAL_UPDATE", "by its name, wherever it stands");
    client.state = STANDARD.encode("of yesterday");
    assert_eq!(client.update(&after, "a", &["RICE"]), "FULL_UPDATE");
}

#[test]
fn who_visits_what_everybody_visits_does_not_ask() {
    let popular = Canonical::of(b"http://h0.test/p/0").unwrap();
    let listed = list("a", urls(0..1));
    let lists = Lists::new(vec![listed.clone()]).unwrap();
    let desk = Desk::new(Arc::new(ArcSwap::from_pointee(lists.sparing(listed))));
    let mut client = Client::default();
    client.update(&desk, "a", &["RICE"]);
    // It is listed and popular: the whole hash is told, and no other URL begins with that.
    assert_eq!(client.prefixes, [popular.own_hash().0.to_vec()]);
    assert_eq!(client.look_up(&desk, &["a"], popular.as_str()), (vec!["a".to_owned()], 1));
}

#[test]
fn lists_are_named() {
    let (desk, _) = desk(vec![list("a", urls(0..1)), list("b", urls(0..1))]);
    let answer = desk.answer("GET", "/v4/threatLists", b"");
    let name = |name| json!({"threatType": name, "platformType": "ANY_PLATFORM", "threatEntryType": "URL"});
    let said: Value = serde_json::from_slice(&answer.json).unwrap();
    assert_eq!((answer.status, said), (200, json!({"threatLists": [name("a"), name("b")]})));
}

#[test]
fn what_is_not_understood_is_refused_and_not_repeated() {
    let (desk, _) = desk(vec![list("a", urls(0..2000))]);
    let find = "/v4/fullHashes:find";
    let hashes = |entries: Vec<Value>| json!({"threatInfo": {"threatTypes": ["a"], "platformTypes": ["ANY_PLATFORM"], "threatEntryTypes": ["URL"], "threatEntries": entries}});
    let status = |method: &str, path: &str, body: &[u8]| {
        let answer = desk.answer(method, path, body);
        assert!(!String::from_utf8(answer.json).unwrap().contains("secret"));
        answer.status
    };
    assert_eq!(status("POST", find, b"{\"secret\""), 400);
    assert_eq!(
        status("POST", find, br#"{"threatInfo": {"threatEntries": [{"url": "http://secret.test/"}]}}"#),
        400
    );
    assert_eq!(status("POST", "/v4/threatMatches:find", b"{}"), 404);
    assert_eq!(status("GET", find, b""), 405);
    assert_eq!(status("POST", "/v4/threatLists", b"{}"), 405);
    assert_eq!(status("POST", find, &vec![b' '; BODY_OCTETS_MAX + 1]), 400);
    for (entries, expected) in [
        (vec![json!({"hash": "AAAA"})], 400),
        (vec![json!({"hash": "!"})], 400),
        (vec![json!({"hash": STANDARD.encode([0; 33])})], 400),
        (vec![json!({"hash": "-_-_-w"}), json!({"hash": "+/+/+w=="})], 200),
        (vec![json!({"hash": "AAAAAA=="}); PREFIXES_MAX], 200),
        (vec![json!({"hash": "AAAAAA=="}); PREFIXES_MAX + 1], 400),
    ] {
        assert_eq!(post(&desk, find, &hashes(entries)).0, expected);
    }
    let update = |constraints: Value, name: &str| {
        let wanted = json!({"threatType": name, "platformType": "ANY_PLATFORM", "threatEntryType": "URL", "constraints": constraints});
        post(&desk, "/v4/threatListUpdates:fetch", &json!({"listUpdateRequests": [wanted, wanted]}))
    };
    assert_eq!(update(json!({"maxUpdateEntries": 1024}), "a").0, 400);
    assert_eq!(update(json!({"maxDatabaseEntries": 1024}), "a").0, 400);
    let (status, answer) = update(json!({"maxUpdateEntries": 2048}), "a");
    assert_eq!((status, answer["listUpdateResponses"].as_array().unwrap().len()), (200, 1), "each list once");
    assert_eq!(update(json!({"maxUpdateEntries": null, "supportedCompressions": null}), "a").0, 200);
    assert_eq!(update(Value::Null, "a").0, 200, "a field that is null is one that is missing");
    assert_eq!(update(json!({}), "none").1["listUpdateResponses"], json!([]));
}
