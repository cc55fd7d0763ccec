//! A warning from question to "go on": what is answered, what the page says, for whom it ends. What a browser makes of it is tested with one
//! (`cargo xtask browser`).

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nix::sys::socket::sockopt::ReuseAddr;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket};
use noroshi_resolver::heard::Heard;
use noroshi_resolver::message::{Asking, write_question};

use super::world::{Running, everywhere, name, port, until};
use crate::world::{last_json, run};

const CLIENT: &str = "127.0.0.21";
const OTHER: &str = "127.0.0.22";
const PAGE: &str = "127.0.0.80";
const SITE: [u8; 4] = [203, 0, 113, 10];

struct Warned {
    running: Running,
    page: u16,
    closed: u16,
    _place: tempfile::TempDir,
}

impl Warned {
    /// A list that warns, and its page.
    fn start() -> Self {
        let (page, closed, place) = (port(), port(), tempfile::tempdir().unwrap());
        let list = place.path().join("list");
        std::fs::write(
            &list,
            "bad.example CNAME .\n*.bad.example CNAME .\nalso.example CNAME .\ngood.example CNAME rpz-passthru.\n",
        )
        .unwrap();
        let lines = format!("forward = [\"{}\"]", everywhere(SITE));
        let tables = format!(
            "[operator]\nname = \"例示 ISP\"\ndesk = \"0120-000-000\"\n\
             [resolver.warning]\naddress = [\"{PAGE}\"]\nlisten = [\"{PAGE}:{page}\"]\n\
             listen-tls = [\"{PAGE}:{closed}\"]\ngo-on-s = 4\ncontact = [\"mailto:lists@isp.example\"]\n\
             [[resolver.rpz]]\nname = \"rpz.test\"\nfile = {list:?}\noverride = \"warn\"\nlisted-by = \"例示センター\"\n\
             classification-type = \"phishing\"\n"
        );
        Self { running: Running::start(&lines, &tables), page, closed, _place: place }
    }

