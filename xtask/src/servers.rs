//! The real peers the tests talk to. A mail that Postfix never queued or a transaction that PostgreSQL never
//! rolled back proves little, so the tests get the genuine servers, private to one run: free loopback ports,
//! temporary folders, nothing of the machine's own configuration touched. One that cannot be had is skipped,
//! and says how to get it.
//!
//! ```text
//! NOROSHI_TEST_POSTGRES     postgres://noroshi@127.0.0.1:PORT/noroshi   a superuser and an empty database
//! NOROSHI_TEST_SMTP         127.0.0.1:PORT                              Postfix, see `postfix.rs` for its manners
//! NOROSHI_TEST_MAILDIRS     DIR, one maildir LOCALPART/ per recipient
//! NOROSHI_TEST_MAILLOG      Postfix's log
//! NOROSHI_TEST_NGINX        http://127.0.0.1:PORT                       nginx, serving files/ of its folder
//! NOROSHI_TEST_NGINX_TLS    https://localhost:PORT                      the same; cert.pem of the folder vouches for it
//! NOROSHI_TEST_NGINX_FOLDER DIR with files/, cert.pem, access.log
//! NOROSHI_TEST_IMAP         127.0.0.1:PORT                              Dovecot, any user, password `secret`
//! NOROSHI_TEST_IMAP_TLS     localhost:PORT                              the same
//! NOROSHI_TEST_IMAP_FOLDER  DIR with mail/USER/ (maildirs), cert.pem
//! NOROSHI_TEST_NATS         nats://127.0.0.1:PORT                       NATS with JetStream
//! NOROSHI_TEST_DNS          127.0.0.1:PORT                              unbound, see `unbound.rs` for its zones
//! NOROSHI_TEST_RESOLVERS    1                                           named, nsupdate, dig, pdns_recursor, kdig are there
//! NOROSHI_TEST_DNSPYTHON    /PATH/TO/python3                            with dnspython
//! NOROSHI_TEST_GGLSBL       a Python that has gglsbl
//! NOROSHI_TEST_SQUID        the program squid, which tests and the browser's walk start
//! NOROSHI_TEST_KEA          the program kea-dhcp4, which tests start and kill
//! NOROSHI_TEST_FREERADIUS   the program freeradius, likewise
//! NOROSHI_TEST_SLAPD        the program slapd, likewise
//! NOROSHI_TEST_CHROMIUM     the browser's program
//! NOROSHI_TEST_AICS         a Python that has aics-tlog
//! NOROSHI_TEST_DKIMPY       a Python that has dkimpy
//! NOROSHI_TEST_SCHEMATHESIS the program schemathesis, which asks the API what it can think of
//! NOROSHI_TEST_SITE_LISTS   DIR with lists of bad and of popular sites, and with fraudurl
//! NOROSHI_TEST_SHARED_DATA  ../shared/data, where that lies beside the project
//! ```

pub mod apt;
mod certificate;
mod chromium;
mod dovecot;
mod judges;
mod keeper;
mod nats;
mod nginx;
mod postfix;
mod postgres;
mod program;
mod schemathesis;
mod unbound;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use keeper::Keeper;

