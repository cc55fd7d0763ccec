//! The console's pages about sites: what the commands show and do, for whoever is in.

use std::sync::{Arc, Mutex, PoisonError};

use noroshi_model::Lang;
use noroshi_portal::Cursor;
use noroshi_portal::desk::{
    DeskError, SiteFilter, SiteLine, SiteListingLine, SiteObjectionLine, SitePage, SiteVerb, Sites,
};
use noroshi_site::{Address, say};
use noroshi_store::sites::{Site, SiteState, SitesAsked};

use super::known::{Judge, address};
use super::{By, decide, tell};
use crate::desk::{HouseDesk, said};
use crate::house::House;

/// What sites are judged by, read when somebody first asks: it takes a while, and most processes never do.
#[derive(Default)]
pub struct JudgeOnce(Mutex<Option<Arc<Judge>>>);

impl JudgeOnce {
    fn of(&self, house: &House) -> Result<Arc<Judge>, DeskError> {
        let mut judge = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(judge) = &*judge {
            return Ok(Arc::clone(judge));
        }
        let read = Judge::new(house).map_err(|error| DeskError::Unavailable(format!("{error:#}")))?;
        Ok(Arc::clone(judge.insert(Arc::new(read))))
    }
}

impl Sites for HouseDesk {
    fn sites(
        &self,
        filter: &SiteFilter,
        behind: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<SiteLine>, DeskError> {
        let asked = SitesAsked {
            state: filter.state.as_deref().and_then(SiteState::parse),
            source: filter.source.clone(),
            text: filter.text.clone(),
        };
        let after = behind.and_then(|cursor| cursor.keys.first()).cloned().unwrap_or_default();
        let sites = self.read("desk.sites", |tx| tx.find_sites(&asked, &after, limit))?;
        Ok(sites.into_iter().map(line).collect())
    }

    fn site(&self, wanted: &str, lang: Lang) -> Result<SitePage, DeskError> {
        let address = Address::parse(wanted).map_err(|_| DeskError::NotFound)?;
        let judge = self.judge.of(&self.house)?;
        let whole = tell::whole(&self.house, &judge, &address).map_err(said)?;
        let whole = whole.ok_or(DeskError::NotFound)?;
        let listings = whole.listings.into_iter().map(|(listing, source)| SiteListingLine {
            source: listing.source,
            family: source.map(|source| source.family),
            threat: listing.threat,
            first: listing.first,
            last: listing.last,
        });
        let objections = whole.objections.into_iter().map(|one| SiteObjectionLine {
            at: one.at,
            by_whom: one.by_whom,
            said: one.said,
            answer: one.answer.zip(one.answered_by),
        });
        let score = &whole.score;
        let evidence = score.evidence.iter().map(|one| (say::evidence(one, lang), f64::from(one.log_odds)));
        Ok(SitePage {
            site: line(whole.site),
            listings: listings.collect(),
            objections: objections.collect(),
            warnings: score.warnings.clone(),
            percent: f64::from(score.probability) * 100.0,
            verdict: say::verdict(score.verdict, lang).to_owned(),
            evidence: evidence.collect(),
        })
    }

    fn judge_site(&self, typed: &str, verb: &SiteVerb, person: &str, why: &str) -> Result<String, DeskError> {
        let by = By { people: vec![person.to_owned()], why: why.to_owned() };
        let key = address(typed).map_err(said)?.key();
        match verb {
            SiteVerb::List(threat) => decide::add(&self.house, typed, threat, &by),
            SiteVerb::Remove => decide::remove(&self.house, typed, &by),
            SiteVerb::Object(from) => decide::object(&self.house, typed, from, &by),
        }
        .map_err(said)?;
        Ok(key)
    }
}

fn line(site: Site) -> SiteLine {
    SiteLine {
        defanged: tell::defanged(&site.address),
        address: site.address,
        state: site.state.code().to_owned(),
        changed: site.changed,
        first: site.first,
        last: site.last,
        life: site.life.zip(site.checked),
        person: site.person,
        why: site.why,
    }
}
