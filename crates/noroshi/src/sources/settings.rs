//! `[source.NAME]`: where reports come from, what they are, and when they are fetched. What was written ([`SourceFile`])
//! and what it means ([`Source`]); everything that can be wrong is said when the configuration is read.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use jiff::SignedDuration;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use noroshi_law::{InfectionNotice, Purpose as _};
use noroshi_model::Id;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schedule::{EVERY_MIN, Schedule};
use crate::intake::Campaign;

/// Most bytes of one body, unless `max-bytes` says otherwise.
pub const BODY_BYTES_MAX: u64 = 4 << 30;
/// Most bytes of a mail, unless `max-bytes` says otherwise: it is held in memory.
pub const MAIL_BYTES_MAX: u64 = 64 << 20;
/// Longest fetch, in seconds, unless `timeout-s` says otherwise.
pub const TIMEOUT_S: u64 = 600;
/// After how many seconds a queue gives a message again, unless `ack-wait-s` says otherwise.
pub const ACK_WAIT_S: u32 = 300;
/// Most characters of a source's name.
const NAME_CHARS_MAX: usize = 64;
/// Most bytes of a secret's file.
const SECRET_BYTES_MAX: u64 = 16 << 10;
/// Stands for what `secret-file` holds, in `url` and `headers`.
pub const SECRET: &str = "{secret}";

/// `[push]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PushFile {
    /// Address on which reports are taken that others send. Without it, none are.
    pub listen: Option<SocketAddr>,
}

/// `[source.NAME]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SourceFile {
    /// The reports' format; `noroshi feed formats` lists them.
    pub format: String,
    /// `feed.name` of the events. Default: the source's name.
    pub feed_name: Option<String>,
    /// `feed.url` of the events. Default: `url`.
    pub feed_url: Option<String>,
    /// Parameters of the parser.
    pub params: Map<String, Value>,
    /// The campaign they belong to: events about our own network go on into the loop.
    pub campaign: Option<String>,
    /// The measure under which the campaign's events may be used.
    pub measure: Option<String>,
    /// Pause between two fetches: `15m`, `1h`.
    pub every: Option<String>,
    /// Or times of day: `["06:30"]`.
    pub at: Vec<String>,
    /// The zone of `at`. Default: this machine's.
    pub zone: Option<String>,
    /// Most bytes of one body.
    pub max_bytes: Option<u64>,

    /// A folder that is watched.
    pub folder: Option<PathBuf>,
    /// Which files of the folder, or which parts of mails, by name: `*.csv`.
    pub pattern: Option<String>,
    /// What becomes of files that were taken in.
    pub done: Option<Done>,
    /// Seconds for which a file must not have changed, to be complete.
    pub settle_s: Option<u32>,

    /// An address that is fetched.
    pub url: Option<String>,
    /// Headers of the request.
    pub headers: BTreeMap<String, String>,
    /// File whose content stands for `{secret}` in `url` and `headers`.
    pub secret_file: Option<PathBuf>,
    /// Whether redirects may lead to another host.
    pub redirects_anywhere: bool,
    /// Proxy: `http://host:port`. None is taken from the environment.
    pub proxy: Option<String>,
    /// Longest fetch, in seconds.
    pub timeout_s: Option<u64>,

    /// A mailbox, `host:993`.
    pub imap: Option<String>,
    /// Folder of the mailbox. Default: `INBOX`.
    pub mailbox: Option<String>,
    /// How the connection to the mailbox is protected. Default: `tls`.
    pub tls: Option<Tls>,
    /// Which part of a mail is the report. Default: the attachments; the whole mail for formats that read mails.
    pub take: Option<MailPart>,

    /// A NATS server: `nats://host:4222`, `tls://host:4222`.
    pub nats: Option<String>,
    /// The JetStream stream.
    pub stream: Option<String>,
    /// Only messages of this subject.
    pub subject: Option<String>,
    /// The durable consumer. Default: `noroshi-` and the source's name.
    pub consumer: Option<String>,
    /// Seconds after which the queue gives a message again that was not acknowledged, if we make the consumer.
    pub ack_wait_s: Option<u32>,

    /// Reports are sent to us: `POST /feeds/NAME` on `push.listen`.
    pub push: bool,

    /// User name at the server.
    pub user: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// File with the certificates (PEM) that the server's has to come from. Default: the web's.
    pub ca_file: Option<PathBuf>,
}

/// What becomes of a file of a watched folder once it was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Done {
    /// It moves to `done/`; one that cannot be read, to `refused/`.
    #[default]
    Move,
    /// It stays, and is remembered.
    Leave,
}

/// How a connection is protected.
#[allow(clippy::enum_variant_names, reason = "that is what it is called")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// From its first byte.
    #[default]
    Tls,
    /// After STARTTLS.
    Starttls,
    /// Not at all; loopback only.
    None,
}

