//! The portal's desk over the house: what the pages ask for, looked up in the database.

mod outcomes;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use noroshi_act::clocks::Clocks;
use noroshi_improve::recheck::recheck;
use noroshi_law::Dossier;
use noroshi_law::evidence::Entry;
use noroshi_law::evidence::disclosure::Disclosure;
use noroshi_model::code;
use noroshi_model::link::{LINK_LIFE, LinkError};
use noroshi_model::organisation::Alert;
use noroshi_model::wording::WordingTrial;
use noroshi_model::{Case, CaseFilter, CaseState, Funnel, Id, Seek, Trial, VisitKind};
use noroshi_orient::enrich::embedded;
use noroshi_portal::Cursor;
use noroshi_portal::api::{ConsentItem, RefusalItem, StepItem};
use noroshi_portal::desk::{
    Act, ApprovalLine, AsOf, CampaignLine, Captive, CaseStory, CaseVerb, CasesOf, Cleaner, Credit, Desk,
    DeskError, EmergencyLine, EvidenceState, FeedLine, GardenNote, IntakePage, Judged, MeasurePage,
    NoticePage, OrganisationLine, QuarantineLine, ReviewLine, SettingsPage, StopLine, Today,
    TransparencyPage,
};
use noroshi_store::approvals::{Approval, EmergencyUse};
use noroshi_store::garden::Stay;
use noroshi_store::pages::Place;
use noroshi_store::totals::{CampaignCount, Totals};
use noroshi_store::{StoreError, Tx};

use crate::attention::{self, Matters};
use crate::counting::Counting;
use crate::house::House;
use crate::ladder::acts::{self, Verdict};
use crate::site::SitesKept;
use crate::{cases, counters, evidence, law, metrics, report};

/// What takes long to count.
#[derive(Default)]
struct Counted {
    totals: Totals,
    identifications: Vec<(String, String, u64)>,
    returns: Vec<(String, String, u64)>,
    campaigns: Vec<CampaignCount>,
    funnels: Vec<Funnel>,
    /// Uses of an emergency that wait for their review.
    unreviewed: u64,
}

/// For how long the first page waits for what is counted for the first time.
const FIRST_COUNT: Duration = Duration::from_secs(1);
/// Cases judged at once, where all of a filter are.
const JUDGED_MAX: u64 = 10_000;
/// Sightings shown to a subscriber.
const SEEN_MAX: u32 = 20;
/// For how long what the public is told is told again, without looking: anybody may ask, as often as they like.
const TOLD_FOR: SignedDuration = SignedDuration::from_secs(60);
/// Entries of the evidence log counted at most for one answer; a long log that was never counted takes several.
const COUNTED_MAX: u64 = 50_000;

/// The desk.
pub struct HouseDesk {
    pub(crate) house: Arc<House>,
    /// What the public was told, and when.
    told: Mutex<Option<(Timestamp, Disclosure)>>,
    /// What takes long to count.
    counted: Arc<Counting<AsOf<Counted>>>,
    /// What telling does, which takes longer.
    trials: Arc<Counting<AsOf<Vec<Trial>>>>,
    /// Which wording works, likewise.
    wordings: Arc<Counting<AsOf<Vec<WordingTrial>>>>,
    /// What the pages about sites keep.
    pub(crate) sites: SitesKept,
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
pub(crate) fn unavailable(e: StoreError) -> DeskError {
    tracing::error!("the portal cannot read: {e}");
    DeskError::Unavailable(e.to_string())
}

impl HouseDesk {
    /// A desk in a house.
    pub fn new(house: Arc<House>) -> Self {
        let counting = Arc::clone(&house);
        let counted = Counting::new(move || {
            let at = counting.clock.now();
            let value = counting.store.look("desk.counted", |tx| {
                Ok::<_, StoreError>(Counted {
                    totals: tx.totals()?,
                    identifications: tx.identification_totals()?,
                    returns: tx.return_totals()?,
                    campaigns: tx.campaigns()?,
                    funnels: tx.funnels()?,
                    unreviewed: tx.unreviewed()?,
                })
            })?;
            Ok(AsOf { at, value })
        });
        let trying = Arc::clone(&house);
        let trials =
            Counting::new(move || Ok(AsOf { at: trying.clock.now(), value: report::trials(&trying)? }));
        let trying = Arc::clone(&house);
        let wordings =
            Counting::new(move || Ok(AsOf { at: trying.clock.now(), value: report::wordings(&trying)? }));
        let sites = SitesKept::default();
        Self { house, told: Mutex::new(None), counted, trials, wordings, sites }
    }

