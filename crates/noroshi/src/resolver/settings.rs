//! What `[resolver]` means ([`Plan`]).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ipnet::IpNet;
use noroshi_resolver::client::Access;
use noroshi_resolver::dnssec::anchor::Anchor;
use noroshi_resolver::name::Name;
use noroshi_resolver::policy::names::ZONES_MAX;
use noroshi_resolver::policy::rule::Action;
use noroshi_resolver::policy::{Override, ZoneSettings};
use noroshi_resolver::recurse::{RecurseSettings, Validation};
use noroshi_resolver::resolver::{Settings, WarningPage};
use noroshi_resolver::serve::tls::Certificate;
use noroshi_resolver::zone::Key;
use noroshi_resolver::zone::transfer::Primary;

use super::file::{
    CACHE_MIB, DnssecFile, GO_ON_S, HTTPS_PATH, LISTEN, ResolverFile, RpzFile, STALE_S, UrlListFile,
    ZoneServersFile,
};
use super::urls::PlannedList;
use crate::consents::MEASURES;
use crate::sources::secret;
use crate::sources::settings::{Login, NatsOrigin};

/// The port of DNS.
const PORT: u16 = 53;
/// Seconds for which an alias that an override says holds.
const OVERRIDE_TTL_S: u32 = 300;
/// Default of `consent-v6-prefix`: what a line is given by most providers.
const CONSENT_V6_PREFIX: u8 = 56;
/// After which the queue gives a message again that was not acknowledged.
const QUEUE_ACK_WAIT: Duration = Duration::from_secs(30);
/// Tags at most: a bit each.
const TAGS_MAX: usize = 64;

/// What it means.
#[derive(Debug)]
pub struct Plan {
    /// Where questions come in.
    pub listen: Vec<SocketAddr>,
    /// Where they come in encrypted.
    pub encrypted: Option<Encrypted>,
    /// Where counters are read.
    pub metrics: Option<SocketAddr>,
    /// Threads that answer over UDP.
    pub threads: usize,
    /// Who is asked.
    pub asked: Asked,
    /// Of answers.
    pub settings: Settings,
    /// Who may ask.
    pub access: Access,
    /// Zones in their order.
    pub zones: Vec<PlannedZone>,
    /// The page that warns.
    pub warning: Option<PlannedWarning>,
    /// Where rules come from.
    pub queue: Option<NatsOrigin>,
    /// Where clients ask that hold lists of URLs themselves.
    pub hashes: Vec<SocketAddr>,
    /// Lists of URLs in their order.
    pub url_lists: Vec<PlannedList>,
    /// Where proxies ask, and which may.
    pub icap: Option<(Vec<SocketAddr>, Access)>,
    /// How many bits of an IPv6 address tell one line from another.
    pub consent_v6_prefix: u8,
    /// Where events of infected lines go.
    pub cnc_events: Option<PathBuf>,
    /// Where dnstap is collected.
    pub dnstap: Option<PathBuf>,
}

/// The page that warns.
#[derive(Debug)]
pub struct PlannedWarning {
    /// Where requests come in.
    pub http: Vec<SocketAddr>,
    /// Where connections do that nobody reads but the site.
    pub https: Vec<SocketAddr>,
    /// Seconds for which who goes on is not warned again.
    pub go_on_s: u32,
    /// Where objections go.
    pub contacts: Vec<String>,
    /// Where nobody is carried on to, besides private networks.
    pub unreachable: Vec<IpNet>,
}

/// Where questions come in that nobody on the way reads.
#[derive(Debug)]
pub struct Encrypted {
    /// Who we are.
    pub certificate: Arc<Certificate>,
    /// Over TLS.
    pub tls: Vec<SocketAddr>,
    /// Over HTTPS.
    pub https: Vec<SocketAddr>,
    /// The path that is asked.
    pub path: String,
    /// Over QUIC.
    pub quic: Vec<SocketAddr>,
}

/// What people are told of a policy zone.
#[derive(Clone, Debug, Default)]
pub struct AboutZone {
    /// Who made it.
    pub listed_by: Option<String>,
    /// What its names are (`classification.type`).
    pub classification_type: String,
    /// What devices are infected with that ask for its names.
    pub malware_name: Option<String>,
    /// The file that says since when they are on it.
    pub since: Option<PathBuf>,
}

