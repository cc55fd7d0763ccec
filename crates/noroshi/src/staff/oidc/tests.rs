//! A provider of the tests' own, that says what each test wants, the wrong things among them; a real one is met by the browser's tests.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use data_encoding::BASE64URL_NOPAD;
use noroshi_model::Clock as _;
use openidconnect::url::Url;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;

use super::*;
use crate::config::Config;
use crate::house::{House, Stay};
use crate::receipts::Receipts;
use crate::staff::HouseDoor;

/// What the provider does; by default, what it should.
struct Says {
    /// Claims of the ID token beside those that it must have, which they may replace.
    claims: Value,
    /// What is told who asks for more.
    userinfo: Value,
    algorithm: &'static str,
    signs_with: Arc<EcdsaKeyPair>,
}

struct Idp {
    issuer: String,
    says: Arc<Mutex<Says>>,
    /// The key that is published.
    key: Arc<EcdsaKeyPair>,
    /// What came to the token endpoint.
    asked: Arc<Mutex<Vec<String>>>,
    /// The nonce and the challenge of the login under way.
    login: Arc<Mutex<(String, String)>>,
}

fn new_key() -> Arc<EcdsaKeyPair> {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    Arc::new(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap())
}

fn merged(mut all: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

impl Idp {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let key = new_key();
        let says = Says {
            claims: json!({ "preferred_username": "Baba", "groups": ["soc", "tea"] }),
            userinfo: json!({}),
            algorithm: "ES256",
            signs_with: Arc::clone(&key),
        };
        let idp = Self {
            issuer,
            says: Arc::new(Mutex::new(says)),
            key,
            asked: Arc::default(),
            login: Arc::default(),
        };
        let (issuer, says, key) = (idp.issuer.clone(), Arc::clone(&idp.says), Arc::clone(&idp.key));
        let (asked, login) = (Arc::clone(&idp.asked), Arc::clone(&idp.login));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let connection = connection.unwrap();
                let (path, body) = request(&connection);
                let says = says.lock().unwrap();
                let answer = match path.as_str() {
                    "/.well-known/openid-configuration" => json!({
                        "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"),
                        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
                        "userinfo_endpoint": format!("{issuer}/me"), "response_types_supported": ["code"],
                        "subject_types_supported": ["public"],
                        // More than is believed.
                        "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
                    }),
                    "/jwks" => {
                        let point = key.public_key().as_ref();
                        let part = |at: std::ops::Range<usize>| BASE64URL_NOPAD.encode(&point[at]);
                        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "k",
                                           "x": part(1..33), "y": part(33..65) }] })
                    }
                    "/token" => {
                        asked.lock().unwrap().push(body);
                        let (nonce, _) = login.lock().unwrap().clone();
                        let now = noroshi_model::SystemClock.now().as_second();
                        let claims = json!({
                            "iss": issuer, "sub": "u-17", "aud": "console", "nonce": nonce, "iat": now, "exp": now + 60,
                        });
                        let token = says.token(&merged(claims, &says.claims));
                        json!({ "access_token": "a", "token_type": "Bearer", "id_token": token })
                    }
                    "/me" => merged(json!({ "sub": "u-17" }), &says.userinfo),
                    _ => json!({}),
                };
                answered(&connection, &answer);
            }
        });
        idp
    }

    fn file(&self) -> OidcFile {
        toml::from_str(&format!(
            "issuer = {:?}\nclient-id = \"console\"\n[roles]\nanalyst = [\"soc\", \"cert\"]\nlegal = [\"counsel\"]",
            self.issuer
        ))
        .unwrap()
    }

    fn oidc(&self) -> Oidc {
        Oidc::new(self.file(), "http://localhost:8481").unwrap()
    }

    /// Goes there, and is sent back: what the browser kept, and the query of the address.
    fn go(&self, oidc: &Oidc) -> (String, String) {
        let away = oidc.begin().unwrap();
        let url = Url::parse(&away.url).unwrap();
        let of = |name: &str| url.query_pairs().find(|(given, _)| given == name).unwrap().1.into_owned();
        assert_eq!((of("response_type"), of("scope")), ("code".into(), "openid profile".into()));
        assert_eq!(of("redirect_uri"), "http://localhost:8481/login/oidc/back");
        assert_eq!(of("code_challenge_method"), "S256");
        *self.login.lock().unwrap() = (of("nonce"), of("code_challenge"));
        (away.kept, format!("code=c&state={}", of("state")))
    }

    fn says(&self, change: impl FnOnce(&mut Says)) {
        change(&mut self.says.lock().unwrap());
    }
}

