//! What the pages about sites that do harm need to know, beside what all others do: the list, one record with all that speaks for and against it, and
//! what people say of it.

use jiff::Timestamp;
use noroshi_model::Lang;
use serde::Serialize;

use super::DeskError;
use crate::cursor::{Cursor, Placed};

/// What may have been decided of a site, by the codes of [`SiteLine::state`].
pub const SITE_STATES: [&str; 4] = ["candidate", "listed", "objected", "removed"];
/// Kinds of harm, by the codes of [`SiteListingLine::threat`].
pub const SITE_THREATS: [&str; 5] = ["phishing", "malware", "control", "scam", "other"];

/// Which sites are asked for; what is empty asks for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteFilter {
    /// One of [`SITE_STATES`].
    pub state: Option<String>,
    /// A list that has them, by its name.
    pub source: Option<String>,
    /// What their address has in it.
    pub text: Option<String>,
}

/// A site in the list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SiteLine {
    /// Its address, without scheme.
    pub address: String,
    /// The same so that nobody opens it by mistake.
    pub defanged: String,
    /// One of [`SITE_STATES`].
    pub state: String,
    /// Since when.
    pub changed: Timestamp,
    /// When it was first heard of.
    pub first: Timestamp,
    /// And last.
    pub last: Timestamp,
    /// How it answered when it was asked, and when: `answers`, `elsewhere`, `missing`, `gone`, `barred`.
    pub life: Option<(String, Timestamp)>,
    /// Who decided, where a person did.
    pub person: String,
    /// Why.
    pub why: String,
}

impl Placed for SiteLine {
    fn cursor(&self) -> Cursor {
        Cursor { at: 0, keys: vec![self.address.clone()] }
    }
}

/// One site.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SitePage {
    /// What the list shows of it.
    #[serde(flatten)]
    pub site: SiteLine,
    /// Lists that have it.
    pub listings: Vec<SiteListingLine>,
    /// What was said against its listing, newest first.
    pub objections: Vec<SiteObjectionLine>,
    /// Warning lists that have its host, of popular names and shared hosting: as a whole it takes two people.
    pub warnings: Vec<String>,
    /// How likely it does harm, in percent.
    pub percent: f64,
    /// What that means, in words.
    pub verdict: String,
    /// All that speaks for it and against it: words and log-odds.
    pub evidence: Vec<(String, f64)>,
}

/// That a list has a site.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SiteListingLine {
    /// The list.
    pub source: String,
    /// Lists of one family speak once.
    pub family: Option<String>,
    /// One of [`SITE_THREATS`].
    pub threat: String,
    /// Since when it has it.
    pub first: Timestamp,
    /// When it was last seen there.
    pub last: Timestamp,
}

/// What was said against a listing.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SiteObjectionLine {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by_whom: String,
    /// What.
    pub said: String,
    /// The answer, and whose it is.
    pub answer: Option<(String, String)>,
}

/// What a person says of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteVerb {
    /// It does harm of this kind.
    List(String),
    /// It is taken out.
    Remove,
    /// Somebody objects.
    Object(String),
}

/// What one person said of a popular name as a whole, and for which a second is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SiteWaiting {
    /// The site, without scheme.
    pub address: String,
    /// The same so that nobody opens it by mistake.
    pub defanged: String,
    /// The kind of harm it is to be listed for; none: it is to be taken out.
    pub threat: Option<String>,
    /// Who says so.
    pub person: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// The program behind the pages about sites.
pub trait Sites: Send + Sync + 'static {
    /// Sites in the order of their addresses, behind a place.
    fn sites(
        &self,
        filter: &SiteFilter,
        behind: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<SiteLine>, DeskError>;
    /// One of them, its evidence in a language.
    fn site(&self, address: &str, lang: Lang) -> Result<SitePage, DeskError>;
    /// What waits for a second person, the newest first.
    fn waiting_sites(&self) -> Result<Vec<SiteWaiting>, DeskError>;
    /// Does what a person says of one, and records who and why; answers with its address as it is written here, or with nothing where a second person has
    /// to say the same first.
    fn judge_site(
        &self,
        address: &str,
        verb: &SiteVerb,
        person: &str,
        why: &str,
    ) -> Result<Option<String>, DeskError>;
}