/// A policy zone, and where it comes from.
#[derive(Debug)]
pub struct PlannedZone {
    /// What is said of it.
    pub settings: ZoneSettings,
    /// What people are told of it.
    pub about: AboutZone,
    /// The file that it is read from.
    pub file: Option<PathBuf>,
    /// Whom it is fetched from.
    pub primaries: Vec<Primary>,
    /// Whether its rules are added and removed here.
    pub local: bool,
    /// To whom it is given.
    pub given: Option<PlannedGiving>,
}

/// To whom a zone is given.
#[derive(Debug)]
pub struct PlannedGiving {
    /// Who may have it.
    pub access: Access,
    /// The key with which they must sign.
    pub key: Option<Arc<Key>>,
    /// Who is told of a new version.
    pub notify: Vec<SocketAddr>,
}

/// Who is asked for what is not known.
#[derive(Debug)]
pub enum Asked {
    /// These resolvers.
    Forward(Vec<SocketAddr>),
    /// The world.
    Recurse(RecurseSettings),
}

impl ResolverFile {
    /// What it means.
    pub fn plan(&self) -> anyhow::Result<Plan> {
        let tags = self.tags()?;
        let listen = if self.listen.is_empty() { vec![LISTEN.parse()?] } else { self.listen.clone() };
        let mut access = Access::local();
        self.allow.iter().for_each(|network| access.grant(*network, true));
        self.deny.iter().for_each(|network| access.grant(*network, false));
        for client in &self.client {
            access.tag(client.network, bits(&tags, &client.tags));
        }
        ensure!(
            self.rpz.len() <= ZONES_MAX,
            "[[resolver.rpz]]: {} zones, of at most {ZONES_MAX}",
            self.rpz.len()
        );
        let zones = self.rpz.iter().map(|zone| self.zone(zone, &tags)).collect::<anyhow::Result<Vec<_>>>()?;
        for (at, zone) in zones.iter().enumerate() {
            let name = &zone.settings.name;
            ensure!(
                zones[..at].iter().all(|other| other.settings.name != *name),
                "[[resolver.rpz]]: {name} is there twice"
            );
        }
        let defaults = Settings::default();
        let (page, warning) = self.warning(&zones)?.unzip();
        Ok(Plan {
            listen,
            warning,
            icap: self.icap()?,
            hashes: self.hashes()?,
            url_lists: self.url_lists()?,
            queue: self.queue()?,
            consent_v6_prefix: self.consent_v6_prefix.unwrap_or(CONSENT_V6_PREFIX),
            cnc_events: self.cnc_events.clone(),
            dnstap: self.dnstap.clone(),
            encrypted: self.encrypted()?,
            metrics: self.metrics,
            threads: self.threads.unwrap_or_else(cores).max(1),
            asked: self.asked()?,
            settings: Settings {
                minimal_responses: self.minimal_responses.unwrap_or(defaults.minimal_responses),
                break_dnssec: self.break_dnssec,
                udp_octets: self.udp_octets.unwrap_or(defaults.udp_octets).max(512),
                stale_s: self.stale_s.unwrap_or(STALE_S),
                stale_answer_client_timeout_ms: self
                    .stale_answer_client_timeout_ms
                    .unwrap_or(defaults.stale_answer_client_timeout_ms),
                cache_octets: self.cache_mib.unwrap_or(CACHE_MIB).max(1) << 20,
                answers_s_max: self.answers_s_max.unwrap_or(defaults.answers_s_max),
                warning: page.unwrap_or_default(),
            },
            access,
            zones,
        })
    }

    fn warning(&self, zones: &[PlannedZone]) -> anyhow::Result<Option<(WarningPage, PlannedWarning)>> {
        let warns = zones.iter().find(|zone| zone.settings.action == Override::Warn);
        let Some(file) = &self.warning else {
            if let Some(zone) = warns {
                bail!(
                    "[[resolver.rpz]] {}: override = \"warn\" needs [resolver.warning]",
                    zone.settings.name
                );
            }
            return Ok(None);
        };
        let family = |v4: bool| {
            let mut of = file.address.iter().filter(|address| address.is_ipv4() == v4);
            let first = of.next().copied();
            ensure!(of.next().is_none(), "[resolver.warning]: address has two of one family");
            Ok(first)
        };
        let (v4, v6) = (family(true)?, family(false)?);
        ensure!(v4.is_some() || v6.is_some(), "[resolver.warning]: it needs an address");
        for contact in &file.contact {
            let known = ["mailto:", "tel:", "https:"].iter().any(|scheme| contact.starts_with(scheme));
            ensure!(
                known,
                "[resolver.warning]: contact {contact:?} begins with none of mailto:, tel:, https:"
            );
        }
        let or_port = |listen: &[SocketAddr], port| {
            if listen.is_empty() {
                file.address.iter().map(|address| SocketAddr::new(*address, port)).collect()
            } else {
                listen.to_vec()
            }
        };
        let page = WarningPage {
            v4: v4.and_then(v4_of),
            v6: v6.and_then(v6_of),
            ttl_s: file.ttl_s.unwrap_or(WarningPage::default().ttl_s),
        };
        let go_on_s = file.go_on_s.unwrap_or(GO_ON_S);
        ensure!((1..=7 * 24 * 3600).contains(&go_on_s), "[resolver.warning]: go-on-s is 1 to 604800");
        Ok(Some((
            page,
            PlannedWarning {
                http: or_port(&file.listen, 80),
                https: or_port(&file.listen_tls, 443),
                go_on_s,
                contacts: file.contact.clone(),
                unreachable: file.unreachable.clone(),
            },
        )))
    }

