//! Names as the resolver compares them: in lower case, uncompressed, hashed from the root label down.
//!
//! A rule for a name is found by a hash of the name and each rule below a name by the hash of that name, so the hash of a
//! name is made of the hash of its parent and its own first label. One walk down the labels passes every name at which a rule can
//! be. The hash has a secret key: whoever asks chooses the names, and must not choose where they fall.

use std::fmt;
use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};
use smallvec::SmallVec;

/// Octets of a name in wire form at most (RFC 1035, 3.1).
pub const OCTETS_MAX: usize = 255;
/// Labels of a name at most, the root's not counted.
pub const LABELS_MAX: usize = 127;

/// Why octets or text are no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// More than 255 octets.
    #[error("a name of more than 255 octets")]
    Long,
    /// A label of more than 63 octets.
    #[error("a label of more than 63 octets")]
    LongLabel,
    /// An empty label inside.
    #[error("an empty label")]
    Empty,
    /// It ends before its root label.
    #[error("a name that ends too early")]
    Short,
    /// A compression pointer, or a label of a kind that nobody uses, where none may be.
    #[error("a label of unknown kind")]
    Label,
    /// A backslash that escapes nothing.
    #[error("an unfinished escape")]
    Escape,
}

/// Labels of a name; hardly any has more than eight.
pub type Labels<'a> = SmallVec<[&'a [u8]; 8]>;

/// A name in lower case, in wire form without compression.
#[derive(Clone, Copy)]
pub struct Name {
    octets: [u8; OCTETS_MAX],
    len: u8,
    labels: u8,
}

impl Name {
    /// The root.
    pub const ROOT: Self = Self { octets: [0; OCTETS_MAX], len: 1, labels: 0 };

    /// The name at the beginning of `wire`, which may not be compressed, and how many octets it takes.
    ///
    /// # Errors
    ///
    /// [`NameError`], of which kind the name is none.
    #[inline]
    pub fn from_wire(wire: &[u8]) -> Result<(Self, usize), NameError> {
        let mut name = Self::ROOT;
        let (mut at, mut labels) = (0, 0u8);
        loop {
            let len = usize::from(*wire.get(at).ok_or(NameError::Short)?);
            if len == 0 {
                break;
            }
            if len > 63 {
                return Err(NameError::Label);
            }
            at += 1 + len;
            // The root label is still to come.
            if at >= OCTETS_MAX {
                return Err(NameError::Long);
            }
            labels += 1;
        }
        let octets = wire.get(..=at).ok_or(NameError::Short)?;
        for (to, from) in name.octets.iter_mut().zip(octets) {
            // Lengths are below 64 and stay what they are.
            *to = from.to_ascii_lowercase();
        }
        (name.len, name.labels) = (octets.len() as u8, labels);
        Ok((name, octets.len()))
    }

