//! What is shown of sites.

use noroshi_act::notice::jst;
use noroshi_model::Lang;
use noroshi_site::{Address, Score, say};
use noroshi_store::StoreError;
use noroshi_store::sites::{Site, SiteListing, SiteObjection, SiteSource, SiteState};
use serde::Serialize;

use super::known::{Judge, address, held};
use crate::house::House;
use crate::report::{self, plain, say};

/// Most sites that are listed at once.
const LISTED_MAX: u32 = 100_000;

/// A site's score, with its address.
#[derive(Serialize)]
struct Explained<'a> {
    address: String,
    url: String,
    #[serde(flatten)]
    score: &'a Score,
    words: Vec<String>,
}

/// Everything about a site, as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shown {
    #[serde(flatten)]
    site: Site,
    listings: Vec<SiteListing>,
    objections: Vec<SiteObjection>,
    score: Score,
}

/// A list and its sites.
#[derive(Serialize)]
struct Source {
    #[serde(flatten)]
    source: SiteSource,
    sites: u64,
    removed: u64,
}

/// Says why.
pub fn explain(house: &House, text: &str, lang: &str, json: bool) -> anyhow::Result<()> {
    let (address, judge) = (address(text)?, Judge::new(house)?);
    let lang = Lang::parse(lang).unwrap_or(Lang::EN);
    let held = house.store.look("site.explain", |tx| held(tx, &address))?;
    let score = judge.score(&address, &held, house.clock.now());
    let words = || score.evidence.iter().map(|evidence| say::evidence(evidence, lang));
    if json {
        let explained =
            Explained { address: address.key(), url: address.url(), score: &score, words: words().collect() };
        return report::json(&explained);
    }
    say!("{}  {:.1} %  {}", address.defanged(), score.probability * 100.0, say::verdict(score.verdict, lang));
    score.warnings.iter().for_each(|warning| say!("    warning list: {}", plain(warning)));
    for (evidence, words) in score.evidence.iter().zip(words()) {
        say!("{:>+7.2}  {}", evidence.log_odds, plain(&words));
    }
    say!("{:>+7.2}  =", score.log_odds);
    if let Some(site) = held.site {
        say!("{} since {}{}", site.state.code(), jst(site.changed), by(&site));
    }
    Ok(())
}

/// Lists them.
pub fn list(house: &House, state: Option<&str>, after: &str, limit: u32, json: bool) -> anyhow::Result<()> {
    let state = state.and_then(SiteState::parse);
    let sites = house.store.look("site.list", |tx| tx.sites(state, after, limit.min(LISTED_MAX)))?;
    if sites.is_empty() && !json {
        eprintln!("There are none; `noroshi site import` reads lists, `noroshi site add` takes one in.");
    }
    for site in sites {
        if json {
            report::json(&site)?;
            continue;
        }
        let life = site.life.as_deref().unwrap_or("-");
        say!(
            "{:<9} {:<9} {}  {}{}",
            site.state.code(),
            life,
            jst(site.last),
            plain(&defanged(&site.address)),
            by(&site)
        );
    }
    Ok(())
}

/// Everything about a site.
pub struct Whole {
    /// Its record.
    pub site: Site,
    /// The lists that have it.
    pub listings: Vec<(SiteListing, Option<SiteSource>)>,
    /// What was said against its listing, newest first.
    pub objections: Vec<SiteObjection>,
    /// Its score now.
    pub score: Score,
}

/// What there is of a site; nothing where there is no record.
pub fn whole(house: &House, judge: &Judge, address: &Address) -> anyhow::Result<Option<Whole>> {
    let (held, objections) = house.store.look("site.show", |tx| {
        Ok::<_, StoreError>((held(tx, address)?, tx.site_objections(&address.key())?))
    })?;
    let score = judge.score(address, &held, house.clock.now());
    Ok(held.site.map(|site| Whole { site, listings: held.listings, objections, score }))
}

/// Shows one.
pub fn show(house: &House, text: &str, json: bool) -> anyhow::Result<()> {
    let (address, judge) = (address(text)?, Judge::new(house)?);
    let Some(Whole { site, listings, objections, score }) = whole(house, &judge, &address)? else {
        let shown = address.defanged();
        anyhow::bail!("there is no site {shown}; `noroshi site explain` tells of sites that nobody listed");
    };
    let listings: Vec<SiteListing> = listings.into_iter().map(|(listing, _)| listing).collect();
    if json {
        return report::json(&Shown { site, listings, objections, score });
    }
    say!("{}  {} since {}{}", address.defanged(), site.state.code(), jst(site.changed), by(&site));
    say!("first heard of {}, last {}", jst(site.first), jst(site.last));
    match (&site.life, site.checked) {
        (Some(life), Some(at)) => say!("asked {}: {life}", jst(at)),
        _ => say!("not asked yet whether it answers"),
    }
    for listing in &listings {
        let (source, threat) = (plain(&listing.source), plain(&listing.threat));
        say!("on {source} ({threat}) from {} to {}", jst(listing.first), jst(listing.last));
    }
    for one in &objections {
        let answer = one.answer.as_deref().unwrap_or("not answered");
        say!(
            "objection of {} {}: {} - {}",
            plain(&one.by_whom),
            jst(one.at),
            plain(&one.said),
            plain(answer)
        );
    }
    score.warnings.iter().for_each(|warning| say!("warning list: {}", plain(warning)));
    say!("{:.1} %: {}", score.probability * 100.0, say::verdict(score.verdict, Lang::EN));
    Ok(())
}

/// Lists the lists.
pub fn sources(house: &House, json: bool) -> anyhow::Result<()> {
    for (source, sites, removed) in house.store.look("site.sources", |tx| tx.site_sources())? {
        if json {
            report::json(&Source { source, sites, removed })?;
            continue;
        }
        let right = f64::from(source.reliability) / 10.0;
        let (name, family) = (plain(&source.name), plain(&source.family));
        say!(
            "{name:<32} {family:<20} {right:>5.1} % right  {sites:>9} sites, {removed} taken out  read {}",
            jst(source.read)
        );
    }
    Ok(())
}

/// An address so that nobody opens it by mistake.
pub fn defanged(key: &str) -> String {
    key.replacen('.', "[.]", 64)
}

fn by(site: &Site) -> String {
    match (site.person.as_str(), site.why.as_str()) {
        ("", "") => String::new(),
        ("", why) => format!("  ({})", plain(why)),
        (person, why) => format!("  by {}: {}", plain(person), plain(why)),
    }
}
