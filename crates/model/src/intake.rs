//! What every input is held to: a bad line is kept with its place and reason, and the counts add up.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Most bytes of a bad line that are kept; the rest is described by its length.
pub const SNIPPET_BYTES_MAX: usize = 64 << 10;

/// A line that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Line number, from 1; where a record has several lines, its first.
    pub line: u64,
    /// What is wrong with it, for a person; never contains the line's content.
    pub reason: String,
    /// The line's beginning, as read.
    pub snippet: Vec<u8>,
    /// The line's whole length in bytes.
    pub bytes: u64,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {} ({} bytes)", self.line, self.reason, self.bytes)
    }
}

/// What became of everything that came in. `read = stored + duplicate + filtered + quarantined`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Records read.
    pub read: u64,
    /// Stored as new.
    pub stored: u64,
    /// Seen before.
    pub duplicate: u64,
    /// Valid, and left out by a rule.
    pub filtered: u64,
    /// Of those left out: repeats that were counted in a group instead of being stored.
    #[serde(default)]
    pub aggregated: u64,
    /// Not usable; kept in quarantine.
    pub quarantined: u64,
}

impl Tally {
    /// Whether the counts add up.
    pub fn adds_up(&self) -> bool {
        self.read == self.stored + self.duplicate + self.filtered + self.quarantined
            && self.aggregated <= self.filtered
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.stored += other.stored;
        self.duplicate += other.duplicate;
        self.filtered += other.filtered;
        self.aggregated += other.aggregated;
        self.quarantined += other.quarantined;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} read = {} stored + {} duplicate + {} filtered + {} quarantined",
            self.read, self.stored, self.duplicate, self.filtered, self.quarantined
        )?;
        match self.aggregated {
            0 => Ok(()),
            repeats => write!(f, " ({repeats} of the filtered are repeats that were counted)"),
        }
    }
}