/// Which part of a mail is the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailPart {
    /// Attachments by name and type.
    Attachments,
    /// Its text.
    Body,
    /// All of it.
    Mail,
}

/// What a source means.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// The format.
    pub format: String,
    /// `feed.name`
    pub feed_name: String,
    /// `feed.url`
    pub feed_url: Option<String>,
    /// Parameters of the parser.
    pub params: Map<String, Value>,
    /// The campaign, where the loop goes on with its events.
    pub campaign: Option<Campaign>,
    /// When it is fetched.
    pub schedule: Schedule,
    /// Most bytes of one body.
    pub max_bytes: u64,
    /// Where from.
    pub origin: Origin,
    /// What validators belong to: changes with everything that decides what a body is read as.
    pub setting: String,
}

/// Where reports come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A watched folder.
    Folder(FolderOrigin),
    /// Fetched over HTTP.
    Web(WebOrigin),
    /// A mailbox.
    Imap(ImapOrigin),
    /// A queue.
    Nats(NatsOrigin),
    /// Sent to us.
    Push,
}

impl Origin {
    /// What it is called.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Folder(_) => "folder",
            Self::Web(_) => "url",
            Self::Imap(_) => "imap",
            Self::Nats(_) => "nats",
            Self::Push => "push",
        }
    }

    /// Where it is, for people; never a secret.
    pub fn place(&self) -> String {
        match self {
            Self::Folder(folder) => folder.folder.display().to_string(),
            Self::Web(web) => web.url.clone(),
            Self::Imap(imap) => format!("{}/{}", imap.server, imap.mailbox),
            Self::Nats(nats) => format!("{} {}", nats.server, nats.stream),
            Self::Push => "POST".to_owned(),
        }
    }
}

/// A watched folder.
#[derive(Clone, Debug)]
pub struct FolderOrigin {
    /// Where.
    pub folder: PathBuf,
    /// Which files.
    pub pattern: Pattern,
    /// What becomes of them.
    pub done: Done,
    /// For how long a file must not have changed.
    pub settle: SignedDuration,
}

/// An address that is fetched.
#[derive(Clone, Debug)]
pub struct WebOrigin {
    /// As written, `{secret}` not replaced.
    pub url: String,
    /// As written.
    pub headers: BTreeMap<String, String>,
    /// Who asks.
    pub login: Option<Login>,
    /// What `{secret}` stands for.
    pub secret_file: Option<PathBuf>,
    /// Whether redirects may lead to another host.
    pub redirects_anywhere: bool,
    /// Proxy.
    pub proxy: Option<String>,
    /// Longest fetch.
    pub timeout: Duration,
    /// Certificates to trust instead of the web's.
    pub ca_file: Option<PathBuf>,
}

/// A mailbox.
#[derive(Clone, Debug)]
pub struct ImapOrigin {
    /// `host:port`
    pub server: String,
    /// How the connection is protected.
    pub tls: Tls,
    /// Certificates to trust instead of the web's.
    pub ca_file: Option<PathBuf>,
    /// Who asks.
    pub login: Login,
    /// Which folder.
    pub mailbox: String,
    /// Which parts.
    pub take: MailPart,
    /// Which parts, by name.
    pub pattern: Option<Pattern>,
}

impl ImapOrigin {
    /// A mailbox whose mails are taken whole.
    pub fn new(
        server: &str,
        tls: Option<Tls>,
        login: Option<Login>,
        mailbox: Option<&str>,
    ) -> anyhow::Result<Self> {
        let tls = tls.unwrap_or_default();
        ensure!(
            tls != Tls::None || crate::config::is_loopback(server),
            "tls = \"none\" is for loopback only: it shows the password to everybody on the way"
        );
        ensure!(
            server.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok()),
            "imap = \"host:993\""
        );
        Ok(Self {
            server: server.to_owned(),
            tls,
            ca_file: None,
            login: login.context("a mailbox needs user and password-file")?,
            mailbox: mailbox.unwrap_or("INBOX").to_owned(),
            take: MailPart::Mail,
            pattern: None,
        })
    }
}

/// A queue.
#[derive(Clone, Debug)]
pub struct NatsOrigin {
    /// Its address.
    pub server: String,
    /// The stream.
    pub stream: String,
    /// Which subject of it.
    pub subject: Option<String>,
    /// The durable consumer.
    pub consumer: String,
    /// After which a message comes again.
    pub ack_wait: Duration,
    /// Who asks.
    pub login: Option<Login>,
    /// Certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub user: String,
    /// File with the password.
    pub password_file: PathBuf,
}

/// A pattern of file names.
#[derive(Clone, Debug)]
pub struct Pattern(globset::GlobMatcher);

