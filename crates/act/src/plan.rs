//! What to do about a subscriber who was found: open a case, or add to the one that is open.
//!
//! Pure: the case as it is, what was seen, what the subscriber wants, and the time go in; the case as it shall be comes out.
//! Whether and how the subscriber is told is the ladder's to say ([`crate::ladder`]), which is asked soon after.

use jiff::{SignedDuration, Timestamp};
use noroshi_model::{Case, CaseState, Id};

use crate::judge::{BY_RULE, REJECTED_FOR};

/// What was found of one subscriber and family.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// Keyed hash of the contract.
    pub party: &'a str,
    /// The malware family.
    pub family: &'a str,
    /// The campaign.
    pub campaign: &'a str,
    /// The measure.
    pub measure: &'a str,
    /// When the line was seen, ascending; at least one.
    pub seen: &'a [Timestamp],
    /// Whether the subscriber does not want to be told.
    pub opted_out: bool,
    /// How long what else is found of the same matter is waited for.
    pub settle: SignedDuration,
    /// For how long a new case is held out: not told, to measure what telling does.
    pub hold_out: Option<SignedDuration>,
}

/// The case as it shall be. `latest` is the party's newest case of the family; `fresh` is the id a new case would get. `None`
/// where nothing was seen, or nothing that is newer than the clean end of the last case.
pub fn plan(found: &Found<'_>, latest: Option<&Case>, fresh: Id, now: Timestamp) -> Option<Case> {
    let (first, last) = (*found.seen.first()?, *found.seen.last()?);
    let (mut case, mut news) = match latest {
        Some(open) if open.state.is_open() => (open.clone(), last > open.last_seen),
        // Old sightings of a matter that has ended say nothing new.
        Some(closed) if last <= closed.last_seen => return None,
        previous => {
            // What a person said was none is not told to anybody before a person has looked again.
            let doubted = previous.is_some_and(|case| {
                case.state == CaseState::Rejected
                    && case.closed.is_some_and(|closed| now.duration_since(closed) < REJECTED_FOR)
            });
            let case = Case {
                id: fresh,
                party: found.party.to_owned(),
                family: found.family.to_owned(),
                campaign: found.campaign.to_owned(),
                measure: found.measure.to_owned(),
                state: if doubted { CaseState::Held } else { CaseState::Open },
                opened: now,
                first_seen: first,
                last_seen: last,
                steps: 0,
                last_step: None,
                next: None,
                held_out_until: found.hold_out.map(|hold_out| now + hold_out),
                closed: None,
                reinfected: previous.is_some_and(|case| case.state == CaseState::Clean),
                held_by: doubted.then(|| BY_RULE.to_owned()),
                merged_into: None,
                forgotten: None,
            };
            (case, true)
        }
    };
    case.first_seen = case.first_seen.min(first);
    case.last_seen = case.last_seen.max(last);
    if found.opted_out {
        (case.state, case.next) = (CaseState::Held, None);
        news = false;
    }
    if news && case.state != CaseState::Held {
        let soon = now + found.settle;
        case.next = Some(case.next.map_or(soon, |next| next.min(soon)));
    }
    Some(case)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + hours * 3600).unwrap()
    }

    fn found(seen: &[Timestamp], opted_out: bool) -> Found<'_> {
        Found {
            party: "p",
            family: "mirai",
            campaign: "c",
            measure: "takedown-notice",
            seen,
            opted_out,
            settle: SignedDuration::from_mins(2),
            hold_out: None,
        }
    }

    fn id(n: i64) -> Id {
        Id::of("case", &[&n.to_be_bytes()])
    }

    #[test]
    fn the_first_finding_opens_a_case_and_the_same_again_is_no_news() {
        let first = plan(&found(&[at(0)], false), None, id(1), at(1)).unwrap();
        assert_eq!((first.next, first.state), (Some(at(1) + SignedDuration::from_mins(2)), CaseState::Open));
        let looked = Case { next: None, ..first };
        let again = plan(&found(&[at(0)], false), Some(&looked), id(2), at(500)).unwrap();
        assert_eq!(again, looked);
        let news = plan(&found(&[at(499)], false), Some(&looked), id(2), at(500)).unwrap();
        assert_eq!((news.last_seen, news.next.is_some(), news.id), (at(499), true, id(1)));
    }

    #[test]
    fn who_opted_out_or_complained_is_held() {
        let held = plan(&found(&[at(0)], true), None, id(1), at(1)).unwrap();
        assert_eq!((held.next, held.state), (None, CaseState::Held));
        let again = plan(&found(&[at(3)], false), Some(&held), id(2), at(4)).unwrap();
        assert_eq!((again.next, again.state), (None, CaseState::Held), "until somebody says otherwise");
    }

    #[test]
    fn seen_again_after_a_clean_end_is_a_new_case_marked_so() {
        let mut old = plan(&found(&[at(0)], false), None, id(1), at(1)).unwrap();
        old.state = CaseState::Clean;
        let new = plan(&found(&[at(400)], false), Some(&old), id(2), at(401)).unwrap();
        assert!(new.reinfected && new.next.is_some() && new.id == id(2));
        assert_eq!(plan(&found(&[at(0)], false), Some(&old), id(3), at(402)), None, "old news");
    }

    #[test]
    fn what_a_person_rejected_waits_for_a_person_when_it_comes_again_and_not_for_ever() {
        let opened = plan(&found(&[at(0)], false), None, id(1), at(1)).unwrap();
        let rejected = Case { state: CaseState::Rejected, closed: Some(at(2)), ..opened };
        let soon = plan(&found(&[at(30)], false), Some(&rejected), id(2), at(31)).unwrap();
        assert_eq!((soon.state, soon.next, soon.reinfected), (CaseState::Held, None, false));
        assert_eq!(soon.held_by.as_deref(), Some(BY_RULE));
        let later = plan(&found(&[at(800)], false), Some(&rejected), id(2), at(801)).unwrap();
        assert_eq!((later.state, later.held_by, later.reinfected), (CaseState::Open, None, false));
    }

    #[test]
    fn a_new_case_is_held_out_once() {
        let once = [at(0)];
        let mut first = found(&once, false);
        first.hold_out = Some(SignedDuration::from_hours(336));
        let case = plan(&first, None, id(1), at(1)).unwrap();
        assert_eq!(case.held_out_until, Some(at(337)));
        let seen = [at(50)];
        first.seen = &seen;
        assert_eq!(plan(&first, Some(&case), id(1), at(51)).unwrap().held_out_until, Some(at(337)));
    }
}
