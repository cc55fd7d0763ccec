//! The one configuration file: what was written ([`mod@file`], unknown keys refused), what it means ([`Config`]), and how that is told
//! to people ([`told`]).
//!
//! Every default is a documented constant here, and the shipped example is parsed by a test.

mod file;
mod told;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use ipnet::IpNet;
use jiff::SignedDuration;
use noroshi_act::notice::Operator;
use noroshi_act::smtp::{ANSWER_S, Encryption, Submission};
use noroshi_book::Rules;
use noroshi_model::network::Networks;
use noroshi_orient::aggregate::Aggregation;
use noroshi_orient::list::ListRule;
use noroshi_store::Address;
use noroshi_wire::SeizedFormat;
use noroshi_wire::nat_rules::{NatRule, NatRules};

use crate::api::ApiFile;
use crate::help::Help;
use crate::ladder::{LadderFile, OutcomeFile, Reach, Ways};
use crate::maps::FeedsFile;
use crate::organisations::Alerts;
use crate::retention::RetentionFile;
use crate::returns::Returns;
use crate::sessions::{FollowFile, RadiusFile, SessionsFile};
use crate::sources::{Origin, PushFile, Source, SourceFile};
use crate::staff::OidcFile;
use crate::tables::EnrichFile;
use crate::webhooks::{Outlet, WebhookFile, outlets};
use crate::wording::{NoticeFile, WordingFile};

pub use file::*;
pub use told::ReadFrom;

/// Where everything lives unless said otherwise.
pub const DATA_DIR: &str = "noroshi-data";
/// File that is read where none is named, in the current folder.
pub const CONFIG_FILE: &str = "noroshi.toml";
/// The subscribers' pages.
pub const PORTAL_LISTEN: &str = "127.0.0.1:8480";
/// The operator's console; loopback only.
pub const CONSOLE_LISTEN: &str = "127.0.0.1:8481";
/// Default of `mail.settle-s`.
pub const SETTLE_S: u32 = 120;
/// Default of `mail.connections`, and the most.
pub const CONNECTIONS: u32 = 8;
const CONNECTIONS_MAX: u32 = 32;
/// The mail server beside us.
pub const MAIL_SERVER: &str = "127.0.0.1:25";

/// What the file means.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that was read, where there was one.
    pub read_from: Option<ReadFrom>,
    /// Folder of keys, database and head file.
    pub data_dir: PathBuf,
    /// The database.
    pub database: Address,
    /// Who writes to subscribers.
    pub operator: Operator,
    /// Our prefixes.
    pub own: Vec<IpNet>,
    /// Networks that are told apart in the outcome.
    pub networks: Networks,
    /// How addresses are attributed.
    pub rules: Rules,
    /// By how many seconds a feed's times may be wrong, by campaign, where that is known.
    pub clock_error_s: BTreeMap<String, u32>,
    /// The rules among them by which ports are given, as written.
    pub nat: Vec<NatRule>,
    /// The mail server.
    pub submission: Submission,
    /// Over how many connections mails are sent at a time.
    pub connections: u32,
    /// How long a mail waits for what else is found of the same matter.
    pub settle: SignedDuration,
    /// By which ways subscribers are told, in which order, and when.
    pub reach: Reach,
    /// Its log.
    pub mail_log: Option<PathBuf>,
    /// Where mails come back to.
    pub returns: Option<Returns>,
    /// Signs mails.
    pub dkim: Option<DkimFile>,
    /// Folder of the operator's own forms of the mail.
    pub templates: Option<PathBuf>,
    /// Wordings that are tried out, as written.
    pub wordings: Vec<WordingFile>,
    /// Folder of further languages.
    pub languages: Option<PathBuf>,
    /// Where the subscribers' pages are served.
    pub portal: SocketAddr,
    /// What links begin with, without a slash at the end.
    pub base_url: String,
    /// What subscribers are offered besides steps, as written.
    pub offered: PortalFile,
    /// The same, read.
    pub help: Help,
    /// Where the console is served.
    pub console: SocketAddr,
    /// Where people reach it, where that is not this machine's own name.
    pub console_url: Option<String>,
    /// The identity provider by which people come into it.
    pub oidc: Option<OidcFile>,
    /// The directory.
    pub directory: DirectoryFile,
    /// Named formats.
    pub seized: BTreeMap<String, SeizedFormat>,
    /// The tables that events are enriched from.
    pub enrich: EnrichFile,
    /// The policy resolver, as written.
    #[cfg(target_os = "linux")]
    pub resolver: crate::resolver::ResolverFile,
    /// Maps of feeds.
    pub feeds: FeedsFile,
    /// Feeds whose repeats are counted.
    pub aggregate: BTreeMap<String, Aggregation>,
    /// Feeds that are whole lists.
    pub list: BTreeMap<String, ListRule>,
    /// Where the counters are served besides the console.
    pub metrics: Option<SocketAddr>,
    /// Sources, as written and what they mean.
    pub sources: BTreeMap<String, (SourceFile, Source)>,
    /// Where others send reports to us.
    pub push: PushFile,
    /// Where access servers send accounting to us.
    pub radius: RadiusFile,
    /// Files of assignments that are read as they grow.
    pub follow: BTreeMap<String, FollowFile>,
    /// The session book.
    pub sessions: SessionsFile,
    /// For how long what may be kept is kept.
    pub retention: RetentionFile,
    /// How organisations are told of their own addresses.
    pub alerts: Alerts,
    /// The API.
    pub api: ApiFile,
    /// Who is told what happens, as written.
    pub webhook: Vec<WebhookFile>,
    /// The same, read.
    pub webhooks: Vec<Outlet>,
}

