//! What the API answers, each form written out and documented: programs rely on it, so it changes only by adding. Times are RFC 3339
//! in UTC.
//!
//! Nothing here names a subscriber, a line or an address: what a program needs of a case is its number and how far it has come.

use jiff::Timestamp;
use noroshi_law::evidence::Entry;
use noroshi_model::case::StepState;
use noroshi_model::{Case, CaseState, Channel, Funnel, Id, Tally, Trial};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::cursor::{Cursor, Placed};
use crate::desk::{Credit, EvidenceState, FeedLine, MeasurePage, StopLine};

/// A page of a list: its rows, and where to read on.
macro_rules! page {
    ($(#[$doc:meta])* $name:ident of $row:ty) => {
        $(#[$doc])*
        #[derive(Debug, Serialize, ToSchema)]
        pub(super) struct $name {
            /// The rows, at most `limit` of them.
            pub(super) items: Vec<$row>,
            /// Give it as `cursor` to read on; null at the end.
            pub(super) next: Option<String>,
        }

        impl $name {
            /// Of up to one row more than there is room for, which tells whether there is more.
            pub(super) fn of(mut items: Vec<$row>, limit: u32) -> Self {
                let more = items.len() > limit as usize;
                items.truncate(limit as usize);
                let next = items.last().filter(|_| more).map(|row| row.cursor().encode());
                Self { items, next }
            }
        }
    };
}

fn one_of(names: impl Iterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build()
}

pub(super) fn case_states() -> Object {
    one_of(CaseState::ALL.iter().map(|state| state.id()))
}

pub(super) fn channels() -> Object {
    one_of(Channel::ALL.iter().map(|channel| channel.id()))
}

pub(super) fn step_states() -> Object {
    one_of(StepState::ALL.iter().map(|state| state.id()))
}

pub(super) fn id() -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9a-f]{32}$")).build()
}

/// A case: the open matter with one subscriber about one malware family. It does not say with whom.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CaseItem {
    /// Its id.
    #[schema(schema_with = id)]
    pub id: Id,
    /// Its number as told on the telephone.
    pub reference: String,
    /// The malware family.
    pub family: String,
    /// The campaign that opened it.
    pub campaign: String,
    /// The measure it stands on.
    pub measure: String,
    /// How far it has come.
    #[schema(schema_with = case_states)]
    pub state: CaseState,
    /// When it was opened.
    pub opened: Timestamp,
    /// First sighting.
    pub first_seen: Timestamp,
    /// Last sighting.
    pub last_seen: Timestamp,
    /// Steps of the ladder so far.
    pub steps: u32,
    /// When the last of them was decided on.
    pub last_step: Option<Timestamp>,
    /// Until when chance keeps it from being told, to measure what telling does.
    pub held_out_until: Option<Timestamp>,
    /// When it was closed.
    pub closed: Option<Timestamp>,
    /// Whether an earlier case of the same subscriber and family had been closed as clean.
    pub reinfected: bool,
    /// The case that it went into, where a person said that it is the same matter.
    #[schema(required = true, nullable, pattern = "^[0-9a-f]{32}$", value_type = Option<String>)]
    pub merged_into: Option<Id>,
}

impl From<Case> for CaseItem {
    fn from(case: Case) -> Self {
        Self {
            reference: case.id.reference(),
            id: case.id,
            family: case.family,
            campaign: case.campaign,
            measure: case.measure,
            state: case.state,
            opened: case.opened,
            first_seen: case.first_seen,
            last_seen: case.last_seen,
            steps: case.steps,
            last_step: case.last_step,
            held_out_until: case.held_out_until,
            closed: case.closed,
            reinfected: case.reinfected,
            merged_into: case.merged_into,
        }
    }
}

impl Placed for CaseItem {
    fn cursor(&self) -> Cursor {
        Cursor { at: self.opened.as_millisecond(), keys: vec![self.id.to_string()] }
    }
}

page!(
    /// Cases, newest first.
    CasesPage of CaseItem
);

/// One case with its story.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseFile {
    /// The case.
    pub case: CaseItem,
    /// Its steps, in order.
    pub steps: Vec<StepOfCase>,
    /// What happened, newest first; the newest of it, where it is long.
    pub story: Vec<StoryItem>,
}

