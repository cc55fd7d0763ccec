//! Who the numbers are: each line and each server is named once, and rows hold a number.

use std::fmt;
use std::hash::BuildHasher as _;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Longest name kept; what is longer is cut, and told apart by a hash of the whole.
pub const NAME_BYTES_MAX: usize = 253;

/// Names and their numbers, 0 upwards. About twelve bytes for each besides the name itself.
#[derive(Default)]
pub struct Names {
    text: Vec<u8>,
    /// Where each name ends.
    ends: Vec<u32>,
    /// The numbers, found by the hash of the name.
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Names({}, ‹redacted›)", self.len())
    }
}

impl Names {
    /// How many there are.
    pub fn len(&self) -> u32 {
        self.ends.len() as u32
    }

    /// Bytes it takes in memory.
    pub fn memory(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * 4 + self.table.capacity() * 5
    }

    /// The name of a number.
    pub fn name(&self, number: u32) -> Option<&[u8]> {
        named(&self.text, &self.ends, number)
    }

    /// The number of a name, and whether it is new. `None` when there is no room for another: four gigabytes of names.
    pub fn number(&mut self, name: &[u8]) -> Option<(u32, bool)> {
        let (text, ends, hasher) = (&self.text, &self.ends, &self.hasher);
        let of = |number: &u32| named(text, ends, *number).unwrap_or_default();
        let same = |number: &u32| of(number) == name;
        let free = match self.table.entry(hasher.hash_one(name), same, |number| hasher.hash_one(of(number))) {
            Entry::Occupied(found) => return Some((*found.get(), false)),
            Entry::Vacant(free) => free,
        };
        let end = u32::try_from(text.len() + name.len()).ok()?;
        let number = ends.len() as u32;
        free.insert(number);
        self.text.extend_from_slice(name);
        self.ends.push(end);
        Some((number, true))
    }

    /// Adds a name under the next number, as a file has them: also one that was forgotten, which is nobody's and empty.
    pub fn push(&mut self, name: &[u8]) -> Option<()> {
        if !name.is_empty() {
            return self.number(name).map(drop);
        }
        self.ends.push(u32::try_from(self.text.len()).ok()?);
        Some(())
    }

    /// The same numbers, with only those names that are still in use. The number of a forgotten name stays nobody's.
    pub fn only(&self, used: impl Fn(u32) -> bool) -> Self {
        let mut kept = Self::default();
        for number in 0..self.len() {
            let name = self.name(number).filter(|_| used(number)).unwrap_or_default();
            // It had room before.
            let _room = kept.push(name);
        }
        kept
    }

    /// Gives back the room kept for growth.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// The text of a number.
fn named<'a>(text: &'a [u8], ends: &[u32], number: u32) -> Option<&'a [u8]> {
    let at = number as usize;
    let end = *ends.get(at)? as usize;
    let from = if at == 0 { 0 } else { *ends.get(at - 1)? as usize };
    text.get(from..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number() {
        let mut names = Names::default();
        for n in 0..5000u32 {
            assert_eq!(names.number(format!("line-{n}").as_bytes()), Some((n, true)));
        }
        for n in (0..5000u32).rev() {
            assert_eq!(names.number(format!("line-{n}").as_bytes()), Some((n, false)));
            assert_eq!(names.name(n), Some(format!("line-{n}").as_bytes()));
        }
        assert_eq!((names.name(4999), names.name(5000)), (Some(&b"line-4999"[..]), None));
    }

    #[test]
    fn a_forgotten_name_leaves_its_number_to_nobody_and_gets_another_when_it_comes_back() {
        let mut names = Names::default();
        for n in 0..300u32 {
            names.number(format!("line-{n}").as_bytes());
        }
        let mut kept = names.only(|number| number % 3 == 0);
        assert_eq!((kept.len(), kept.name(3), kept.name(4)), (300, Some(&b"line-3"[..]), Some(&b""[..])));
        assert_eq!(kept.number(b"line-3"), Some((3, false)));
        assert_eq!(kept.number(b"line-4"), Some((300, true)));
        for n in 0..1000u32 {
            kept.number(format!("more-{n}").as_bytes());
        }
        assert_eq!(kept.number(b"line-3"), Some((3, false)));
        assert_eq!(kept.number(b"line-4"), Some((300, false)));
    }
}