    fn queue(&self) -> anyhow::Result<Option<NatsOrigin>> {
        let Some(file) = &self.queue else { return Ok(None) };
        ensure!(
            self.rpz.iter().any(|zone| zone.local),
            "[resolver.queue]: no [[resolver.rpz]] is local, so there is nothing to change"
        );
        let login = match (&file.user, &file.password_file) {
            (Some(user), Some(password_file)) => {
                Some(Login { user: user.clone(), password_file: password_file.clone() })
            }
            (None, None) => None,
            _ => bail!("[resolver.queue]: user and password-file go together"),
        };
        Ok(Some(NatsOrigin {
            server: file.nats.clone(),
            stream: file.stream.clone(),
            subject: file.subject.clone(),
            consumer: file.consumer.clone().unwrap_or_else(|| "noroshi-resolver".into()),
            ack_wait: QUEUE_ACK_WAIT,
            login,
            ca_file: file.ca_file.clone(),
        }))
    }

    fn hashes(&self) -> anyhow::Result<Vec<SocketAddr>> {
        ensure!(
            self.listen_hashes.is_empty() || !self.url_list.is_empty(),
            "[resolver]: listen-hashes needs a [[resolver.url-list]]: what clients hold"
        );
        Ok(self.listen_hashes.clone())
    }

    fn url_lists(&self) -> anyhow::Result<Vec<PlannedList>> {
        let list = |list: &UrlListFile| {
            let at = || format!("[[resolver.url-list]] {}", list.name);
            Ok(PlannedList {
                name: list.name.clone(),
                file: list.file.clone(),
                by_consent: list.measure.as_deref().map(measure).transpose().with_context(at)?,
                about: AboutZone {
                    listed_by: list.listed_by.clone(),
                    classification_type: list.classification_type.clone().unwrap_or_default(),
                    malware_name: None,
                    since: list.since.clone(),
                },
            })
        };
        self.url_list.iter().map(list).collect()
    }

    fn icap(&self) -> anyhow::Result<Option<(Vec<SocketAddr>, Access)>> {
        if self.listen_icap.is_empty() {
            return Ok(None);
        }
        ensure!(
            self.warning.is_some(),
            "[resolver]: listen-icap needs [resolver.warning]: what proxies show instead"
        );
        let mut access = Access::local();
        self.icap_allow.iter().for_each(|network| access.grant(*network, true));
        Ok(Some((self.listen_icap.clone(), access)))
    }

    fn encrypted(&self) -> anyhow::Result<Option<Encrypted>> {
        let all = [&self.listen_tls, &self.listen_https, &self.listen_quic];
        if all.iter().all(|listen| listen.is_empty()) {
            return Ok(None);
        }
        let tls = self.tls.as_ref().context(
            "[resolver]: listen-tls, listen-https and listen-quic need a certificate: [resolver.tls] certificate and key",
        )?;
        let path = self.https_path.as_deref().unwrap_or(HTTPS_PATH);
        ensure!(path.starts_with('/'), "[resolver]: https-path {path:?} does not begin with /");
        Ok(Some(Encrypted {
            certificate: Certificate::read(&tls.certificate, &tls.key).context("[resolver.tls]")?,
            tls: self.listen_tls.clone(),
            https: self.listen_https.clone(),
            path: path.into(),
            quic: self.listen_quic.clone(),
        }))
    }

