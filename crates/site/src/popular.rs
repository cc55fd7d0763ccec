//! Names that look like a popular one and are not it.
//!
//! A deceiver's name has to be taken for another: one letter off, another letter of the same look, the known name with
//! a word beside it or under another suffix. All are found with look-ups that do not grow with the number of popular names: deletions
//! for one edit (the SymSpell idea), a table of skeletons for the look (Unicode TR39 and what digits and pairs of letters look
//! like in ASCII), one automaton for what contains a name.

use std::borrow::Cow;
use std::collections::HashMap;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use hashbrown::HashSet;
use unicode_security::skeleton;

use crate::parts::Parts;

/// A popular name shorter than this is like too many others.
const CORE_BYTES_MIN: usize = 5;
/// From this length on two edits are still alike.
const TWO_EDITS_BYTES_MIN: usize = 9;
/// Names that deceivers use more than others, by what is reported of phishing in Japan and abroad: written by hand, not learned.
const BRANDS: &str = include_str!("brands.txt");
/// Such a name as short as this is looked for where it stands alone.
const ALONE_BYTES_MIN: usize = 3;
/// The longest label that is compared by edits.
const CORE_BYTES_MAX: usize = 30;
/// Most popular names.
pub const POPULAR_MAX: usize = 100_000;

/// How a name is like a popular one, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Likeness {
    /// Other characters of the same look.
    Looks,
    /// The whole popular name, suffix and all, stands before what was registered: `paypal.com.evil.example`.
    Before,
    /// One letter is other, missing, too many, or in another place.
    Edit,
    /// Two such in a long name: a letter missing and one too many.
    Edits,
    /// The popular name with something beside it: `paypal-login`.
    Beside,
    /// The same name under another suffix.
    Suffix,
}

impl Likeness {
    /// Its name in tables.
    pub fn code(self) -> &'static str {
        match self {
            Self::Looks => "looks",
            Self::Before => "before",
            Self::Edit => "edit",
            Self::Edits => "edits",
            Self::Beside => "beside",
            Self::Suffix => "suffix",
        }
    }
}

/// Popular names, ready to be compared with.
#[derive(Debug)]
pub struct Popular {
    registered: HashSet<Box<str>>,
    cores: Vec<Box<str>>,
    brands: HashSet<Box<str>>,
    by_core: HashMap<Box<str>, u32>,
    by_look: HashMap<Box<str>, u32>,
    by_deletion: HashMap<Box<[u8]>, Vec<u32>>,
    within: Option<AhoCorasick>,
}

