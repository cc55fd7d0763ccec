//! What a name shows: signs, each a kind and what was seen of it. A sign says nothing yet of good or bad, that is in the
//! weights; training and scoring see the same signs because both call [`of_name`].

use std::borrow::Cow;
use std::collections::BTreeSet;

use unicode_script::{Script, UnicodeScript as _};

use crate::parts::Parts;
use crate::popular::Popular;
use crate::words::Words;

/// Letters of a fragment, the two marks for a label's ends counted.
const FRAGMENT_BYTES: std::ops::RangeInclusive<usize> = 3..=5;
/// Fragments that are looked at in one name.
const FRAGMENTS_MAX: usize = 1024;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The public suffix.
    Suffix,
    /// What kind of suffix: of a country, old, new, under which anybody has a site.
    Class,
    /// Letters of the registered label.
    Length,
    /// Digits of the registered label.
    Digits,
    /// Hyphens of the registered label.
    Hyphens,
    /// Changes between letters and digits.
    Switches,
    /// How unlike each other the letters are (Shannon's entropy).
    Entropy,
    /// How seldom such letters follow each other in names.
    Rarity,
    /// Consonants in a row.
    Consonants,
    /// Letters other than ASCII, or several scripts.
    Script,
    /// Likeness to a popular name.
    Like,
    /// The popular name it is like.
    Brand,
    /// Likeness to a name that deceivers use more than others.
    Target,
    /// Such a likeness, and words of trade beside it.
    Lure,
    /// A word of trade.
    Word,
    /// What such a word is about.
    Trade,
    /// Some letters in a row.
    Fragment,
}

impl Kind {
    /// All kinds with their names in tables.
    pub const CODES: [(Kind, &'static str); 17] = [
        (Kind::Suffix, "suffix"),
        (Kind::Class, "class"),
        (Kind::Length, "length"),
        (Kind::Digits, "digits"),
        (Kind::Hyphens, "hyphens"),
        (Kind::Switches, "switches"),
        (Kind::Entropy, "entropy"),
        (Kind::Rarity, "rarity"),
        (Kind::Consonants, "consonants"),
        (Kind::Script, "script"),
        (Kind::Like, "like"),
        (Kind::Brand, "brand"),
        (Kind::Target, "target"),
        (Kind::Lure, "lure"),
        (Kind::Word, "word"),
        (Kind::Trade, "trade"),
        (Kind::Fragment, "fragment"),
    ];

    /// Its name in tables.
    pub fn code(self) -> &'static str {
        Self::CODES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, code)| code)
    }
}

/// One thing seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sign {
    /// What was looked at.
    pub kind: Kind,
    /// What was seen: a bin, a word, letters.
    pub seen: String,
}

/// What names are compared with.
#[derive(Debug)]
pub struct Lore {
    /// Popular names.
    pub popular: Popular,
    /// How often letters follow each other.
    pub letters: Letters,
    /// Words of trade.
    pub words: Words,
}

/// How often letters follow each other in the names of sites that people visit, as bits of surprise.
#[derive(Clone, Debug)]
pub struct Letters {
    bits: Vec<f32>,
}

/// Letters, digits, the hyphen, and one for the ends and whatever else.
const ALPHABET: usize = 38;

fn letter(byte: u8) -> usize {
    match byte {
        b'a'..=b'z' => usize::from(byte - b'a'),
        b'0'..=b'9' => 26 + usize::from(byte - b'0'),
        b'-' => 36,
        _ => 37,
    }
}

impl Letters {
    /// Counted in labels.
    pub fn of<'a>(labels: impl IntoIterator<Item = &'a str>) -> Self {
        let mut counts = vec![1.0f32; ALPHABET * ALPHABET];
        for label in labels {
            for (a, b) in pairs(label) {
                counts[a * ALPHABET + b] += 1.0;
            }
        }
        for row in counts.chunks_mut(ALPHABET) {
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|count| *count = (sum / *count).log2());
        }
        Self { bits: counts }
    }

    /// Read from a table: as many bits as there are pairs of letters, or none.
    pub fn from_bits(bits: Vec<f32>) -> Option<Self> {
        (bits.len() == ALPHABET * ALPHABET && bits.iter().all(|bits| bits.is_finite()))
            .then_some(Self { bits })
    }

    /// The bits of all pairs.
    pub fn bits(&self) -> &[f32] {
        &self.bits
    }

    /// Bits of surprise per letter.
    pub fn rarity(&self, label: &str) -> f32 {
        let (sum, count) = pairs(label)
            .filter_map(|(a, b)| self.bits.get(a * ALPHABET + b))
            .fold((0.0, 0.0), |(sum, count), bits| (sum + bits, count + 1.0));
        if count > 0.0 { sum / count } else { 0.0 }
    }
}

