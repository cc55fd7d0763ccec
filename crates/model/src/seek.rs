//! A place in a long list, named by what is there. Counting rows to it would cost more the further one goes, and show a row twice
//! or not at all when something new comes in between.

use std::fmt;

use jiff::Timestamp;

use crate::id::Id;

/// A row of a list that is ordered by time, newest first, and by id where times are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its time.
    pub at: Timestamp,
    /// Its id.
    pub id: Id,
}

/// From where on a list is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seek {
    /// From its newest row.
    #[default]
    Newest,
    /// What is older than a row.
    Older(Mark),
    /// What is newer than a row: the rows next to it.
    Newer(Mark),
}

impl Mark {
    /// Reads the text form; anything else is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('-')?;
        let plain = at.len() <= 15 && at.bytes().all(|b| b.is_ascii_digit());
        let at = plain.then(|| at.parse().ok()).flatten()?;
        Some(Self { at: Timestamp::from_millisecond(at).ok()?, id: Id::parse(id)? })
    }
}

impl fmt::Display for Mark {
    /// `1764150000000-0f…`: milliseconds since 1970, and the id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at.as_millisecond(), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_and_nothing_else_is_one() {
        let mark = Mark { at: Timestamp::from_millisecond(1_764_150_000_123).unwrap(), id: Id::of("x", &[]) };
        assert_eq!(Mark::parse(&mark.to_string()), Some(mark.clone()));
        for bad in [
            "",
            "-",
            "1-",
            "x-00",
            "-1-00000000000000000000000000000000",
            &format!("{mark}0"),
            &"9".repeat(99),
        ] {
            assert_eq!(Mark::parse(bad), None, "{bad}");
        }
    }
}
