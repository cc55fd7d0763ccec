//! n6's vocabulary and ours: its categories as RSIT types, its fields as IntelMQ's keys, both ways, and its sources by
//! the name under which its users know them (`n6-cesnet-cz-warden`). n6 names the ends of an event by what it is about:
//! the port of an open resolver and the port that a bot spoke to are both `dport`. Which end that is follows from the
//! category, so the tables here are by [`Role`]. `docs/src/n6.md` shows them to people.

use noroshi_model::{Bad, ClassificationType as Rsit, Datum, Fields};

use crate::bundle::Bundle;
use crate::convert::try_add_owned;
use crate::formats::{self, n6_manual, n6_shadowserver};
use crate::{Feed, FeedError, Input, Report, Sink, mapped};

/// Key under which an event keeps the category that n6 gave it.
pub const CATEGORY_KEY: &str = "extra.n6.category";

/// Whom the `address` of an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A host that offers something: `dport` is its own port.
    Service,
    /// A host that did something to another: `dip` and `dport` are the other's.
    Actor,
    /// A host that did something under orders: `fqdn` and `url` are the other's as well.
    Bot,
    /// The host to which something was done.
    Victim,
}

/// A category of n6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Category {
    /// n6's name.
    pub name: &'static str,
    /// Our `classification.type`.
    pub rsit: Rsit,
    /// Whom it says something of.
    pub role: Role,
}

const fn category(name: &'static str, rsit: Rsit, role: Role) -> Category {
    Category { name, rsit, role }
}

/// All categories. Of several with one type the first is what an event of ours becomes that does not say.
pub const CATEGORIES: &[Category] = &[
    category("amplifier", Rsit::DdosAmplifier, Role::Service),
    category("backdoor", Rsit::SystemCompromise, Role::Service),
    category("bots", Rsit::InfectedSystem, Role::Bot),
    category("cnc", Rsit::C2Server, Role::Service),
    category("deface", Rsit::UnauthorisedInformationModification, Role::Service),
    category("dos-attacker", Rsit::Ddos, Role::Actor),
    category("dos-victim", Rsit::Ddos, Role::Victim),
    category("exposed", Rsit::PotentiallyUnwantedAccessible, Role::Service),
    category("scam", Rsit::Masquerade, Role::Service),
    category("fraud", Rsit::Masquerade, Role::Service),
    category("leak", Rsit::DataLeak, Role::Service),
    category("malurl", Rsit::MalwareDistribution, Role::Service),
    category("malware-action", Rsit::MalwareConfiguration, Role::Bot),
    category("phish", Rsit::Phishing, Role::Service),
    category("proxy", Rsit::Proxy, Role::Service),
    category("sandbox-url", Rsit::Malware, Role::Service),
    category("webinject", Rsit::Malware, Role::Service),
    category("scanning", Rsit::Scanner, Role::Actor),
    category("server-exploit", Rsit::Exploit, Role::Actor),
    category("spam", Rsit::Spam, Role::Actor),
    category("spam-url", Rsit::Spam, Role::Service),
    category("tor", Rsit::Tor, Role::Service),
    category("vulnerable", Rsit::VulnerableSystem, Role::Service),
    category("other", Rsit::Other, Role::Actor),
    category("dns-query", Rsit::Other, Role::Bot),
    category("flow", Rsit::Other, Role::Actor),
    category("flow-anomaly", Rsit::Other, Role::Actor),
];

/// A category by n6's name.
pub fn find(name: &str) -> Option<&'static Category> {
    CATEGORIES.iter().find(|category| category.name == name)
}

