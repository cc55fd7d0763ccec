//! A real Squid asks over ICAP before it opens something: a listed site meets the page that warns, whoever goes on gets it, all else passes as it is.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::warning::{connected_from, token};
use super::world::{Running, port, until};
use crate::world::{Killed, server};

const CLIENT: &str = "127.0.0.21";
const OTHER: &str = "127.0.0.22";
const SITE: &str = "127.0.0.90";
/// Octets of an upload.
const UPLOAD: usize = 300_000;

/// A site that says what it was asked for and how much it got.
fn site() -> u16 {
    let listener = TcpListener::bind((SITE, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let mut head = Vec::new();
                let mut octet = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut octet).unwrap_or(0) == 1 {
                    head.push(octet[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let length = head.lines().find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned)
                });
                let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
                stream.read_exact(&mut body).unwrap();
                let said = format!(
                    "the site: {} and {} octets",
                    head.lines().next().unwrap_or_default(),
                    body.len()
                );
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}",
                    said.len()
                );
            });
        }
    });
    port
}

struct Proxied {
    running: Running,
    _squid: Killed,
    _place: TempDir,
    squid: u16,
    site: u16,
}

impl Proxied {
    fn start(program: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let (icap, squid, site) = (port(), port(), site());
        std::fs::write(place.path().join("list"), "bad.example CNAME .\n*.bad.example CNAME .\n").unwrap();
        std::fs::write(place.path().join("blocked"), "blocked.example CNAME .\n").unwrap();
        std::fs::write(
            place.path().join("urls"),
            format!("http://shared.example:{site}/bad/%7Epage\nno url\n"),
        )
        .unwrap();
        let lines = format!("forward = [\"127.0.0.1:9\"]\nlisten-icap = [\"127.0.0.1:{icap}\"]");
        let tables = format!(
            "[resolver.warning]\naddress = [\"127.0.0.80\"]\nlisten = [\"127.0.0.80:{}\"]\nlisten-tls = [\"127.0.0.80:{}\"]\ngo-on-s = 60\n\
             [[resolver.rpz]]\nname = \"rpz.test\"\nfile = {:?}\noverride = \"warn\"\nlisted-by = \"a list\"\n\
             [[resolver.rpz]]\nname = \"blocked.test\"\nfile = {:?}\n\
             [[resolver.url-list]]\nname = \"urls\"\nfile = {:?}\nlisted-by = \"a list of pages\"\nclassification-type = \"phishing\"\n",
            port(),
            port(),
            place.path().join("list"),
            place.path().join("blocked"),
            place.path().join("urls")
        );
        let running = Running::start(&lines, &tables);
        let hosts = place.path().join("hosts");
        let names = "good.example bad.example www.bad.example blocked.example shared.example";
        std::fs::write(&hosts, format!("{SITE} {names}\n")).unwrap();
        let conf = place.path().join("squid.conf");
        let text = format!(
            "http_port 127.0.0.1:{squid}\nhosts_file {}\npid_filename none\naccess_log none\ncache_log /dev/null\ncache_store_log none\n\
             cache deny all\nhttp_access allow all\ncoredump_dir none\nshutdown_lifetime 0 seconds\nforwarded_for off\nvia off\n\
             icap_enable on\nicap_send_client_ip on\nicap_preview_enable on\n\
             icap_service warn reqmod_precache icap://127.0.0.1:{icap}/warn bypass=on\nadaptation_access warn allow all\n",
            hosts.display()
        );
        std::fs::write(&conf, text).unwrap();
        // Where root starts it, it becomes somebody else, who reads these.
        for path in [place.path().to_owned(), hosts, conf.clone()] {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let process = Killed::start(Command::new(program).arg("-N").arg("-f").arg(&conf));
        until("Squid", || TcpStream::connect(("127.0.0.1", squid)).ok());
        Self { running, _squid: process, _place: place, squid, site }
    }

    fn ask(&self, client: &str, head: &str, body: &[u8]) -> String {
        let mut stream = connected_from(client, "127.0.0.1", self.squid);
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    fn get(&self, client: &str, host: &str, path: &str) -> String {
        let port = self.site;
        let head = format!(
            "GET http://{host}:{port}{path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/html\r\nAccept-Language: en\r\nConnection: close\r\n\r\n"
        );
        self.ask(client, &head, b"")
    }

    fn post(&self, client: &str, host: &str, path: &str, body: &[u8]) -> String {
        let port = self.site;
        let head = format!(
            "POST http://{host}:{port}{path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/html\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.ask(client, &head, body)
    }
}

#[test]
fn squid_asks_before_it_opens_a_site_and_shows_the_page() {
    let Some(program) = server("NOROSHI_TEST_SQUID") else { return };
    let mut proxied = Proxied::start(&program);
    // A proxy asks what the service can do first, and passes what it is asked for until it knows.
    until("Squid's first question", || {
        proxied.get(CLIENT, "bad.example", "/").starts_with("HTTP/1.1 403 ").then_some(())
    });

    let passed = proxied.get(CLIENT, "good.example", "/a?b");
    assert!(passed.contains("the site: GET /a?b "), "{passed}");
    let uploaded = proxied.post(CLIENT, "good.example", "/up", &vec![b'x'; UPLOAD]);
    assert!(uploaded.contains(&format!("and {UPLOAD} octets")), "{uploaded}");

    let page = proxied.get(CLIENT, "www.bad.example", "/a?b");
    assert!(
        page.starts_with("HTTP/1.1 403 ") && page.contains("www[.]bad[.]example") && page.contains("a list"),
        "{page}"
    );
    let uploaded = proxied.post(CLIENT, "www.bad.example", "/up", &vec![b'x'; 1000]);
    assert!(uploaded.starts_with("HTTP/1.1 403 "), "nothing is sent there: {uploaded}");
    let refused = proxied.get(CLIENT, "blocked.example", "/");
    assert!(refused.starts_with("HTTP/1.1 403 ") && !refused.contains("token"), "{refused}");
    let connect = |host: &str| format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n");
    assert!(proxied.ask(CLIENT, &connect("bad.example"), b"").starts_with("HTTP/1.1 403 "));

    let go_on = "/.noroshi-warning/go-on/%2Fa%3Fb";
    let body = format!("token={}", token(&page));
    let other = proxied.post(OTHER, "www.bad.example", go_on, body.as_bytes());
    assert!(other.starts_with("HTTP/1.1 403 "), "{other}");
    let pressed = proxied.post(CLIENT, "www.bad.example", go_on, body.as_bytes());
    assert!(
        pressed.starts_with("HTTP/1.1 303 ") && pressed.to_lowercase().contains("location: /a?b"),
        "{pressed}"
    );
    assert!(proxied.get(CLIENT, "www.bad.example", "/a?b").contains("the site: GET /a?b "));
    assert!(proxied.get(OTHER, "www.bad.example", "/a?b").starts_with("HTTP/1.1 403 "), "nobody else");

    // One page of a host that is on no list, however it is written.
    for path in ["/bad/~page", "/x/../bad//%7epage?q", "/bad/~page#frag"] {
        let page = proxied.get(CLIENT, "shared.example", path);
        assert!(page.starts_with("HTTP/1.1 403 ") && page.contains("a list of pages"), "{path}: {page}");
    }
    for path in ["/", "/bad/", "/bad/~pages"] {
        assert!(proxied.get(CLIENT, "shared.example", path).contains("the site: GET"), "{path}");
    }
    assert!(
        proxied.running.log().contains("urls"),
        "the line that is none is told: {}",
        proxied.running.log()
    );

    let padded = format!("/bad/~page?{}", "x".repeat(9000));
    let refused = proxied.get(CLIENT, "shared.example", &padded);
    assert!(refused.starts_with("HTTP/1.1 4"), "no list is passed by padding: {refused}");

    // As when the resolver's machine fails: the proxy goes on without it.
    proxied.running.kill();
    until("the proxy by itself", || {
        proxied.get(OTHER, "bad.example", "/c").contains("the site: GET /c ").then_some(())
    });
}
