//! A case with its whole story, for the console and the command line.

use noroshi_act::notice::jst;
use noroshi_model::case::StepState;
use noroshi_model::{CaseState, Channel, Id};
use noroshi_portal::desk::{CaseStory, StoryLine};
use noroshi_store::{StoreError, Tx};

/// Lines of sightings in a case's story.
const STORY_MAX: u32 = 200;

/// A case with its whole story: seen, identified, mailed, visited, closed.
pub fn case_story(tx: &mut Tx<'_>, id: &Id) -> Result<Option<CaseStory>, StoreError> {
    let Some(case) = tx.case(id)? else { return Ok(None) };
    let mut story = Vec::new();
    let mut line = |at, what: &str, text: String, rule: Option<String>, evidence| {
        story.push(StoryLine { at, what: what.to_owned(), text, rule, evidence });
    };
    for (at, ip) in tx.sightings(id, STORY_MAX)? {
        line(at, "seen", format!("{} from {ip}", case.family), None, None);
    }
    for i in tx.identifications_of_case(id)? {
        let text = format!(
            "this line, for {} of the times seen; nearest session border {} s away",
            i.sightings, i.margin_s
        );
        line(i.at, "identified", text, Some(case.measure.clone()), i.evidence);
    }
    let words = tx.words_of(id)?;
    for mail in tx.steps(id)? {
        let said = words.get(&mail.step.number).map(|words| format!(" (in the words {words})"));
        let text = match (mail.step.state, mail.step.channel) {
            (StepState::Pending, _) => format!("waits in the outbox {}", mail.step.reply),
            (_, Channel::Mail) => format!("{} {}", mail.message_id, mail.step.reply),
            _ => mail.step.reply.clone(),
        };
        line(
            mail.changed,
            mail.step.channel.id(),
            format!("step {}: {}{}", mail.step.number, text.trim(), said.unwrap_or_default()),
            Some(mail.step.state.to_string()),
            None,
        );
    }
    for came in tx.returns_of(id)? {
        let words = [came.cause.as_str(), &came.status, &came.said].join(" ");
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        line(came.at, "came back", format!("mail {}: {words}", came.number), Some(came.kind.clone()), None);
    }
    for (kind, at, times) in tx.visits_of(id)? {
        let text = format!("{kind}{}", if times > 1 { format!(" ({times} times)") } else { String::new() });
        line(at, "visit", text, None, None);
    }
    for stay in tx.stays(id)? {
        let evidence = Some(stay.permit);
        line(stay.since, "restricted", format!("until {} at most", jst(stay.until)), None, evidence);
        if let Some(at) = stay.out {
            line(at, "let out", stay.why, None, None);
        }
    }
    let waiting = tx.steps(id)?.iter().any(|step| step.step.state == StepState::Proposed);
    for act in tx.case_acts(id)? {
        line(act.at, &act.what, format!("by {}: {}", act.person, act.why), None, Some(act.evidence));
    }
    line(case.opened, "opened", format!("case opened for {}", case.campaign), None, None);
    if let Some(closed) = case.closed.filter(|_| case.state == CaseState::Clean) {
        line(closed, "closed", "nothing seen for the quiet time: closed as clean".into(), None, None);
    }
    // What happened at one moment of the clock is told in the order of the loop, latest first.
    let order = [
        "closed",
        "merged",
        "rejected",
        "released",
        "held",
        "visit",
        "came back",
        "walled-garden",
        "call",
        "letter",
        "sms",
        "mail",
        "identified",
        "opened",
        "seen",
    ];
    let rank = |line: &StoryLine| order.iter().position(|what| *what == line.what);
    story.sort_by_key(|line| (std::cmp::Reverse(line.at), rank(line)));
    let beside = if case.state.is_open() { tx.open_beside(&case)? } else { Vec::new() };
    Ok(Some(CaseStory { reference: id.reference(), case, story, waiting, beside }))
}