/// The category of an event of ours: the one it came with, else the first of its type, else the nearest.
pub fn category_of(rsit: Rsit, came_with: Option<&str>) -> &'static Category {
    const OTHER: &Category = &category("other", Rsit::Other, Role::Actor);
    if let Some(kept) = came_with.and_then(find).filter(|kept| kept.rsit == rsit) {
        return kept;
    }
    let nearest = match rsit {
        Rsit::BruteForce | Rsit::IdsAlert => Rsit::Exploit,
        Rsit::Dos => Rsit::Ddos,
        Rsit::InformationDisclosure | Rsit::Misconfiguration | Rsit::WeakCrypto => Rsit::VulnerableSystem,
        Rsit::ApplicationCompromise | Rsit::PrivilegedAccountCompromise => Rsit::SystemCompromise,
        Rsit::UnprivilegedAccountCompromise | Rsit::Burglary => Rsit::SystemCompromise,
        Rsit::DgaDomain => Rsit::C2Server,
        Rsit::DataLoss | Rsit::UnauthorisedInformationAccess => Rsit::DataLeak,
        Rsit::Copyright | Rsit::UnauthorizedUseOfResources => Rsit::Masquerade,
        same => same,
    };
    CATEGORIES.iter().find(|category| category.rsit == nearest).unwrap_or(OTHER)
}

/// Fields of n6 that have a key of ours, as an [`Role::Actor`]'s event has them. The others go under `extra.n6.`.
pub const FIELDS: &[(&str, &str)] = &[
    ("time", "time.source"),
    ("ip", "source.ip"),
    ("asn", "source.asn"),
    ("cc", "source.geolocation.cc"),
    ("rdns", "source.reverse_dns"),
    ("ip_network", "source.network"),
    ("sport", "source.port"),
    ("fqdn", "source.fqdn"),
    ("url", "source.url"),
    ("email", "source.account"),
    ("username", "source.account"),
    ("dip", "destination.ip"),
    ("dport", "destination.port"),
    ("proto", "protocol.transport"),
    ("md5", "malware.hash.md5"),
    ("sha1", "malware.hash.sha1"),
    ("sha256", "malware.hash.sha256"),
    ("target", "event_description.target"),
    ("misp_event_uuid", "misp.event_uuid"),
    ("misp_attr_uuid", "misp.attribute_uuid"),
];

/// Categories whose `name` is the name of malware; elsewhere it is `classification.identifier`.
const NAMES_MALWARE: [&str; 8] =
    ["backdoor", "bots", "cnc", "dns-query", "malurl", "malware-action", "sandbox-url", "webinject"];

/// The key for a field of n6.
pub fn key_of(category: &Category, field: &str) -> Option<&'static str> {
    if field == "name" {
        let malware = NAMES_MALWARE.contains(&category.name);
        return Some(if malware { "malware.name" } else { "classification.identifier" });
    }
    let key = FIELDS.iter().find(|(name, _)| *name == field).map(|(_, key)| *key)?;
    Some(turned(category.role, field, key))
}

/// The field of n6 for a key.
pub fn field_of(category: &Category, key: &str) -> Option<&'static str> {
    let fields = FIELDS.iter().map(|(field, _)| *field).chain(std::iter::once("name"));
    fields.into_iter().find(|field| key_of(category, field) == Some(key))
}

/// The key at the end that the category means.
fn turned(role: Role, field: &str, key: &'static str) -> &'static str {
    match (role, field) {
        (Role::Service, "dport") => "source.port",
        (Role::Service, "sport") => "destination.port",
        (Role::Bot | Role::Victim, "fqdn") => "destination.fqdn",
        (Role::Bot | Role::Victim, "url") => "destination.url",
        (Role::Victim, "ip") => "destination.ip",
        (Role::Victim, "dip") => "source.ip",
        (Role::Victim, "asn") => "destination.asn",
        (Role::Victim, "cc") => "destination.geolocation.cc",
        (Role::Victim, "rdns") => "destination.reverse_dns",
        (Role::Victim, "ip_network") => "destination.network",
        (Role::Victim, "email" | "username") => "destination.account",
        _ => key,
    }
}

/// Sets a field of n6 from text; false where the text is no value of it.
pub fn put(fields: &mut Fields<'_>, category: &Category, field: &str, text: &str) -> bool {
    match key_of(category, field) {
        Some(key) => try_add_owned(fields, key, text),
        None => try_add_owned(fields, &format!("extra.n6.{field}"), text),
    }
}

/// Says of an event what its category says.
pub fn classify(fields: &mut Fields<'_>, category: &'static Category) {
    fields.put("classification.type", category.rsit.id());
    fields.put("classification.taxonomy", category.rsit.taxonomy());
    fields.offer("classification.identifier", category.name);
    fields.put(CATEGORY_KEY, category.name);
}

/// A source of n6 that is one of our formats, read with n6's category.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// n6's `source`.
    pub name: &'static str,
    /// Our format.
    pub format: &'static str,
    /// The category of all its events; empty where the format itself says.
    pub category: &'static str,
}

