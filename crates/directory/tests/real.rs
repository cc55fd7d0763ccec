//! Each kind of directory against a real server of that kind: PostgreSQL, OpenLDAP, and for HTTP, where the server is whatever
//! the operator has, one of a few lines.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use noroshi_act::directory::{Directory, DirectoryError, Holder};
use noroshi_directory::{HttpDirectory, HttpFile, LdapDirectory, LdapFile, SqlDirectory, SqlFile};
use noroshi_law::dossier::Dossier;
use noroshi_law::evidence::Digest;
use noroshi_law::{
    Ask, Gate, Ledger, LedgerError, Record, Register, Role, Rulebook, Ruling, Standing, TakedownNotice, Use,
    Vault,
};
use noroshi_model::{ContractRef, Lang, Subscriber};

/// A line whose name would do harm if it were put into a query as it stands.
const SHARP: &str = "o'hara*)(uid=*";

struct Yes;

impl Rulebook for Yes {
    fn judge(&self, _: &Ask, _: &Dossier, _: Standing) -> Ruling {
        Ruling { allowed: true, rule: "yes".into(), reason: String::new(), policy_set: Digest::ZERO }
    }

    fn policy_set(&self) -> Digest {
        Digest::ZERO
    }
}

#[derive(Default)]
struct Evidence(u64);

impl Ledger for Evidence {
    fn append(&mut self, _: Record) -> Result<u64, LedgerError> {
        self.0 += 1;
        Ok(self.0)
    }
}

fn server(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        assert!(std::env::var("CI").is_err(), "{variable} is not set in CI");
        eprintln!("SKIPPED: {variable} is not set; `cargo xtask test` starts the server and sets it");
    }
    found
}

fn contract(directory: &dyn Directory, line: &str) -> Result<Option<(String, bool)>, DirectoryError> {
    let listed = directory.contract(&Holder { user: line.to_owned() })?;
    Ok(listed.map(|listed| (listed.contract.as_str().to_owned(), listed.opted_out)))
}

/// Who a contract is, opened as the loop opens it.
fn subscriber(directory: &dyn Directory, contract: &str) -> Result<Option<Subscriber>, DirectoryError> {
    let Some(sealed) = directory.subscriber(&ContractRef::parse(contract).unwrap())? else { return Ok(None) };
    let now = "2026-11-25T00:00:00Z".parse().unwrap();
    let register = Register::shipped().unwrap();
    let ask = Ask::of::<TakedownNotice>(Role::System, Use::Notify, &["source.ip"]);
    let permit = Gate::new(&Yes, &register)
        .permit::<TakedownNotice>(ask, Standing::of_terms(true, now), &mut Evidence::default())
        .unwrap();
    let opened =
        Vault::new(&[3; 32]).open_one(sealed, "a test", &permit, now, &mut Evidence::default()).unwrap();
    Ok(Some(opened.read().clone()))
}

