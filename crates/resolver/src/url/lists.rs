//! What is on which list: all lists' expressions in one table, by their SHA-256.
//!
//! A list is text, a URL or an expression a line. What cannot be read is told with its line, and the rest holds. Of a line only the hash is kept: 32 octets, and 8 that
//! say which lists have it. A change makes another table; who reads has the old one until then.

use std::io::{self, BufRead as _};
use std::sync::Arc;

use super::{Canonical, Hash, UrlError};

/// Lists at most: each has a bit.
pub const LISTS_MAX: usize = 64;
/// Octets of a list's name at most.
pub const NAME_OCTETS_MAX: usize = 64;
/// URLs of a list at most.
pub const URLS_MAX: usize = 1 << 24;
/// URLs of all lists at most.
pub const URLS_OF_ALL_MAX: usize = 1 << 26;
/// Refused lines of a list that are kept, at most; the others are counted.
pub const REFUSED_MAX: usize = 1000;
/// Octets of a line at most, comment included.
const LINE_OCTETS_MAX: usize = super::canonical::URL_OCTETS_MAX + 1024;
/// Entries of the table that one entry of its index is for, about.
const ENTRIES_A_STEP: usize = 4;

/// Why a line is not on the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is no URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A host without a path. Who means all of a host writes the slash.
    #[error("a host alone: with a slash behind it, it would be all of the host")]
    HostOnly,
    /// Something under which anybody registers names or has pages: it would be all of theirs. Who means that writes a rule for the name.
    #[error("{0} is a public suffix: it would be all that anybody has under it")]
    PublicSuffix(Box<str>),
    /// More octets than a line may have.
    #[error("a line of more than {LINE_OCTETS_MAX} octets")]
    Long,
    /// The list has [`URLS_MAX`] already.
    #[error("the list has {URLS_MAX} URLs already")]
    Full,
}

/// A line that is not on the list, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Counted from 1.
    pub line: usize,
    /// Why.
    pub why: LineError,
}

/// A list, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    name: Arc<str>,
    /// In their order, each once.
    hashes: Vec<Hash>,
    refused_count: usize,
}

impl List {
    /// Reads a list's text to its end: a URL, or an expression like `host/path`, a line; what is behind `#` at the beginning or after a blank is a comment. Also
    /// the lines that are none of it, the first [`REFUSED_MAX`].
    ///
    /// # Errors
    ///
    /// Whatever the text says when it is read.
    pub fn read(name: &str, text: impl io::Read) -> io::Result<(Self, Vec<Refused>)> {
        let mut text = io::BufReader::with_capacity(256 * 1024, text);
        let (mut hashes, mut refused, mut refused_count) = (Vec::new(), Vec::new(), 0);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let limit = LINE_OCTETS_MAX as u64 + 1;
            if io::Read::take(&mut text, limit).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let is_long = line.len() > LINE_OCTETS_MAX;
            if is_long && line.last() != Some(&b'\n') {
                text.skip_until(b'\n')?;
            }
            let hash = match meant(&line) {
                b"" => continue,
                _ if is_long => Err(LineError::Long),
                _ if hashes.len() >= URLS_MAX => Err(LineError::Full),
                url => on_list(url),
            };
            match hash {
                Ok(hash) => hashes.push(hash),
                Err(why) => {
                    refused_count += 1;
                    if refused.len() < REFUSED_MAX {
                        refused.push(Refused { line: number, why });
                    }
                }
            }
        }
        hashes.sort_unstable();
        hashes.dedup();
        hashes.shrink_to_fit();
        Ok((Self { name: name.into(), hashes, refused_count }, refused))
    }

    /// A list of this name with nothing on it.
    pub fn empty(name: &str) -> Self {
        Self { name: name.into(), hashes: Vec::new(), refused_count: 0 }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// URLs on it, those that say the same counted once.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether nothing is on it.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Lines that were refused, those included that were not kept.
    pub fn refused_count(&self) -> usize {
        self.refused_count
    }
}

/// What a line says, without its comment and the blanks around it.
fn meant(line: &[u8]) -> &[u8] {
    let comment = memchr::memchr_iter(b'#', line).find(|at| *at == 0 || line[at - 1].is_ascii_whitespace());
    line[..comment.unwrap_or(line.len())].trim_ascii()
}