impl Popular {
    /// Of registered names; what is no name under a suffix is left out.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut popular = Self {
            registered: HashSet::new(),
            cores: Vec::new(),
            brands: BRANDS.split_whitespace().map(|name| Parts::of(name).core.into()).collect(),
            by_core: HashMap::new(),
            by_look: HashMap::new(),
            by_deletion: HashMap::new(),
            within: None,
        };
        for name in BRANDS.split_whitespace().chain(names.into_iter().take(POPULAR_MAX)) {
            let parts = Parts::of(name);
            if parts.core.is_empty() || !popular.registered.insert(parts.registered.into()) {
                continue;
            }
            popular.add_core(parts.core);
        }
        popular.within = AhoCorasickBuilder::new()
            .match_kind(MatchKind::LeftmostLongest)
            .build(popular.cores.iter().map(|core| core.as_bytes()))
            .ok();
        popular
    }

    fn add_core(&mut self, core: &str) {
        if !(CORE_BYTES_MIN..=CORE_BYTES_MAX).contains(&core.len())
            || self.by_core.contains_key(core)
            || core.starts_with("xn--")
        {
            return;
        }
        let number = self.cores.len() as u32;
        self.cores.push(core.into());
        self.by_core.insert(core.into(), number);
        self.by_look.entry(look(core).into()).or_insert(number);
        for shorter in deletions(core.as_bytes()).chain([core.into()]) {
            self.by_deletion.entry(shorter.into()).or_default().push(number);
        }
    }

    /// Whether `registered` is popular itself.
    pub fn has(&self, registered: &str) -> bool {
        self.registered.contains(registered)
    }

    /// The popular names, in the order in which they were given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.registered.iter().map(AsRef::as_ref)
    }

    /// Whether deceivers use the name of this core more than others.
    pub fn is_brand(&self, core: &str) -> bool {
        self.brands.contains(core)
    }

    /// Which popular name this one is like, and how; nothing for a popular name itself.
    pub fn like(&self, parts: &Parts<'_>) -> Option<(Likeness, &str)> {
        if self.has(parts.registered) {
            return None;
        }
        // A label before is often a word that somebody has a name of: only names that deceivers use count there.
        let brand = |found: &(Likeness, &str)| self.is_brand(found.1);
        let of_labels = parts.labels_before().filter_map(|label| self.like_label(label)).filter(brand);
        let same = |label: &str| self.by_core.get(label).map(|number| (Likeness::Suffix, self.core(*number)));
        let before =
            parts.labels_before().filter_map(same).filter(brand).map(|(_, core)| (Likeness::Beside, core));
        let all = self.before(parts).into_iter().chain(self.like_label(parts.core)).chain(same(parts.core));
        let all = all.chain(of_labels).chain(before);
        // A name that deceivers use is the likelier reason.
        all.min_by_key(|(how, core)| (!self.is_brand(core), *how))
    }

    fn core(&self, number: u32) -> &str {
        self.cores.get(number as usize).map_or("", AsRef::as_ref)
    }

    /// `paypal.com` among the labels before.
    fn before(&self, parts: &Parts<'_>) -> Option<(Likeness, &str)> {
        let labels: Vec<&str> = parts.before.split('.').collect();
        labels.windows(2).find_map(|pair| {
            let number = self.by_core.get(pair[0])?;
            let suffix = psl::suffix(pair[1].as_bytes())?;
            suffix.is_known().then(|| (Likeness::Before, self.core(*number)))
        })
    }

    fn like_label(&self, label: &str) -> Option<(Likeness, &str)> {
        if label.len() < CORE_BYTES_MIN || self.by_core.contains_key(label) {
            return None;
        }
        if let Some(number) = self.by_look.get(look(label).as_str()) {
            return Some((Likeness::Looks, self.core(*number)));
        }
        let parts = label.split(['-', '_']);
        let parts = parts.filter(|part| part.len() >= CORE_BYTES_MIN && !self.by_core.contains_key(*part));
        let near = [label].into_iter().chain(parts).filter_map(|part| self.nearest(part.as_bytes()));
        if let Some((edits, number)) =
            near.min_by_key(|(edits, number)| (!self.is_brand(self.core(*number)), *edits))
        {
            let likeness = if edits == 1 { Likeness::Edit } else { Likeness::Edits };
            return Some((likeness, self.core(number)));
        }
        let found = self.within.iter().flat_map(|within| within.find_iter(label));
        let found = found.map(|found| self.core(found.pattern().as_u32()));
        let alone = label.split(['-', '_']).filter(|part| part.len() >= ALONE_BYTES_MIN && *part != label);
        let alone = alone.filter_map(|part| self.brands.get(part).map(AsRef::as_ref));
        let best = found.chain(alone).max_by_key(|core| (self.is_brand(core), core.len()))?;
        Some((Likeness::Beside, best))
    }

    fn nearest(&self, label: &[u8]) -> Option<(usize, u32)> {
        if label.len() > CORE_BYTES_MAX {
            return None;
        }
        let itself = std::iter::once(label.to_vec());
        let mut best: Option<(usize, u32)> = None;
        for key in deletions(label).chain(itself) {
            for number in self.by_deletion.get(key.as_slice()).into_iter().flatten() {
                let core = self.core(*number).as_bytes();
                let distance = edits(label, core);
                let near = distance == 1 || distance == 2 && core.len() >= TWO_EDITS_BYTES_MIN;
                let better = |least: usize, than: u32| {
                    (!self.is_brand(self.core(*number)), distance) < (!self.is_brand(self.core(than)), least)
                };
                if near && best.is_none_or(|(least, than)| better(least, than)) {
                    best = Some((distance, *number));
                }
            }
        }
        best
    }
}

