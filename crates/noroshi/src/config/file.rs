//! The configuration as it is written: every key there is, and none besides ([`File`]). What it means is [`super::Config`]'s to say.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ipnet::IpNet;
use noroshi_act::dkim::Dkim;
use noroshi_act::hours::Hours;
use noroshi_act::smtp::Encryption;
use noroshi_directory::{HttpFile, LdapFile, SqlFile};
use noroshi_model::network::Part;
use noroshi_orient::aggregate::Aggregation;
use noroshi_orient::list::ListRule;
use noroshi_wire::SeizedFormat;
use noroshi_wire::nat_rules::NatRule;
use serde::{Deserialize, Serialize};

use super::{CONFIG_FILE, ReadFrom};
use crate::api::ApiFile;
use crate::garden::GardenFile;
use crate::help::{CleanerFile, HelperFile};
use crate::ladder::{BatchFile, LadderFile, OutcomeFile, SmsFile};
use crate::maps::FeedsFile;
use crate::organisations::AlertFile;
use crate::retention::RetentionFile;
use crate::returns::ReturnsFile;
use crate::sessions::{FollowFile, RadiusFile, SessionsFile};
use crate::sources::{PushFile, SourceFile, secret};
use crate::staff::OidcFile;
use crate::tables::EnrichFile;
use crate::webhooks::WebhookFile;
use crate::wording::NoticeFile;

/// The file as written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct File {
    /// Folder of keys, database and head file. Default: [`super::DATA_DIR`].
    pub data_dir: Option<PathBuf>,
    /// A file's path or a `postgres://` URL. Default: `noroshi.db` in the data folder.
    pub database: Option<String>,
    /// Who writes to subscribers.
    pub operator: OperatorFile,
    /// The network.
    pub network: NetworkFile,
    /// The mail server.
    pub mail: MailFile,
    /// What is said.
    pub notice: NoticeFile,
    /// By which ways subscribers are told, in which order.
    pub ladder: LadderFile,
    /// The gateway of short messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sms: Option<SmsFile>,
    /// Where letters go to be printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub letter: Option<BatchFile>,
    /// Where lists of calls go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<BatchFile>,
    /// Where lines are restricted whose users could not be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walled_garden: Option<GardenFile>,
    /// How it is measured what telling does.
    pub outcome: OutcomeFile,
    /// The subscribers' pages.
    pub portal: PortalFile,
    /// The operator's console.
    pub console: ConsoleFile,
    /// Who is behind a contract.
    pub directory: DirectoryFile,
    /// Named formats of seized logs, for `observe seized --format NAME`.
    pub seized: BTreeMap<String, SeizedFormat>,
    /// The tables that events are enriched from.
    pub enrich: EnrichFile,
    /// Maps of feeds.
    pub feeds: FeedsFile,
    /// Feeds whose repeats are counted.
    pub aggregate: BTreeMap<String, Aggregation>,
    /// Feeds that are whole lists.
    pub list: BTreeMap<String, ListRule>,
    /// Counters for a monitoring system.
    pub metrics: MetricsFile,
    /// Where reports come from by themselves.
    pub source: BTreeMap<String, SourceFile>,
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
    pub alert: AlertFile,
    /// The policy resolver.
    #[cfg(target_os = "linux")]
    pub resolver: crate::resolver::ResolverFile,
    /// The API.
    pub api: ApiFile,
    /// Who is told what happens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhook: Vec<WebhookFile>,
}

/// `[metrics]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MetricsFile {
    /// Address of a listener of their own, besides the console's; without login. Default: none.
    pub listen: Option<SocketAddr>,
}

/// `[operator]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct OperatorFile {
    /// The ISP's name as its customers know it.
    pub name: Option<String>,
    /// Where a customer can ask.
    pub desk: Option<String>,
    /// The sender's address.
    pub from: Option<String>,
    /// Folder of your own forms of the mail: `notice.txt`, `notice.html`, `subject.txt`.
    pub templates: Option<PathBuf>,
    /// Your own page with a field for the code in a notice, in words or as an address.
    pub page: Option<String>,
    /// Folder of further languages: `TAG/notice.ftl`, `TAG/portal.ftl`, `TAG/guides.ftl`.
    pub languages: Option<PathBuf>,
}