/// The hash by which a list has a URL.
fn on_list(url: &[u8]) -> Result<Hash, LineError> {
    let canonical = Canonical::of(url)?;
    if canonical.is_host_only() {
        return Err(LineError::HostOnly);
    }
    if is_everybodys(&canonical) {
        return Err(LineError::PublicSuffix(canonical.host().into()));
    }
    Ok(canonical.own_hash())
}

/// Whether it would be everybody's pages under a public suffix (<https://publicsuffix.org>): any of one of registries (`co.jp`), as a list's expressions hold for hosts below, too; all of one of
/// a company that lets others have pages there (`web.app`), where a single page may be its own.
fn is_everybodys(url: &Canonical) -> bool {
    let host = url.host().as_bytes();
    let is_whole = url.expressions().next().is_some_and(|(_, path)| path == "/");
    match psl::suffix(host).filter(|suffix| *suffix == host).and_then(|suffix| suffix.typ()) {
        Some(psl::Type::Icann) => true,
        Some(psl::Type::Private) => is_whole,
        None => false,
    }
}

/// Why lists cannot be held together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListsError {
    /// More than [`LISTS_MAX`].
    #[error("more than {LISTS_MAX} lists of URLs")]
    TooMany,
    /// More than [`URLS_OF_ALL_MAX`].
    #[error("more than {URLS_OF_ALL_MAX} URLs on all lists")]
    TooLarge,
    /// Two have one name.
    #[error("two lists of URLs have the name {0:?}")]
    Twice(String),
    /// Letters, digits, `_`, `-` and `.`, at least one and at most [`NAME_OCTETS_MAX`].
    #[error("{0:?} cannot be the name of a list of URLs")]
    Name(String),
    /// There is no list at this place.
    #[error("there is no list of URLs at place {0}")]
    NoPlace(u8),
}

/// An expression's hash, and which lists have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The SHA-256 of the expression.
    pub hash: Hash,
    /// The lists that have it, by their places, a bit each.
    pub lists: u64,
}

/// All lists, as they are at one moment.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    names: Vec<Arc<str>>,
    /// How many each has.
    lens: Vec<usize>,
    table: Table,
    /// In their order.
    popular: Arc<[Hash]>,
}

impl Lists {
    /// These lists; each one's place is that in the vector.
    ///
    /// # Errors
    ///
    /// There are too many, or of a wrong name.
    pub fn new(lists: Vec<List>) -> Result<Self, ListsError> {
        if lists.len() > LISTS_MAX {
            return Err(ListsError::TooMany);
        }
        if lists.iter().map(List::len).sum::<usize>() > URLS_OF_ALL_MAX {
            return Err(ListsError::TooLarge);
        }
        for (place, list) in lists.iter().enumerate() {
            let name = list.name();
            let is_name = |octet: u8| octet.is_ascii_alphanumeric() || b"_-.".contains(&octet);
            if name.is_empty() || name.len() > NAME_OCTETS_MAX || !name.bytes().all(is_name) {
                return Err(ListsError::Name(name.to_owned()));
            }
            if lists[..place].iter().any(|before| before.name == list.name) {
                return Err(ListsError::Twice(name.to_owned()));
            }
        }
        let names = lists.iter().map(|list| Arc::clone(&list.name)).collect();
        let lens = lists.iter().map(List::len).collect();
        let mut entries = Vec::with_capacity(lists.iter().map(List::len).sum());
        for (place, list) in lists.into_iter().enumerate() {
            entries.extend(list.hashes.into_iter().map(|hash| Listed { hash, lists: 1 << place }));
        }
        Ok(Self { names, lens, table: Table::new(entries), popular: Arc::default() })
    }

    /// The same with another list at this place, which may have another name.
    ///
    /// # Errors
    ///
    /// As for [`Lists::new`], or there is no such place.
    pub fn with(&self, place: u8, list: List) -> Result<Self, ListsError> {
        let mut list = Some(list);
        let lists = self.places().map(|at| match list.take_if(|_| at == place) {
            Some(list) => list,
            None => List {
                name: Arc::clone(&self.names[usize::from(at)]),
                hashes: self.hashes(at).collect(),
                refused_count: 0,
            },
        });
        let lists = Self { popular: Arc::clone(&self.popular), ..Self::new(lists.collect())? };
        if list.is_some() { Err(ListsError::NoPlace(place)) } else { Ok(lists) }
    }

    /// The same, where clients are told enough of each hash to tell it from those of `popular`, what is visited most: who visits that need not ask then.
    #[must_use]
    pub fn sparing(self, popular: List) -> Self {
        Self { popular: popular.hashes.into(), ..self }
    }

