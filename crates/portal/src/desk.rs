//! What the pages need to know, as a port: the portal renders, the program behind this trait looks things up.
//!
//! Calls block (a database is behind them), so handlers make them off the async threads.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use noroshi_law::evidence::Entry;
use noroshi_law::evidence::disclosure::Disclosure;
use noroshi_model::guide::{Guide, Texts};
use noroshi_model::link::LinkError;
use noroshi_model::organisation::{Alert, Organisation};
use noroshi_model::outcome::Recheck;
use noroshi_model::{Case, CaseFilter, CaseState, Id, Seek, Tally, VisitKind};
use serde::Serialize;

mod outcomes;
mod sites;
mod telescopes;

pub use outcomes::Outcomes;
pub use sites::{
    SITE_STATES, SITE_THREATS, SiteFilter, SiteLine, SiteListingLine, SiteObjectionLine, SitePage, SiteVerb,
    SiteWaiting, Sites,
};
pub use telescopes::{Expected, PlacedAlert, Ring, Sky, SkyNews, TelescopePage, Telescopes};

use crate::api::{ConsentItem, RefusalItem, StepItem};
use crate::cursor::{Cursor, Placed};

/// Why a page cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The link opens nothing.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// There is no such thing.
    #[error("there is no such record")]
    NotFound,
    /// It was understood and is not done; why, in words.
    #[error("{0}")]
    Declined(String),
    /// The database cannot answer now; nothing was lost.
    #[error("the records cannot be read right now: {0}")]
    Unavailable(String),
}

/// What was counted, and when: what takes long is counted aside, and shown as it was then.
#[derive(Clone, Debug)]
pub struct AsOf<T> {
    /// When it was counted; all of it is as it was then.
    pub at: Timestamp,
    /// What was counted.
    pub value: T,
}

/// What a subscriber is shown. Holds nothing that names them.
#[derive(Clone, Debug)]
pub struct NoticePage {
    /// The case's number as told on the phone, e.g. `AB3D-9XK2`.
    pub reference: String,
    /// The ISP's name.
    pub operator: String,
    /// Where to ask, in words.
    pub desk: String,
    /// The measure it stands on: `takedown-notice` or `infection-notice`.
    pub measure: String,
    /// What was seen, newest first, at most 20.
    pub seen: Vec<(Timestamp, IpAddr)>,
    /// How often in all.
    pub seen_total: u64,
    /// What to do.
    pub guide: Guide,
    /// Until when the link opens.
    pub link_until: Option<Timestamp>,
    /// Whether the steps were asked for before.
    pub steps_fetched: bool,
    /// Whether "I did it" was said.
    pub done: bool,
    /// Whether the subscriber opted out.
    pub opted_out: bool,
    /// Whether the case closed as clean.
    pub clean: bool,
    /// Whether the line is in the walled garden.
    pub garden: Option<GardenNote>,
    /// Whether it was seen again, where the subscriber asked.
    pub recheck: Option<Recheck>,
    /// Programs that remove this malware.
    pub cleaners: Vec<Cleaner>,
    /// People who help.
    pub helpers: Vec<Helper>,
}

/// A program that removes malware.
#[derive(Clone)]
pub struct Cleaner {
    /// Its number among all of them.
    pub id: u32,
    /// What it is called, and for which devices.
    pub name: Texts,
    /// Where it is to be had, where it is not handed out from here.
    pub link: Option<String>,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// What is handed out.
    pub bytes: Option<Arc<[u8]>>,
    /// Under which name.
    pub file_name: String,
}

impl std::fmt::Debug for Cleaner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cleaner({}, {})", self.id, self.sha256)
    }
}

/// Somebody who helps.
#[derive(Clone, Debug)]
pub struct Helper {
    /// Who, and whom.
    pub name: Texts,
    /// Telephone number, hours, place, cost.
    pub how: Texts,
    /// Their page.
    pub link: Option<String>,
}

/// A line that reaches the pages that help and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GardenNote {
    /// Until when at most.
    pub until: Timestamp,
    /// How often its subscriber may still let it out.
    pub left: u32,
    /// Whether it is being let out.
    pub leaving: bool,
}

/// What a device asks that joined a network (RFC 8908).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captive {
    /// Whether it is held in the garden.
    pub captive: bool,
    /// The page that says why, and how to get out.
    pub page: String,
}

/// What anybody may know of what was done.
#[derive(Clone, Debug)]
pub struct TransparencyPage {
    /// The ISP's name.
    pub operator: String,
    /// The numbers.
    pub disclosure: Disclosure,
}