/// Packages with labelled sites.
fn site_lists() -> Result<Ready> {
    let folder = crate::site::fetch(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?.canonicalize()?;
    let environment = vec![("NOROSHI_TEST_SITE_LISTS", folder.display().to_string())];
    Ok(Ready { version: "found".to_owned(), environment, _keeper: None })
}

/// Everything that could be started; dropping it stops them all.
pub struct Servers {
    ready: Vec<(&'static str, Ready, Duration)>,
    skipped: Vec<Skipped>,
}

/// One server that answers, with the variables that tell the tests where.
struct Ready {
    version: String,
    environment: Vec<(&'static str, String)>,
    _keeper: Option<Keeper>,
}

struct Skipped {
    name: &'static str,
    why: String,
    how: &'static str,
    allowed_in_ci: bool,
}

impl Servers {
    /// Starts what can be started, one after the other: apt allows no two installations at once.
    pub fn start(root: &Path) -> Self {
        let mut servers = Self { ready: Vec::new(), skipped: Vec::new() };
        servers.add("PostgreSQL", postgres::start, postgres::HOW);
        servers.add("Postfix", postfix::start, postfix::HOW);
        servers.add("nginx", nginx::start, nginx::HOW);
        servers.add("Dovecot", dovecot::start, dovecot::HOW);
        servers.add("NATS", nats::start, nats::HOW);
        servers.add("unbound", unbound::start, unbound::HOW);
        servers.add("BIND, PowerDNS and kdig", program::resolvers, program::HOW_RESOLVERS);
        servers.add("Squid", program::squid, program::HOW_SQUID);
        servers.add("Kea", program::kea, program::HOW_KEA);
        servers.add("FreeRADIUS", program::freeradius, program::HOW_FREERADIUS);
        servers.add("OpenLDAP", program::slapd, program::HOW_SLAPD);
        servers.add("nftables", program::networks, program::HOW_NETWORKS);
        servers.add("Chromium", chromium::find, chromium::HOW);
        servers.add("aics-tlog, dkimpy, dnspython and gglsbl", judges::find, judges::HOW);
        servers.add(
            "lists of sites",
            site_lists,
            "install npm and Python with pip; the lists are then fetched as packages",
        );
        servers.add_shared_data(root);
        servers
    }

    /// What the browser's tests need.
    pub fn for_the_browser() -> Self {
        let mut servers = Self { ready: Vec::new(), skipped: Vec::new() };
        servers.add("Postfix", postfix::start, postfix::HOW);
        servers.add("Squid", program::squid, program::HOW_SQUID);
        servers.add("Chromium", chromium::find, chromium::HOW);
        servers.add("schemathesis", schemathesis::find, schemathesis::HOW);
        servers
    }

    fn add(&mut self, name: &'static str, start: fn() -> Result<Ready>, how: &'static str) {
        let begun = Instant::now();
        match start() {
            Ok(ready) => self.ready.push((name, ready, begun.elapsed())),
            Err(error) => {
                self.skipped.push(Skipped { name, why: format!("{error:#}"), how, allowed_in_ci: false });
            }
        }
    }

    fn add_shared_data(&mut self, root: &Path) {
        let name = "shared data";
        match root.join("../shared/data").canonicalize() {
            Ok(dir) => {
                let environment = vec![("NOROSHI_TEST_SHARED_DATA", dir.display().to_string())];
                let ready = Ready { version: "found".to_owned(), environment, _keeper: None };
                self.ready.push((name, ready, Duration::ZERO));
            }
            Err(_) => self.skipped.push(Skipped {
                name,
                why: "no folder ../shared/data beside the project".to_owned(),
                how: "it is no part of the repository; put the captures there if you were given them",
                allowed_in_ci: true,
            }),
        }
    }

    /// The variables for the tests.
    pub fn environment(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.ready
            .iter()
            .flat_map(|(_, ready, _)| &ready.environment)
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// One line per server on stderr, with the time its start took.
    pub fn announce(&self) {
        for (name, ready, took) in &self.ready {
            eprintln!("xtask: {name} {} ({:.1} s)", ready.version, took.as_secs_f64());
        }
        for line in self.skipped_lines() {
            eprintln!("xtask: {line}");
        }
    }

    /// What was skipped, why, and how to get it.
    pub fn skipped_lines(&self) -> Vec<String> {
        self.skipped
            .iter()
            .map(|Skipped { name, why, how, .. }| {
                format!("SKIPPED: {name}: {why}\n         to get it: {how}")
            })
            .collect()
    }

    /// Whether something is missing that CI must have.
    pub fn lacks_any(&self) -> bool {
        self.skipped.iter().any(|skipped| !skipped.allowed_in_ci)
    }
}

/// A port nobody listens on just now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

/// A fresh folder that the servers' own users may enter.
fn server_folder(name: &str) -> Result<TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::Builder::new()
        .prefix(&format!("noroshi-{name}-"))
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()
        .context("making a temporary folder")?;
    Ok(dir)
}

fn am_root() -> bool {
    output_of(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0")
}

pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

/// Runs a command to its end and returns what it printed; its complaint becomes the error.
pub fn output_of(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("starting {program}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed ({}): {}", output.status, last_lines(&complaint));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}

/// Asks `ready` every 20 ms until it agrees or half a minute is over.
fn wait_until(ready: impl Fn() -> Result<()>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match ready() {
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            answer => return answer.context("it did not answer within 30 s"),
        }
    }
}