fn pairs(label: &str) -> impl Iterator<Item = (usize, usize)> {
    let ends = std::iter::once(b'^');
    let from = ends.clone().chain(label.bytes());
    from.zip(label.bytes().chain(ends)).map(|(a, b)| (letter(a), letter(b)))
}

/// The signs of a host name, which is in lower case, in ASCII, without a dot at the end.
pub fn of_name(name: &str, lore: &Lore) -> Vec<Sign> {
    let name = name.strip_prefix("www.").filter(|rest| rest.contains('.')).unwrap_or(name);
    let parts = Parts::of(name);
    let mut signs = Vec::with_capacity(64);
    let mut add = |kind, seen: String| signs.push(Sign { kind, seen });
    if !parts.hosted {
        add(Kind::Suffix, parts.suffix.to_owned());
        add(Kind::Class, class(&parts).to_owned());
    }
    // What is in Punycode is looked at as it looks. Labels before are looked at for names of others only: whoever has a name has
    // `login` and `app` under it, and lists of popular names that have such labels are too few to learn from.
    let core = plain(parts.core);
    shape(&core, &lore.letters, &mut add);
    if let Some(script) = script(name) {
        add(Kind::Script, script.to_owned());
    }
    let words: BTreeSet<_> = lore.words.within(parts.core).into_iter().collect();
    let trades: BTreeSet<_> = words.iter().map(|(_, trade)| *trade).collect();
    if let Some((how, popular)) = lore.popular.like(&parts) {
        add(Kind::Like, how.code().to_owned());
        add(Kind::Brand, popular.to_owned());
        if lore.popular.is_brand(popular) {
            add(Kind::Target, how.code().to_owned());
            let others = words.iter().filter(|(word, _)| *word != popular).count();
            add(Kind::Lure, bin(others, &[0, 1]));
        }
    }
    words.iter().for_each(|(word, _)| add(Kind::Word, (*word).to_owned()));
    trades.iter().for_each(|trade| add(Kind::Trade, trade.code().to_owned()));
    if trades.len() > 1 {
        add(Kind::Trade, "several".to_owned());
    }
    let fragments: BTreeSet<String> = fragments(&core).take(FRAGMENTS_MAX).collect();
    fragments.into_iter().for_each(|fragment| add(Kind::Fragment, fragment));
    signs
}

/// A label as it looks, in ASCII as far as may be.
fn plain(label: &str) -> Cow<'_, str> {
    if !label.starts_with("xn--") {
        return label.into();
    }
    let read = idna::domain_to_unicode(label).0;
    // Accents were taken apart from their letters, and other scripts' letters turned into ours where they look alike.
    let looks: String =
        unicode_security::skeleton(&read).filter(|c| !matches!(c, '\u{300}'..='\u{36f}')).collect();
    looks.replace("rn", "m").to_lowercase().into()
}

fn shape(core: &str, letters: &Letters, add: &mut impl FnMut(Kind, String)) {
    let count = |is: fn(u8) -> bool| core.bytes().filter(|byte| is(*byte)).count();
    add(Kind::Length, bin(core.chars().count(), &[3, 5, 7, 9, 12, 15, 19, 25]));
    add(Kind::Digits, bin(count(|b| b.is_ascii_digit()), &[0, 1, 2, 4]));
    add(Kind::Hyphens, bin(count(|b| b == b'-'), &[0, 1, 2]));
    add(Kind::Switches, bin(switches(core), &[0, 1, 2, 4]));
    if core.len() >= 5 && core.is_ascii() {
        add(Kind::Entropy, bin((entropy(core) * 4.0) as usize, &[8, 10, 11, 12, 13, 14, 15]));
        add(Kind::Rarity, bin((letters.rarity(core) * 4.0) as usize, &[14, 15, 16, 17, 18, 19, 20, 22, 24]));
        add(Kind::Consonants, bin(consonants(core), &[2, 3, 4, 5]));
    }
}

/// `≤3`, or `>9` where it is above all.
fn bin(value: usize, ends: &[usize]) -> String {
    match ends.iter().find(|end| value <= **end) {
        Some(end) => format!("≤{end}"),
        None => format!(">{}", ends.last().copied().unwrap_or(0)),
    }
}