/// `word` with each one octet left out.
fn deletions(word: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..word.len()).map(|at| [&word[..at], &word[at + 1..]].concat())
}

/// What a label looks like: its characters' prototypes, then digits as the letters they stand for and `rn` as `m`.
pub fn look(label: &str) -> String {
    let label: Cow<'_, str> = match label.strip_prefix("xn--") {
        Some(_) => idna::domain_to_unicode(label).0.into(),
        None => label.into(),
    };
    // The skeleton of ASCII turns `m` into `rn`, `0` into `O` and `1` into `l`.
    let skeleton: String = skeleton(&label).collect();
    let plain: String = skeleton.chars().filter_map(letter).collect();
    plain.replace("vv", "w").replace("cl", "d").replace("nn", "rn")
}

/// The letter a character stands for. Accents were taken apart by the skeleton and are left out.
fn letter(c: char) -> Option<char> {
    let c = c.to_lowercase().next().unwrap_or(c);
    match c {
        '\u{300}'..='\u{36f}' => None,
        '0' => Some('o'),
        '1' | 'i' | '|' | 'ı' => Some('l'),
        '3' => Some('e'),
        '4' => Some('a'),
        '5' => Some('s'),
        '7' => Some('t'),
        c => Some(c),
    }
}

/// How many edits lie between two words (optimal string alignment), as far as three.
fn edits(a: &[u8], b: &[u8]) -> usize {
    if a.len().abs_diff(b.len()) > 2 {
        return 3;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let other = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + other);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before_last[j - 2] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(3).min(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn popular() -> Popular {
        Popular::of(["paypal.com", "microsoft.com", "myetherwallet.com", "rakuten.co.jp", "x.com"])
    }

    fn like(name: &str) -> Option<(&'static str, String)> {
        let popular = popular();
        popular.like(&Parts::of(name)).map(|(how, core)| (how.code(), core.to_owned()))
    }

    #[test]
    fn each_kind_of_deception_is_named() {
        let expected = [
            ("paypa1.net", "looks", "paypal"),
            ("xn--pypal-4ve.com", "looks", "paypal"),
            ("rnicrosoft.com", "looks", "microsoft"),
            ("paypal.com.evil.tk", "before", "paypal"),
            ("paypall.com", "edit", "paypal"),
            ("papyal.com", "edit", "paypal"),
            ("myeherwalllet.com", "edits", "myetherwallet"),
            ("paypal-login.com", "beside", "paypal"),
            ("secure.rakuten-card.info", "beside", "rakuten"),
            ("rakuten.top", "suffix", "rakuten"),
        ];
        for (name, how, core) in expected {
            assert_eq!(like(name), Some((how, core.to_owned())), "{name}");
        }
    }

    #[test]
    fn a_popular_name_and_what_is_under_it_is_like_nothing() {
        assert_eq!(like("paypal.com"), None);
        assert_eq!(like("login.microsoft.com"), None);
        assert_eq!(like("item.rakuten.co.jp"), None);
        assert_eq!(like("teapot.org"), None);
    }

    #[test]
    fn edits_are_counted_as_far_as_three() {
        let count = |a: &str, b: &str| edits(a.as_bytes(), b.as_bytes());
        assert_eq!(
            [count("abc", "abc"), count("abc", "acb"), count("abc", "ab"), count("kitten", "sitting")],
            [0, 1, 1, 3]
        );
        assert_eq!(count("a", "abcdefgh"), 3);
    }
}