/// The operator's first page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Today {
    /// When what takes long to count was counted; what waits is as it is now.
    pub counted: Option<Timestamp>,
    /// Counts of the loop by name, in order: events, findings, decisions, …
    pub totals: Vec<(String, u64)>,
    /// What became of each feed's records: campaign, kind, counts.
    pub feeds: Vec<(String, String, Tally)>,
    /// Sightings by identification verdict and reason.
    pub identifications: Vec<(String, String, u64)>,
    /// Access servers and their clocks: name, offset s, spread s, samples, wrong.
    pub clocks: Vec<(String, i64, i64, u64, bool)>,
    /// Things that wait for a person, most urgent first.
    pub attention: Vec<Attention>,
}

/// One thing that waits for a person.
#[derive(Clone, Debug, Serialize)]
pub struct Attention {
    /// True: act; false: watch.
    pub act: bool,
    /// What it is, in words.
    pub what: String,
    /// The page where it can be seen, e.g. `/quarantine`.
    pub href: String,
}

/// What is stopped.
#[derive(Clone, Debug, Serialize)]
pub struct StopLine {
    /// `*`, `channel:sms`, `campaign:NAME`.
    pub scope: String,
    /// Since when.
    pub since: Timestamp,
    /// Who did.
    pub person: String,
    /// Why.
    pub why: String,
}

/// What a person does in the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Approves a step, or not.
    Judge {
        /// The case.
        case: Id,
        /// The step's number.
        number: u32,
        /// Whether it is taken.
        approve: bool,
    },
    /// Stops telling, or lets it go on: everything, a way, a campaign.
    Switch {
        /// What.
        scope: String,
        /// Whether it is stopped.
        stop: bool,
    },
}

/// What is said of cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseVerb {
    /// Nobody is told until it is released.
    Hold,
    /// It goes on.
    Release,
    /// It is no case.
    Reject,
    /// It is the same matter as this one.
    Merge(Id),
    /// Its steps that wait are taken.
    Approve,
}

impl CaseVerb {
    /// What was done, in a word.
    pub fn word(&self) -> &'static str {
        match self {
            CaseVerb::Hold => "held",
            CaseVerb::Release => "released",
            CaseVerb::Reject => "rejected",
            CaseVerb::Merge(_) => "merged",
            CaseVerb::Approve => "approved",
        }
    }
}

/// Of which cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CasesOf {
    /// These.
    These(Vec<Id>),
    /// All that a filter shows, up to a bound.
    All(CaseFilter),
}

/// What became of what was said of many: cases, uses of an emergency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// To how many it was done.
    pub done: u64,
    /// Why it was not done to others, and to how many.
    pub left: Vec<(String, u64)>,
    /// Whether more match than are done at once.
    pub more: bool,
}

/// A campaign's cases.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CampaignLine {
    /// The campaign.
    pub campaign: String,
    /// Its cases.
    pub cases: u64,
    /// How far they have come.
    pub states: Vec<(CaseState, u64)>,
    /// When the first of them was opened.
    pub since: Timestamp,
    /// When one of them was seen last.
    pub last_seen: Timestamp,
    /// Who stopped telling, where it is stopped.
    pub stopped: Option<StopLine>,
}

/// One case with its whole story, newest first.
#[derive(Clone, Debug, Serialize)]
pub struct CaseStory {
    /// The case.
    pub case: Case,
    /// Its number as told on the phone.
    pub reference: String,
    /// What happened.
    pub story: Vec<StoryLine>,
    /// Whether a step of it waits for a person.
    pub waiting: bool,
    /// Other open cases of the same contract.
    pub beside: Vec<Case>,
}

/// One line of a case's story.
#[derive(Clone, Debug, Serialize)]
pub struct StoryLine {
    /// When.
    pub at: Timestamp,
    /// What: `seen`, `identified`, `mail`, `visit`, `closed`, `opened`.
    pub what: String,
    /// In words.
    pub text: String,
    /// The rule or state, where there is one.
    pub rule: Option<String>,
    /// Index of the evidence entry, where there is one.
    pub evidence: Option<u64>,
}

/// What came in.
#[derive(Clone, Debug, Default, Serialize)]
pub struct IntakePage {
    /// The feeds, in the order in which they were first counted.
    pub feeds: Vec<FeedLine>,
    /// Where the tables that events are enriched from come from.
    pub credits: Vec<Credit>,
}

/// What became of one feed's records.
#[derive(Clone, Debug, Serialize)]
pub struct FeedLine {
    /// The feed, or the campaign.
    pub feed: String,
    /// `seized`, `feed`, `radius`.
    pub kind: String,
    /// Since the beginning.
    pub counts: Tally,
    /// When records were last read.
    pub last: Timestamp,
    /// Records read in the last hour.
    pub hour: u64,
    /// Records read in the last day.
    pub day: u64,
}

