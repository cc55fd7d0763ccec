//! The console's pages about sites: what the commands show and do, for whoever is in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use noroshi_model::Lang;
use noroshi_portal::Cursor;
use noroshi_portal::desk::{
    DeskError, SiteFilter, SiteLine, SiteListingLine, SiteObjectionLine, SitePage, SiteVerb, SiteWaiting,
    Sites,
};
use noroshi_site::{Address, say};
use noroshi_store::sites::{Site, SiteState, SitesAsked};

use super::known::{Judge, address};
use super::{By, decide, tell};
use crate::desk::{HouseDesk, said};
use crate::house::House;

/// For how long one person's word about a popular name waits for another's.
const WAITS: SignedDuration = SignedDuration::from_hours(24);
/// Words that wait at most; the oldest go first.
const WAITING_MAX: usize = 100;

/// What the pages keep between two requests. A word that waits is gone when the program ends; it is in the evidence log, and may be said again.
#[derive(Default)]
pub struct SitesKept {
    /// What sites are judged by, read when somebody first asks: it takes a while, and most processes never do.
    judge: Mutex<Option<Arc<Judge>>>,
    /// The newest first.
    waiting: Mutex<Vec<SiteWaiting>>,
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

    fn waiting(&self, now: Timestamp) -> MutexGuard<'_, Vec<SiteWaiting>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|one| now.duration_since(one.at) < WAITS);
        waiting
    }

    /// Another person's word that this one agrees with, which waits no more.
    fn agreed(&self, word: &SiteWaiting) -> Option<SiteWaiting> {
        let mut waiting = self.waiting(word.at);
        let same = |one: &SiteWaiting| {
            (&one.address, &one.threat) == (&word.address, &word.threat) && !is_same(one, word)
        };
        let at = waiting.iter().position(same)?;
        Some(waiting.remove(at))
    }

    fn keep(&self, word: SiteWaiting) {
        let mut waiting = self.waiting(word.at);
        waiting.retain(|one| one.address != word.address || !is_same(one, &word));
        waiting.insert(0, word);
        waiting.truncate(WAITING_MAX);
    }
}

/// Whether two words are one person's.
fn is_same(one: &SiteWaiting, other: &SiteWaiting) -> bool {
    one.person.eq_ignore_ascii_case(&other.person)
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
        Ok(self.sites.waiting(self.house.clock.now()).clone())
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
        let mut first = None;
        if decide::takes_two(&*self.sites.judge(&self.house)?, &address) {
            let word = SiteWaiting {
                address: address.key(),
                defanged: address.defanged(),
                threat: threat.cloned(),
                person: person.to_owned(),
                why: why.to_owned(),
                at: self.house.clock.now(),
            };
            let Some(other) = self.sites.agreed(&word) else {
                decide::ask_second(&self.house, &address, threat.is_some(), &by).map_err(said)?;
                self.sites.keep(word);
                return Ok(None);
            };
            by = By {
                people: vec![other.person.clone(), person.to_owned()],
                why: format!("{}; {why}", other.why),
            };
            first = Some(other);
        }
        let done = match threat {
            Some(threat) => decide::add(&self.house, typed, threat, &by),
            None => decide::remove(&self.house, typed, &by),
        };
        if let (Err(_), Some(first)) = (&done, first) {
            self.sites.keep(first);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn word(person: &str, threat: Option<&str>, hour: i64) -> SiteWaiting {
        SiteWaiting {
            address: "popular.example".into(),
            defanged: String::new(),
            threat: threat.map(str::to_owned),
            person: person.into(),
            why: String::new(),
            at: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour),
        }
    }

    #[test]
    fn only_somebody_else_agrees_and_only_with_the_same_for_a_day() {
        let scam = Some("scam");
        for other in [
            word("aoki", scam, 1),
            word("Baba", None, 1),
            word("Baba", Some("phishing"), 1),
            word("Baba", scam, 24),
        ] {
            let kept = SitesKept::default();
            kept.keep(word("Aoki", scam, 0));
            assert_eq!(kept.agreed(&other), None, "{other:?}");
        }
        let kept = SitesKept::default();
        kept.keep(word("Aoki", scam, 0));
        assert_eq!(kept.agreed(&word("Baba", scam, 23)), Some(word("Aoki", scam, 0)));
        assert_eq!(kept.agreed(&word("Baba", scam, 23)), None, "it counts once");
        // Who says otherwise takes back what they said.
        kept.keep(word("Aoki", scam, 0));
        kept.keep(word("Aoki", None, 1));
        assert_eq!(kept.agreed(&word("Baba", scam, 2)), None);
        for n in 0..300 {
            kept.keep(SiteWaiting { address: format!("{n}.example"), ..word("Aoki", None, 2) });
        }
        assert_eq!(kept.waiting.lock().unwrap().len(), WAITING_MAX);
    }
}