impl TryFrom<File> for Config {
    type Error = anyhow::Error;

    fn try_from(file: File) -> anyhow::Result<Self> {
        let data_dir = file.data_dir.unwrap_or_else(|| DATA_DIR.into());
        let database = match &file.database {
            Some(text) => Address::parse(text),
            None => Address::Sqlite(data_dir.join("noroshi.db")),
        };
        let operator = operator(&file.operator);
        let Some((_, domain)) = operator.from.rsplit_once('@') else {
            bail!("operator.from is not a mail address: {}", operator.from)
        };
        let portal = file.portal.listen.map_or_else(|| PORTAL_LISTEN.parse(), Ok)?;
        let (console, console_url) = console_at(&file.console)?;
        let base_url = base_url(&file.portal, portal)?;
        for (name, format) in &file.seized {
            format.check().with_context(|| format!("[seized.{name}]"))?;
        }
        check_holders(&file.follow, &file.directory)?;
        check_kept(&file.aggregate, &file.list)?;
        file.enrich.check()?;
        file.api.check()?;
        let sources = sources(file.source, &file.push)?;
        Ok(Self {
            read_from: None,
            reach: Reach::read(Ways {
                ladder: file.ladder,
                mail_hours: file.mail.hours,
                mails_per_hour: file.mail.per_hour,
                sms: file.sms,
                letter: file.letter,
                call: file.call,
                garden: file.walled_garden,
                outcome: file.outcome,
            })?,
            sources,
            push: file.push,
            radius: file.radius,
            follow: file.follow,
            sessions: file.sessions,
            retention: file.retention,
            alerts: Alerts::read(file.alert).context("[alert]")?,
            api: file.api,
            webhooks: outlets(&file.webhook).context("[[webhook]]")?,
            webhook: file.webhook,
            database,
            networks: Networks::new(file.network.part, &file.network.own).context("[[network.part]]")?,
            own: file.network.own,
            rules: Rules {
                border_s: file.network.border_s.unwrap_or(Rules::BORDER_S),
                shared: file.network.shared,
                nat: NatRules::new(file.network.nat.clone()).context("[[network.nat]]")?,
            },
            nat: file.network.nat,
            clock_error_s: file.network.clock_error_s,
            submission: submission(&file.mail, domain)?,
            connections: file.mail.connections.unwrap_or(CONNECTIONS).clamp(1, CONNECTIONS_MAX),
            settle: SignedDuration::from_secs(file.mail.settle_s.unwrap_or(SETTLE_S).into()),
            mail_log: file.mail.log,
            languages: file.operator.languages,
            templates: file.operator.templates,
            wordings: file.notice.wording,
            dkim: file.mail.dkim.map(|dkim| DkimFile {
                domain: if dkim.domain.is_empty() { domain.to_owned() } else { dkim.domain },
                ..dkim
            }),
            returns: file.mail.returns.map(Returns::read).transpose().context("[mail.returns]")?,
            portal,
            help: Help::read(&file.portal.cleaner, &file.portal.helper)?,
            offered: file.portal,
            base_url,
            console,
            console_url,
            oidc: file.console.oidc,
            directory: file.directory,
            seized: file.seized,
            enrich: file.enrich,
            #[cfg(target_os = "linux")]
            resolver: file.resolver,
            feeds: file.feeds,
            aggregate: file.aggregate,
            list: file.list,
            metrics: file.metrics.listen,
            operator,
            data_dir,
        })
    }
}