/// What every one of them answers about the same three people.
fn answers(directory: &dyn Directory) {
    assert_eq!(contract(directory, "line-1").unwrap(), Some(("C-1".into(), false)));
    assert_eq!(contract(directory, SHARP).unwrap(), Some(("C-2".into(), true)));
    for nobody in ["line-9", "*", "", "line-1' OR '1'='1"] {
        assert_eq!(contract(directory, nobody).unwrap(), None, "{nobody}");
    }
    let one = subscriber(directory, "C-1").unwrap().unwrap();
    assert_eq!(
        (one.name.as_str(), one.mail.as_str(), one.lang),
        ("利用者 一", "one@mail.example.net", Lang::JA)
    );
    let two = subscriber(directory, "C-2").unwrap().unwrap();
    assert_eq!((two.mail.as_str(), two.lang), ("two@mail.example.net", Lang::EN));
    assert!(subscriber(directory, "C-9").unwrap().is_none());
    let wrong = subscriber(directory, "C-3").unwrap_err();
    assert!(matches!(wrong, DirectoryError::Entry(_)) && !wrong.to_string().contains("nowhere"), "{wrong}");
}

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "waited for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn postgresql_answers_and_a_connection_that_was_cut_is_made_anew() {
    let Some(url) = server("NOROSHI_TEST_POSTGRES") else { return };
    let mut admin = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    let schema = format!("directory_{}", std::process::id());
    admin
        .batch_execute(&format!(
            "CREATE SCHEMA {schema};
             CREATE TABLE {schema}.customer (line text, contract text, person text, mail text, lang text, no_mail bool);
             INSERT INTO {schema}.customer VALUES
               ('line-1', 'C-1', '利用者 一', 'one@mail.example.net', NULL, false),
               ('line-1b', 'C-1', '利用者 一', 'one@mail.example.net', NULL, false),
               ('o''hara*)(uid=*', 'C-2', 'Two', 'two@mail.example.net', 'en-GB', true),
               ('line-3', 'C-3', 'Three', 'nowhere', 'en', false),
               ('twice', 'C-1', 'x', 'x@example.jp', 'en', false), ('twice', 'C-2', 'x', 'x@example.jp', 'en', false);"
        ))
        .unwrap();
    let file = SqlFile {
        url,
        password_file: None,
        contract: format!("SELECT contract, no_mail AS opted_out FROM {schema}.customer WHERE line = $1"),
        subscriber: format!(
            "SELECT person AS name, mail, lang AS language FROM {schema}.customer WHERE contract = $1"
        ),
    };
    let directory = SqlDirectory::new(file.clone()).unwrap();
    assert!(
        matches!(contract(&directory, "twice"), Err(DirectoryError::Entry(_))),
        "two answers about one line"
    );
    admin.batch_execute(&format!("DELETE FROM {schema}.customer WHERE line = 'twice'")).unwrap();
    answers(&directory);
    admin
        .batch_execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'noroshi'",
        )
        .unwrap();
    answers(&directory);
    let writing = SqlFile {
        contract: format!("DELETE FROM {schema}.customer WHERE line = $1 RETURNING contract"),
        ..file.clone()
    };
    assert!(contract(&SqlDirectory::new(writing).unwrap(), "line-1").is_err(), "it only reads");
    let wrong = SqlFile { contract: "SELECT nothing FROM nowhere WHERE x = $1".into(), ..file.clone() };
    let wrong = contract(&SqlDirectory::new(wrong).unwrap(), "line-1").unwrap_err();
    assert!(matches!(wrong, DirectoryError::Unreadable(_)), "{wrong}");
    let gone = SqlFile { url: "postgres://noroshi@127.0.0.1:9/noroshi".into(), ..file };
    assert!(matches!(contract(&SqlDirectory::new(gone).unwrap(), "line-1"), Err(DirectoryError::Away(_))));
    admin.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).unwrap();
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn start_slapd(program: &str, folder: &std::path::Path, port: u16) -> Killed {
    let slapd = Command::new(program)
        .args(["-d", "0", "-h", &format!("ldap://127.0.0.1:{port}"), "-f"])
        .arg(folder.join("slapd.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let slapd = Killed(slapd);
    until("slapd", || TcpStream::connect(("127.0.0.1", port)).ok());
    slapd
}

#[test]
fn openldap_answers_and_one_that_was_restarted_is_asked_again() {
    let Some(program) = server("NOROSHI_TEST_SLAPD") else { return };
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display();
    std::fs::create_dir(folder.path().join("db")).unwrap();
    std::fs::write(
        folder.path().join("slapd.conf"),
        format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             pidfile {dir}/pid\ndatabase mdb\nmaxsize 10485760\nsuffix \"dc=example,dc=jp\"\n\
             rootdn \"cn=admin,dc=example,dc=jp\"\nrootpw secret\ndirectory {dir}/db\n\
             access to * by dn=\"cn=admin,dc=example,dc=jp\" read by anonymous auth by * none\n"
        ),
    )
    .unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let slapd = start_slapd(&program, folder.path(), port);
    let url = format!("ldap://127.0.0.1:{port}");
    let mut admin = ldap3::LdapConn::new(&url).unwrap();
    admin.simple_bind("cn=admin,dc=example,dc=jp", "secret").unwrap().success().unwrap();
    let mut add = |dn: &str, attributes: &[(&'static str, &str)]| {
        let attributes = attributes.iter().map(|(name, value)| (*name, [*value].into())).collect();
        admin.add(dn, attributes).unwrap().success().unwrap();
    };
    add("dc=example,dc=jp", &[("objectClass", "domain"), ("dc", "example")]);
    for (n, uid, name, mail, more) in [
        (1, "line-1", "利用者 一", "one@mail.example.net", None),
        (2, SHARP, "Two", "two@mail.example.net", Some("TRUE")),
        (3, "line-3", "Three", "nowhere", None),
    ] {
        let number = format!("C-{n}");
        let mut attributes =
            vec![("objectClass", "inetOrgPerson"), ("sn", "x"), ("cn", name), ("uid", uid), ("mail", mail)];
        attributes.push(("employeeNumber", &number));
        attributes.extend(more.map(|said| ("employeeType", said)));
        if n > 1 {
            attributes.push(("preferredLanguage", "en"));
        }
        add(&format!("employeeNumber={number},dc=example,dc=jp"), &attributes);
    }
    drop(admin);
    std::fs::write(folder.path().join("password"), "secret\n").unwrap();
    let file = LdapFile {
        url,
        bind_dn: Some("cn=admin,dc=example,dc=jp".into()),
        password_file: Some(folder.path().join("password")),
        base: "dc=example,dc=jp".into(),
        line_filter: "(&(objectClass=inetOrgPerson)(uid={}))".into(),
        contract_filter: "(employeeNumber={})".into(),
        contract: "employeeNumber".into(),
        name: "cn".into(),
        mail: "mail".into(),
        language: "preferredLanguage".into(),
        phone: "mobile".into(),
        address: "postalAddress".into(),
        opted_out: Some("employeeType".into()),
    };
    let directory = LdapDirectory::new(file.clone()).unwrap();
    answers(&directory);
    drop(slapd);
    assert!(matches!(contract(&directory, "line-1"), Err(DirectoryError::Away(_))), "away is not nobody");
    let slapd = start_slapd(&program, folder.path(), port);
    answers(&directory);
    let stranger = LdapFile { password_file: None, ..file.clone() };
    let refused = contract(&LdapDirectory::new(stranger).unwrap(), "line-1");
    assert!(refused.is_err(), "{refused:?}");
    let nobody = LdapFile { line_filter: "(uid=x)".into(), ..file.clone() };
    assert!(LdapDirectory::new(nobody).is_err());
    assert!(LdapDirectory::new(LdapFile { url: "ldap://ldap.example.jp".into(), ..file }).is_err());
    drop(slapd);
}

/// Answers as the module's text says, each connection once.
fn crm(listener: &TcpListener, people: &BTreeMap<String, serde_json::Value>) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut first, mut length, mut known) = (String::new(), 0, false);
        reader.read_line(&mut first).unwrap();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                break;
            }
            let line = line.to_ascii_lowercase();
            known |= line.trim() == "authorization: bearer token-1";
            length = line.strip_prefix("content-length:").map_or(length, |n| n.trim().parse().unwrap());
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let asked: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let key = asked["line"].as_str().or(asked["contract"].as_str()).unwrap_or_default().to_owned();
        assert!(!first.contains("line-1") && !first.contains("C-1"), "nobody's name in a log: {first}");
        let (status, told) = match people.get(&key) {
            _ if !known => (401, String::new()),
            Some(told) if told.is_string() => (503, String::new()),
            Some(told) => (200, told.to_string()),
            None => (404, String::new()),
        };
        let _gone = write!(
            stream,
            "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{told}",
            told.len()
        );
    }
}

