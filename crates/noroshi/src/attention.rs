//! What needs a person today, in words, most urgent first, each with the page on which something can be done about it.

use noroshi_act::clocks::Clocks;
use noroshi_act::notice::jst;
use noroshi_model::case::StepState;
use noroshi_portal::desk::Attention;
use noroshi_store::outbox::{EVERYTHING, Stopped};

use crate::returns::COMPLAINT;

/// What there is to be told of.
pub struct Matters<'a> {
    /// Steps under way: channel, state, how many.
    pub waiting: &'a [(String, String, u64)],
    /// Uses of an emergency that wait for their review.
    pub unreviewed: u64,
    /// What is stopped.
    pub stopped: &'a [Stopped],
    /// What came back: kind, cause, how many.
    pub returns: &'a [(String, String, u64)],
    /// Lines in quarantine.
    pub quarantined: u64,
    /// The access servers' clocks.
    pub clocks: &'a Clocks,
    /// Feeds whose times may be wrong, and by how many seconds.
    pub feeds_in_doubt: Vec<(String, u32)>,
    /// Uses of data that were refused.
    pub refusals: u64,
}

/// Tells them.
pub fn told(matters: &Matters<'_>) -> Vec<Attention> {
    let mut all = people_and_notices(matters);
    all.extend(records(matters));
    all
}

fn one(act: bool, what: String, href: &str) -> Attention {
    Attention { act, what, href: href.to_owned() }
}

/// What waits for somebody's word, and what became of notices.
fn people_and_notices(matters: &Matters<'_>) -> Vec<Attention> {
    let mut told = Vec::new();
    let steps = |wanted: StepState| -> u64 {
        let of = matters.waiting.iter().filter(|(_, state, _)| state == wanted.id());
        of.map(|(.., count)| count).sum()
    };
    let (in_doubt, proposed) = (steps(StepState::InDoubt), steps(StepState::Proposed));
    if in_doubt > 0 {
        let what = format!("notices of which nobody knows whether they arrived: {in_doubt}");
        told.push(one(true, what, "/cases"));
    }
    if proposed > 0 {
        told.push(one(true, format!("steps that wait for a person: {proposed}"), "/steps"));
    }
    if matters.unreviewed > 0 {
        let what = format!("uses of an emergency that wait for their review: {}", matters.unreviewed);
        told.push(one(true, what, "/law/emergencies"));
    }
    for stopped in matters.stopped {
        let what = format!(
            "stopped since {} by {}: {} ({})",
            jst(stopped.since),
            stopped.person,
            if stopped.scope == EVERYTHING { "all notices" } else { &stopped.scope },
            stopped.why
        );
        told.push(one(true, what, "/steps"));
    }
    let came_back = |wanted: &str| -> u64 {
        matters.returns.iter().filter(|(kind, ..)| kind == wanted).map(|(_, _, count)| count).sum()
    };
    match (came_back(COMPLAINT), came_back("failed")) {
        (0, 0) => {}
        (0, failed) => told.push(one(false, format!("mails that came back: {failed}"), "/cases")),
        (complaints, failed) => {
            let what = format!(
                "notices called abuse: {complaints}, their cases are held; mails that came back: {failed}"
            );
            told.push(one(true, what, "/cases?state=held"));
        }
    }
    told
}

/// What is the matter with what comes in.
fn records(matters: &Matters<'_>) -> Vec<Attention> {
    let mut told = Vec::new();
    if matters.quarantined > 0 {
        told.push(one(false, format!("lines in quarantine: {}", matters.quarantined), "/quarantine"));
    }
    for clock in matters.clocks.iter().filter(|clock| clock.is_wrong()) {
        let what = format!("the clock of {} is {:+} s off; it is not used", clock.nas, clock.offset_s);
        told.push(one(false, what, "/"));
    }
    for (feed, off_s) in &matters.feeds_in_doubt {
        let what = format!(
            "times of {feed} may be wrong by {off_s} s; whom they point at is in doubt for that long"
        );
        told.push(one(false, what, "/"));
    }
    if matters.refusals > 0 {
        told.push(one(false, format!("uses of data refused: {}", matters.refusals), "/law"));
    }
    told
}
