//! The page that warns, over a resolver: which list a name is on, for whom, and who goes on.
//!
//! Whether a name is warned of is asked of the resolver itself, as the client would ask it, so that page and answer cannot say different
//! things. Nothing is written down of who sees a page or goes on.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use data_encoding::HEXLOWER;
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use jiff::Timestamp;
use noroshi_model::Lang;
use noroshi_portal::{Reason, WARNING_OWN, Warned, WarnedBy, Warner, warned_pages};
use noroshi_resolver::client::Transport;
use noroshi_resolver::exempt::Line;
use noroshi_resolver::icap::{Judge, Judged, Requested};
use noroshi_resolver::message::{Asking, TEXT_OCTETS_MAX, write_question};
use noroshi_resolver::name::Name;
use noroshi_resolver::policy::rule::rtype;
use noroshi_resolver::resolver::{AtOnce, Resolver};
use noroshi_resolver::serve::warning::{MayReach, site_name};
use noroshi_resolver::walk::Told;
use ring::hmac;
use ring::rand::SystemRandom;

use super::settings::{AboutZone, PlannedWarning, PlannedZone};
use super::since;
use super::urls::Urls;
use crate::config::Config;
use crate::internet::is_public;
use crate::languages::Texts;

/// Pages a second for one place.
const PER_SECOND: u32 = 20;
/// Seconds for which a page's button works: this long at least, twice that at most.
const TOKEN_S: u32 = 1800;
/// Octets of a question for a name.
const QUESTION_OCTETS: u16 = 1232;

/// Whoever warns.
pub struct Garden {
    resolver: Arc<Resolver>,
    runtime: tokio::runtime::Handle,
    zones: Vec<AboutZone>,
    urls: Arc<Urls>,
    key: hmac::Key,
    go_on_s: u32,
}

impl Garden {
    /// Over a resolver, with what is told of its zones.
    pub fn new(
        resolver: Arc<Resolver>,
        runtime: tokio::runtime::Handle,
        zones: Vec<AboutZone>,
        urls: Arc<Urls>,
        go_on_s: u32,
    ) -> anyhow::Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .ok()
            .context("the system has no random numbers")?;
        Ok(Self { resolver, runtime, zones, urls, key, go_on_s })
    }

    /// What the resolver does with a client's question for `name`.
    fn told(&self, client: IpAddr, name: &Name) -> Option<Told> {
        let mut question = Vec::new();
        let asking = Asking { rtype: rtype::A, recursion: true, dnssec_ok: false, checking_disabled: false };
        write_question(&mut question, 0, name, asking, QUESTION_OCTETS);
        let mut answer = Vec::new();
        match self.resolver.answer(&self.resolver.policy(), &question, client, Transport::Tcp, &mut answer) {
            AtOnce::Answered(told) => told,
            AtOnce::Later => {
                let resolved = self.resolver.resolve(&question, client, Transport::Tcp);
                let later = tokio::task::block_in_place(|| self.runtime.block_on(resolved));
                later.map(|(_, told)| told)
            }
            _ => None,
        }
    }

    fn period(&self) -> u32 {
        self.resolver.clock().now_s() / TOKEN_S
    }
}

impl Garden {
    /// What a rule does for a client that asks for a name: the zone's place, and the action. Where it takes no answer to tell, none is asked for.
    fn decided(&self, client: IpAddr, name: &Name) -> Option<(u8, &'static str)> {
        let policy = self.resolver.policy();
        let zones = self.resolver.zones_for(&policy, client, self.resolver.tags_of(client)?);
        let by_question = policy.of_question(Some(client), name, zones);
        if policy.waits_for_answer(by_question.as_ref(), zones) == 0 {
            return by_question.map(|verdict| (verdict.zone, verdict.action.label()));
        }
        self.told(client, name)?.hit.map(|hit| (hit.zone, hit.action))
    }
}

impl Judge for Garden {
    fn judge(&self, client: IpAddr, requested: &Requested<'_>) -> Judged {
        if requested.path.starts_with(WARNING_OWN) {
            return Judged::Page;
        }
        let Some(name) = site_name(requested.host.as_bytes()) else { return Judged::Pass };
        if self.resolver.exemptions().holds(client, &name, self.resolver.clock().now_s()) {
            return Judged::Pass;
        }
        match self.decided(client, &name) {
            Some((_, "passthru")) => Judged::Pass,
            // A connection to a host may be to any of its pages.
            None if requested.path.is_empty() => Judged::Pass,
            None if self.urls.is_too_long(&requested.url) => Judged::Refused,
            None => match self.urls.find(&self.resolver, client, &requested.url) {
                Some(_) => Judged::Page,
                None => Judged::Pass,
            },
            Some((_, "warn")) => Judged::Page,
            Some(_) => Judged::Refused,
        }
    }

    fn version(&self) -> String {
        let policy = self.resolver.policy();
        let serials =
            policy.zones.iter().map(|zone| zone.serial.unwrap_or(0).wrapping_add(zone.rules as u32));
        format!(
            "{:x}",
            serials.fold(0u64, |all, serial| all.wrapping_mul(0x0100_0000_01b3) ^ u64::from(serial))
        )
    }
}

