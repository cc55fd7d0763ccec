//! What these tests have in common: a resolver that runs, BIND, questions and answers.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use noroshi_resolver::heard::Heard;
use noroshi_resolver::message::{Asking, write_question};
use noroshi_resolver::name::Name;
use tempfile::TempDir;

use crate::world::{noroshi, server};

/// The secret of the key that is shared in these tests.
pub const SECRET: &str = "bm9yb3NoaS10ZXN0LXNlY3JldC0wMTIzNDU2Nzg5MDE=";

/// Whether a program of another project is there, or a printed reason to skip.
pub fn others() -> Option<()> {
    server("NOROSHI_TEST_RESOLVERS").map(drop)
}

/// A port that is free for UDP and TCP.
pub fn port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until something is so.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "{what}: not within 40 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn name(text: &str) -> Name {
    Name::from_text(text.as_bytes(), &Name::ROOT).unwrap()
}

/// A server of the world for which every name is at one address, but for those below `silent`, of which it says nothing.
pub fn everywhere(address: [u8; 4]) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut question) {
            if question[..len].to_ascii_lowercase().windows(6).any(|part| part == b"silent") {
                continue;
            }
            let mut answer = question[..len].to_vec();
            // Without its OPT record, and with a record of its name.
            let end = 12 + answer[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
            let is_a = answer[end - 4..end - 2] == [0, 1];
            answer.truncate(end);
            answer[2..4].copy_from_slice(&[0x81, 0x80]);
            answer[6..12].copy_from_slice(&[0, u8::from(is_a), 0, 0, 0, 0]);
            if is_a {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4]);
                answer.extend(address);
            }
            socket.send_to(&answer, from).unwrap();
        }
    });
    at
}

/// Asks for a record; `None` when there is no answer within half a second.
pub fn ask(port: u16, asked: &str, rtype: u16) -> Option<Heard> {
    ask_with(port, asked, rtype, false)
}

/// The same, perhaps with signatures.
pub fn ask_with(port: u16, asked: &str, rtype: u16, dnssec_ok: bool) -> Option<Heard> {
    ask_within(Duration::from_millis(500), port, asked, rtype, dnssec_ok)
}

/// The same, with more patience.
pub fn ask_within(patience: Duration, port: u16, asked: &str, rtype: u16, dnssec_ok: bool) -> Option<Heard> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    let mut question = Vec::new();
    let asking = Asking { rtype, recursion: true, dnssec_ok, checking_disabled: false };
    write_question(&mut question, fastrand::u16(..), &name(asked), asking, 1232);
    socket.send_to(&question, ("127.0.0.1", port)).unwrap();
    let mut answer = [0; 4096];
    let (len, _) = socket.recv_from(&mut answer).ok()?;
    assert_eq!(answer[..2], question[..2]);
    Some(Heard::read(&answer[..len]).unwrap())
}

/// The addresses of an answer, and its code.
pub fn addresses(heard: &Heard) -> (u16, Vec<Vec<u8>>) {
    let mut all: Vec<Vec<u8>> =
        heard.answer.iter().filter(|rr| rr.rtype == 1).map(|rr| rr.data.clone()).collect();
    all.sort();
    (heard.code, all)
}

/// A resolver of ours that runs.
pub struct Running {
    pub place: TempDir,
    pub port: u16,
    child: Option<Child>,
}

impl Running {
    /// Runs with these lines in `[resolver]`, and tables after them.
    pub fn start(lines: &str, tables: &str) -> Self {
        let mut running = Self { place: tempfile::tempdir().unwrap(), port: port(), child: None };
        running.configure(lines, tables);
        running.again();
        running
    }

    pub fn configure(&self, lines: &str, tables: &str) {
        let secret = self.path("key");
        std::fs::write(&secret, SECRET).unwrap();
        let config = format!(
            "[resolver]\nlisten = [\"127.0.0.1:{}\"]\nthreads = 1\n{lines}\n[resolver.key.\"test.\"]\nsecret-file = {secret:?}\n{tables}",
            self.port
        );
        std::fs::write(self.path("noroshi.toml"), config).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = noroshi(&self.path("data"));
        command.arg("--config").arg(self.path("noroshi.toml")).arg("resolver").args(arguments);
        command
    }

    /// Runs it with these arguments, and what it says in the log.
    pub fn spawn(&self, mut command: Command) -> Child {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// Another one is the one that runs; the one before ends by itself.
    pub fn replace(&mut self, child: Child) {
        let mut before = self.child.replace(child).unwrap();
        let ended = until("the end of the one before", || before.try_wait().unwrap());
        assert!(ended.success(), "{}", self.log());
    }

    /// Starts, and waits until it answers.
    pub fn again(&mut self) {
        self.again_by(self.command(&[]));
    }

    /// The same, by a command of the caller's.
    pub fn again_by(&mut self, command: Command) {
        self.child = Some(self.spawn(command));
        until("the resolver", || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{}", std::fs::read_to_string(self.path("log")).unwrap());
            std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
    }

    /// Ends it as whoever runs it does.
    pub fn end(&mut self) {
        let mut child = self.child.take().unwrap();
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(child.wait().unwrap().success(), "{}", self.log());
    }

    /// As when the machine fails.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// What it was asked on its socket, as JSON.
    pub fn asked(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.command(arguments).arg("--json").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Why it would not.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The first zone's version.
    pub fn serial(&self) -> Option<u64> {
        self.asked(&["status"])["zones"][0]["serial"].as_u64()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// BIND, with the shared key, options that these tests need, and what is added.
pub fn bind(folder: &Path, port: u16, options: &str, rest: &str) -> crate::world::Killed {
    let dir = folder.display();
    let conf = folder.join("named.conf");
    let text = format!(
        "key \"test.\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n\
         options {{ directory \"{dir}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none;\n\
         session-keyfile none; notify-delay 0; startup-notify-rate 1000; empty-zones-enable no; dnssec-validation no; {options} }};\n\
         controls {{}};\n{rest}"
    );
    std::fs::write(&conf, text).unwrap();
    let killed = crate::world::Killed::start(
        Command::new("named").args(["-f", "-n", "1", "-c"]).arg(&conf).current_dir(folder),
    );
    until("BIND", || ask(port, "version.bind.", 16));
    killed
}