/// A step of the ladder.
#[derive(Debug, Serialize, ToSchema)]
pub struct StepOfCase {
    /// 1 for the first.
    pub number: u32,
    /// By which way.
    #[schema(schema_with = channels)]
    pub channel: Channel,
    /// Where it stands.
    #[schema(schema_with = step_states)]
    pub state: StepState,
    /// Since when.
    pub changed: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
}

/// One line of a case's story. Addresses, and what mail servers and people said, are in the console only.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoryItem {
    /// When.
    pub at: Timestamp,
    /// What: `seen`, `identified`, a channel, `came back`, `visit`, `restricted`, `let out`, `opened`, `closed`.
    pub what: String,
    /// The rule or state, where there is one.
    pub rule: Option<String>,
    /// Index of the evidence entry, where there is one.
    pub evidence: Option<u64>,
}

/// A step that waits for a person.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct StepItem {
    /// The case.
    #[schema(schema_with = id)]
    pub case: Id,
    /// Its number as told on the telephone.
    pub reference: String,
    /// The step's number.
    pub number: u32,
    /// By which way.
    #[schema(schema_with = channels)]
    pub channel: Channel,
    /// Since when it waits.
    pub since: Timestamp,
    /// The campaign.
    pub campaign: String,
    /// The malware family.
    pub family: String,
    /// When the line was seen last.
    pub last_seen: Timestamp,
}

impl Placed for StepItem {
    fn cursor(&self) -> Cursor {
        Cursor { at: self.since.as_millisecond(), keys: vec![self.case.to_string(), self.number.to_string()] }
    }
}

page!(
    /// Steps that wait for a person, longest first.
    StepsPage of StepItem
);

/// What is stopped.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StopItem {
    /// `*`, `channel:sms`, `campaign:NAME`.
    scope: String,
    /// Since when.
    since: Timestamp,
    /// Who did: a person, or `token:NAME`.
    person: String,
    /// Why.
    why: String,
}

/// Everything that is stopped.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stops {
    /// By scope.
    items: Vec<StopItem>,
}

impl From<Vec<StopLine>> for Stops {
    fn from(lines: Vec<StopLine>) -> Self {
        let item = |line: StopLine| StopItem {
            scope: line.scope,
            since: line.since,
            person: line.person,
            why: line.why,
        };
        Self { items: lines.into_iter().map(item).collect() }
    }
}

/// What became of everything that came in: `read = stored + duplicate + filtered + quarantined`.
#[derive(Debug, Serialize, ToSchema)]
struct Counts {
    /// Records read.
    read: u64,
    /// Stored as new.
    stored: u64,
    /// Seen before.
    duplicate: u64,
    /// Left out by a rule.
    filtered: u64,
    /// Of those left out: repeats that were counted in a group.
    aggregated: u64,
    /// Not usable.
    quarantined: u64,
}

impl From<Tally> for Counts {
    fn from(tally: Tally) -> Self {
        let Tally { read, stored, duplicate, filtered, aggregated, quarantined } = tally;
        Self { read, stored, duplicate, filtered, aggregated, quarantined }
    }
}

/// What became of one feed's records.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FeedItem {
    /// The feed, or the campaign.
    feed: String,
    /// `seized`, `feed`, `radius`.
    kind: String,
    /// Since the beginning.
    counts: Counts,
    /// When records were last read.
    last: Timestamp,
    /// Records read in the last hour.
    hour: u64,
    /// Records read in the last day.
    day: u64,
}

impl From<FeedLine> for FeedItem {
    fn from(line: FeedLine) -> Self {
        let FeedLine { feed, kind, counts, last, hour, day } = line;
        Self { feed, kind, counts: counts.into(), last, hour, day }
    }
}

/// A table of others, and what its licence wants said where its answers are shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreditItem {
    /// `asn`, `country`, `lists`.
    table: String,
    /// The package or project.
    source: String,
    /// Its version.
    version: String,
    /// The day it is of.
    date: String,
    /// Its licence.
    licence: String,
    /// What has to be said; may be empty.
    attribution: String,
}

impl From<Credit> for CreditItem {
    fn from(credit: Credit) -> Self {
        let Credit { table, source, version, date, licence, attribution } = credit;
        Self { table, source, version, date, licence, attribution }
    }
}

/// What came in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IntakePageOfFeeds {
    /// The feeds, in the order in which they were first counted.
    pub(super) items: Vec<FeedItem>,
    /// Where the tables that events are enriched from come from.
    pub(super) credits: Vec<CreditItem>,
    /// Give it as `cursor` to read on; null at the end.
    pub(super) next: Option<String>,
}