    fn asked(&self) -> anyhow::Result<Asked> {
        if !self.forward.is_empty() {
            ensure!(
                self.stub.is_empty() && self.forward_zone.is_empty() && self.root.is_empty(),
                "[resolver]: with forward nobody else is asked, so stub, forward-zone and root have no meaning"
            );
            ensure!(
                self.dnssec != Some(DnssecFile::Validate)
                    && self.trust_anchor.is_empty()
                    && self.negative_trust_anchor.is_empty(),
                "[resolver]: with forward those who are asked check signatures, so dnssec and trust anchors have no meaning"
            );
            return Ok(Asked::Forward(
                self.forward.iter().map(|server| address(server)).collect::<Result<_, _>>()?,
            ));
        }
        let zones = |zones: &[ZoneServersFile]| -> anyhow::Result<Vec<(Name, Vec<SocketAddr>)>> {
            let zone = |zone: &ZoneServersFile| {
                ensure!(!zone.servers.is_empty(), "[resolver]: {} has no servers", zone.zone);
                let servers = zone.servers.iter().map(|server| address(server)).collect::<Result<_, _>>()?;
                Ok((name(&zone.zone)?, servers))
            };
            zones.iter().map(zone).collect()
        };
        let defaults = RecurseSettings::default();
        Ok(Asked::Recurse(RecurseSettings {
            roots: if self.root.is_empty() { defaults.roots } else { self.root.clone() },
            stubs: zones(&self.stub)?,
            forwards: zones(&self.forward_zone)?,
            minimise: self.qname_minimisation.unwrap_or(defaults.minimise),
            ipv6: self.ipv6,
            validation: self.validation()?,
        }))
    }

    fn validation(&self) -> anyhow::Result<Option<Validation>> {
        let anchor = |text: &String| {
            Anchor::from_text(text).with_context(|| format!("[resolver] trust-anchor {text:?}"))
        };
        let validation = Validation {
            anchors: self.trust_anchor.iter().map(anchor).collect::<Result<_, _>>()?,
            negative: self.negative_trust_anchor.iter().map(|zone| name(zone)).collect::<Result<_, _>>()?,
        };
        let is_rooted = self.root.is_empty() || validation.anchors.iter().any(|(zone, _)| zone.is_root());
        let by_default = if is_rooted { DnssecFile::Validate } else { DnssecFile::Off };
        Ok((self.dnssec.unwrap_or(by_default) == DnssecFile::Validate).then_some(validation))
    }

    fn zone(&self, zone: &RpzFile, tags: &[String]) -> anyhow::Result<PlannedZone> {
        let at = || format!("[[resolver.rpz]] {}", zone.name);
        let key = match &zone.key {
            Some(name) => Some(self.key(name).with_context(at)?),
            None => None,
        };
        let primary = |text: &String| Ok(Primary { address: address(text)?, key: key.clone() });
        let primaries =
            zone.primary.iter().map(primary).collect::<anyhow::Result<Vec<_>>>().with_context(at)?;
        let from = [zone.file.is_some() || !primaries.is_empty(), zone.local];
        ensure!(from != [false, false], "{}: it has neither file nor primary, and is not local", at());
        ensure!(from != [true, true], "{}: it is local, so it has neither file nor primary", at());
        let given = self.giving(zone).with_context(at)?;
        Ok(PlannedZone {
            settings: zone.settings(tags)?,
            about: AboutZone {
                listed_by: zone.listed_by.clone(),
                classification_type: zone.classification_type.clone().unwrap_or_default(),
                malware_name: zone.malware_name.clone(),
                since: zone.since.clone(),
            },
            file: zone.file.clone(),
            primaries,
            local: zone.local,
            given,
        })
    }

    fn giving(&self, zone: &RpzFile) -> anyhow::Result<Option<PlannedGiving>> {
        if zone.transfer.is_empty() {
            ensure!(
                zone.transfer_key.is_none() && zone.notify.is_empty(),
                "transfer-key and notify go with transfer"
            );
            return Ok(None);
        }
        let mut access = Access::default();
        zone.transfer.iter().for_each(|network| access.grant(*network, true));
        let key = zone.transfer_key.as_ref().map(|name| self.key(name)).transpose()?;
        let notify = zone.notify.iter().map(|server| address(server)).collect::<Result<_, _>>()?;
        Ok(Some(PlannedGiving { access, key, notify }))
    }

