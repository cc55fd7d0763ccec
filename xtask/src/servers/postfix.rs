//! A private Postfix on the loopback, so that the mails we send meet a real queue, real refusals and a real
//! log.
//!
//! Every recipient in `mail.example.net`, `example.ne.jp` and `example.net` has a maildir `LOCALPART/`, made
//! on the first delivery; no mail leaves the machine. Some local parts behave:
//!
//! ```text
//! defer-*@    450 4.2.1 at RCPT
//! reject-*@   550 5.1.1 at RCPT
//! bounce-*@   accepted, then returned to the sender as a delivery status notification
//! full-*@     the same, because the mailbox is full
//! grey-*@     accepted, and delivered at the third attempt, as behind a greylist; the sender is told of the delay
//! dead-*@     accepted, for a host where nothing listens, and returned when it was tried for long enough
//! ```
//!
//! What stands behind a `+` in a local part leads to the same maildir.
//!
//! Delivery goes through pipe(8) and a script of a few lines, for virtual(8) takes no patterns with `$1` as
//! mailbox.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::keeper::{Keeper, printed};
use super::{Ready, am_root, apt, free_port, on_path, output_of, server_folder, wait_until};

pub const HOW: &str =
    "install Postfix (Debian: apt-get install postfix) and run as root, which its master needs";

/// Who owns the maildirs: pipe(8) takes neither root nor Postfix's own user.
const MAILBOX_OWNER: &str = "nobody";

const REFUSALS: &str = "/^defer-.*@/   450 4.2.1 This mailbox asks you to come back later
/^reject-.*@/  550 5.1.1 There is no such mailbox
";

