//! Whom trust begins with: keys of zones that are known beforehand, and those that a zone above vouches for.

use domain::base::iana::{DigestAlgorithm, SecurityAlgorithm};
use domain::base::rdata::ComposeRecordData as _;
use domain::crypto::common::{DigestBuilder, DigestType};
use domain::dep::octseq::Parser;
use domain::rdata::{Dnskey, Ds};

use super::signature::read_key;
use crate::name::Name;
use crate::policy::rule::rtype;
use crate::policy::zonefile;

/// The root's two keys, of 2017 and of 2024, by their digests (IANA, root-anchors.xml).
const ROOT: [&str; 2] = [
    ". DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
    ". DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
];

/// Why a text is no anchor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// It is no record.
    #[error(transparent)]
    Entry(#[from] zonefile::EntryError),
    /// It is another record.
    #[error("a trust anchor is one record, DS or DNSKEY")]
    Type,
    /// Of a kind that is not trusted.
    #[error("an algorithm or a digest that is not known, or not trusted any more")]
    Unsupported,
}

/// A word for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Its digest.
    Digest(Ds<Vec<u8>>),
    /// Itself.
    Key(Dnskey<Vec<u8>>),
}

impl Anchor {
    /// Those of the Internet's root.
    pub fn root() -> Vec<Self> {
        ROOT.iter().filter_map(|text| Self::from_text(text).ok()).map(|(_, anchor)| anchor).collect()
    }

    /// An anchor as it stands in a zone file, `. DS 20326 8 2 E06D…` or `example. DNSKEY 257 3 13 …`, and its zone.
    ///
    /// # Errors
    ///
    /// [`AnchorError`], why it is none.
    pub fn from_text(text: &str) -> Result<(Name, Self), AnchorError> {
        let mut read = Vec::new();
        let whole = zonefile::read(text.as_bytes(), &Name::ROOT, |_, record| {
            let anchor = record.map_err(AnchorError::from).and_then(|record| {
                let anchor = Self::from_data(record.rtype, record.data).ok_or(AnchorError::Type)?;
                Ok((*record.owner, anchor))
            });
            read.push(anchor);
        });
        let one = read.pop().filter(|_| whole.is_ok() && read.is_empty()).ok_or(AnchorError::Type)?;
        one.and_then(
            |(zone, anchor)| {
                if anchor.is_supported() { Ok((zone, anchor)) } else { Err(AnchorError::Unsupported) }
            },
        )
    }

    /// What a DS or DNSKEY record's data says.
    pub fn from_data(kind: u16, data: &[u8]) -> Option<Self> {
        match kind {
            rtype::DS => {
                let ds = Ds::parse(&mut Parser::from_ref(data)).ok()?;
                let digest = ds.digest().to_vec();
                Ds::new(ds.key_tag(), ds.algorithm(), ds.digest_type(), digest).ok().map(Self::Digest)
            }
            rtype::DNSKEY => read_key(data).map(Self::Key),
            _ => None,
        }
    }

    /// Whether it is of a kind that we know. SHA-1 is none: what is signed by it is as good as unsigned (RFC 9905).
    pub fn is_supported(&self) -> bool {
        match self {
            Self::Digest(ds) => is_supported(ds.algorithm()) && digest_type(ds.digest_type()).is_some(),
            Self::Key(key) => is_supported(key.algorithm()),
        }
    }

    /// Whether a key's tag and algorithm are those that it names.
    pub(super) fn names(&self, key: &Dnskey<Vec<u8>>) -> bool {
        match self {
            Self::Digest(ds) => ds.algorithm() == key.algorithm() && ds.key_tag() == key.key_tag(),
            Self::Key(own) => own == key,
        }
    }

    /// Whether it is a word for this key of the zone at `apex` (RFC 4034, 5.1.4).
    pub(super) fn is_of(&self, apex: &Name, key: &Dnskey<Vec<u8>>) -> bool {
        match self {
            Self::Digest(ds) => {
                let Some(digest_type) = digest_type(ds.digest_type()) else { return false };
                let mut octets = apex.wire().to_vec();
                if key.compose_canonical_rdata(&mut octets).is_err() {
                    return false;
                }
                let mut digest = DigestBuilder::new(digest_type);
                digest.update(&octets);
                digest.finish().as_ref() == ds.digest().as_slice()
            }
            Self::Key(own) => own == key,
        }
    }
}

/// Algorithms of keys that we know and trust (RFC 9904): RSA with SHA-2, ECDSA, Ed25519.
pub(super) fn is_supported(algorithm: SecurityAlgorithm) -> bool {
    matches!(
        algorithm,
        SecurityAlgorithm::RSASHA256
            | SecurityAlgorithm::RSASHA512
            | SecurityAlgorithm::ECDSAP256SHA256
            | SecurityAlgorithm::ECDSAP384SHA384
            | SecurityAlgorithm::ED25519
    )
}

fn digest_type(algorithm: DigestAlgorithm) -> Option<DigestType> {
    match algorithm {
        DigestAlgorithm::SHA256 => Some(DigestType::Sha256),
        DigestAlgorithm::SHA384 => Some(DigestType::Sha384),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roots_keys_are_known_and_what_is_no_anchor_is_refused() {
        assert_eq!(Anchor::root().len(), ROOT.len());
        assert_eq!(Anchor::from_text(ROOT[0]).unwrap().0, Name::ROOT);
        for (text, wrong) in [
            ("", AnchorError::Type),
            (". A 192.0.2.1", AnchorError::Type),
            (&*ROOT.join("\n"), AnchorError::Type),
            (
                ". DS 1 5 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
                AnchorError::Unsupported,
            ),
            (". DS 1 8 1 E06D44B80B8F1D39A95C0B0D7C65D08458E88040", AnchorError::Unsupported),
        ] {
            assert_eq!(Anchor::from_text(text), Err(wrong), "{text}");
        }
    }
}