/// Who writes to subscribers.
fn operator(file: &OperatorFile) -> Operator {
    let or = |text: &Option<String>, usual: &str| text.clone().unwrap_or_else(|| usual.to_owned());
    Operator {
        name: or(&file.name, "Example ISP"),
        desk: or(&file.desk, "see our website"),
        from: or(&file.from, "noroshi@localhost.localdomain"),
        page: file.page.clone(),
    }
}

/// Where the console is served, and where people reach it.
fn console_at(file: &ConsoleFile) -> anyhow::Result<(SocketAddr, Option<String>)> {
    let console: SocketAddr = file.listen.map_or_else(|| CONSOLE_LISTEN.parse(), Ok)?;
    if !console.ip().is_loopback() {
        bail!("console.listen must be a loopback address; reach it by SSH or a proxy that authenticates");
    }
    if let Some(oidc) = &file.oidc {
        oidc.check().context("[console.oidc]")?;
    }
    Ok((console, file.url.as_deref().map(console_url).transpose()?))
}

/// An origin: scheme, name and, where it has one, port. Passkeys and cookies are for it, and go by TLS unless it is this machine.
fn console_url(text: &str) -> anyhow::Result<String> {
    let plain = text.trim_end_matches('/').to_ascii_lowercase();
    let (scheme, host) = plain.split_once("://").context("console.url begins with https://")?;
    let is_here = host == "localhost" || host.starts_with("localhost:");
    if host.is_empty() || host.contains(['/', '?', '#', '@']) {
        bail!("console.url is scheme, name and port, and nothing else: {text}");
    }
    if scheme != "https" && !(scheme == "http" && is_here) {
        bail!("console.url begins with https://; only http://localhost goes without");
    }
    Ok(plain)
}

/// What links begin with.
fn base_url(file: &PortalFile, portal: SocketAddr) -> anyhow::Result<String> {
    let base_url = file.base_url.clone().unwrap_or_else(|| format!("http://{portal}"));
    if !base_url.starts_with("http://") && !base_url.starts_with("https://") {
        bail!("portal.base-url must begin with https:// (or http:// for trying out): {base_url}");
    }
    Ok(base_url.trim_end_matches('/').to_owned())
}

/// Where reports come from by themselves.
fn sources(
    written: BTreeMap<String, SourceFile>,
    push: &PushFile,
) -> anyhow::Result<BTreeMap<String, (SourceFile, Source)>> {
    let read = |(name, file): (String, SourceFile)| -> anyhow::Result<_> {
        let source = Source::read(&name, &file).with_context(|| format!("[source.{name}]"))?;
        Ok((name, (file, source)))
    };
    let sources = written.into_iter().map(read).collect::<anyhow::Result<BTreeMap<_, _>>>()?;
    if push.listen.is_none()
        && let Some((name, _)) = sources.iter().find(|(_, (_, s))| matches!(s.origin, Origin::Push))
    {
        bail!("[source.{name}] waits for what others send: set push.listen, e.g. \"127.0.0.1:8482\"");
    }
    Ok(sources)
}

/// How mail is handed over.
fn submission(mail: &MailFile, domain: &str) -> anyhow::Result<Submission> {
    let server = mail.server.clone().unwrap_or_else(|| MAIL_SERVER.into());
    let usual = if is_loopback(&server) { Encryption::None } else { Encryption::Starttls };
    let encryption = mail.encryption.unwrap_or(usual);
    if encryption == Encryption::None && !is_loopback(&server) {
        bail!("mail.encryption = \"none\" is for loopback only: notices name subscribers (server {server})");
    }
    Ok(Submission {
        encryption,
        user: mail.user.clone(),
        password_file: mail.password_file.clone(),
        helo: mail.helo.clone().unwrap_or_else(|| domain.to_owned()),
        answer_s: mail.answer_s.unwrap_or(ANSWER_S),
        server,
    })
}