/// A line that could not be read. What was in it is in the console only.
#[derive(Debug, Serialize, ToSchema)]
pub struct BadLineItem {
    /// Its id.
    pub id: String,
    /// The campaign.
    pub campaign: String,
    /// The feed's name.
    pub feed: String,
    /// The file.
    pub source: String,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was read again, if it was.
    pub replayed: Option<Timestamp>,
    /// When it was read.
    pub at: Timestamp,
}

impl Placed for BadLineItem {
    fn cursor(&self) -> Cursor {
        Cursor { at: self.at.as_millisecond(), keys: vec![self.id.clone()] }
    }
}

page!(
    /// The quarantine, newest first.
    QuarantinePage of BadLineItem
);

/// A refusal.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusalItem {
    /// Its id.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// The measure.
    pub measure: String,
    /// The rule that refused.
    pub rule: String,
    /// Its words.
    pub reason: String,
    /// The case it was about, where it was about one.
    #[schema(required = true, nullable, pattern = "^[0-9a-f]{32}$", value_type = Option<String>)]
    pub case: Option<Id>,
}

impl Placed for RefusalItem {
    fn cursor(&self) -> Cursor {
        Cursor { at: self.at.as_millisecond(), keys: vec![self.id.clone()] }
    }
}

page!(
    /// Refusals, newest first.
    RefusalsPage of RefusalItem
);

/// A consent given or withdrawn.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsentItem {
    /// Since when.
    pub since: Timestamp,
    /// `terms`, or a contract's keyed hash.
    pub scope: String,
    /// The measure, or `*`.
    pub measure: String,
    /// Given, or withdrawn.
    pub granted: bool,
    /// How it was said.
    pub how: String,
}

impl Placed for ConsentItem {
    fn cursor(&self) -> Cursor {
        Cursor { at: self.since.as_millisecond(), keys: vec![self.scope.clone(), self.measure.clone()] }
    }
}

page!(
    /// Consents, newest first.
    ConsentsPage of ConsentItem
);

/// A measure: a way of using communications data, as a document.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MeasureItem {
    /// Its id.
    id: String,
    /// Version of the document.
    version: u32,
    /// Title, English.
    title_en: String,
    /// Title, Japanese.
    title_ja: String,
    /// The basis.
    basis: String,
    /// The purpose.
    purpose: String,
    /// What settled it.
    settled_in: String,
    /// The fields it may use.
    fields: Vec<String>,
    /// Days of retention.
    retention_days: u32,
    /// Who approved it.
    approved_by: String,
    /// Until when it is in force.
    expires_on: String,
    /// The elements of the basis and their written arguments.
    elements: Vec<ElementItem>,
}

/// An element of a basis.
#[derive(Debug, Serialize, ToSchema)]
struct ElementItem {
    /// Which.
    element: String,
    /// Why it holds.
    argument: String,
}

impl From<MeasurePage> for MeasureItem {
    fn from(page: MeasurePage) -> Self {
        let element = |(element, argument)| ElementItem { element, argument };
        Self {
            id: page.id,
            version: page.version,
            title_en: page.title_en,
            title_ja: page.title_ja,
            basis: page.basis,
            purpose: page.purpose,
            settled_in: page.settled_in,
            fields: page.fields,
            retention_days: page.retention_days,
            approved_by: page.approved_by,
            expires_on: page.expires_on,
            elements: page.elements.into_iter().map(element).collect(),
        }
    }
}

/// All measures.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Measures {
    /// By id.
    pub(super) items: Vec<MeasureItem>,
}

/// An entry of the evidence log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EvidenceItem {
    /// Its place in the log, from 0.
    index: u64,
    /// What happened: kind, time, measure, rule, purpose, and whom it was about as a keyed hash.
    #[schema(value_type = Object)]
    record: serde_json::Value,
}

impl From<Entry> for EvidenceItem {
    fn from(entry: Entry) -> Self {
        let record = serde_json::to_value(&entry.record).unwrap_or_else(|_| serde_json::json!({}));
        Self { index: entry.index, record }
    }
}

impl Placed for EvidenceItem {
    fn cursor(&self) -> Cursor {
        Cursor { at: i64::try_from(self.index).unwrap_or(i64::MAX), keys: Vec::new() }
    }
}

page!(
    /// The evidence log, newest first.
    EvidencePage of EvidenceItem
);