    fn key(&self, key_name: &str) -> anyhow::Result<Arc<Key>> {
        let file =
            self.key.get(key_name).with_context(|| format!("no [resolver.key] is called {key_name:?}"))?;
        let text = secret(&file.secret_file)?;
        let octets = BASE64
            .decode(text.trim())
            .with_context(|| format!("{} is no Base64", file.secret_file.display()))?;
        let key = Primary::key(&name(key_name)?, &file.algorithm, &octets);
        key.with_context(|| {
            format!("[resolver.key] {key_name}: {:?} is no algorithm that is known", file.algorithm)
        })
    }

    /// All tags that are spoken of.
    fn tags(&self) -> anyhow::Result<Vec<String>> {
        let mut tags: Vec<String> = self.rpz.iter().flat_map(|zone| zone.tags.clone()).collect();
        tags.extend(self.client.iter().flat_map(|client| client.tags.clone()));
        tags.sort_unstable();
        tags.dedup();
        ensure!(tags.len() <= TAGS_MAX, "[resolver]: {} tags, of at most {TAGS_MAX}", tags.len());
        Ok(tags)
    }
}

impl RpzFile {
    fn settings(&self, tags: &[String]) -> anyhow::Result<ZoneSettings> {
        let apex = name(&self.name)?;
        ensure!(!apex.is_root(), "[[resolver.rpz]]: a zone needs a name");
        let mut settings = ZoneSettings::new(apex);
        settings.action =
            self.action().with_context(|| format!("[[resolver.rpz]] {}: override", self.name))?;
        settings.tags = bits(tags, &self.tags);
        settings.by_consent = self
            .measure
            .as_deref()
            .map(measure)
            .transpose()
            .with_context(|| format!("[[resolver.rpz]] {}", self.name))?;
        settings.ttl_max_s = self.max_policy_ttl_s.unwrap_or(u32::MAX);
        settings.signal_nxdomain_ra = self.signal_nxdomain_ra;
        settings.extended_error = match self.extended_error.as_deref() {
            None => None,
            Some("blocked") => Some(15),
            Some("censored") => Some(16),
            Some("filtered") => Some(17),
            Some("prohibited") => Some(18),
            Some(other) => bail!(
                "[[resolver.rpz]] {}: extended-error {other:?} is none of blocked, censored, filtered, prohibited",
                self.name
            ),
        };
        Ok(settings)
    }

    fn action(&self) -> anyhow::Result<Override> {
        let fixed = |action| Override::Fixed(Box::new(action));
        Ok(match self.r#override.as_deref().unwrap_or("given") {
            "given" => Override::Given,
            "disabled" => Override::Disabled,
            "nxdomain" => fixed(Action::Nxdomain),
            "nodata" => fixed(Action::Nodata),
            "passthru" => fixed(Action::Passthru),
            "drop" => fixed(Action::Drop),
            "tcp-only" => fixed(Action::TcpOnly),
            "warn" => Override::Warn,
            other => match other.strip_prefix("cname ") {
                Some(target) => {
                    fixed(Action::Cname { ttl: OVERRIDE_TTL_S, target: Box::new(name(target.trim())?) })
                }
                None => bail!(
                    "{other:?} is none of given, nxdomain, nodata, passthru, drop, tcp-only, warn, disabled, cname NAME"
                ),
            },
        })
    }
}

fn v4_of(address: IpAddr) -> Option<Ipv4Addr> {
    if let IpAddr::V4(v4) = address { Some(v4) } else { None }
}

fn v6_of(address: IpAddr) -> Option<Ipv6Addr> {
    if let IpAddr::V6(v6) = address { Some(v6) } else { None }
}

/// The number of a measure that holds by consent.
fn measure(name: &str) -> anyhow::Result<u8> {
    let number = MEASURES.iter().position(|known| *known == name);
    let number = number.and_then(|number| u8::try_from(number).ok());
    number.with_context(|| format!("measure {name:?} is none of {}", MEASURES.join(", ")))
}

/// A name, absolute whether it ends with a dot or not.
pub fn name(text: &str) -> anyhow::Result<Name> {
    Name::from_text(text.as_bytes(), &Name::ROOT).with_context(|| format!("{text:?} is no name"))
}

/// An address, with a port or with that of DNS.
pub fn address(text: &str) -> anyhow::Result<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, PORT));
    }
    text.parse().with_context(|| format!("{text:?} is no address"))
}

fn bits(all: &[String], some: &[String]) -> u64 {
    all.iter().enumerate().filter(|(_, tag)| some.contains(tag)).fold(0, |bits, (place, _)| bits | 1 << place)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