/// A table of others, and what its licence wants said where its answers are shown.
#[derive(Clone, Debug, Serialize)]
pub struct Credit {
    /// `asn`, `country`, `lists`.
    pub table: String,
    /// The package or project.
    pub source: String,
    /// Its version.
    pub version: String,
    /// The day it is of.
    pub date: String,
    /// Its licence.
    pub licence: String,
    /// What has to be said; may be empty.
    pub attribution: String,
}

/// A quarantined line.
#[derive(Clone, Debug, Serialize)]
pub struct QuarantineLine {
    /// Its id.
    pub id: String,
    /// The file.
    pub source: String,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
    /// Its beginning, hostile; absent where sealed.
    pub snippet: Option<String>,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was read.
    pub at: Timestamp,
    /// The campaign.
    pub campaign: String,
}

impl Placed for QuarantineLine {
    fn cursor(&self) -> Cursor {
        Cursor { at: self.at.as_millisecond(), keys: vec![self.id.clone()] }
    }
}

/// An organisation that is told of its own addresses.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct OrganisationLine {
    /// It.
    #[serde(flatten)]
    pub organisation: Organisation,
    /// Its ranges.
    pub ranges: u64,
    /// How many of them are proven.
    pub proven: u64,
    /// By how many contacts it is told.
    pub contacts: u64,
    /// How many of its addresses were seen.
    pub alerts: u64,
}

impl Placed for Alert {
    fn cursor(&self) -> Cursor {
        Cursor { at: self.seen.last.as_millisecond(), keys: vec![self.id.to_string()] }
    }
}

/// A measure's dossier as shown.
#[derive(Clone, Debug, Serialize)]
pub struct MeasurePage {
    /// Its id.
    pub id: String,
    /// Version of the document.
    pub version: u32,
    /// Title, English.
    pub title_en: String,
    /// Title, Japanese.
    pub title_ja: String,
    /// The basis.
    pub basis: String,
    /// The purpose.
    pub purpose: String,
    /// What settled it.
    pub settled_in: String,
    /// The fields it may use.
    pub fields: Vec<String>,
    /// Days of retention.
    pub retention_days: u32,
    /// Who approved it.
    pub approved_by: String,
    /// Until when it is in force.
    pub expires_on: String,
    /// The elements of the basis and their written arguments.
    pub elements: Vec<(String, String)>,
    /// By how many different people its use must be approved besides; 0: by none.
    pub approvers_needed: u32,
    /// Approvals that stand, newest first.
    pub approvals: Vec<ApprovalLine>,
}

/// An approval of a measure's use.
#[derive(Clone, Debug, Serialize)]
pub struct ApprovalLine {
    /// Its evidence entry.
    pub entry: u64,
    /// Who.
    pub person: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

/// A use of an emergency, which somebody else has to review afterwards.
#[derive(Clone, Debug, Serialize)]
pub struct EmergencyLine {
    /// The permit's evidence entry.
    pub entry: u64,
    /// The measure.
    pub measure: String,
    /// What for.
    pub usage: String,
    /// When.
    pub at: Timestamp,
    /// What came of the review.
    pub review: Option<ReviewLine>,
}

impl Placed for EmergencyLine {
    fn cursor(&self) -> Cursor {
        Cursor { at: i64::try_from(self.entry).unwrap_or(i64::MAX), keys: Vec::new() }
    }
}

/// A review.
#[derive(Clone, Debug, Serialize)]
pub struct ReviewLine {
    /// Its evidence entry.
    pub entry: u64,
    /// Who.
    pub reviewer: String,
    /// `justified` or `unjustified`.
    pub verdict: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// The configuration that is in force.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SettingsPage {
    /// The program's version.
    pub version: String,
    /// The file that was read at the start, where there was one.
    pub file: Option<String>,
    /// What that says by now.
    pub state: FileState,
    /// What is worth a second look.
    pub warnings: Vec<String>,
    /// All of it, in the file's order.
    pub settings: Vec<Setting>,
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Setting {
    /// Its key, e.g. `mail.server`.
    pub key: String,
    /// Its value, as it would be written.
    pub value: String,
    /// Whether it is another than the default.
    pub is_set: bool,
}

/// What the configuration's file says by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// There is none; everything is as by default.
    None,
    /// What is in force.
    InForce,
    /// Something else, which is in force from the next start on.
    Changed,
    /// Nothing that could be used, and why.
    Wrong(String),
}

/// Whether the evidence log is intact.
#[derive(Clone, Debug, Serialize)]
pub struct EvidenceState {
    /// Entries.
    pub entries: u64,
    /// Checkpoints with a good signature and root.
    pub checkpoints: u64,
    /// The tree's root, hexadecimal.
    pub root: String,
    /// Everything wrong, in words; empty means intact.
    pub faults: Vec<String>,
}

/// The program behind the pages.
pub trait Desk: Telescopes + Sites + Outcomes + Send + Sync + 'static {
    /// The token of the notice with this code, as it was typed.
    fn token_of_code(&self, code: &str) -> Result<String, DeskError>;