/// Whether the evidence log is intact.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EvidenceAnswer {
    /// Entries.
    entries: u64,
    /// Checkpoints with a good signature and root.
    checkpoints: u64,
    /// The tree's root, hexadecimal; empty without entries.
    root: String,
    /// Everything wrong, in words; empty means intact.
    faults: Vec<String>,
}

impl From<EvidenceState> for EvidenceAnswer {
    fn from(state: EvidenceState) -> Self {
        let EvidenceState { entries, checkpoints, root, faults } = state;
        Self { entries, checkpoints, root, faults }
    }
}

/// How many cases of a campaign came how far. Each number is a part of the one before.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
struct FunnelItem {
    /// Cases opened.
    cases: u64,
    /// Told.
    sent: u64,
    /// Known to have reached the mailbox.
    delivered: u64,
    /// Opened the page.
    opened: u64,
    /// Fetched the steps.
    steps: u64,
    /// Said that it is done.
    done: u64,
    /// Closed after the quiet time.
    clean: u64,
    /// Opened again after a clean close.
    reinfected: u64,
    /// Opted out.
    opted_out: u64,
    /// Fetched a cleaner.
    tool: u64,
    /// Asked whether it was seen again.
    check: u64,
}

/// Cases of one kind that are old enough to say what became of them.
#[derive(Debug, Serialize, ToSchema)]
struct ArmItem {
    /// How many there are.
    cases: u64,
    /// Of which a sensor would have told.
    observed: u64,
    /// Of these, not seen any more.
    gone: u64,
}

/// The difference of two shares, each from -1 to 1, with its 95 % interval.
#[derive(Debug, Serialize, ToSchema)]
struct EffectItem {
    /// The difference.
    difference: f64,
    /// Lower end.
    low: f64,
    /// Upper end.
    high: f64,
}

/// What telling does: cases that were told, beside those that chance held out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
struct TrialItem {
    /// For how many days cases are held out.
    days: u32,
    /// Told.
    told: ArmItem,
    /// Held out.
    held_out: ArmItem,
    /// The difference; null while one of the two says nothing.
    effect: Option<EffectItem>,
}

/// What came of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CampaignItem {
    /// The campaign.
    campaign: String,
    /// How far its cases came.
    funnel: FunnelItem,
    /// What telling does; null where it is not measured.
    trial: Option<TrialItem>,
}

impl CampaignItem {
    pub(super) fn new(funnel: Funnel, trials: &[Trial]) -> Self {
        let trial = trials.iter().find(|trial| trial.campaign == funnel.campaign).map(|trial| {
            let arm = |arm: noroshi_model::outcome::Arm| ArmItem {
                cases: arm.cases,
                observed: arm.observed,
                gone: arm.gone,
            };
            let effect =
                trial.effect.map(|e| EffectItem { difference: e.difference, low: e.low, high: e.high });
            TrialItem { days: trial.days, told: arm(trial.told), held_out: arm(trial.held_out), effect }
        });
        Self {
            funnel: FunnelItem {
                cases: funnel.cases,
                sent: funnel.sent,
                delivered: funnel.delivered,
                opened: funnel.opened,
                steps: funnel.steps,
                done: funnel.done,
                clean: funnel.clean,
                reinfected: funnel.reinfected,
                opted_out: funnel.opted_out,
                tool: funnel.tool,
                check: funnel.check,
            },
            campaign: funnel.campaign,
            trial,
        }
    }
}

/// The campaigns.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CampaignsPage {
    /// When it was counted, RFC 3339: seconds ago, minutes where there are a million cases.
    pub(super) counted: String,
    /// In the order of their names.
    pub(super) items: Vec<CampaignItem>,
    /// Give it as `cursor` to read on; null at the end.
    pub(super) next: Option<String>,
}

/// An event of the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventItem {
    /// Its number in the log.
    pub number: u64,
    /// Its id.
    pub id: String,
    /// The event, under IntelMQ's field names.
    #[schema(value_type = Object)]
    pub event: serde_json::Map<String, serde_json::Value>,
}

/// Events, oldest first, with what became of all that were looked at: `read = items + not-wanted + under-a-measure`.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct EventsPage {
    /// The events.
    pub items: Vec<EventItem>,
    /// Events looked at.
    pub read: u64,
    /// Of another feed or type.
    pub not_wanted: u64,
    /// Kept back: they came in under a measure, and none allows handing them on.
    pub under_a_measure: u64,
    /// Give it as `after` to read on.
    pub next: u64,
    /// Whether there is more now.
    pub more: bool,
}
