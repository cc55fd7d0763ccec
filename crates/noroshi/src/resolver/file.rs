//! `[resolver]` as it is written. What it means is in [`settings`](super::settings).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Where questions come in, unless said otherwise: not at port 53, which needs rights and may be taken.
pub const LISTEN: &str = "127.0.0.1:5300";
/// Default of `https-path`, by custom.
pub const HTTPS_PATH: &str = "/dns-query";
/// Default of `cache-mib`.
pub const CACHE_MIB: u64 = 256;
/// Default of `stale-s`: a day.
pub const STALE_S: u32 = 86_400;
/// Default of `go-on-s`.
pub const GO_ON_S: u32 = 3600;

/// `[resolver]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ResolverFile {
    /// Where questions come in, over UDP and TCP. Default: [`LISTEN`].
    pub listen: Vec<SocketAddr>,
    /// Where they come in over TLS (DoT, RFC 7858).
    pub listen_tls: Vec<SocketAddr>,
    /// Where they come in over HTTPS (DoH, RFC 8484).
    pub listen_https: Vec<SocketAddr>,
    /// Where they come in over QUIC (DoQ, RFC 9250).
    pub listen_quic: Vec<SocketAddr>,
    /// The path that is asked over HTTPS. Default: [`HTTPS_PATH`].
    pub https_path: Option<String>,
    /// The certificate of those three.
    pub tls: Option<TlsFile>,
    /// Where HTTP proxies ask before they open something (ICAP, RFC 3507). Default: nowhere.
    pub listen_icap: Vec<SocketAddr>,
    /// Networks of proxies that may, besides this machine: they say for whom they ask.
    pub icap_allow: Vec<IpNet>,
    /// Where clients ask that hold lists of URLs themselves, over HTTP (Safe Browsing, v4); for the Internet, a proxy with TLS stands before it.
    /// Default: nowhere.
    pub listen_hashes: Vec<SocketAddr>,
    /// A Unix socket at which dnstap is collected: of hits of zones without a measure. Default: none.
    pub dnstap: Option<PathBuf>,
    /// Where counters are read, `/metrics` over HTTP (OpenMetrics). Default: nowhere.
    pub metrics: Option<SocketAddr>,
    /// The resolvers that are asked. None: the world is asked from the root down.
    pub forward: Vec<String>,
    /// Networks that may ask, besides this machine.
    pub allow: Vec<IpNet>,
    /// Networks within them that may not.
    pub deny: Vec<IpNet>,
    /// Threads that answer over UDP. Default: one for each core.
    pub threads: Option<usize>,
    /// Memory of the cache, in MiB. Default: [`CACHE_MIB`].
    pub cache_mib: Option<u64>,
    /// Seconds for which an answer may be too old when nobody can be asked. Default: [`STALE_S`].
    pub stale_s: Option<u32>,
    /// Milliseconds that a client waits when there is an answer that is too old, before it gets that one. Default: 1800.
    pub stale_answer_client_timeout_ms: Option<u32>,
    /// Sections that nobody asked for are left out. Default: true.
    pub minimal_responses: Option<bool>,
    /// Rules change signed answers even for clients that check signatures. Default: false.
    pub break_dnssec: bool,
    /// Octets sent over UDP at most. Default: 1232.
    pub udp_octets: Option<u16>,
    /// Answers a second over UDP to a network of clients (IPv4 /24, IPv6 /56) at most. Default: no limit.
    pub answers_s_max: Option<u32>,
    /// Policy zones, in the order in which they decide.
    pub rpz: Vec<RpzFile>,
    /// Sockets of other resolvers that are told who has agreed to measures, besides that in this data folder.
    pub consent_sockets: Vec<PathBuf>,
    /// How many bits of an IPv6 address tell one line from another. Default: 56.
    pub consent_v6_prefix: Option<u8>,
    /// Folder into which events go of lines whose connections to command servers were stopped (zones with the measure `cnc-blocking`), for a
    /// `[source]` to take in. Default: nowhere.
    pub cnc_events: Option<PathBuf>,
    /// A queue from which rules come of zones that are kept here.
    pub queue: Option<QueueFile>,
    /// Lists of URLs, in the order in which they decide, for proxies that ask.
    pub url_list: Vec<UrlListFile>,
    /// The page to which names lead that are warned of.
    pub warning: Option<WarningFile>,
    /// Keys that are shared with primaries (TSIG), by name.
    pub key: BTreeMap<String, KeyFile>,
    /// Tags of networks of clients.
    pub client: Vec<ClientFile>,
    /// Zones whose servers are known.
    pub stub: Vec<ZoneServersFile>,
    /// Zones for which other resolvers are asked.
    pub forward_zone: Vec<ZoneServersFile>,
    /// Root servers, where they are not the Internet's.
    pub root: Vec<IpAddr>,
    /// Servers above a zone are shown no more of a name than they need. Default: true.
    pub qname_minimisation: Option<bool>,
    /// Servers are asked over IPv6, too.
    pub ipv6: bool,
    /// Whether signatures are checked, where the world is asked from the root down. Default: they are, unless `root` names servers of
    /// another root and no `trust-anchor` its keys.
    pub dnssec: Option<DnssecFile>,
    /// Whom to trust, as DS or DNSKEY records of zones. Without one of the root: the keys of the Internet's.
    pub trust_anchor: Vec<String>,
    /// Zones that are taken as unsigned, whatever is heard of them (RFC 7646).
    pub negative_trust_anchor: Vec<String>,
}