    /// The name of labels, the first first.
    ///
    /// # Errors
    ///
    /// [`NameError`], when a label is empty or too long, or all of them are.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NameError> {
        let mut name = Self { len: 0, ..Self::ROOT };
        for label in labels {
            name.push(label)?;
        }
        name.len += 1;
        Ok(name)
    }

    /// A name as it stands in a zone file: labels between dots, `\.` and `\DDD` for what cannot be written. Without the last dot it is
    /// taken below `origin`; `@` is `origin` itself.
    ///
    /// # Errors
    ///
    /// [`NameError`], of which kind the text is none.
    pub fn from_text(text: &[u8], origin: &Self) -> Result<Self, NameError> {
        match text {
            b"@" => return Ok(*origin),
            b"." => return Ok(Self::ROOT),
            _ => {}
        }
        let mut name = Self { len: 0, ..Self::ROOT };
        if memchr::memchr(b'\\', text).is_none() {
            let (labels, is_absolute) =
                text.strip_suffix(b".").map_or((text, false), |labels| (labels, true));
            for label in labels.split(|octet| *octet == b'.') {
                name.push(label)?;
            }
            return name.append(if is_absolute { &Self::ROOT } else { origin });
        }
        let mut label = Label::default();
        let mut rest = text;
        while let [first, after @ ..] = rest {
            rest = after;
            match first {
                b'.' => {
                    name.push(label.octets())?;
                    label = Label::default();
                    if rest.is_empty() {
                        name.len += 1;
                        return Ok(name);
                    }
                }
                b'\\' => {
                    let octet;
                    (octet, rest) = escaped(rest)?;
                    label.push(octet)?;
                }
                octet => label.push(*octet)?,
            }
        }
        name.push(label.octets())?;
        name.append(origin)
    }

    /// Its octets in wire form, the root label's included.
    pub fn wire(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// How many labels it has, the root's not counted.
    pub fn label_count(&self) -> usize {
        usize::from(self.labels)
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.labels == 0
    }

    /// Its labels, the first first.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.wire();
        std::iter::from_fn(move || {
            let (len, after) = rest.split_first()?;
            if *len == 0 {
                return None;
            }
            let (label, further) = after.split_at_checked(usize::from(*len))?;
            rest = further;
            Some(label)
        })
    }

    /// The name without its first label; `None` of the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Self::from_wire(&self.wire()[1 + usize::from(self.octets[0])..]).ok().map(|(name, _)| name)
    }

    /// The labels above which `apex` begins: `a.b` of `a.b.example.` below `example.`; `None` where it is not below or at `apex`.
    pub fn below(&self, apex: &Self) -> Option<Labels<'_>> {
        self.is_below(apex).then(|| self.labels().take(self.label_count() - apex.label_count()).collect())
    }

    /// Whether it is `apex` or below it.
    pub fn is_below(&self, apex: &Self) -> bool {
        let (mine, its) = (self.wire(), apex.wire());
        let Some(start) = mine.len().checked_sub(its.len()) else { return false };
        // The tail must begin at a label.
        let mut at = 0;
        while at < start {
            at += 1 + usize::from(mine[at]);
        }
        at == start && mine[start..] == *its
    }

    /// The name that `labels` and this one make together.
    ///
    /// # Errors
    ///
    /// [`NameError::Long`].
    pub fn below_with<'a>(&self, labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NameError> {
        let mut name = Self { len: 0, ..Self::ROOT };
        for label in labels {
            name.push(label)?;
        }
        name.append(self)
    }

    fn push(&mut self, label: &[u8]) -> Result<(), NameError> {
        let at = usize::from(self.len);
        match label.len() {
            0 => return Err(NameError::Empty),
            64.. => return Err(NameError::LongLabel),
            len if at + 1 + len >= OCTETS_MAX => return Err(NameError::Long),
            len => self.octets[at] = len as u8,
        }
        for (to, from) in self.octets[at + 1..].iter_mut().zip(label) {
            *to = from.to_ascii_lowercase();
        }
        self.len += 1 + label.len() as u8;
        self.labels += 1;
        Ok(())
    }

    /// Ends a name that has no root label yet with another.
    fn append(mut self, tail: &Self) -> Result<Self, NameError> {
        let at = usize::from(self.len);
        let end = at + tail.wire().len();
        if end > OCTETS_MAX {
            return Err(NameError::Long);
        }
        self.octets[at..end].copy_from_slice(tail.wire());
        self.len = end as u8;
        self.labels += tail.labels;
        Ok(self)
    }
}

/// A label on its way from text.
struct Label {
    octets: [u8; 63],
    len: usize,
}

impl Default for Label {
    fn default() -> Self {
        Self { octets: [0; 63], len: 0 }
    }
}

impl Label {
    fn push(&mut self, octet: u8) -> Result<(), NameError> {
        *self.octets.get_mut(self.len).ok_or(NameError::LongLabel)? = octet;
        self.len += 1;
        Ok(())
    }

    fn octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

/// What stands after a backslash (RFC 1035, 5.1).
fn escaped(rest: &[u8]) -> Result<(u8, &[u8]), NameError> {
    match rest {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let value = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
            Ok((u8::try_from(value).map_err(|_| NameError::Escape)?, rest))
        }
        [octet, rest @ ..] if !octet.is_ascii_digit() => Ok((*octet, rest)),
        _ => Err(NameError::Escape),
    }
}

impl Default for Name {
    /// The root.
    fn default() -> Self {
        Self::ROOT
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.wire() == other.wire()
    }
}

impl Eq for Name {}

impl std::hash::Hash for Name {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.wire().hash(state);
    }
}

impl fmt::Display for Name {
    /// As in a zone file, with the last dot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        write!(f, "\\{}", char::from(*octet))?;
                    }
                    0x21..=0x7e => write!(f, "{}", char::from(*octet))?,
                    other => write!(f, "\\{other:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The secret with which names are hashed; drawn anew by each process.
#[derive(Clone, Copy)]
pub struct Secret(pub [u8; 16]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹redacted›")
    }
}

/// The hash of a name, of which 94 bits are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NameHash {
    /// Where it is looked for, and the first part of what is compared.
    pub(crate) place: u64,
    /// The second part of what is compared.
    pub(crate) check: u64,
}

/// What names are hashed for: a name server's name is another thing than the same name asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Realm {
    /// Names asked for, and those that answers lead to.
    Query,
    /// Names of name servers.
    Server,
}