    /// Begins to count, so that whoever comes first need not wait for all of it.
    pub fn begin(&self) {
        self.counted.begin();
        self.trials.begin();
        self.wordings.begin();
    }

    /// What takes long to count, as it was at most a moment and one counting ago.
    fn counted(&self) -> Result<Arc<AsOf<Counted>>, DeskError> {
        self.counted.now().map_err(unavailable)
    }

    /// Looks, and counts that somebody did.
    fn write<T>(
        &self,
        name: &'static str,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, DeskError> {
        self.house.store.tx(name, work).map_err(unavailable)
    }

    pub(crate) fn read<T>(
        &self,
        name: &'static str,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, DeskError> {
        self.house.store.look(name, work).map_err(unavailable)
    }
}

/// Why a line is let out whose subscriber says so.
const BY_THEMSELVES: &str = "the subscriber says that the steps are done";

impl HouseDesk {
    /// Whether the line is in the garden now, and how often its subscriber may still let it out.
    fn garden_note(&self, stays: &[Stay]) -> Option<GardenNote> {
        let most = self.house.config.reach.garden.as_ref()?.self_releases;
        let now = stays.iter().find(|stay| stay.out.is_none())?;
        let done = stays.iter().filter(|stay| stay.why == BY_THEMSELVES).count();
        let left = most.saturating_sub(u32::try_from(done).unwrap_or(u32::MAX));
        Some(GardenNote { until: now.until, left, leaving: now.asked.is_some() })
    }
}

/// The place in the database that a cursor names.
pub fn place(cursor: Option<&Cursor>) -> Option<Place> {
    cursor.map(|cursor| Place { at_ms: cursor.at, keys: cursor.keys.clone() })
}

impl Desk for HouseDesk {
    fn token_of_code(&self, typed: &str) -> Result<String, DeskError> {
        let digits = code::id_prefix(typed).ok_or(LinkError::Forged)?;
        let case = self.read("desk.code", |tx| tx.case_by_prefix(&digits))?.ok_or(LinkError::Forged)?;
        // As long as the link in the newest mail.
        let until = case.last_step.ok_or(LinkError::Forged)? + LINK_LIFE;
        if until <= self.house.clock.now() {
            return Err(LinkError::Expired.into());
        }
        Ok(self.house.links.token(&case.id, until))
    }

    fn notice(&self, token: &str) -> Result<NoticePage, DeskError> {
        let now = self.house.clock.now();
        let id = self.house.links.open(token, now)?;
        let (case, seen, seen_total, visits, opted_out, stays, watched) = self
            .write("desk.notice", |tx| {
                let Some(case) = tx.case(&id)? else { return Ok(None) };
                tx.visit(&id, VisitKind::Opened, now)?;
                let opted_out = tx.opted_out(&case.party, &case.measure)?;
                let (seen, total) = (tx.sightings(&id, SEEN_MAX)?, tx.sighting_count(&id)?);
                let watched = tx.last_told_of(&case.campaign)?;
                Ok(Some((case, seen, total, tx.visits_of(&id)?, opted_out, tx.stays(&id)?, watched)))
            })?
            .ok_or(DeskError::NotFound)?;
        let did = |kind| visits.iter().any(|(k, _, _)| *k == kind);
        let done = visits.iter().find(|(kind, ..)| *kind == VisitKind::Done).map(|(_, first, _)| *first);
        let since = done.unwrap_or(case.opened);
        Ok(NoticePage {
            reference: case.id.reference(),
            operator: self.house.config.operator.name.clone(),
            desk: self.house.config.operator.desk.clone(),
            measure: case.measure.clone(),
            seen,
            seen_total,
            guide: self.house.texts.guides.family(&case.family).clone(),
            link_until: self.house.links.until(token),
            steps_fetched: did(VisitKind::Steps),
            done: did(VisitKind::Done),
            opted_out,
            clean: case.state == CaseState::Clean,
            garden: self.garden_note(&stays),
            recheck: did(VisitKind::Check).then(|| recheck(case.last_seen, since, watched, now)),
            cleaners: self.house.config.help.cleaners_for(&case.family),
            helpers: self.house.config.help.helpers.clone(),
        })
    }