const fn source(name: &'static str, format: &'static str, category: &'static str) -> Source {
    Source { name, format, category }
}

/// Sources that are other formats under n6's name. `shadowserver.*` and `manual.*` are families of their own.
pub const SOURCES: &[Source] = &[
    source("abuse-ch.feodotracker", "feodotracker-csv", "cnc"),
    source("abuse-ch.ssl-blacklist", "sslbl-csv", "cnc"),
    source("abuse-ch.urlhaus-payloads-urls", "urlhaus-payloads", "malurl"),
    source("abuse-ch.urlhaus-urls", "urlhaus", "malurl"),
    source("blueliv.map", "blueliv-map", ""),
    source("cert-pl.shield", "cert-pl-shield", "phish"),
    source("cesnet-cz.warden", "warden", ""),
    source("dan-tv.tor", "ip-list", "tor"),
    source("darklist-de.bl", "ip-list", "scanning"),
    source("dataplane.dnsrd", "dataplane-list", "scanning"),
    source("dataplane.dnsrdany", "dataplane-list", "scanning"),
    source("dataplane.dnsversion", "dataplane-list", "scanning"),
    source("dataplane.sipinvitation", "dataplane-list", "scanning"),
    source("dataplane.sipquery", "dataplane-list", "scanning"),
    source("dataplane.sipregistration", "dataplane-list", "server-exploit"),
    source("dataplane.smtpdata", "dataplane-list", "spam"),
    source("dataplane.smtpgreet", "dataplane-list", "scanning"),
    source("dataplane.sshclient", "dataplane-list", "scanning"),
    source("dataplane.sshpwauth", "dataplane-list", "server-exploit"),
    source("dataplane.telnetlogin", "dataplane-list", "server-exploit"),
    source("dataplane.vncrfb", "dataplane-list", "scanning"),
    source("greensnow-co.list-txt", "ip-list", "other"),
    source("malwarepatrol.malurl", "url-list", "malurl"),
    source("openphish.web", "url-list", "phish"),
    source("openphish.web-bl", "url-list", "phish"),
    source("phishtank.verified", "phishtank-csv", "phish"),
    source("sblam.spam", "ip-list", "spam"),
    source("spam404-com.scam-list", "fqdn-list", "scam"),
    source("spam404-com.scam-list-bl", "fqdn-list", "scam"),
    source("spamhaus.bots", "spamhaus-bots", "bots"),
    source("spamhaus.drop", "ip-list", "other"),
    source("spamhaus.edrop", "ip-list", "other"),
    source("stopforum.spam", "stopforumspam", "spam"),
    source("tu-dresden-de.resolvers", "tu-dresden-resolvers", "amplifier"),
    source("turris-cz.greylist-csv", "greylist-csv", "scanning"),
    source("withaname.ddosia", "ddosia", "dos-victim"),
    source("zoneh.rss", "zoneh-rss", "deface"),
];

/// The format of a source: `dan-tv.tor` → `n6-dan-tv-tor`.
pub fn format_of(source: &str) -> String {
    let mut format = String::from("n6-");
    format.extend(source.chars().map(|c| if matches!(c, '.' | '_') { '-' } else { c }));
    format
}