    /// What a link shows. Opening consumes nothing; it is counted as a visit of kind `opened`.
    fn notice(&self, token: &str) -> Result<NoticePage, DeskError>;
    /// Counts a deliberate act on the page: steps asked for, done, let out, opted out.
    fn act(&self, token: &str, kind: VisitKind) -> Result<(), DeskError>;
    /// A program that removes malware, by its number.
    fn cleaner(&self, id: u32) -> Result<Cleaner, DeskError>;
    /// The ISP's name, and where to ask, in words.
    fn operator(&self) -> (String, String);
    /// Whether a device at an address is in the walled garden, as far as the address says.
    fn captive(&self, from: Option<IpAddr>) -> Captive;
    /// What a RADIUS server has to say to a line that connects; `None` where it is not restricted.
    fn restricted(&self, line: &str) -> Result<Option<serde_json::Value>, DeskError>;
    /// How many were touched, by which measure: for everybody, and asked for by everybody, so it must cost little.
    fn transparency(&self) -> Result<TransparencyPage, DeskError>;

    /// The first page.
    fn today(&self) -> Result<Today, DeskError>;
    /// Cases of a kind, newest first, `limit` of them from a place on.
    fn cases(&self, filter: &CaseFilter, seek: &Seek, limit: u32) -> Result<Vec<Case>, DeskError>;
    /// Does what a person says of cases, and records who and why.
    fn judge_cases(
        &self,
        of: &CasesOf,
        verb: &CaseVerb,
        person: &str,
        why: &str,
    ) -> Result<Judged, DeskError>;
    /// The campaigns that have cases, by name.
    fn campaigns(&self) -> Result<Vec<CampaignLine>, DeskError>;
    /// Steps that wait for a person, longest first.
    fn steps(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<StepItem>, DeskError>;
    /// What is stopped.
    fn stopped(&self) -> Result<Vec<StopLine>, DeskError>;
    /// Does what a person says, and records who and why; false where it was done before, or is not to be done any more.
    fn perform(&self, act: &Act, person: &str, why: &str) -> Result<bool, DeskError>;
    /// One case.
    fn case(&self, id: &Id) -> Result<CaseStory, DeskError>;
    /// What came in, feed by feed.
    fn intake(&self) -> Result<IntakePage, DeskError>;
    /// The counters in the OpenMetrics text format.
    fn metrics(&self) -> Result<String, DeskError>;
    /// The quarantine, newest first.
    fn quarantine(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<QuarantineLine>, DeskError>;
    /// Refusals, newest first.
    fn refusals(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<RefusalItem>, DeskError>;
    /// Consents, newest first.
    fn consents(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<ConsentItem>, DeskError>;
    /// The measures.
    fn measures(&self) -> Result<Vec<MeasurePage>, DeskError>;
    /// Organisations that are told of their own addresses, by key.
    fn organisations(&self) -> Result<Vec<OrganisationLine>, DeskError>;
    /// What was seen of their addresses, the last seen first, behind a place.
    fn alerts(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<Alert>, DeskError>;
    /// One of them.
    fn alert(&self, id: &Id) -> Result<Alert, DeskError>;
    /// Somebody approves a measure's use; `Declined` where it takes no approval, or they did already.
    fn approve_measure(&self, measure: &str, person: &str, why: &str) -> Result<(), DeskError>;
    /// Uses of emergencies: those that wait for their review, oldest first, or all, newest first.
    fn emergencies(
        &self,
        waiting: bool,
        behind: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<EmergencyLine>, DeskError>;
    /// Somebody reviews uses of an emergency, each by its entry.
    fn review(&self, entries: &[u64], justified: bool, person: &str, why: &str) -> Result<Judged, DeskError>;
    /// The configuration that is in force.
    fn settings(&self) -> Result<SettingsPage, DeskError>;
    /// Evidence entries, newest first.
    fn evidence(&self, offset: u64, limit: u32) -> Result<Vec<Entry>, DeskError>;
    /// One evidence entry with its proof, as JSON.
    fn evidence_proof(&self, index: u64) -> Result<serde_json::Value, DeskError>;
    /// Walks the whole log.
    fn evidence_state(&self) -> Result<EvidenceState, DeskError>;
}