/// What says who held what, and who that is.
fn check_holders(follow: &BTreeMap<String, FollowFile>, directory: &DirectoryFile) -> anyhow::Result<()> {
    for (name, what) in follow {
        what.check().with_context(|| format!("[follow.{name}]"))?;
    }
    if directory.named() > 1 {
        bail!("[directory] names more than one of file, sql, http and ldap");
    }
    Ok(())
}

/// What is kept of feeds has to make sense.
fn check_kept(
    aggregate: &BTreeMap<String, Aggregation>,
    list: &BTreeMap<String, ListRule>,
) -> anyhow::Result<()> {
    for (feed, rule) in aggregate {
        rule.check().map_err(|why| anyhow::anyhow!("[aggregate.{feed}]: {why}"))?;
        if list.contains_key(feed) {
            bail!(
                "'{feed}' is either a list or has its repeats counted, not both: [aggregate.{feed}], [list.{feed}]"
            );
        }
    }
    for (feed, rule) in list {
        rule.check().map_err(|why| anyhow::anyhow!("[list.{feed}]: {why}"))?;
    }
    Ok(())
}

/// Whether `host:port` is this machine.
pub fn is_loopback(server: &str) -> bool {
    server.parse::<SocketAddr>().is_ok_and(|a| a.ip().is_loopback()) || server.starts_with("localhost:")
}

impl Config {
    /// The origin at which people reach the console that listens at an address: what is printed, and what passkeys are for.
    pub fn console_origin(&self, at: SocketAddr) -> String {
        self.console_url.clone().unwrap_or_else(|| format!("http://localhost:{}", at.port()))
    }

    /// The file that would mean this, every default written out.
    pub fn filled_in(&self) -> File {
        let database = match &self.database {
            Address::Sqlite(path) => path.display().to_string(),
            // Without user and password.
            address @ Address::Postgres(_) => address.to_string(),
        };
        File {
            data_dir: Some(self.data_dir.clone()),
            database: Some(database),
            operator: OperatorFile {
                name: Some(self.operator.name.clone()),
                desk: Some(self.operator.desk.clone()),
                from: Some(self.operator.from.clone()),
                page: self.operator.page.clone(),
                languages: self.languages.clone(),
                templates: self.templates.clone(),
            },
            network: NetworkFile {
                own: self.own.clone(),
                part: self.networks.parts().to_vec(),
                shared: self.rules.shared.clone(),
                border_s: Some(self.rules.border_s),
                clock_error_s: self.clock_error_s.clone(),
                nat: self.nat.clone(),
            },
            mail: MailFile {
                server: Some(self.submission.server.clone()),
                encryption: Some(self.submission.encryption),
                user: self.submission.user.clone(),
                password_file: self.submission.password_file.clone(),
                helo: Some(self.submission.helo.clone()),
                answer_s: Some(self.submission.answer_s),
                connections: Some(self.connections),
                settle_s: u32::try_from(self.settle.as_secs()).ok(),
                hours: self.reach.ways.mail_hours,
                per_hour: self.reach.ways.mails_per_hour,
                log: self.mail_log.clone(),
                dkim: self.dkim.clone(),
                returns: self.returns.as_ref().map(|returns| returns.file.clone()),
            },
            notice: NoticeFile { wording: self.wordings.clone() },
            ladder: LadderFile {
                zone: self.reach.ladder.zone.iana_name().map(str::to_owned),
                rung: self.reach.ladder.rungs.clone(),
            },
            sms: self.reach.ways.sms.clone(),
            letter: self.reach.ways.letter.clone(),
            call: self.reach.ways.call.clone(),
            walled_garden: self.reach.ways.garden.clone(),
            outcome: OutcomeFile {
                hold_out_percent: Some(self.reach.outcome.hold_out_percent),
                hold_out_days: Some(self.reach.outcome.hold_out_days),
            },
            portal: PortalFile {
                listen: Some(self.portal),
                base_url: Some(self.base_url.clone()),
                ..self.offered.clone()
            },
            console: ConsoleFile {
                listen: Some(self.console),
                url: self.console_url.clone(),
                oidc: self.oidc.clone(),
            },
            directory: self.directory.clone(),
            seized: self.seized.clone(),
            enrich: self.enrich.clone(),
            #[cfg(target_os = "linux")]
            resolver: self.resolver.clone(),
            feeds: self.feeds.clone(),
            aggregate: self.aggregate.clone(),
            list: self.list.clone(),
            metrics: MetricsFile { listen: self.metrics },
            source: self.sources.iter().map(|(name, (file, _))| (name.clone(), file.clone())).collect(),
            push: self.push.clone(),
            radius: self.radius.clone(),
            follow: self.follow.clone(),
            sessions: self.sessions.clone(),
            retention: self.retention.clone(),
            alert: self.alerts.file.clone(),
            api: self.api.clone(),
            webhook: self.webhook.clone(),
        }
    }