/// `dnssec`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DnssecFile {
    /// What does not hold is a failure.
    Validate,
    /// They are passed on.
    Off,
}

/// `[resolver.queue]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct QueueFile {
    /// A NATS server: `nats://host:4222`, `tls://host:4222`.
    pub nats: String,
    /// The JetStream stream.
    pub stream: String,
    /// Only messages of this subject.
    #[serde(default)]
    pub subject: Option<String>,
    /// The durable consumer; each resolver has its own. Default: `noroshi-resolver`.
    #[serde(default)]
    pub consumer: Option<String>,
    /// User name at the server.
    #[serde(default)]
    pub user: Option<String>,
    /// File with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Certificates to trust instead of the system's (PEM).
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// `[[resolver.url-list]]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UrlListFile {
    /// Its name: letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// The file that it is read from: a URL, or a host and a path, on each line.
    pub file: PathBuf,
    /// It holds for lines that have agreed to this measure: `site-warning`. Default: for everybody.
    #[serde(default)]
    pub measure: Option<String>,
    /// Who made the list, as it is told to people.
    #[serde(default)]
    pub listed_by: Option<String>,
    /// What its URLs are (`classification.type`).
    #[serde(default)]
    pub classification_type: Option<String>,
    /// A file that says since when they are on it (`noroshi site export --as since`).
    #[serde(default)]
    pub since: Option<PathBuf>,
}

/// `[resolver.warning]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct WarningFile {
    /// Its addresses, one of IPv4, one of IPv6, or both; nothing else may be there.
    pub address: Vec<IpAddr>,
    /// Where it is, if that is not port 80 of them.
    pub listen: Vec<SocketAddr>,
    /// Where connections come in that nobody reads but the site, if that is not port 443 of them.
    pub listen_tls: Vec<SocketAddr>,
    /// Seconds for which a client keeps its address at most. Default: 5.
    pub ttl_s: Option<u32>,
    /// Seconds for which who goes on is not warned again. Default: [`GO_ON_S`].
    pub go_on_s: Option<u32>,
    /// Where objections go: `mailto:`, `tel:` or `https:` addresses.
    pub contact: Vec<String>,
    /// Networks to which nobody is carried on, besides private ones.
    pub unreachable: Vec<IpNet>,
}

/// `[resolver.tls]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TlsFile {
    /// The certificate and those between it and the root, in this order (PEM).
    pub certificate: PathBuf,
    /// Its key (PEM).
    pub key: PathBuf,
}

/// `[[resolver.rpz]]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RpzFile {
    /// The zone's apex.
    pub name: String,
    /// The file that it is read from.
    pub file: Option<PathBuf>,
    /// Whom it is fetched from, by AXFR and IXFR: addresses, with a port where it is not 53. With a file, that holds until it is fetched.
    pub primary: Vec<String>,
    /// Its rules are added and removed here (`noroshi resolver rule`), and kept in the data folder.
    pub local: bool,
    /// The key with which transfers are signed: one of `[resolver.key]`.
    pub key: Option<String>,
    /// Networks that may fetch it from here, by AXFR and IXFR.
    pub transfer: Vec<IpNet>,
    /// The key with which they must sign: one of `[resolver.key]`.
    pub transfer_key: Option<String>,
    /// Servers that are told of a new version: addresses, with a port where it is not 53.
    pub notify: Vec<String>,
    /// What is done instead of what rules say: `given`, `nxdomain`, `nodata`, `passthru`, `drop`, `tcp-only`, `disabled`, or
    /// `cname NAME`; or `warn`: names lead to the page of `[resolver.warning]`, from which one can go on.
    pub r#override: Option<String>,
    /// Its rules hold for lines that have agreed to this measure: `site-warning` or `cnc-blocking`. Default: for everybody.
    pub measure: Option<String>,
    /// Who made the list, as it is told to people.
    pub listed_by: Option<String>,
    /// What its names are: `malware-distribution`, `phishing`, `c2-server` or another `classification.type` (IntelMQ, RSIT).
    pub classification_type: Option<String>,
    /// What a device is infected with that asks for its names (`malware.name`).
    pub malware_name: Option<String>,
    /// A file that says since when names are on it (`noroshi site export --as since`).
    pub since: Option<PathBuf>,
    /// Tags of the clients that it is for. None: all clients.
    pub tags: Vec<String>,
    /// Seconds that answers of its rules hold at most.
    pub max_policy_ttl_s: Option<u32>,
    /// "No such name" is told from the world's by a missing RA flag.
    pub signal_nxdomain_ra: bool,
    /// The extended error that says why: `blocked`, `censored`, `filtered`, `prohibited`. Default: none.
    pub extended_error: Option<String>,
}

/// `[resolver.key.NAME]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KeyFile {
    /// `hmac-sha256` unless said otherwise; `hmac-sha1`, `hmac-sha384`, `hmac-sha512`.
    #[serde(default = "key_algorithm")]
    pub algorithm: String,
    /// File with the secret, in Base64 as `tsig-keygen` writes it.
    pub secret_file: PathBuf,
}

fn key_algorithm() -> String {
    "hmac-sha256".into()
}

/// `[[resolver.client]]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClientFile {
    /// The network.
    pub network: IpNet,
    /// Its tags.
    pub tags: Vec<String>,
}

/// `[[resolver.stub]]`, `[[resolver.forward-zone]]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ZoneServersFile {
    /// The zone's apex.
    pub zone: String,
    /// Where its servers are: addresses, with a port where it is not 53.
    pub servers: Vec<String>,
}