#[test]
fn a_service_of_the_operator_answers_and_its_trouble_is_not_nobody() {
    use serde_json::json;
    let people = BTreeMap::from([
        ("line-1".to_owned(), json!({"contract": "C-1"})),
        (SHARP.to_owned(), json!({"contract": "C-2", "opted_out": true})),
        ("C-1".to_owned(), json!({"name": "利用者 一", "mail": "one@mail.example.net"})),
        ("C-2".to_owned(), json!({"name": "Two", "mail": "two@mail.example.net", "language": "en"})),
        ("C-3".to_owned(), json!({"name": "Three", "mail": "nowhere"})),
        ("C-4".to_owned(), json!({"secret": "nowhere"})),
        ("line-5".to_owned(), json!("trouble")),
    ]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/noroshi/", listener.local_addr().unwrap());
    std::thread::spawn(move || crm(&listener, &people));
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "token-1\n").unwrap();
    let directory = HttpDirectory::new(&HttpFile { url: url.clone(), token_file: Some(token) }).unwrap();
    answers(&directory);
    let wrong = subscriber(&directory, "C-4").unwrap_err();
    assert!(matches!(wrong, DirectoryError::Entry(_)) && !wrong.to_string().contains("nowhere"), "{wrong}");
    assert!(matches!(contract(&directory, "line-5"), Err(DirectoryError::Away(_))));
    let stranger = HttpDirectory::new(&HttpFile { url, token_file: None }).unwrap();
    assert!(matches!(contract(&stranger, "line-1"), Err(DirectoryError::Unreadable(_))));
    let nobody =
        HttpDirectory::new(&HttpFile { url: "http://127.0.0.1:9".into(), token_file: None }).unwrap();
    assert!(matches!(contract(&nobody, "line-1"), Err(DirectoryError::Away(_))));
    assert!(HttpDirectory::new(&HttpFile { url: "http://crm.example.jp".into(), token_file: None }).is_err());
}