impl Pattern {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let glob = globset::GlobBuilder::new(text).case_insensitive(true).build();
        Ok(Self(glob.with_context(|| format!("pattern = \"{text}\""))?.compile_matcher()))
    }

    /// Whether a name fits.
    pub fn fits(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

/// Reads a secret from its file, without the line's end.
pub fn secret(path: &Path) -> anyhow::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text))
        .with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

impl Source {
    /// What a source's table means.
    pub fn read(name: &str, file: &SourceFile) -> anyhow::Result<Self> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        ensure!(
            !name.is_empty() && name.len() <= NAME_CHARS_MAX && name.bytes().all(plain),
            "a source's name has small letters, digits and hyphens, {NAME_CHARS_MAX} at most"
        );
        ensure!(!file.format.is_empty(), "say its format; `noroshi feed formats` lists them");
        let origin = origin(name, file)?;
        let measure = || file.measure.clone().unwrap_or_else(|| InfectionNotice::MEASURE.to_owned());
        let campaign = file.campaign.clone().map(|name| Campaign { name, measure: measure() });
        ensure!(campaign.is_some() || file.measure.is_none(), "a measure goes with a campaign");
        let url = file.url.clone();
        let max = if matches!(origin, Origin::Imap(_)) { MAIL_BYTES_MAX } else { BODY_BYTES_MAX };
        // All of it, but for what has no say in what a body is.
        let decisive = SourceFile { every: None, at: Vec::new(), zone: None, ..file.clone() };
        let decisive = serde_json::to_vec(&decisive)?;
        Ok(Self {
            name: name.to_owned(),
            format: file.format.clone(),
            feed_name: file.feed_name.clone().unwrap_or_else(|| name.to_owned()),
            feed_url: file.feed_url.clone().or(url),
            params: file.params.clone(),
            campaign,
            schedule: schedule(file, &origin)?,
            max_bytes: file.max_bytes.unwrap_or(max),
            origin,
            setting: Id::of("source", &[&decisive]).to_string(),
        })
    }
}

fn login(file: &SourceFile) -> anyhow::Result<Option<Login>> {
    match (&file.user, &file.password_file) {
        (Some(user), Some(file)) => Ok(Some(Login { user: user.clone(), password_file: file.clone() })),
        (None, None) => Ok(None),
        _ => bail!("user and password-file go together"),
    }
}

fn origin(name: &str, file: &SourceFile) -> anyhow::Result<Origin> {
    let given =
        [file.folder.is_some(), file.url.is_some(), file.imap.is_some(), file.nats.is_some(), file.push];
    ensure!(
        given.iter().filter(|g| **g).count() == 1,
        "say where it comes from, with one of: folder, url, imap, nats, push = true"
    );
    let pattern = file.pattern.as_deref().map(Pattern::parse).transpose()?;
    let login = login(file)?;
    if let Some(folder) = &file.folder {
        return Ok(Origin::Folder(FolderOrigin {
            folder: folder.clone(),
            pattern: pattern.map_or_else(|| Pattern::parse("*"), Ok)?,
            done: file.done.unwrap_or_default(),
            settle: SignedDuration::from_secs(file.settle_s.unwrap_or(5).into()),
        }));
    }
    if let Some(url) = &file.url {
        return web(url, file, login).map(Origin::Web);
    }
    if let Some(server) = &file.imap {
        let mails = file.format == "arf";
        let take = file.take.unwrap_or(if mails { MailPart::Mail } else { MailPart::Attachments });
        let whole = ImapOrigin::new(server, file.tls, login, file.mailbox.as_deref())?;
        return Ok(Origin::Imap(ImapOrigin { ca_file: file.ca_file.clone(), take, pattern, ..whole }));
    }
    if let Some(server) = &file.nats {
        return Ok(Origin::Nats(NatsOrigin {
            server: server.clone(),
            stream: file.stream.clone().context("say the JetStream stream: stream = \"…\"")?,
            subject: file.subject.clone(),
            consumer: file.consumer.clone().unwrap_or_else(|| format!("noroshi-{name}")),
            ack_wait: Duration::from_secs(file.ack_wait_s.unwrap_or(ACK_WAIT_S).into()),
            login,
            ca_file: file.ca_file.clone(),
        }));
    }
    Ok(Origin::Push)
}