/// All formats here that are sources of n6, but for the two families.
pub fn formats() -> impl Iterator<Item = String> {
    SOURCES.iter().map(|source| format_of(source.name))
}

/// Whether a format is a source of n6.
pub fn knows(format: &str) -> bool {
    let Some(rest) = format.strip_prefix("n6-") else { return false };
    rest.starts_with("shadowserver-")
        || rest.starts_with("manual-")
        || SOURCES.iter().any(|source| format_of(source.name) == format)
}

/// Opens a report of one of n6's sources.
pub fn open(bundle: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let unknown = || FeedError::Format(report.format.clone());
    let rest = report.format.strip_prefix("n6-").ok_or_else(unknown)?;
    if let Some(kind) = rest.strip_prefix("shadowserver-") {
        return n6_shadowserver::open(bundle, kind, input);
    }
    if rest.starts_with("manual-") {
        return n6_manual::open(bundle, report, input);
    }
    let source = SOURCES.iter().find(|source| format_of(source.name) == report.format).ok_or_else(unknown)?;
    let inner = match (formats::find(source.format), bundle.map(source.format)) {
        (Some(open), _) => open(bundle, report, input)?,
        (None, Some(map)) => mapped(map, None, input)?,
        (None, None) => return Err(unknown()),
    };
    Ok(match find(source.category) {
        Some(category) => Box::new(Classified { inner, category }),
        None => inner,
    })
}

/// A feed of one category.
struct Classified {
    inner: Box<dyn Feed>,
    category: &'static Category,
}

impl Feed for Classified {
    fn step(&mut self, sink: &mut dyn Sink) -> Result<bool, FeedError> {
        self.inner.step(&mut Classify { sink, category: self.category })
    }
}

struct Classify<'s> {
    sink: &'s mut dyn Sink,
    category: &'static Category,
}

impl Sink for Classify<'_> {
    fn event(&mut self, line: u64, mut fields: Fields<'_>) {
        classify(&mut fields, self.category);
        self.sink.event(line, fields);
    }

    fn filtered(&mut self, line: u64) {
        self.sink.filtered(line);
    }

    fn bad(&mut self, bad: Bad) {
        self.sink.bad(bad);
    }
}

/// The category an event came with.
pub fn kept<'f>(fields: &'f Fields<'_>) -> Option<&'f str> {
    fields.get(CATEGORY_KEY).and_then(Datum::text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_comes_back_and_every_type_has_one() {
        for category in CATEGORIES {
            assert_eq!(category_of(category.rsit, Some(category.name)), category);
        }
        for rsit in Rsit::ALL {
            assert!(find(category_of(*rsit, None).name).is_some());
        }
        assert_eq!(category_of(Rsit::BruteForce, None).name, "server-exploit");
        assert_eq!(category_of(Rsit::Ddos, Some("phish")).name, "dos-attacker");
    }

    #[test]
    fn a_field_and_its_key_are_at_the_end_that_the_category_means() {
        let key = |category: &str, field: &str| key_of(find(category).unwrap(), field);
        assert_eq!(key("amplifier", "dport"), Some("source.port"));
        assert_eq!(key("bots", "dport"), Some("destination.port"));
        assert_eq!(key("bots", "fqdn"), Some("destination.fqdn"));
        assert_eq!(key("dos-victim", "ip"), Some("destination.ip"));
        assert_eq!(key("phish", "no_such_field"), None);
        for category in CATEGORIES {
            for (field, _) in FIELDS.iter().filter(|(field, _)| *field != "username") {
                assert_eq!(field_of(category, key_of(category, field).unwrap()), Some(*field));
            }
        }
    }

    #[test]
    fn every_source_has_a_format() {
        let bundle = Bundle::shipped();
        for source in SOURCES {
            let known = formats::find(source.format).is_some() || bundle.map(source.format).is_some();
            assert!(known, "{} is {}", source.name, source.format);
            assert!(source.category.is_empty() || find(source.category).is_some());
        }
    }
}
