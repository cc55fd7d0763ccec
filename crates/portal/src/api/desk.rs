//! What the API asks the program for, besides what the console does.

use noroshi_law::evidence::Entry;
use noroshi_model::{CaseFilter, Id, Seek};

use super::answers::{BadLineItem, CaseFile, CaseItem, EventsPage};
use super::scope::Caller;
use crate::cursor::Cursor;
use crate::desk::{Desk, DeskError};

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventWish {
    /// With a higher number.
    pub after: u64,
    /// At most so many.
    pub limit: u32,
    /// Of this feed or campaign.
    pub feed: Option<String>,
    /// Of this RSIT type.
    pub kind: Option<String>,
}

/// The program behind the API. Lists give at most `limit` rows behind a cursor.
pub trait ApiDesk: Desk {
    /// Who has a token; none where it opens nothing (any more). Asked for each request anew.
    fn caller(&self, token: &str) -> Result<Option<Caller>, DeskError>;
    /// Cases, newest first.
    fn cases_behind(&self, filter: &CaseFilter, seek: &Seek, limit: u32) -> Result<Vec<CaseItem>, DeskError>;
    /// One case with its story.
    fn case_file(&self, id: &Id) -> Result<CaseFile, DeskError>;
    /// The quarantine, newest first.
    fn quarantine_behind(
        &self,
        feed: &str,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<BadLineItem>, DeskError>;
    /// Evidence entries, newest first, below an index.
    fn evidence_below(&self, index: u64, limit: u32) -> Result<Vec<Entry>, DeskError>;
    /// Events, oldest first; none under a measure.
    fn events_after(&self, wish: &EventWish) -> Result<EventsPage, DeskError>;
}