fn web(url: &str, file: &SourceFile, login: Option<Login>) -> anyhow::Result<WebOrigin> {
    let uri: ureq::http::Uri =
        url.replace(SECRET, "x").parse().with_context(|| format!("url = \"{url}\""))?;
    let scheme = uri.scheme_str().unwrap_or_default();
    ensure!(scheme == "https" || scheme == "http", "url begins with https:// or http://");
    let authority = uri.authority().context("the url names no host")?.as_str();
    ensure!(!authority.contains('@'), "no password in the url: use user and password-file");
    let secrets = url.contains(SECRET) || file.headers.values().any(|v| v.contains(SECRET));
    ensure!(
        secrets == file.secret_file.is_some(),
        "secret-file and {SECRET} (in url or headers) go together"
    );
    ensure!(
        scheme == "https" || !(secrets || login.is_some()) || crate::config::is_loopback(authority),
        "a password or secret goes over https only"
    );
    Ok(WebOrigin {
        url: url.to_owned(),
        headers: file.headers.clone(),
        login,
        secret_file: file.secret_file.clone(),
        redirects_anywhere: file.redirects_anywhere,
        proxy: file.proxy.clone(),
        timeout: Duration::from_secs(file.timeout_s.unwrap_or(TIMEOUT_S)),
        ca_file: file.ca_file.clone(),
    })
}

fn schedule(file: &SourceFile, origin: &Origin) -> anyhow::Result<Schedule> {
    let pause = |text: &str| -> anyhow::Result<SignedDuration> {
        let pause: SignedDuration = text.parse().with_context(|| format!("every = \"{text}\" (15m, 24h)"))?;
        ensure!(pause >= EVERY_MIN, "every = \"{text}\": at least {EVERY_MIN:#}");
        Ok(pause)
    };
    match (&file.every, file.at.as_slice()) {
        (Some(_), [_, ..]) => bail!("say every or at, not both"),
        (Some(every), []) => Ok(Schedule::Every(pause(every)?)),
        (None, []) => Ok(match origin {
            Origin::Folder(_) => Schedule::Every(SignedDuration::from_secs(10)),
            Origin::Web(_) => Schedule::Every(SignedDuration::from_hours(1)),
            Origin::Imap(_) => Schedule::Every(SignedDuration::from_mins(5)),
            Origin::Nats(_) | Origin::Push => Schedule::Always,
        }),
        (None, times) => {
            let times = times.iter().map(|text| {
                text.parse::<Time>().with_context(|| format!("at = [\"{text}\"]: a time of day is 06:30"))
            });
            let zone = match &file.zone {
                Some(name) => TimeZone::get(name).with_context(|| format!("zone = \"{name}\""))?,
                None => TimeZone::system(),
            };
            Ok(Schedule::At(times.collect::<anyhow::Result<_>>()?, zone))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Source> {
        Source::read("feed", &toml::from_str(text)?)
    }

    #[test]
    fn what_is_unsafe_or_says_nothing_is_refused_with_the_remedy() {
        for (text, told) in [
            ("url = \"https://a.example/\"", "format"),
            ("format = \"x\"", "folder, url"),
            ("format = \"x\"\npush = true\nfolder = \"a\"", "one of"),
            ("format = \"x\"\nurl = \"ftp://a.example/\"", "https://"),
            ("format = \"x\"\nurl = \"https://u:p@a.example/\"", "password-file"),
            ("format = \"x\"\nurl = \"http://a.example/{secret}\"\nsecret-file = \"f\"", "https only"),
            ("format = \"x\"\nurl = \"https://a.example/{secret}\"", "secret-file"),
            ("format = \"x\"\nurl = \"https://a.example/\"\nuser = \"u\"", "go together"),
            ("format = \"x\"\nurl = \"https://a.example/\"\nevery = \"1 day\"", "15m"),
            ("format = \"x\"\nurl = \"https://a.example/\"\nevery = \"1ms\"", "at least"),
            ("format = \"x\"\nurl = \"https://a.example/\"\nat = [\"25:00\"]", "06:30"),
            ("format = \"x\"\nfolder = \"a\"\npattern = \"a[\"", "pattern"),
            (
                "format = \"x\"\nimap = \"mail.example:143\"\ntls = \"none\"\nuser = \"u\"\npassword-file = \"f\"",
                "loopback",
            ),
            ("format = \"x\"\nimap = \"mail.example:993\"", "password-file"),
            ("format = \"x\"\nnats = \"nats://q.example\"", "stream"),
            ("format = \"x\"\npush = true\nmeasure = \"m\"", "campaign"),
        ] {
            let e = format!("{:#}", read(text).unwrap_err());
            assert!(e.contains(told), "{text}: {e}");
        }
        assert!(Source::read("../x", &SourceFile::default()).is_err());
    }

    #[test]
    fn validators_belong_to_what_decides_how_a_body_is_read() {
        let base = "format = \"x\"\nurl = \"https://a.example/\"\n";
        let setting = |more: &str| read(&format!("{base}{more}")).unwrap().setting;
        assert_eq!(setting(""), setting("every = \"5m\""));
        assert_ne!(setting(""), setting("params = { a = 1 }"));
        assert_ne!(setting(""), setting("headers = { accept = \"text/csv\" }"));
    }
}
