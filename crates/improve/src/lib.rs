//! What came of it: a case that stays quiet closes as clean, the funnel is shown as numbers and as a picture, and it is measured what
//! telling does ([`effect`]), in which words ([`wording`]), and how infected each network is from week to week ([`networks`]). Beside it, what a
//! telescope counted in a day ([`dark_day`]).

pub mod dark_day;
pub mod effect;
pub mod funnel;
pub mod networks;
pub mod recheck;
pub mod wording;

use jiff::Timestamp;
use noroshi_model::case::QUIET;
use noroshi_model::{Case, CaseState};

/// Closes a case that nothing was seen of for [`QUIET`], counted from its last sighting or its opening, whichever is later
/// (a seized log can be months old when it arrives). A case that nobody was told about closes too: most infections end
/// by themselves (58 to 74 % in Çetin et al., NDSS 2019), and hiding that would make notices look better than they are.
pub fn close_if_quiet(case: &Case, now: Timestamp) -> Option<Case> {
    let quiet = case.state.is_open() && now.duration_since(case.last_seen.max(case.opened)) >= QUIET;
    quiet.then(|| Case { state: CaseState::Clean, closed: Some(now), next: None, ..case.clone() })
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use noroshi_model::Id;

    use super::*;

    #[test]
    fn a_case_closes_after_fourteen_quiet_days_and_not_a_second_earlier() {
        let seen = Timestamp::from_second(1_700_000_000).unwrap();
        let case = Case {
            id: Id::of("case", &[]),
            party: "p".into(),
            family: "mirai".into(),
            campaign: "c".into(),
            measure: "takedown-notice".into(),
            state: CaseState::Notified,
            opened: seen,
            first_seen: seen,
            last_seen: seen,
            steps: 1,
            last_step: Some(seen),
            next: None,
            held_out_until: None,
            closed: None,
            reinfected: false,
            held_by: None,
            merged_into: None,
            forgotten: None,
        };
        assert!(close_if_quiet(&case, seen + QUIET - SignedDuration::from_secs(1)).is_none());
        let closed = close_if_quiet(&case, seen + QUIET).unwrap();
        assert_eq!((closed.state, closed.closed), (CaseState::Clean, Some(seen + QUIET)));
        assert!(close_if_quiet(&closed, seen + QUIET + QUIET).is_none(), "closed is closed");
    }
}