    /// The addresses that a client is told, and the extended error.
    fn ask(&self, client: &str, asked: &str) -> (Vec<IpAddr>, Option<u16>) {
        let socket = UdpSocket::bind((client, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut question = Vec::new();
        let asking = Asking { rtype: 1, recursion: true, dnssec_ok: false, checking_disabled: false };
        write_question(&mut question, 7, &name(asked), asking, 1232);
        socket.send_to(&question, ("127.0.0.1", self.running.port)).unwrap();
        let mut answer = [0; 2048];
        let len = socket.recv(&mut answer).unwrap();
        let heard = Heard::read(&answer[..len]).unwrap();
        let addresses =
            heard.answer.iter().filter_map(|rr| noroshi_resolver::step::address(rr.rtype, &rr.data));
        let error = answer[..len].windows(4).position(|at| at[..2] == [0, 15] && at[2] == 0);
        let code = error.map(|at| u16::from_be_bytes([answer[at + 4], answer[at + 5]]));
        (addresses.collect(), code)
    }

    fn connect(&self, client: &str, port: u16) -> TcpStream {
        connected_from(client, PAGE, port)
    }

    /// A request of a browser.
    fn request(&self, client: &str, request: &str) -> String {
        let mut stream = self.connect(client, self.page);
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn open(&self, client: &str, host: &str, language: &str) -> String {
        self.request(
            client,
            &format!("GET /a?b=c HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nAccept-Language: {language}\r\n\r\n"),
        )
    }

    fn press(&self, client: &str, host: &str, token: &str) -> String {
        let body = format!("token={token}");
        self.request(
            client,
            &format!(
                "POST /.noroshi-warning/go-on/%2Fa%3Fb%3Dc HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nContent-Length: {}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
                body.len()
            ),
        )
    }
}

/// A connection from one address of this machine to another.
pub fn connected_from(client: &str, to: &str, port: u16) -> TcpStream {
    let v4 = |ip: &str, port: u16| SockaddrIn::from(SocketAddrV4::new(ip.parse().unwrap(), port));
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&socket, ReuseAddr, &true).unwrap();
    bind(socket.as_raw_fd(), &v4(client, 0)).unwrap();
    connect(socket.as_raw_fd(), &v4(to, port)).unwrap();
    TcpStream::from(socket)
}

/// The token in a page.
pub fn token(page: &str) -> &str {
    page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap()
}

#[test]
fn a_listed_name_leads_to_the_page_and_who_goes_on_is_not_warned_for_a_while() {
    let warned = Warned::start();
    let page: Vec<IpAddr> = vec![PAGE.parse().unwrap()];
    let site: Vec<IpAddr> = vec![SITE.into()];
    assert_eq!(warned.ask(CLIENT, "www.bad.example."), (page.clone(), Some(15)));
    assert_eq!(warned.ask(CLIENT, "good.example."), (site.clone(), None), "a rule that lets it pass");

    let answer = warned.open(CLIENT, "www.bad.example", "ja");
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    for said in
        ["例示 ISP", "www[.]bad[.]example", "例示センター", "フィッシング", "mailto:lists@isp.example"]
    {
        assert!(answer.contains(said), "{said} is not in {answer}");
    }
    assert!(warned.open(CLIENT, "www.bad.example", "en").contains("It is said to look like a real site"));
    assert!(warned.open(CLIENT, "elsewhere.example", "en").starts_with("HTTP/1.1 404 "));

    let wrong = [
        (CLIENT, "www.bad.example", "00"),
        (OTHER, "www.bad.example", token(&answer)),
        (CLIENT, "also.example", token(&answer)),
    ];
    for (client, host, token) in wrong {
        assert!(warned.press(client, host, token).starts_with("HTTP/1.1 403 "), "{client} {host} {token}");
    }
    let pressed = warned.press(CLIENT, "www.bad.example", token(&answer));
    assert!(pressed.starts_with("HTTP/1.1 303 ") && pressed.contains("location: /a?b=c\r\n"), "{pressed}");
    assert_eq!(warned.ask(CLIENT, "www.bad.example.").0, site, "at once");
    assert_eq!(warned.ask(CLIENT, "img.www.bad.example.").0, site, "what lies below, too");
    assert_eq!(warned.ask(CLIENT, "also.example.").0, page, "no other name");
    assert_eq!(warned.ask(OTHER, "www.bad.example.").0, page, "nobody else");
    let explained = warned.running.asked(&["explain", "www.bad.example", "--client", CLIENT]);
    assert_eq!(explained["decides"]["action"], "warn");
    assert!((1..=4).contains(&explained["goes_on_s"].as_u64().unwrap()), "{explained}");
    until("the end of going on", || (warned.ask(CLIENT, "www.bad.example.").0 == page).then_some(()));
}

#[test]
fn connections_that_nobody_reads_but_the_site_are_refused_at_once() {
    let warned = Warned::start();
    let begun = std::time::Instant::now();
    let mut stream = warned.connect(CLIENT, warned.closed);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let error = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn the_page_says_since_when_our_own_list_has_a_site() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    for site in ["bad-shop.example", "http://shared.example/a/page"] {
        run(place, &["site", "add", site, "--why", "reported", "--by", "Aoki"]);
    }
    let changed =
        last_json(&run(place, &["site", "show", "bad-shop.example", "--json"]))["changed"].to_string();
    let export = |form: &str, name: &str| {
        let out = place.join(name);
        run(place, &["site", "export", "--as", form, "--zone", "rpz.test", "--out", out.to_str().unwrap()]);
        out
    };
    let (list, since) = (export("rpz", "list"), export("since", "since"));
    let page = port();
    let tables = format!(
        "[resolver.warning]\naddress = [\"{PAGE}\"]\nlisten = [\"{PAGE}:{page}\"]\nlisten-tls = [\"{PAGE}:{}\"]\n\
         [[resolver.rpz]]\nname = \"rpz.test\"\nfile = {list:?}\noverride = \"warn\"\nsince = {since:?}\n",
        port()
    );
    let running = Running::start("forward = [\"127.0.0.1:9\"]", &tables);
    let warned = Warned { running, page, closed: 0, _place: folder };
    let changed: Timestamp = changed.trim_matches('"').parse().unwrap();
    let day = (changed + SignedDuration::from_hours(9)).strftime("%Y-%m-%d %H:%M").to_string();
    for (language, said) in [("en", "Since"), ("ja", "載った日時")] {
        let answer = warned.open(CLIENT, "www.bad-shop.example", language);
        assert!(answer.contains(said) && answer.contains(&day), "{said}, {day}: {answer}");
    }
    // What the file lacks is not told, and nor is what a wrong file says.
    std::fs::write(&since, "").unwrap();
    assert!(!warned.open(CLIENT, "bad-shop.example", "en").contains(&day));
    std::fs::write(&since, "bad-shop.example since yesterday, as they say\n").unwrap();
    let answer = warned.open(CLIENT, "bad-shop.example", "en");
    assert!(answer.starts_with("HTTP/1.1 403 ") && !answer.contains("Since"), "{answer}");
}

#[test]
fn without_a_page_nothing_warns() {
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("noroshi.toml");
    std::fs::write(&config, "[[resolver.rpz]]\nname = \"rpz.test\"\nlocal = true\noverride = \"warn\"\n")
        .unwrap();
    let output = crate::world::noroshi(&place.path().join("data"))
        .arg("--config")
        .arg(&config)
        .arg("resolver")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("needs [resolver.warning]"), "{told}");
}
