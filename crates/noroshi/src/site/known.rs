//! What is known of a site, put together for its score: listings out of the store, warning lists out of the tables.

use anyhow::Context as _;
use jiff::Timestamp;
use noroshi_orient::enrich::{Subject, Tables};
use noroshi_site::parts::Parts;
use noroshi_site::{Address, Host, Known, Life, Listing, Model, Score, Threat, score};
use noroshi_store::sites::{Site, SiteListing, SiteSource};
use noroshi_store::{StoreError, Tx};

use crate::house::House;
use crate::tables;

/// How often a list of which nobody said so is right.
pub const RELIABILITY: f32 = 0.8;
/// The list of what people added by hand.
pub const BY_HAND: &str = "by hand";
/// How often a person is right who lists something by hand.
const RELIABILITY_BY_HAND: f32 = 0.98;

/// What sites are judged by.
pub struct Judge {
    /// Weights.
    pub model: Model,
    tables: Tables,
}

impl Judge {
    /// Reads the tables.
    pub fn new(house: &House) -> anyhow::Result<Self> {
        let model = Model::shipped().context("the table of weights in the program")?;
        Ok(Self { model, tables: tables::read(&house.config.enrich)? })
    }

    /// The warning lists that a host is on: popular sites, shared hosting.
    pub fn warnings(&self, address: &Address) -> Vec<String> {
        let name = match address.host() {
            Host::Ip(ip) => {
                let found = self.tables.warnings(&Subject { ip: Some(*ip), ..Subject::default() });
                return found.into_iter().map(str::to_owned).collect();
            }
            Host::Name(name) => name,
        };
        let parts = Parts::of(name);
        if parts.core.is_empty() {
            return vec!["public suffixes and shared hosting".to_owned()];
        }
        let mut all = Vec::new();
        // Under a shared host everybody is somebody else: that the host is popular does not protect who has a site there.
        if !parts.hosted {
            let found = self.tables.warnings(&Subject { fqdn: Some(name), ..Subject::default() });
            all.extend(found.into_iter().map(str::to_owned));
        }
        if self.model.lore().popular.has(parts.registered) {
            all.push("popular names".to_owned());
        }
        all
    }

    /// A site's score by what the store has of it.
    pub fn score(&self, address: &Address, held: &Held, now: Timestamp) -> Score {
        let listings = held.listings.iter().map(|(listing, source)| Listing {
            source: listing.source.clone(),
            family: source.as_ref().map_or_else(|| listing.source.clone(), |source| source.family.clone()),
            reliability: match (source, listing.source.as_str()) {
                (_, BY_HAND) => RELIABILITY_BY_HAND,
                (Some(source), _) => source.reliability as f32 / 1000.0,
                (None, _) => RELIABILITY,
            },
            threat: Threat::parse(&listing.threat).unwrap_or(Threat::Other),
            last_seen: listing.last,
        });
        let life = held.site.as_ref().and_then(|site| site.life.as_deref()).and_then(Life::parse);
        let known = Known { listings: listings.collect(), life, warnings: self.warnings(address) };
        score(&self.model, address, &known, now)
    }
}

/// What the store has of a site.
#[derive(Debug, Default)]
pub struct Held {
    /// Its record.
    pub site: Option<Site>,
    /// The lists that have it.
    pub listings: Vec<(SiteListing, Option<SiteSource>)>,
}

/// What the store has of an address; of a URL also what lists say of its whole host.
pub fn held(tx: &mut Tx<'_>, address: &Address) -> Result<Held, StoreError> {
    let mut listings = tx.site_listings(&address.key())?;
    if address.is_place() {
        listings.extend(tx.site_listings(&address.host_text())?);
    }
    let mut with = Vec::with_capacity(listings.len());
    for listing in listings {
        let source = tx.site_source(&listing.source)?;
        with.push((listing, source));
    }
    Ok(Held { site: tx.site(&address.key())?, listings: with })
}

/// An address as somebody typed it.
pub fn address(text: &str) -> anyhow::Result<Address> {
    Address::parse(text)
        .with_context(|| format!("{:?} is no host name, IP address or URL", crate::report::plain(text)))
}
