//! A private Dovecot: IMAP with and without TLS, any user (the tests make up their own) with the password `secret`, and
//! a maildir for each that a test can put mails into.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::keeper::{Keeper, printed};
use super::{Ready, am_root, apt, certificate, free_port, on_path, output_of, server_folder, wait_until};

pub const HOW: &str =
    "install Dovecot (Debian: apt-get install dovecot-imapd) and run as root, which its master needs";

/// Who owns the maildirs.
const OWNER: &str = "nobody";

pub fn start() -> Result<Ready> {
    ensure!(am_root(), "its master process runs as root only");
    if on_path("dovecot").is_none() {
        apt::install(&["dovecot-imapd"])?;
    }
    let dovecot = on_path("dovecot").context("installed, yet not found")?;
    let dir = server_folder("dovecot")?;
    let path = dir.path().to_path_buf();
    let (port, tls_port) = (free_port()?, free_port()?);
    fs::create_dir(path.join("mail"))?;
    output_of(Command::new("chown").arg(OWNER).arg(path.join("mail")))?;
    certificate::make(&path)?;
    fs::write(path.join("dovecot.conf"), conf(&path, port, tls_port))?;
    let mut server = Command::new(&dovecot);
    server.arg("-F").arg("-c").arg(path.join("dovecot.conf"));
    let keeper = Keeper::start(dir, "TERM", &server)?;
    wait_until(|| Ok(TcpStream::connect(("127.0.0.1", tls_port)).map(drop)?)).with_context(|| {
        let log = fs::read_to_string(path.join("log")).unwrap_or_default();
        format!("it printed: {} {}", printed(&path), super::last_lines(&log))
    })?;
    let version = output_of(Command::new(dovecot).arg("--version"))?;
    Ok(Ready {
        version: version.split_whitespace().next().unwrap_or("of unknown version").to_owned(),
        environment: vec![
            ("NOROSHI_TEST_IMAP", format!("127.0.0.1:{port}")),
            ("NOROSHI_TEST_IMAP_TLS", format!("localhost:{tls_port}")),
            ("NOROSHI_TEST_IMAP_FOLDER", path.display().to_string()),
        ],
        _keeper: Some(keeper),
    })
}

fn conf(dir: &Path, port: u16, tls_port: u16) -> String {
    let dir = dir.display();
    format!(
        "base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
protocols = imap
listen = 127.0.0.1
default_internal_user = {OWNER}
default_login_user = {OWNER}
default_internal_group = nogroup
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
mail_location = maildir:{dir}/mail/%u
first_valid_uid = 1
first_valid_gid = 1
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={OWNER} gid=nogroup home={dir}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"
    )
}