    /// What is legal but unwise.
    pub fn warnings(&self) -> Vec<String> {
        let mut told = Vec::new();
        if self.own.is_empty() {
            told.push("network.own is empty: every global address is taken for ours".into());
        }
        if self.directory.named() == 0 {
            told.push("no [directory] is set: nobody can be notified".into());
        }
        if self.base_url.starts_with("http://") && !self.portal.ip().is_loopback() {
            told.push("portal.base-url is not https: subscribers should not be asked to trust it".into());
        }
        if self.metrics.is_some_and(|at| !at.ip().is_loopback()) {
            told.push("metrics.listen is not a loopback address: whoever reaches it reads the feeds' names and counts".into());
        }
        if self.push.listen.is_some_and(|at| !at.ip().is_loopback()) {
            told.push("push.listen is reached from outside without TLS: put a proxy before it".into());
        }
        if self.api.listen.is_some_and(|at| !at.ip().is_loopback()) {
            told.push("api.listen is reached from outside without TLS: put a proxy before it".into());
        }
        if self.mail_log.is_none() {
            told.push(
                "mail.log is not set: \"delivered\" stays unknown, and a mail interrupted by a crash waits for a person".into(),
            );
        }
        if self.operator.name == "Example ISP" {
            told.push("operator.name is not set".into());
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_example_means_something() {
        let text = include_str!("../../../../docs/noroshi.example.toml");
        let config = Config::try_from(toml::from_str::<File>(text).unwrap()).unwrap();
        assert!(!config.own.is_empty() && config.seized.contains_key("gate") && config.sources.len() == 5);
        assert_eq!(config.aggregate["sinkhole"].silence, SignedDuration::from_hours(12));
        assert_eq!(config.list["c2-addresses"].at_least_percent, 50);
        assert_eq!(config.warnings(), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_followed_and_two_directories_are_refused() {
        for (text, told) in [
            ("[follow.kea]\nfile = \"leases4.csv\"\nformat = \"kea-leases\"", "[follow.kea]"),
            ("[follow.x]\nfile = \"/a/[\"\nformat = \"radius-detail\"", "no pattern"),
            ("[follow.x]\nfile = \"/a\"\nformat = \"kea-leases\"\nparams = { lin = [] }", "lin"),
            ("[directory]\nfile = \"/a\"\nhttp = { url = \"https://crm.example.jp\" }", "more than one"),
        ] {
            let e = Config::try_from(toml::from_str::<File>(text).unwrap()).unwrap_err();
            assert!(format!("{e:#}").contains(told), "{e:#}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let e = toml::from_str::<File>("[network]\nowm = []").unwrap_err().to_string();
        assert!(e.contains("owm"), "{e}");
    }

    #[test]
    fn plain_text_mail_beyond_loopback_and_an_open_console_are_refused() {
        for text in [
            "[mail]\nserver = \"192.0.2.25:25\"\nencryption = \"none\"",
            "[console]\nlisten = \"0.0.0.0:8481\"",
        ] {
            assert!(Config::try_from(toml::from_str::<File>(text).unwrap()).is_err(), "{text}");
        }
    }
}
