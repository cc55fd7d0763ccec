//! What the API asks for, looked up in the database. What leaves here says less than the console shows: a case without its line and
//! address, a bad line without what was in it, and of the events none that came in under a measure.

use noroshi_law::evidence::{Digest, Entry};
use noroshi_model::{CaseFilter, Id, Seek};
use noroshi_portal::api::{
    ApiDesk, BadLineItem, Caller, CaseFile, CaseItem, EventItem, EventWish, EventsPage, Scope, StepOfCase,
    StoryItem,
};
use noroshi_portal::{Cursor, DeskError};
use noroshi_store::log::id_from_bytes;

use crate::cases::case_story;
use crate::desk::{HouseDesk, place, unavailable};
use crate::export::{Wanted, is_own};

/// Events read at once.
const EVENTS_AT_ONCE: usize = 1_024;
/// Events looked at for one answer, whether they are wanted or not.
const LOOKED_AT: u64 = 16 * 1024;
/// Bytes of events in one answer, unless one event has more.
const EVENT_BYTES_MAX: usize = 4 << 20;

impl ApiDesk for HouseDesk {
    fn caller(&self, token: &str) -> Result<Option<Caller>, DeskError> {
        let (hash, now) = (Digest::of(token.as_bytes()), self.house.clock.now());
        let found = self.read("api.token", |tx| tx.token(&hash))?.filter(|token| token.is_good(now));
        if let Some(token) = found.as_ref().filter(|token| token.is_used_anew(now)) {
            let noted = self.house.store.tx("api.token-use", |tx| tx.note_token_use(&token.name, now));
            noted.map_err(unavailable)?;
        }
        Ok(found.map(|token| Caller {
            scopes: token.scopes.iter().filter_map(|scope| Scope::parse(scope)).collect(),
            name: token.name,
        }))
    }

    fn cases_behind(&self, filter: &CaseFilter, seek: &Seek, limit: u32) -> Result<Vec<CaseItem>, DeskError> {
        let cases = self.read("api.cases", |tx| tx.cases(filter, seek, limit))?;
        Ok(cases.into_iter().map(Into::into).collect())
    }

    fn case_file(&self, id: &Id) -> Result<CaseFile, DeskError> {
        let found = self.read("api.case", |tx| {
            let Some(story) = case_story(tx, id)? else { return Ok(None) };
            Ok(Some((story, tx.steps(id)?)))
        })?;
        let (story, steps) = found.ok_or(DeskError::NotFound)?;
        let step = |step: noroshi_store::outbox::Outgoing| StepOfCase {
            number: step.step.number,
            channel: step.step.channel,
            state: step.step.state,
            changed: step.changed,
            attempts: step.step.attempts,
        };
        let line = |line: noroshi_portal::desk::StoryLine| StoryItem {
            at: line.at,
            what: line.what,
            rule: line.rule,
            evidence: line.evidence,
        };
        Ok(CaseFile {
            case: story.case.into(),
            steps: steps.into_iter().map(step).collect(),
            story: story.story.into_iter().map(line).collect(),
        })
    }

    fn quarantine_behind(
        &self,
        feed: &str,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<BadLineItem>, DeskError> {
        let place = place(cursor);
        let lines = self.read("api.quarantine", |tx| tx.quarantine_behind(feed, place.as_ref(), limit))?;
        let item = |line: noroshi_store::quarantine::Quarantined| BadLineItem {
            id: line.id,
            campaign: line.campaign,
            feed: line.feed,
            source: line.source,
            line: line.line,
            reason: line.reason,
            bytes: line.bytes,
            replayed: line.replayed,
            at: line.at,
        };
        Ok(lines.into_iter().map(item).collect())
    }

    fn evidence_below(&self, index: u64, limit: u32) -> Result<Vec<Entry>, DeskError> {
        self.read("api.evidence", |tx| tx.evidence_below(index, limit))
    }

    fn events_after(&self, wish: &EventWish) -> Result<EventsPage, DeskError> {
        let wanted = Wanted { feed: wish.feed.clone(), kind: wish.kind.clone(), ..Wanted::default() };
        let mut page = EventsPage { next: wish.after, ..EventsPage::default() };
        let mut bytes = 0;
        while page.read < LOOKED_AT {
            let after = page.next;
            let logged = self.read("api.events", |tx| tx.events_after(after, EVENTS_AT_ONCE))?;
            let at_end = logged.len() < EVENTS_AT_ONCE;
            for event in logged {
                if page.items.len() >= wish.limit as usize || bytes >= EVENT_BYTES_MAX {
                    page.more = true;
                    return Ok(page);
                }
                (page.read, page.next) = (page.read + 1, event.seq);
                let Ok(flat) = serde_json::from_slice::<serde_json::Map<_, _>>(&event.json) else {
                    tracing::error!(number = event.seq, "an event does not read");
                    page.not_wanted += 1;
                    continue;
                };
                if is_own(&flat) {
                    page.under_a_measure += 1;
                } else if wanted.fits(&flat) {
                    bytes += event.json.len();
                    let id = id_from_bytes(event.id).to_string();
                    page.items.push(EventItem { number: event.seq, id, event: flat });
                } else {
                    page.not_wanted += 1;
                }
            }
            if at_end {
                return Ok(page);
            }
        }
        page.more = true;
        Ok(page)
    }
}
