//! What to do about a subscriber who was found: open a case, add to one, mail or not, and why not.
//!
//! Pure: the case as it is, what was seen, what the subscriber wants, and the time go in; the case as it shall be and at
//! most one mail come out.

use jiff::Timestamp;
use noroshi_model::case::{COOL_DOWN, MAILS_MAX};
use noroshi_model::{Case, CaseState, Id};

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
    /// Whether the subscriber does not want such mails.
    pub opted_out: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The case as it shall be.
    pub case: Case,
    /// The mail to send: its number in the case.
    pub mail: Option<u32>,
    /// Why no mail, where there is none.
    pub held: Option<&'static str>,
}

/// Plans. `latest` is the party's newest case of the family; `fresh` is the id a new case would get. `None` where nothing
/// was seen, or nothing that is newer than the clean end of the last case.
pub fn plan(found: &Found<'_>, latest: Option<&Case>, fresh: Id, now: Timestamp) -> Option<Plan> {
    let (first, last) = (*found.seen.first()?, *found.seen.last()?);
    let mut case = match latest {
        Some(open) if open.state.is_open() => open.clone(),
        // Old sightings of a matter that has ended say nothing new.
        Some(closed) if last <= closed.last_seen => return None,
        previous => Case {
            id: fresh,
            party: found.party.to_owned(),
            family: found.family.to_owned(),
            campaign: found.campaign.to_owned(),
            measure: found.measure.to_owned(),
            state: CaseState::Open,
            opened: now,
            first_seen: first,
            last_seen: last,
            mails: 0,
            last_mail: None,
            closed: None,
            reinfected: previous.is_some(),
        },
    };
    let news = last > case.last_seen || case.mails == 0;
    case.first_seen = case.first_seen.min(first);
    case.last_seen = case.last_seen.max(last);
    let held = why_not(&case, found.opted_out, news, now);
    if held.is_some() {
        if found.opted_out {
            case.state = CaseState::Held;
        }
        return Some(Plan { case, mail: None, held });
    }
    case.mails += 1;
    case.last_mail = Some(now);
    let mail = Some(case.mails);
    Some(Plan { case, mail, held: None })
}

fn why_not(case: &Case, opted_out: bool, news: bool, now: Timestamp) -> Option<&'static str> {
    if opted_out {
        return Some("the subscriber has opted out");
    }
    if !news {
        return Some("nothing new since the last mail");
    }
    if case.mails >= MAILS_MAX {
        return Some("the case has had its mails; the next step is another channel");
    }
    match case.last_mail {
        Some(sent) if now.duration_since(sent) < COOL_DOWN => Some("within the cool-down of the last mail"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + hours * 3600).unwrap()
    }

    fn found(seen: &[Timestamp], opted_out: bool) -> Found<'_> {
        Found { party: "p", family: "mirai", campaign: "c", measure: "takedown-notice", seen, opted_out }
    }

    fn id(n: i64) -> Id {
        Id::of("case", &[&n.to_be_bytes()])
    }

    #[test]
    fn the_first_finding_opens_a_case_with_one_mail_and_the_same_again_sends_none() {
        let first = plan(&found(&[at(0)], false), None, id(1), at(1)).unwrap();
        assert_eq!((first.mail, first.case.state), (Some(1), CaseState::Open));
        let again = plan(&found(&[at(0)], false), Some(&first.case), id(2), at(500)).unwrap();
        assert_eq!((again.mail, again.case.id), (None, id(1)));
    }

    #[test]
    fn who_opted_out_is_held_and_never_mailed() {
        let plan = plan(&found(&[at(0)], true), None, id(1), at(1)).unwrap();
        assert_eq!((plan.mail, plan.case.state, plan.case.mails), (None, CaseState::Held, 0));
    }

    #[test]
    fn seen_again_after_a_clean_end_is_a_new_case_marked_so() {
        let mut old = plan(&found(&[at(0)], false), None, id(1), at(1)).unwrap().case;
        old.state = CaseState::Clean;
        let new = plan(&found(&[at(400)], false), Some(&old), id(2), at(401)).unwrap();
        assert!(new.case.reinfected && new.mail == Some(1) && new.case.id == id(2));
        assert_eq!(plan(&found(&[at(0)], false), Some(&old), id(3), at(402)), None, "old news");
    }

    proptest! {
        #[test]
        fn no_history_sends_more_than_three_mails_or_two_within_a_week(
            steps in prop::collection::vec((0i64..200, any::<bool>()), 1..60)
        ) {
            let mut now = at(0);
            let mut case: Option<Case> = None;
            let mut sent: Vec<Timestamp> = Vec::new();
            for (hours, news) in steps {
                now += SignedDuration::from_hours(hours);
                let seen = if news { now } else { at(0) };
                let plan = plan(&found(&[seen], false), case.as_ref(), id(1), now).unwrap();
                if plan.mail.is_some() {
                    prop_assert!(sent.last().is_none_or(|last| now.duration_since(*last) >= COOL_DOWN));
                    sent.push(now);
                }
                case = Some(plan.case);
            }
            prop_assert!(sent.len() <= MAILS_MAX as usize);
        }
    }
}