impl Warner for Garden {
    fn warned(&self, client: IpAddr, host: &str, wanted: &str) -> Option<Warned> {
        let name = site_name(host.as_bytes())?;
        let mut url = format!("http://{host}/");
        let (about, by_consent) = match self.decided(client, &name) {
            Some((zone, "warn")) => {
                let policy = self.resolver.policy();
                let settings = &policy.zones.get(usize::from(zone))?.settings;
                (self.zones.get(usize::from(zone))?, settings.by_consent.is_some())
            }
            Some(_) => return None,
            None => {
                url = format!("http://{host}{wanted}");
                let list = self.urls.find(&self.resolver, client, &url)?;
                (&list.about, list.by_consent.is_some())
            }
        };
        Some(Warned {
            reason: Reason::of(&about.classification_type),
            listed_by: about.listed_by.clone(),
            since: since(about, &url),
            by_consent,
            token: HEXLOWER
                .encode(hmac::sign(&self.key, said(client, &name, self.period()).as_bytes()).as_ref()),
            minutes: self.go_on_s.div_ceil(60),
        })
    }

    fn go_on(&self, client: IpAddr, host: &str, token: &str) -> bool {
        let Some(name) = site_name(host.as_bytes()) else { return false };
        let Ok(token) = HEXLOWER.decode(token.as_bytes()) else { return false };
        let now = self.period();
        let is_ours =
            |period| hmac::verify(&self.key, said(client, &name, period).as_bytes(), &token).is_ok();
        if !is_ours(now) && !now.checked_sub(1).is_some_and(is_ours) {
            return false;
        }
        let now_s = self.resolver.clock().now_s();
        self.resolver.exemptions().add(client, &name, now_s, now_s + self.go_on_s);
        true
    }
}

/// Since when a URL is on a list, where its maker says so.
fn since(about: &AboutZone, url: &str) -> Option<Timestamp> {
    let file = about.since.as_deref()?;
    since::listed(file, url).unwrap_or_else(|error| {
        tracing::warn!(file = %file.display(), %error, "since when sites are listed cannot be read");
        None
    })
}

/// What a token is for: a line, a name, and for how long.
fn said(client: IpAddr, name: &Name, period: u32) -> String {
    format!("{:?} {name} {period}", Line::of(client))
}

/// What makes the pages of requests at the page's addresses.
pub type Pages = TowerToHyperService<Router>;

/// The pages of `garden`, by the operator whom the configuration names.
pub fn pages(garden: Arc<Garden>, planned: &PlannedWarning, config: &Config) -> anyhow::Result<Pages> {
    let texts = Texts::read(config.languages.as_deref()).context("operator.languages")?;
    let by = WarnedBy {
        operator: config.operator.name.clone(),
        desk: config.operator.desk.clone(),
        contacts: planned.contacts.clone(),
    };
    let router = warned_pages(garden, by, texts.portal, PER_SECOND);
    let from_whom = axum::middleware::map_request(async |mut request: Request| {
        if let Some(from) = request.extensions().get::<SocketAddr>().copied() {
            request.extensions_mut().insert(ConnectInfo(from));
        }
        request
    });
    Ok(TowerToHyperService::new(router.layer(from_whom)))
}

/// Where somebody who goes on is carried to: out into the world, and nowhere that only this machine reaches.
pub fn may_reach(planned: &PlannedWarning) -> MayReach {
    let mut closed = planned.unreachable.clone();
    closed.extend(planned.http.iter().chain(&planned.https).map(|listen| IpNet::from(listen.ip())));
    Arc::new(move |address| {
        let address = address.to_canonical();
        is_public(address) && !closed.iter().any(|network| network.contains(&address))
    })
}

/// Tells programs that can show it why names of a zone are not resolved (draft-ietf-dnsop-structured-dns-error): who to turn to, why, by whom. Left out where it
/// would be longer than an answer should be.
pub fn explain_errors(
    zones: &mut [PlannedZone],
    planned: Option<&PlannedWarning>,
    config: &Config,
) -> anyhow::Result<()> {
    let texts = Texts::read(config.languages.as_deref()).context("operator.languages")?;
    let contacts: Vec<&str> =
        planned.iter().flat_map(|planned| &planned.contacts).map(String::as_str).collect();
    // Others than these are not shown (section "c").
    let shown: Vec<&str> = contacts.into_iter().filter(|contact| !contact.starts_with("https:")).collect();
    for zone in zones {
        let reason = Reason::of(&zone.about.classification_type);
        let sub_error = match (reason, zone.settings.extended_error) {
            // Of what an authority forbids no finer kind is known.
            (_, Some(16)) => None,
            (Reason::Malware | Reason::C2, _) => Some(1),
            (Reason::Phishing, _) => Some(2),
            (Reason::Other, None | Some(15)) => Some(6),
            (Reason::Other, _) => None,
        };
        let said = serde_json::json!({
            "c": shown,
            "j": texts.portal.say(Lang::JA, reason.key(), &[]),
            "s": sub_error,
            "o": config.operator.name,
            "l": "ja",
        });
        let said = serde_json::Value::Object(
            said.as_object()
                .into_iter()
                .flatten()
                .filter(|(_, value)| !is_empty(value))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        );
        let said = said.to_string();
        zone.settings.structured_error = (said.len() <= TEXT_OCTETS_MAX).then(|| said.into());
    }
    Ok(())
}

fn is_empty(value: &serde_json::Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}
