//! What a person may do about a case, and what the case is then: hold it, let it go on, say that it was none, or that it is the same
//! matter as another. Pure.
//!
//! ```text
//!   open, notified, reported ──hold──▶ held ──release──▶ where it was
//!        │        └──merge──▶ merged (its sightings, and what is seen of it from now on, are the other's)
//!        └──reject──▶ rejected (not a case: a wrong list, a wrong line)
//! ```
//!
//! Whoever opted out or complained stays untold whatever a person says: a release gives back what a hold took, and no more.

use jiff::{SignedDuration, Timestamp};
use noroshi_model::{Case, CaseState};

/// For how long a new case of what was rejected waits for a person before anybody is told.
pub const REJECTED_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Who holds a case by that rule.
pub const BY_RULE: &str = "noroshi";

/// What a person says of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nobody is told until it is released.
    Hold,
    /// It goes on.
    Release,
    /// It is no case.
    Reject,
    /// It is the same matter as this one.
    Merge(Box<Case>),
}

/// What else is known of the case.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// Its subscriber does not want to be told: opted out, or called a mail about it abuse.
    pub unwilling: bool,
    /// Its subscriber said that the steps are done.
    pub reported: bool,
    /// Somebody was told, as far as is known.
    pub told: bool,
}

/// The case as it shall be; or why not.
pub fn judge(
    case: &Case,
    judgement: &Judgement,
    known: Known,
    person: &str,
    now: Timestamp,
) -> Result<Case, &'static str> {
    if !case.state.is_open() {
        return Err("the case is closed");
    }
    let closed = |state| Case { state, closed: Some(now), next: None, held_by: None, ..case.clone() };
    match judgement {
        Judgement::Hold if case.held_by.is_some() => Err("somebody holds it already"),
        Judgement::Hold => {
            let held_by = Some(person.to_owned());
            Ok(Case { state: CaseState::Held, held_by, next: None, ..case.clone() })
        }
        Judgement::Release if case.held_by.is_none() && case.state == CaseState::Held => {
            Err("the subscriber opted out or complained: only they can say otherwise")
        }
        Judgement::Release if case.held_by.is_none() => Err("nobody holds it"),
        Judgement::Release => {
            let (state, next) = match known {
                Known { unwilling: true, .. } => (CaseState::Held, None),
                Known { reported: true, .. } => (CaseState::Reported, Some(now)),
                Known { told: true, .. } => (CaseState::Notified, Some(now)),
                _ => (CaseState::Open, Some(now)),
            };
            Ok(Case { state, next, held_by: None, ..case.clone() })
        }
        Judgement::Reject => Ok(closed(CaseState::Rejected)),
        Judgement::Merge(into) if into.id == case.id => Err("it is the same case"),
        Judgement::Merge(into) if into.party != case.party => Err("they are not of the same contract"),
        Judgement::Merge(into) if !into.state.is_open() => Err("the other case is closed"),
        Judgement::Merge(into) => {
            Ok(Case { merged_into: Some(into.id.clone()), ..closed(CaseState::Merged) })
        }
    }
}

/// The case that another went into: it knows what that one knew, and is looked at again.
pub fn joined(into: &Case, from: &Case, now: Timestamp) -> Case {
    let news = from.last_seen > into.last_seen && into.state != CaseState::Held;
    Case {
        first_seen: into.first_seen.min(from.first_seen),
        last_seen: into.last_seen.max(from.last_seen),
        next: if news { Some(into.next.map_or(now, |next| next.min(now))) } else { into.next },
        ..into.clone()
    }
}

#[cfg(test)]
mod tests {
    use noroshi_model::Id;

    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + hours * 3600).unwrap()
    }

    fn case(n: u8, state: CaseState) -> Case {
        Case {
            id: Id::of("case", &[&[n]]),
            party: "p".into(),
            family: format!("family-{n}"),
            campaign: "c".into(),
            measure: "takedown-notice".into(),
            state,
            opened: at(0),
            first_seen: at(i64::from(n)),
            last_seen: at(10 + i64::from(n)),
            steps: 0,
            last_step: None,
            next: Some(at(1)),
            held_out_until: None,
            closed: None,
            reinfected: false,
            held_by: None,
            merged_into: None,
            forgotten: None,
        }
    }

    #[test]
    fn what_is_held_goes_on_where_it_was() {
        for (known, state) in [
            (Known::default(), CaseState::Open),
            (Known { told: true, ..Known::default() }, CaseState::Notified),
            (Known { told: true, reported: true, ..Known::default() }, CaseState::Reported),
        ] {
            let held = judge(&case(1, state), &Judgement::Hold, known, "aoki", at(2)).unwrap();
            assert_eq!(
                (held.state, held.next, held.held_by.as_deref()),
                (CaseState::Held, None, Some("aoki"))
            );
            assert!(judge(&held, &Judgement::Hold, known, "baba", at(3)).is_err(), "held once");
            let free = judge(&held, &Judgement::Release, known, "baba", at(3)).unwrap();
            assert_eq!((free.state, free.next, free.held_by), (state, Some(at(3)), None));
        }
    }

    #[test]
    fn a_release_tells_nobody_who_does_not_want_to_be_told() {
        let unwilling = Known { unwilling: true, ..Known::default() };
        let held = judge(&case(1, CaseState::Held), &Judgement::Hold, unwilling, "aoki", at(2)).unwrap();
        let free = judge(&held, &Judgement::Release, unwilling, "aoki", at(3)).unwrap();
        assert_eq!((free.state, free.next, free.held_by.clone()), (CaseState::Held, None, None));
        assert!(judge(&free, &Judgement::Release, unwilling, "aoki", at(4)).is_err());
    }

    #[test]
    fn what_was_none_or_is_another_is_closed_and_stays_so() {
        let into = Box::new(case(2, CaseState::Notified));
        for (judgement, state) in
            [(Judgement::Reject, CaseState::Rejected), (Judgement::Merge(into), CaseState::Merged)]
        {
            let ended = judge(&case(1, CaseState::Open), &judgement, Known::default(), "a", at(2)).unwrap();
            assert_eq!((ended.state, ended.closed, ended.next), (state, Some(at(2)), None));
            assert!(!ended.state.is_open());
            for again in [Judgement::Hold, Judgement::Release, Judgement::Reject] {
                assert!(judge(&ended, &again, Known::default(), "a", at(3)).is_err());
            }
        }
    }

    #[test]
    fn only_open_cases_of_one_contract_become_one() {
        let from = case(1, CaseState::Open);
        let others = [
            case(1, CaseState::Open),
            case(2, CaseState::Clean),
            Case { party: "q".into(), ..case(2, CaseState::Open) },
        ];
        for other in others {
            let judged = judge(&from, &Judgement::Merge(Box::new(other)), Known::default(), "a", at(2));
            assert!(judged.is_err());
        }
    }

    #[test]
    fn the_other_case_knows_what_this_one_knew() {
        let (older, newer) = (case(1, CaseState::Open), Case { next: None, ..case(2, CaseState::Notified) });
        let grown = joined(&newer, &older, at(20));
        assert_eq!((grown.first_seen, grown.last_seen, grown.next), (at(1), at(12), None));
        let woken = joined(&Case { next: None, ..older.clone() }, &newer, at(20));
        assert_eq!((woken.last_seen, woken.next), (at(12), Some(at(20))));
        let held = joined(&Case { state: CaseState::Held, next: None, ..older }, &newer, at(20));
        assert_eq!(held.next, None, "who does not want to be told is not");
    }
}