    fn act(&self, token: &str, kind: VisitKind) -> Result<(), DeskError> {
        let now = self.house.clock.now();
        let id = self.house.links.open(token, now)?;
        let found = self.write("desk.act", |tx| {
            let Some(case) = tx.case(&id)? else { return Ok(false) };
            tx.visit(&id, kind, now)?;
            match kind {
                VisitKind::Done if matches!(case.state, CaseState::Open | CaseState::Notified) => {
                    tx.put_case(&Case { state: CaseState::Reported, ..case })?;
                }
                VisitKind::OptOut => {
                    // From every measure that writes: who says "no more mails" means all of them.
                    tx.put_consent(&case.party, "*", false, "the page of the notice", now)?;
                    tx.ask_party_out(&case.party, "the subscriber has opted out", now)?;
                }
                VisitKind::Release if self.garden_note(&tx.stays(&id)?).is_some_and(|note| note.left > 0) => {
                    tx.ask_out(&id, BY_THEMSELVES, now)?;
                }
                _ => {}
            }
            Ok(true)
        })?;
        if found { Ok(()) } else { Err(DeskError::NotFound) }
    }

    fn cleaner(&self, id: u32) -> Result<Cleaner, DeskError> {
        let mut cleaners = self.house.config.help.cleaners.iter().map(|(_, cleaner)| cleaner);
        cleaners.find(|cleaner| cleaner.id == id).cloned().ok_or(DeskError::NotFound)
    }

    fn operator(&self) -> (String, String) {
        let operator = &self.house.config.operator;
        (operator.name.clone(), operator.desk.clone())
    }

    fn captive(&self, from: Option<IpAddr>) -> Captive {
        let garden = self.house.config.reach.garden.as_ref();
        let captive = garden.zip(from).is_some_and(|(garden, from)| garden.has(from));
        Captive { captive, page: format!("{}/garden", self.house.config.base_url) }
    }

    fn restricted(&self, line: &str) -> Result<Option<serde_json::Value>, DeskError> {
        let Some(garden) = &self.house.config.reach.garden else { return Ok(None) };
        let (key, now) = (self.house.vault.restricted_slot(line), self.house.clock.now());
        let restricted = self.read("desk.restricted", |tx| tx.is_restricted(&key, now))?;
        Ok(restricted.then(|| garden.login_answer()))
    }

    fn transparency(&self) -> Result<TransparencyPage, DeskError> {
        let now = self.house.clock.now();
        // Whoever asks meanwhile waits here, and then has the answer.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let disclosure = match &*told {
            Some((at, disclosure)) if now.duration_since(*at) < TOLD_FOR => disclosure.clone(),
            _ => {
                let disclosure = evidence::disclosure(&self.house, COUNTED_MAX).map_err(unavailable)?;
                told.insert((now, disclosure)).1.clone()
            }
        };
        Ok(TransparencyPage { operator: self.house.config.operator.name.clone(), disclosure })
    }

    fn today(&self) -> Result<Today, DeskError> {
        let counted = self.counted.within(FIRST_COUNT).map_err(unavailable)?;
        let (at, counted) = match &counted {
            Some(counted) => (Some(counted.at), &counted.value),
            None => (None, &Counted::default()),
        };
        let totals = &counted.totals;
        let (feeds, waiting, samples, feed_clocks, stopped) = self.read("desk.today", |tx| {
            Ok((tx.tallies()?, tx.steps_waiting()?, tx.clock_samples()?, tx.feed_clocks()?, tx.stopped()?))
        })?;
        let clocks = Clocks::estimate(samples);
        let attention = attention::told(&Matters {
            waiting: &waiting,
            unreviewed: counted.unreviewed,
            stopped: &stopped,
            returns: &counted.returns,
            quarantined: feeds.iter().map(|(.., tally)| tally.quarantined).sum(),
            clocks: &clocks,
            feeds_in_doubt: report::feeds_in_doubt(&self.house, feed_clocks).collect(),
            refusals: totals.refusals,
        });
        let named = [
            ("events", totals.events),
            ("findings", totals.findings),
            ("decisions", totals.decisions),
            ("refusals", totals.refusals),
            ("cases-open", totals.cases_open),
            ("mails", totals.mails),
            ("visits", totals.visits),
            ("cases-closed", totals.cases_closed),
            ("evidence", totals.evidence),
        ];
        Ok(Today {
            counted: at,
            totals: at.map_or_else(Vec::new, |_| named.map(|(name, n)| (name.to_owned(), n)).to_vec()),
            feeds,
            identifications: counted.identifications.clone(),
            clocks: clocks
                .iter()
                .map(|c| (c.nas.clone(), c.offset_s, c.spread_s, c.samples, c.is_wrong()))
                .collect(),
            attention,
        })
    }