const DELIVER: &str = r#"#!/bin/sh
# deliver BASE LOCALPART: one message from stdin into a maildir. 65 = bad address, 67 = no such user.
case $2 in
    '' | .* | */*) exit 65 ;;
    bounce-*) echo 'this mailbox returns everything'; exit 67 ;;
    full-*) echo '5.2.2 mailbox full: over quota'; exit 69 ;;
    grey-*)
        mkdir -p "$1/.grey/$2/$(date +%s.%N)"
        [ "$(ls "$1/.grey/$2" | wc -l)" -ge 3 ] || { echo '4.2.0 Greylisted, come back later'; exit 75; } ;;
esac
box=$1/$2 name=$(date +%s.%N).$$.test
mkdir -p "$box/tmp" "$box/new" "$box/cur" && cat >"$box/tmp/$name" && mv "$box/tmp/$name" "$box/new/$name" || exit 75
"#;

pub fn start() -> Result<Ready> {
    ensure!(am_root(), "its master process runs as root only");
    if on_path("postfix").is_none() {
        install()?;
    }
    let dir = server_folder("postfix")?;
    let path = dir.path().to_path_buf();
    let port = free_port()?;
    lay_out(&path, port)?;
    let postfix = on_path("postfix").context("installed, yet not found")?;
    output_of(Command::new(postfix).arg("-c").arg(path.join("config")).arg("check"))?;

    let mut master = Command::new(Path::new(&asked("daemon_directory")?).join("master"));
    master.arg("-c").arg(path.join("config")).arg("-s");
    let keeper = Keeper::start(dir, "TERM", &master)?;
    wait_until(|| greeted(port)).with_context(|| format!("it printed: {}", printed(&path)))?;
    Ok(Ready {
        version: asked("mail_version")?,
        environment: vec![
            ("NOROSHI_TEST_SMTP", format!("127.0.0.1:{port}")),
            ("NOROSHI_TEST_MAILDIRS", path.join("maildirs").display().to_string()),
            ("NOROSHI_TEST_MAILLOG", path.join("maillog").display().to_string()),
        ],
        _keeper: Some(keeper),
    })
}

/// Installs the package unconfigured, so that the machine does not become a mail server by our test.
fn install() -> Result<()> {
    if let Some(preseed) = on_path("debconf-set-selections") {
        let mut child = Command::new(preseed).stdin(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            use std::io::Write;
            writeln!(stdin, "postfix postfix/main_mailer_type select No configuration")?;
        }
        child.wait()?;
    }
    apt::install(&["postfix"])
}

/// A built-in default of the installed Postfix.
fn asked(parameter: &str) -> Result<String> {
    let postconf = on_path("postconf").context("postconf not found")?;
    Ok(output_of(Command::new(postconf).args(["-d", "-h", parameter]))?.trim().to_owned())
}

/// Writes the instance's configuration and makes its folders, queue and mailboxes.
fn lay_out(dir: &Path, port: u16) -> Result<()> {
    for folder in ["config", "queue", "data", "maildirs"] {
        fs::create_dir(dir.join(folder))?;
    }
    fs::write(dir.join("config/main.cf"), main_cf(dir))?;
    fs::write(dir.join("config/master.cf"), master_cf(dir, port))?;
    fs::write(dir.join("config/refusals"), REFUSALS)?;
    fs::write(dir.join("config/transport"), "/^dead-.*@/ smtp:[127.0.0.1]:1\n")?;
    fs::write(dir.join("deliver"), DELIVER)?;
    let owner = asked("mail_owner")?;
    output_of(Command::new("chown").arg(owner).arg(dir.join("data")))?;
    output_of(Command::new("chown").arg(MAILBOX_OWNER).arg(dir.join("maildirs")))?;
    Ok(())
}

fn main_cf(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
maillog_file = {dir}/maillog
maillog_file_prefixes = {dir}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.net
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
notify_classes =
smtputf8_enable = yes
recipient_delimiter = +
transport_maps = regexp:{dir}/config/transport

# Hours and days, as seconds.
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
delay_warning_time = 1s
maximal_queue_lifetime = 12s
bounce_queue_lifetime = 12s

# Mail for our three domains goes to the maildirs; nothing leaves.
virtual_mailbox_domains = mail.example.net, example.ne.jp, example.net
virtual_mailbox_maps = static:yes
virtual_transport = maildir
maildir_destination_recipient_limit = 1
default_transport = error:5.7.1 no mail leaves this test
relay_transport = error:5.7.1 no mail leaves this test
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access regexp:{dir}/config/refusals

# A test that provokes refusals is not an attacker to slow down.
in_flow_delay = 0
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 10000
smtpd_hard_error_limit = 10000
"
    )
}

fn master_cf(dir: &Path, port: u16) -> String {
    let services = "
pickup    unix  n  -  n  60    1  pickup
cleanup   unix  n  -  n  -     0  cleanup
qmgr      unix  n  -  n  300   1  qmgr
rewrite   unix  -  -  n  -     -  trivial-rewrite
bounce    unix  -  -  n  -     0  bounce
defer     unix  -  -  n  -     0  bounce
trace     unix  -  -  n  -     0  bounce
verify    unix  -  -  n  -     1  verify
flush     unix  n  -  n  1000? 0  flush
proxymap  unix  -  -  n  -     -  proxymap
showq     unix  n  -  n  -     -  showq
error     unix  -  -  n  -     -  error
smtp      unix  -  -  n  -     -  smtp
retry     unix  -  -  n  -     -  error
anvil     unix  -  -  n  -     1  anvil
postlog   unix-dgram n - n -   1  postlogd
";
    format!(
        "127.0.0.1:{port} inet n - n - - smtpd{services}\
         maildir   unix  -  n  n  -     -  pipe\n  \
         flags=DRhu user={MAILBOX_OWNER} argv=/bin/sh {dir}/deliver {dir}/maildirs ${{user}}\n",
        dir = dir.display()
    )
}

fn greeted(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut code = [0; 3];
    stream.read_exact(&mut code)?;
    ensure!(&code == b"220", "it greeted with {}", String::from_utf8_lossy(&code));
    Ok(())
}
