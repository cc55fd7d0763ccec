//! The console's pages about sites: what the commands show and do, for whoever is in.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use noroshi_model::Lang;
use noroshi_portal::Cursor;
use noroshi_portal::desk::{
    DeskError, SiteFilter, SiteLine, SiteListingLine, SiteObjectionLine, SitePage, SiteVerb, SiteWaiting,
    Sites,
};
use noroshi_site::{Address, say};
use noroshi_store::site_words::SiteWord;
use noroshi_store::sites::{Site, SiteState, SitesAsked};

use super::known::{Judge, address};
use super::{By, decide, tell};
use crate::desk::{HouseDesk, said};
use crate::house::House;

/// For how long one person's word about a popular name waits for another's.
const WAITS: SignedDuration = SignedDuration::from_hours(24);

/// What the pages keep between two requests.
#[derive(Default)]
pub struct SitesKept {
    /// What sites are judged by, read when somebody first asks: it takes a while, and most processes never do.
    judge: Mutex<Option<Arc<Judge>>>,
}

impl SitesKept {
    fn judge(&self, house: &House) -> Result<Arc<Judge>, DeskError> {
        let mut judge = self.judge.lock().unwrap_or_else(PoisonError::into_inner);
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
        let judge = self.sites.judge(&self.house)?;
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

    fn waiting_sites(&self) -> Result<Vec<SiteWaiting>, DeskError> {
        let after = self.house.clock.now() - WAITS;
        let words = self.read("desk.site-words", |tx| tx.site_words(after))?;
        Ok(words.into_iter().map(waiting).collect())
    }

    fn judge_site(
        &self,
        typed: &str,
        verb: &SiteVerb,
        person: &str,
        why: &str,
    ) -> Result<Option<String>, DeskError> {
        let address = address(typed).map_err(said)?;
        let mut by = By { people: vec![person.to_owned()], why: why.to_owned() };
        let threat = match verb {
            SiteVerb::Object(from) => {
                decide::object(&self.house, typed, from, &by).map_err(said)?;
                return Ok(Some(address.key()));
            }
            SiteVerb::List(threat) => Some(threat),
            SiteVerb::Remove => None,
        };
        if decide::takes_two(&*self.sites.judge(&self.house)?, &address) {
            let word = SiteWord {
                address: address.key(),
                threat: threat.cloned(),
                person: person.to_owned(),
                why: why.to_owned(),
                at: self.house.clock.now(),
            };
            let after = word.at - WAITS;
            let mut same = self.read("desk.site-word", |tx| tx.site_word_like(&word, after))?;
            if same.is_none() {
                // Both may say it at once.
                same = decide::ask_second(&self.house, &address, &word, after).map_err(said)?;
            }
            let Some(other) = same else { return Ok(None) };
            by = By { people: vec![other.person, word.person], why: format!("{}; {why}", other.why) };
        }
        let done = match threat {
            Some(threat) => decide::add(&self.house, typed, threat, &by),
            None => decide::remove(&self.house, typed, &by),
        };
        done.map_err(said)?;
        Ok(Some(address.key()))
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

fn waiting(word: SiteWord) -> SiteWaiting {
    SiteWaiting {
        defanged: tell::defanged(&word.address),
        address: word.address,
        threat: word.threat,
        person: word.person,
        why: word.why,
        at: word.at,
    }
}