fn class(parts: &Parts<'_>) -> &'static str {
    // Under which only schools and offices have names.
    const RESTRICTED: [&str; 14] =
        ["ac", "ed", "edu", "go", "gob", "gouv", "gov", "govt", "gub", "int", "lg", "mil", "police", "sch"];
    const OLD: [&str; 12] =
        ["com", "net", "org", "info", "biz", "edu", "gov", "mil", "int", "arpa", "name", "pro"];
    let top = parts.suffix.rsplit('.').next().unwrap_or_default();
    match () {
        () if parts.suffix.split('.').any(|label| RESTRICTED.contains(&label)) => "restricted",
        () if top.len() == 2 => "country",
        () if OLD.contains(&top) => "old",
        () if top.starts_with("xn--") => "script",
        () => "new",
    }
}

fn switches(label: &str) -> usize {
    let kinds: Vec<bool> =
        label.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.is_ascii_digit()).collect();
    kinds.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// Shannon's entropy of a label's octets, in bits.
fn entropy(label: &str) -> f32 {
    let mut counts = [0u32; 256];
    label.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let all = label.len().max(1) as f32;
    counts.iter().filter(|count| **count > 0).map(|count| *count as f32 / all).map(|p| -p * p.log2()).sum()
}

fn consonants(label: &str) -> usize {
    let runs = label.split(|c: char| !c.is_ascii_lowercase() || "aeiouy".contains(c));
    runs.map(str::len).max().unwrap_or(0)
}

fn script(name: &str) -> Option<&'static str> {
    if !name.split('.').any(|label| label.starts_with("xn--")) {
        return None;
    }
    let (read, fine) = idna::domain_to_unicode(name);
    if fine.is_err() {
        return Some("broken");
    }
    let mixed = read.split('.').any(|label| {
        let scripts: BTreeSet<&str> = label
            .chars()
            .map(|c| c.script())
            .filter(|script| !matches!(script, Script::Common | Script::Inherited))
            // Japanese is written in three at once.
            .map(|script| match script {
                Script::Hiragana | Script::Katakana | Script::Han => "Jpan",
                other => other.short_name(),
            })
            .collect();
        scripts.len() > 1
    });
    let latin =
        read.chars().all(|c| matches!(c.script(), Script::Latin | Script::Common | Script::Inherited));
    Some(if mixed {
        "mixed"
    } else if latin {
        "latin"
    } else {
        "other"
    })
}

/// Some letters in a row, with `^` and `$` for the label's ends.
fn fragments(label: &str) -> impl Iterator<Item = String> {
    let marked = format!("^{label}$");
    let len = marked.len();
    (0..len).flat_map(move |from| {
        let marked = marked.clone();
        FRAGMENT_BYTES.filter_map(move |bytes| marked.get(from..from + bytes).map(str::to_owned))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static LORE: LazyLock<Lore> = LazyLock::new(|| Lore {
        popular: Popular::of(["paypal.com", "google.com"]),
        letters: Letters::of(["google", "paypal", "weather", "house", "garden"]),
        words: Words::default(),
    });

    fn seen(name: &str, kind: Kind) -> Vec<String> {
        of_name(name, &LORE).into_iter().filter(|sign| sign.kind == kind).map(|sign| sign.seen).collect()
    }

    #[test]
    fn a_name_shows_its_parts() {
        let name = "a1.secure-paypal-login2.web.app";
        assert!(seen(name, Kind::Class).is_empty(), "anybody has a site there");
        assert_eq!(seen("city.lg.jp", Kind::Class), ["restricted"]);
        assert_eq!(seen(name, Kind::Hyphens), ["≤2"]);
        assert_eq!(seen(name, Kind::Word), ["login", "secure"]);
        assert_eq!(seen(name, Kind::Trade), ["access"]);
        assert_eq!(
            (seen(name, Kind::Like), seen(name, Kind::Brand)),
            (vec!["beside".into()], vec!["paypal".into()])
        );
    }

    #[test]
    fn www_is_no_part_of_a_name() {
        assert_eq!(seen("www.house.example.com", Kind::Fragment), seen("house.example.com", Kind::Fragment));
    }

    #[test]
    fn scripts_are_told_apart() {
        assert_eq!(seen("xn--pypal-4ve.com", Kind::Script), ["mixed"]);
        assert_eq!(seen("xn--bcher-kva.com", Kind::Script), ["latin"]);
        assert_eq!(seen("xn--wgv71a.com", Kind::Script), ["other"]);
        assert!(seen("plain.com", Kind::Script).is_empty());
    }

    #[test]
    fn what_is_seldom_is_rarer() {
        let letters = Letters::of(["google", "paypal", "weather", "house", "garden"]);
        assert!(letters.rarity("xqzkvj") > letters.rarity("garden"));
    }

    proptest::proptest! {
        #[test]
        fn any_name_has_signs(name in "[a-z0-9_.-]{1,80}") {
            proptest::prop_assert!(seen(&name, Kind::Length).len() == 1);
        }
    }
}