impl Says {
    fn token(&self, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let text = format!("{}.{}", part(&json!({ "alg": self.algorithm, "kid": "k" })), part(claims));
        let seal = match self.algorithm {
            "none" => Vec::new(),
            // Keyed by what everybody knows: the confusion of a public key with a secret.
            "HS256" => {
                let key =
                    ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.signs_with.public_key().as_ref());
                ring::hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
            }
            _ => self.signs_with.sign(&SystemRandom::new(), text.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{text}.{}", BASE64URL_NOPAD.encode(&seal))
    }
}

fn request(connection: &TcpStream) -> (String, String) {
    let mut reader = BufReader::new(connection);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", bytes)) => length = bytes.parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (first.split(' ').nth(1).unwrap().to_owned(), String::from_utf8(body).unwrap())
}

fn answered(mut connection: &TcpStream, answer: &Value) {
    let body = answer.to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
    write!(connection, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
}

#[test]
fn who_comes_is_whom_the_token_names_as_what_its_claim_says() {
    let idp = Idp::start();
    let oidc = idp.oidc();
    let (kept, query) = idp.go(&oidc);
    let known = oidc.finish(&query, &kept).unwrap();
    assert_eq!(known.subject, format!("{} u-17", idp.issuer));
    assert_eq!((known.name.as_str(), known.roles), ("Baba", [StaffRole::Analyst].into()));
    // The verifier belongs to the challenge that went before (RFC 7636 section 4.6).
    let asked = idp.asked.lock().unwrap().pop().unwrap();
    let asked: HashMap<String, String> =
        openidconnect::url::form_urlencoded::parse(asked.as_bytes()).into_owned().collect();
    let challenge = ring::digest::digest(&ring::digest::SHA256, asked["code_verifier"].as_bytes());
    assert_eq!(BASE64URL_NOPAD.encode(challenge.as_ref()), idp.login.lock().unwrap().1);
    assert!(matches!(oidc.finish(&query, &kept), Err(DeskError::Declined(_))), "it counts once");

    // Of a claim within a claim; and where the token does not say it, by asking.
    idp.says(|says| says.claims = json!({ "realm_access": { "roles": "counsel" } }));
    idp.says(|says| {
        says.userinfo = json!({ "preferred_username": "Chiba", "realm_access": { "roles": "soc" } });
    });
    let file = OidcFile { role_claim: "/realm_access/roles".into(), ..idp.file() };
    let oidc = Oidc::new(file, "http://localhost:8481").unwrap();
    let (kept, query) = idp.go(&oidc);
    let known = oidc.finish(&query, &kept).unwrap();
    assert_eq!(
        (known.name.as_str(), known.roles),
        ("Chiba", [StaffRole::Legal].into()),
        "what is signed comes first"
    );
}

#[test]
fn an_answer_that_is_not_for_this_browser_this_console_or_this_login_opens_nothing() {
    let idp = Idp::start();
    let oidc = idp.oidc();
    let declined = |what: &str, oidc: &Oidc, query: &str, kept: &str| {
        assert!(matches!(oidc.finish(query, kept), Err(DeskError::Declined(_))), "{what}");
    };
    let (kept, query) = idp.go(&oidc);
    declined("another browser", &oidc, &query, "another");
    declined("and then its own: it is used up", &oidc, &query, &kept);
    let (kept, query) = idp.go(&oidc);
    declined("another issuer (RFC 9207)", &oidc, &format!("{query}&iss=https://elsewhere.example"), &kept);
    let (kept, query) = idp.go(&oidc);
    let error = format!("error=access_denied&{}", query.split_once('&').unwrap().1);
    declined("an error", &oidc, &error, &kept);
    declined("no state", &oidc, "code=c", &kept);

    type Wrong = (&'static str, Value, &'static str);
    let wrong: [Wrong; 8] = [
        ("another nonce", json!({ "nonce": "n" }), "ES256"),
        ("for another client", json!({ "aud": "other" }), "ES256"),
        ("of another issuer", json!({ "iss": "https://elsewhere.example" }), "ES256"),
        ("expired", json!({ "exp": 1_700_000_000 }), "ES256"),
        ("without a subject", json!({ "sub": null }), "ES256"),
        ("unsigned", json!({}), "none"),
        ("signed with what is public", json!({}), "HS256"),
        ("signed by another", json!({}), "ES256"),
    ];
    for (what, claims, algorithm) in wrong {
        let usual = json!({ "preferred_username": "Baba", "groups": ["soc"] });
        idp.says(|says| {
            (says.claims, says.algorithm) = (merged(usual, &claims), algorithm);
            says.signs_with = if what == "signed by another" { new_key() } else { Arc::clone(&idp.key) };
        });
        let (kept, query) = idp.go(&oidc);
        declined(what, &oidc, &query, &kept);
    }
    idp.says(|says| {
        (says.claims, says.algorithm, says.signs_with) =
            (json!({ "groups": "soc" }), "ES256", Arc::clone(&idp.key));
    });
    let (kept, query) = idp.go(&oidc);
    declined("nobody in particular", &oidc, &query, &kept);
}

#[test]
fn logins_under_way_are_bounded_and_a_provider_that_is_away_is_said_to_be() {
    let idp = Idp::start();
    let oidc = idp.oidc();
    let (first_kept, first) = idp.go(&oidc);
    for _ in 0..2 * AWAY_MAX {
        oidc.begin().unwrap();
    }
    let (kept, query) = idp.go(&oidc);
    assert_eq!(oidc.begun.lock().unwrap().len(), AWAY_MAX);
    assert!(oidc.finish(&query, &kept).is_ok(), "whoever came last is not kept out by those before");
    assert!(matches!(oidc.finish(&first, &first_kept), Err(DeskError::Declined(_))), "the oldest made room");
    let file = OidcFile { issuer: "http://127.0.0.1:9".into(), ..idp.file() };
    let away = Oidc::new(file, "http://localhost:8481").unwrap();
    assert!(matches!(away.begin(), Err(DeskError::Unavailable(_))));
}

#[test]
fn a_provider_is_reached_by_tls_and_gives_roles() {
    let read = |text: &str| toml::from_str::<OidcFile>(text).unwrap();
    let good = "issuer = \"https://login.example.jp/realms/staff\"\nclient-id = \"c\"\nroles = { auditor = [\"a\"] }";
    assert!(read(good).check().is_ok());
    assert_eq!(read(good).title(), "login.example.jp");
    for (from, to) in
        [("https:", "http:"), ("https://login", "nonsense"), ("\"c\"", "\"\""), ("[\"a\"]", "[]")]
    {
        assert!(read(&good.replace(from, to)).check().is_err(), "{to}");
    }
    assert!(toml::from_str::<OidcFile>(&good.replace("auditor", "root")).is_err());
}

#[test]
fn roles_follow_the_provider_and_who_has_none_or_has_left_does_not_come_in() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("data-dir = {:?}", folder.path().join("data"));
    let config = Config::try_from(toml::from_str::<crate::config::File>(&text).unwrap()).unwrap();
    let house =
        House::open(config, Arc::new(noroshi_model::SystemClock), Receipts::None, Stay::Worker).unwrap();
    let door = HouseDoor::new(Arc::new(house), "http://localhost:8481").unwrap();
    let came = |subject: &str, name: &str, roles: &[StaffRole]| {
        let roles = roles.iter().copied().collect();
        door.of_provider(Known { subject: subject.into(), name: name.into(), roles })
    };
    let new = came("i 1", "Baba", &[StaffRole::Analyst]).unwrap();
    assert_eq!(came("i 1", "Baba", &[StaffRole::Analyst]).unwrap().id, new.id);
    // Who marries is who they were, and the evidence log knows them by the name they had.
    let changed = came("i 1", "Chiba", &[StaffRole::Legal, StaffRole::Analyst]).unwrap();
    assert_eq!((changed.id.clone(), changed.name.as_str()), (new.id.clone(), "Baba"));
    assert_eq!(changed.roles_text(), "analyst, legal");
    for (subject, name) in [("i 2", "Baba"), ("i 3", "console key"), ("i 4", "Console Key")] {
        assert!(matches!(came(subject, name, &[StaffRole::Analyst]), Err(DeskError::Declined(_))), "{name}");
    }
    let inside = door.enter(&changed, "oidc").unwrap();
    use noroshi_portal::door::Door as _;
    // Their way in is the provider's: no passkey, by themselves or by a link, goes past it.
    assert!(matches!(door.begin_passkey(&changed), Err(DeskError::Declined(_))));
    let again = noroshi_portal::door::StaffAct::InviteAgain(new.id.clone());
    assert!(matches!(door.people(&again, &changed), Err(DeskError::Declined(_))));
    assert!(door.who(&inside.token).unwrap().is_some());
    assert!(came("i 1", "Baba", &[]).is_err());
    assert!(door.who(&inside.token).unwrap().is_none(), "who has no role any more is out");
    assert!(came("i 5", "Doi", &[]).is_err());
    assert!(!door.staff().unwrap().iter().any(|line| line.person.name == "Doi"), "nobody was made of nobody");
    let end = noroshi_portal::door::StaffAct::End(new.id);
    door.people(&end, &changed).unwrap();
    assert!(
        came("i 1", "Baba", &[StaffRole::Analyst]).is_err(),
        "who has left does not come back by themselves"
    );
    let entries = door.house.evidence().page(0, 100).unwrap();
    let notes: Vec<String> = entries.iter().map(|entry| format!("{entry:?}")).collect();
    for said in ["is new here, as analyst", "is analyst, legal by", "came in by oidc", "was given no role"] {
        assert!(notes.iter().any(|note| note.contains(said)), "{said}: {notes:?}");
    }
}