    /// What is visited most, in the order of the hashes.
    pub fn popular(&self) -> &[Hash] {
        &self.popular
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no list.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The places of all lists.
    pub fn places(&self) -> impl Iterator<Item = u8> {
        (0..self.len()).filter_map(|place| u8::try_from(place).ok())
    }

    /// The name of the list at a place.
    pub fn name(&self, place: u8) -> Option<&str> {
        self.names.get(usize::from(place)).map(AsRef::as_ref)
    }

    /// The place of the list of this name.
    pub fn place(&self, name: &str) -> Option<u8> {
        let place = self.names.iter().position(|list| **list == *name)?;
        u8::try_from(place).ok()
    }

    /// URLs on the list at a place.
    pub fn urls(&self, place: u8) -> usize {
        self.lens.get(usize::from(place)).copied().unwrap_or(0)
    }

    /// The place of the first list, in their order, that has an expression of this URL.
    pub fn find(&self, url: &Canonical) -> Option<u8> {
        self.find_among(url, !0)
    }

    /// The same of some lists, by their places, a bit each.
    pub fn find_among(&self, url: &Canonical, among: u64) -> Option<u8> {
        if self.table.entries.is_empty() || among == 0 {
            return None;
        }
        let first = 1 << among.trailing_zeros();
        let mut lists = 0;
        for hash in url.hashes() {
            lists |= self.table.lists(&hash) & among;
            if lists & first != 0 {
                break;
            }
        }
        (lists != 0).then(|| lists.trailing_zeros() as u8)
    }

    /// All hashes that begin with these octets, in their order.
    pub fn with_prefix(&self, prefix: &[u8]) -> &[Listed] {
        let entries = &*self.table.entries;
        let first = entries.partition_point(|listed| listed.hash.0.as_slice() < prefix);
        let count = entries[first..].partition_point(|listed| listed.hash.0.starts_with(prefix));
        &entries[first..first + count]
    }

    /// The hashes on the list at a place, in their order.
    pub fn hashes(&self, place: u8) -> impl Iterator<Item = Hash> {
        let of_list = move |listed: &&Listed| listed.lists >> (place & (LISTS_MAX as u8 - 1)) & 1 != 0;
        self.table.entries.iter().filter(of_list).map(|listed| listed.hash)
    }

    /// Octets that the table takes.
    pub fn octets(&self) -> usize {
        size_of_val(&*self.table.entries) + size_of_val(&*self.table.starts)
    }
}

/// Hashes in their order, and where those begin that have the same first bits: hashes are even, so a few steps find one.
#[derive(Clone, Debug, Default)]
struct Table {
    entries: Box<[Listed]>,
    starts: Box<[u32]>,
    /// How far a hash's first 32 bits are shifted to be a place in `starts`.
    shift: u32,
}

impl Table {
    fn new(mut entries: Vec<Listed>) -> Self {
        entries.sort_unstable_by_key(|listed| listed.hash);
        entries.dedup_by(|listed, before| {
            let is_same = listed.hash == before.hash;
            before.lists |= if is_same { listed.lists } else { 0 };
            is_same
        });
        let bits = (entries.len() / ENTRIES_A_STEP).max(1).ilog2().min(24);
        let mut table = Self { entries: entries.into(), starts: Box::default(), shift: 32 - bits };
        let mut starts = vec![0u32; (1 << bits) + 1];
        for listed in &table.entries {
            starts[table.step(&listed.hash) + 1] += 1;
        }
        let mut before = 0;
        for start in &mut starts {
            before += *start;
            *start = before;
        }
        table.starts = starts.into();
        table
    }

    fn step(&self, hash: &Hash) -> usize {
        let [a, b, c, d, ..] = hash.0;
        let first = u32::from_be_bytes([a, b, c, d]);
        first.checked_shr(self.shift).unwrap_or(0) as usize
    }

    /// The lists that have a hash, a bit each.
    fn lists(&self, hash: &Hash) -> u64 {
        let step = self.step(hash);
        let (Some(first), Some(end)) = (self.starts.get(step), self.starts.get(step + 1)) else { return 0 };
        let entries = &self.entries[*first as usize..*end as usize];
        entries.binary_search_by_key(hash, |listed| listed.hash).map_or(0, |at| entries[at].lists)
    }
}

#[cfg(test)]
mod tests;