/// `[network]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct NetworkFile {
    /// Our prefixes; events about other addresses are left out. Empty: every global address.
    pub own: Vec<IpNet>,
    /// Prefixes that several subscribers share at once.
    pub shared: Vec<IpNet>,
    /// Seconds around a session's border in which nobody can say who held the address.
    pub border_s: Option<i64>,
    /// By how many seconds a feed's times may be wrong, by campaign, where that is known; elsewhere it is judged from them.
    pub clock_error_s: BTreeMap<String, u32>,
    /// Networks that are told apart in the outcome. Default: each of `own`.
    pub part: Vec<Part>,
    /// Shared addresses whose ports are given by rule, each with the time in which it was in force.
    pub nat: Vec<NatRule>,
}

/// `[mail]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MailFile {
    /// `host:port`. Default: [`super::MAIL_SERVER`].
    pub server: Option<String>,
    /// `none`, `starttls`, `tls`. Default: `none` on loopback, `starttls` elsewhere.
    pub encryption: Option<Encryption>,
    /// User name.
    pub user: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// Name given in EHLO. Default: the domain of `operator.from`.
    pub helo: Option<String>,
    /// Longest wait for one answer of the mail server, in seconds. Default: 60.
    pub answer_s: Option<u64>,
    /// Over how many connections mails are sent at a time, 32 at most. Default: 8.
    pub connections: Option<u32>,
    /// How long a mail waits for what else is found of the same matter, in seconds. Default: 120.
    pub settle_s: Option<u32>,
    /// When mails are sent, like `09:00-20:00`. Default: at any hour.
    pub hours: Option<Hours>,
    /// Most mails in an hour of the clock. Default: no limit.
    pub per_hour: Option<u32>,
    /// Postfix's log: tells what was delivered, and settles what is in doubt after a crash.
    pub log: Option<PathBuf>,
    /// Where mails come back to that cannot be delivered.
    pub returns: Option<ReturnsFile>,
    /// Signs mails, where the mail server does not.
    pub dkim: Option<DkimFile>,
}

/// `[mail.dkim]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DkimFile {
    /// For which domain. Default: that of `operator.from`, which DMARC wants.
    #[serde(default)]
    pub domain: String,
    /// Which of its keys: the record is `SELECTOR._domainkey.DOMAIN`.
    pub selector: String,
    /// File with the private key (PEM).
    pub key_file: PathBuf,
}

impl DkimFile {
    /// Who signs.
    pub fn signer(&self) -> anyhow::Result<Dkim> {
        Ok(Dkim::new(&self.domain, &self.selector, &secret(&self.key_file)?)?)
    }
}

/// `[portal]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PortalFile {
    /// Address to listen on. Default: [`super::PORTAL_LISTEN`].
    pub listen: Option<SocketAddr>,
    /// What links begin with. Default: `http://` and the listening address.
    pub base_url: Option<String>,
    /// Requests a second that one place (an IPv4 address, an IPv6 /64) may make, and ten seconds' worth at once. Default: 20.
    pub per_second: Option<u32>,
    /// Programs that remove malware.
    pub cleaner: Vec<CleanerFile>,
    /// People who help.
    pub helper: Vec<HelperFile>,
}

/// `[console]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ConsoleFile {
    /// Loopback address to listen on. Default: [`super::CONSOLE_LISTEN`].
    pub listen: Option<SocketAddr>,
    /// Where people reach it, through a proxy with TLS, e.g. `https://console.example.jp`; what passkeys are for, so they end when it
    /// changes. Default: `http://localhost` and the listening port.
    pub url: Option<String>,
    /// The operator's identity provider. Default: none; people come in by passkeys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc: Option<OidcFile>,
}

/// `[directory]`: one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DirectoryFile {
    /// CSV with `user_name,contract,name,mail,language[,opted_out]`.
    pub file: Option<PathBuf>,
    /// PostgreSQL, asked by the operator's own queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<SqlFile>,
    /// A service of the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpFile>,
    /// LDAP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ldap: Option<LdapFile>,
}

impl DirectoryFile {
    pub(super) fn named(&self) -> usize {
        [self.file.is_some(), self.sql.is_some(), self.http.is_some(), self.ldap.is_some()]
            .into_iter()
            .filter(|named| *named)
            .count()
    }
}

impl File {
    /// Reads a file, or the default one if it exists, or nothing; and says which it was.
    pub fn read(named: Option<&Path>) -> anyhow::Result<(Self, Option<ReadFrom>)> {
        let path = match named {
            Some(path) => path,
            None if Path::new(CONFIG_FILE).exists() => Path::new(CONFIG_FILE),
            None => return Ok((Self::default(), None)),
        };
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let file = toml::from_str(&text)
            .with_context(|| format!("{} is not a valid configuration", path.display()))?;
        Ok((file, Some(ReadFrom::of(path, &text))))
    }
}