    fn cases(&self, filter: &CaseFilter, seek: &Seek, limit: u32) -> Result<Vec<Case>, DeskError> {
        self.read("desk.cases", |tx| tx.cases(filter, seek, limit))
    }

    fn judge_cases(
        &self,
        of: &CasesOf,
        verb: &CaseVerb,
        person: &str,
        why: &str,
    ) -> Result<Judged, DeskError> {
        let judged = match of {
            CasesOf::These(ids) => {
                cases::judge_all(&self.house, ids, verb, person, why).map(|judged| (judged, false))
            }
            CasesOf::All(filter) => cases::judge_matching(&self.house, filter, verb, person, why, JUDGED_MAX),
        };
        let (judged, more) = judged.map_err(|e| DeskError::Unavailable(format!("{e:#}")))?;
        let left = judged.left.into_iter().map(|(why, count)| (why.to_owned(), count)).collect();
        Ok(Judged { done: judged.done, left, more })
    }

    fn campaigns(&self) -> Result<Vec<CampaignLine>, DeskError> {
        let stopped = self.stopped()?;
        let line = |campaign: CampaignCount| CampaignLine {
            stopped: stopped
                .iter()
                .find(|stop| stop.scope == format!("campaign:{}", campaign.campaign))
                .cloned(),
            campaign: campaign.campaign,
            cases: campaign.states.iter().map(|(_, count)| count).sum(),
            states: campaign.states,
            since: campaign.since,
            last_seen: campaign.last_seen,
        };
        Ok(self.counted()?.value.campaigns.iter().cloned().map(line).collect())
    }

    fn case(&self, id: &Id) -> Result<CaseStory, DeskError> {
        self.read("desk.case", |tx| cases::case_story(tx, id))?.ok_or(DeskError::NotFound)
    }

