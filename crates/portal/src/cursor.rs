//! Where a list was left, so that it is read on from there: opaque to who holds it, and nothing that has to be kept secret or believed,
//! because a made-up one only asks for other rows of the same list.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use noroshi_model::{Id, Mark};
use serde::{Deserialize, Serialize};

/// A row of a list that is read on from where it was left.
pub trait Placed {
    /// Where it is.
    fn cursor(&self) -> Cursor;
}

/// Longest cursor that is looked at: the longest address of a site goes into it, though each of its octets were escaped.
pub(crate) const CHARS_MAX: usize = 12 << 10;
/// Keys besides the time.
const KEYS_MAX: usize = 2;

/// The row that was read last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// When it was, in milliseconds since 1970, or its number.
    pub at: i64,
    /// What tells rows of one time apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

impl Cursor {
    /// As it stands in an address.
    pub fn encode(&self) -> String {
        BASE64URL_NOPAD.encode(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads one; none where nobody of us has written it.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok().filter(|_| text.len() <= CHARS_MAX);
        let cursor: Option<Self> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let fits = |cursor: &Self| {
            let plain = |key: &String| !key.contains(char::is_control);
            cursor.keys.len() <= KEYS_MAX && cursor.keys.iter().all(plain)
        };
        cursor.filter(fits)
    }

    /// The place in a list that is ordered by time and id.
    pub fn mark(&self) -> Option<Mark> {
        let id = self.keys.first().and_then(|id| Id::parse(id));
        let at = Timestamp::from_millisecond(self.at).ok();
        at.zip(id).map(|(at, id)| Mark { at, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_it_was_written_and_nothing_else_is_one() {
        let cursor = Cursor { at: -5, keys: vec!["党".into(), "*".into()] };
        let of_the_longest_address = Cursor { at: 0, keys: vec!["\"".repeat(4096)] };
        for cursor in [cursor, of_the_longest_address] {
            assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }
        let hostile = Cursor { at: 0, keys: vec!["\0".into()] };
        let many = Cursor { at: 0, keys: vec![String::new(); 3] };
        let long = Cursor { at: 0, keys: vec!["x".repeat(CHARS_MAX)] };
        for text in ["", "e30", "%%", "x", &hostile.encode(), &many.encode(), &long.encode()] {
            assert_eq!(Cursor::decode(text), None, "{text}");
        }
    }
}