impl Secret {
    /// The hash of the root in a realm.
    pub fn root(&self, realm: Realm) -> NameHash {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write_u8(realm as u8);
        NameHash::of(&hasher)
    }

    /// The hash of `label` below a name whose hash is known.
    #[inline]
    pub fn child(&self, parent: NameHash, label: &[u8]) -> NameHash {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write_u64(parent.place);
        hasher.write_u64(parent.check);
        hasher.write(label);
        NameHash::of(&hasher)
    }

    /// The hash of a name.
    pub fn name(&self, realm: Realm, name: &Name) -> NameHash {
        let mut labels = [0u8; LABELS_MAX];
        let count = name.label_starts(&mut labels);
        let mut hash = self.root(realm);
        for start in labels[..count].iter().rev() {
            hash = self.child(hash, name.label_at(*start));
        }
        hash
    }
}

impl NameHash {
    fn of(hasher: &SipHasher13) -> Self {
        let both = hasher.finish128();
        Self { place: both.h1, check: both.h2 }
    }
}

impl Name {
    /// Where its labels begin, the first first; how many there are.
    #[inline]
    pub(crate) fn label_starts(&self, starts: &mut [u8; LABELS_MAX]) -> usize {
        let mut at = 0u8;
        for start in starts.iter_mut().take(self.label_count()) {
            *start = at;
            at += 1 + self.octets[usize::from(at)];
        }
        self.label_count()
    }

    /// The label that begins at `start`.
    #[inline]
    pub(crate) fn label_at(&self, start: u8) -> &[u8] {
        let start = usize::from(start);
        let len = usize::from(self.octets[start]);
        &self.octets[start + 1..start + 1 + len]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes(), &Name::ROOT).unwrap()
    }

    #[test]
    fn text_becomes_a_name_and_is_written_as_it_was() {
        for text in ["example.", "a\\.b.example.", "\\000\\255.x.", "*.example.com.", "."] {
            assert_eq!(name(text).to_string(), text);
        }
        let origin = name("rpz.example.");
        assert_eq!(Name::from_text(b"A", &origin).unwrap(), name("a.rpz.example."));
        assert_eq!(Name::from_text(b"@", &origin).unwrap(), origin);
        for (text, wrong) in [
            ("a..b", NameError::Empty),
            ("a\\", NameError::Escape),
            ("\\25", NameError::Escape),
            ("\\256", NameError::Escape),
        ] {
            assert_eq!(Name::from_text(text.as_bytes(), &origin), Err(wrong), "{text}");
        }
        assert_eq!(Name::from_text(&[b'a'; 64], &origin), Err(NameError::LongLabel));
        assert_eq!(Name::from_text(&b"abcdefg.".repeat(32), &origin), Err(NameError::Long));
        assert_eq!(Name::from_text(&b"abcdefg.".repeat(31), &origin).unwrap().label_count(), 31);
    }

    #[test]
    fn a_name_is_below_another_at_label_borders_only() {
        assert!(name("a.example.").is_below(&name("example.")));
        assert!(name("example.").is_below(&name("example.")));
        assert!(name("example.").is_below(&Name::ROOT));
        assert!(!name("anexample.").is_below(&name("example.")));
        assert!(!name("example.").is_below(&name("a.example.")));
        assert_eq!(name("a.b.example.").below(&name("example.")).unwrap().as_slice(), [b"a", b"b"]);
        assert_eq!(name("a.b.").parent(), Some(name("b.")));
        assert_eq!(Name::ROOT.parent(), None);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets: Vec<u8>) {
            if let Ok((name, taken)) = Name::from_wire(&octets) {
                prop_assert!(taken <= OCTETS_MAX);
                prop_assert_eq!(name.wire().to_ascii_lowercase(), octets[..taken].to_ascii_lowercase());
                prop_assert_eq!(Name::from_text(name.to_string().as_bytes(), &Name::ROOT), Ok(name));
            }
        }

        #[test]
        fn a_hash_is_that_of_its_labels(labels in prop::collection::vec("[a-z0-9]{1,20}", 0..8)) {
            let secret = Secret([7; 16]);
            let name = Name::from_labels(labels.iter().map(String::as_bytes)).unwrap();
            let mut hash = secret.root(Realm::Query);
            for label in labels.iter().rev() {
                hash = secret.child(hash, label.as_bytes());
            }
            prop_assert_eq!(secret.name(Realm::Query, &name), hash);
            prop_assert_ne!(secret.name(Realm::Server, &name), hash);
        }
    }
}