    fn steps(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<StepItem>, DeskError> {
        let place = place(behind);
        let steps = self.read("desk.steps", |tx| tx.steps_proposed_behind(place.as_ref(), limit))?;
        let item = |step: noroshi_store::outbox::Proposed| StepItem {
            reference: step.case.reference(),
            case: step.case,
            number: step.number,
            channel: step.channel,
            since: step.since,
            campaign: step.campaign,
            family: step.family,
            last_seen: step.last_seen,
        };
        Ok(steps.into_iter().map(item).collect())
    }

    fn stopped(&self) -> Result<Vec<StopLine>, DeskError> {
        let stopped = self.read("desk.stopped", |tx| tx.stopped())?;
        let line = |s: noroshi_store::outbox::Stopped| StopLine {
            scope: s.scope,
            since: s.since,
            person: s.person,
            why: s.why,
        };
        Ok(stopped.into_iter().map(line).collect())
    }

    fn perform(&self, act: &Act, person: &str, why: &str) -> Result<bool, DeskError> {
        let done = match act {
            Act::Judge { case, number, approve } => {
                let steps = self.read("desk.judged", |tx| tx.steps(case))?;
                let step = steps.into_iter().find(|step| step.step.number == *number);
                let step = step.ok_or(DeskError::NotFound)?;
                let verdict = if *approve { Verdict::Approved } else { Verdict::Rejected };
                acts::judge(&self.house, step, verdict, person, why)
            }
            Act::Switch { scope, stop: true } => acts::stop(&self.house, scope, person, why),
            Act::Switch { scope, stop: false } => acts::go(&self.house, scope, person, why),
        };
        done.map_err(|e| DeskError::Unavailable(format!("{e:#}")))
    }

    fn intake(&self) -> Result<IntakePage, DeskError> {
        let now = self.house.clock.now();
        let feeds = self.read("desk.intake", |tx| tx.feed_counts(now, counters::FEEDS_MAX))?;
        let line = |f: noroshi_store::events::FeedCount| FeedLine {
            feed: f.feed,
            kind: f.kind,
            counts: f.counts,
            last: f.last,
            hour: f.hour,
            day: f.day,
        };
        let credit = |table: noroshi_orient::enrich::packed::About| Credit {
            table: table.kind,
            source: table.source,
            version: table.version,
            date: table.date,
            licence: table.licence,
            attribution: table.attribution,
        };
        let credits = match self.house.config.enrich.only_own {
            true => Vec::new(),
            false => embedded::about().into_iter().map(credit).collect(),
        };
        Ok(IntakePage { feeds: feeds.into_iter().map(line).collect(), credits })
    }

    fn metrics(&self) -> Result<String, DeskError> {
        metrics::text(&self.house).map_err(unavailable)
    }

    fn quarantine(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<QuarantineLine>, DeskError> {
        let place = place(behind);
        let lines = self.read("desk.quarantine", |tx| tx.quarantine_behind("", place.as_ref(), limit))?;
        let line = |q: noroshi_store::quarantine::Quarantined| QuarantineLine {
            id: q.id,
            source: q.source,
            line: q.line,
            reason: q.reason,
            snippet: q.snippet,
            bytes: q.bytes,
            at: q.at,
            campaign: q.campaign,
        };
        Ok(lines.into_iter().map(line).collect())
    }

    fn refusals(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<RefusalItem>, DeskError> {
        let place = place(behind);
        let refusals = self.read("desk.refusals", |tx| tx.refusals_behind(place.as_ref(), limit))?;
        let item = |refusal: noroshi_store::pages::Refused| RefusalItem {
            id: refusal.id,
            at: refusal.at,
            measure: refusal.measure,
            rule: refusal.rule,
            reason: refusal.reason,
            case: refusal.case,
        };
        Ok(refusals.into_iter().map(item).collect())
    }

    fn consents(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<ConsentItem>, DeskError> {
        let place = place(behind);
        let consents = self.read("desk.consents", |tx| tx.consents_behind(place.as_ref(), limit))?;
        let item = |consent: noroshi_store::consent::ConsentRow| ConsentItem {
            since: consent.since,
            scope: consent.scope,
            measure: consent.measure,
            granted: consent.granted,
            how: consent.how,
        };
        Ok(consents.into_iter().map(item).collect())
    }

    fn organisations(&self) -> Result<Vec<OrganisationLine>, DeskError> {
        self.read("desk.organisations", |tx| {
            let mut lines = Vec::new();
            for organisation in tx.organisations()? {
                let ranges = tx.ranges(Some(&organisation.key))?;
                let (alerts, _) = tx.alerts_count(&organisation.key)?;
                lines.push(OrganisationLine {
                    proven: ranges.iter().filter(|range| range.proven.is_some()).count() as u64,
                    ranges: ranges.len() as u64,
                    contacts: tx.contacts(&organisation.key)?.len() as u64,
                    alerts,
                    organisation,
                });
            }
            Ok(lines)
        })
    }

    fn alerts(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<Alert>, DeskError> {
        let mark = behind.and_then(Cursor::mark);
        self.read("desk.alerts", |tx| tx.alerts(None, mark.as_ref(), limit))
    }

    fn alert(&self, id: &Id) -> Result<Alert, DeskError> {
        self.read("desk.alert", |tx| tx.alert(id))?.ok_or(DeskError::NotFound)
    }

    fn measures(&self) -> Result<Vec<MeasurePage>, DeskError> {
        let now = self.house.clock.now();
        let approvals = self.read("desk.approvals", |tx| tx.approvals_standing(now))?;
        let of = |d: &Dossier| {
            let theirs = approvals.iter().filter(|a| a.measure == d.id && a.dossier == d.digest);
            MeasurePage { approvals: theirs.map(approval_line).collect(), ..measure_page(d) }
        };
        Ok(self.house.register.iter().map(of).collect())
    }

    fn approve_measure(&self, measure: &str, person: &str, why: &str) -> Result<(), DeskError> {
        let person = law::person(person).map_err(said)?;
        let now = self.house.clock.now();
        let approvals = self.read("desk.approvals", |tx| tx.approvals_standing(now))?;
        let dossier = self.house.register.measure(measure).ok_or(DeskError::NotFound)?;
        if approvals.iter().any(|a| a.measure == measure && a.dossier == dossier.digest && a.person == person)
        {
            return Err(DeskError::Declined("your approval of it stands already".into()));
        }
        self.house.approve(measure, &person, why).map_err(said)?;
        Ok(())
    }

    fn emergencies(
        &self,
        waiting: bool,
        behind: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<EmergencyLine>, DeskError> {
        let behind = behind.and_then(|cursor| u64::try_from(cursor.at).ok());
        let uses = self.read("desk.emergencies", |tx| tx.emergency_uses(waiting, behind, limit))?;
        Ok(uses.into_iter().map(emergency_line).collect())
    }

    fn review(&self, entries: &[u64], justified: bool, person: &str, why: &str) -> Result<Judged, DeskError> {
        let person = law::person(person).map_err(said)?;
        let verdict = if justified { "justified" } else { "unjustified" };
        let (mut done, mut left) = (0, BTreeMap::<String, u64>::new());
        for entry in entries {
            match self.house.review(*entry, &person, verdict, why).map_err(said) {
                Ok(_) => done += 1,
                Err(DeskError::Declined(why)) => *left.entry(why).or_default() += 1,
                // What was reviewed before stays so; the rest still waits.
                Err(error) if done == 0 => return Err(error),
                Err(error) => *left.entry(error.to_string()).or_default() += 1,
            }
        }
        Ok(Judged { done, left: left.into_iter().collect(), more: false })
    }

    fn settings(&self) -> Result<SettingsPage, DeskError> {
        Ok(self.house.config.told())
    }

    fn evidence(&self, offset: u64, limit: u32) -> Result<Vec<Entry>, DeskError> {
        self.house.evidence().page(offset, limit).map_err(unavailable)
    }

    fn evidence_proof(&self, index: u64) -> Result<serde_json::Value, DeskError> {
        let proof = self.house.evidence().prove(index).map_err(unavailable)?.ok_or(DeskError::NotFound)?;
        serde_json::to_value(proof).map_err(|e| DeskError::Unavailable(e.to_string()))
    }

    fn evidence_state(&self) -> Result<EvidenceState, DeskError> {
        let report = self.house.evidence().verify().map_err(unavailable)?;
        Ok(EvidenceState {
            entries: report.entries,
            checkpoints: report.checkpoints,
            root: report.root.map(|r| r.to_string()).unwrap_or_default(),
            faults: report.faults.iter().map(ToString::to_string).collect(),
        })
    }
}

/// Why something about the law or a site was not done: the records, or the rules themselves.
#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
pub(crate) fn said(e: anyhow::Error) -> DeskError {
    match e.chain().any(|cause| cause.is::<StoreError>()) {
        true => DeskError::Unavailable(format!("{e:#}")),
        false => DeskError::Declined(format!("{e:#}")),
    }
}

fn approval_line(a: &Approval) -> ApprovalLine {
    ApprovalLine { entry: a.entry, person: a.person.clone(), why: a.why.clone(), at: a.at, until: a.until }
}

fn emergency_line(used: EmergencyUse) -> EmergencyLine {
    let review = used.review.map(|r| ReviewLine {
        entry: r.entry,
        reviewer: r.reviewer,
        verdict: r.verdict,
        why: r.why,
        at: r.at,
    });
    EmergencyLine { entry: used.entry, measure: used.measure, usage: used.usage, at: used.at, review }
}

fn measure_page(d: &Dossier) -> MeasurePage {
    MeasurePage {
        id: d.id.clone(),
        version: d.version,
        title_en: d.title.en.clone(),
        title_ja: d.title.ja.clone(),
        basis: d.basis.to_string(),
        purpose: d.purpose.clone(),
        settled_in: d.settled_in.clone(),
        fields: d.fields.iter().cloned().collect(),
        retention_days: d.retention_days,
        approved_by: d.approved_by.clone(),
        expires_on: d.expires_on.to_string(),
        elements: d.elements.clone(),
        approvers_needed: d.approvers_needed(),
        approvals: Vec::new(),
    }
}
