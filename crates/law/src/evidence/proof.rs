//! Documents that an auditor verifies offline. [`Proof`]: one entry's bytes, its path to the root, the signed root.
//! [`Growth`]: two signed checkpoints and what shows that the later log is the earlier one, with entries added.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::note::{NoteError, Verifier};
use super::tree::{Subtrees, consistency_path, inclusion_path, is_grown, leaf_hash, root_from_path};
use super::{Digest, Entry};

/// A proof that one entry is in the log whose root was signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The entry, readable.
    pub entry: Entry,
    /// The bytes that were hashed, in base64; `entry` must be what they say.
    pub entry_bytes: String,
    /// Size of the tree the path leads to the root of.
    pub tree_size: u64,
    /// Sibling hashes from the leaf up (RFC 9162 section 2.1.3), hexadecimal.
    pub path: Vec<Digest>,
    /// The signed checkpoint.
    pub checkpoint: String,
    /// The log's public key, for convenience; check it against one you trust.
    pub key: String,
}

/// Why a proof does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The checkpoint is not the log's.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The readable entry is not what the hashed bytes say.
    #[error("the entry shown is not the entry that was hashed")]
    Entry,
    /// The checkpoint is about another tree.
    #[error("the checkpoint states {stated} entries, the proof {proof}")]
    Size {
        /// In the checkpoint.
        stated: u64,
        /// In the proof.
        proof: u64,
    },
    /// The path leads elsewhere.
    #[error("the path from entry {index} does not lead to the signed root")]
    Path {
        /// The entry's index.
        index: u64,
    },
}

impl Proof {
    /// Builds the proof of entry `index` of the tree that the checkpoint states; `None` where that has no such entry.
    pub fn build<T: Subtrees>(
        index: u64,
        body: &[u8],
        (checkpoint, key): (&str, &Verifier),
        trees: &mut T,
    ) -> Result<Option<Self>, T::Error> {
        let (Ok(stated), Some(entry)) = (key.open(checkpoint), Entry::from_bytes(body)) else {
            return Ok(None);
        };
        let Some(path) = inclusion_path(index, stated.size, trees)? else { return Ok(None) };
        Ok(Some(Self {
            entry,
            entry_bytes: STANDARD.encode(body),
            tree_size: stated.size,
            path,
            checkpoint: checkpoint.to_owned(),
            key: key.line(),
        }))
    }

    /// Verifies against a trusted key, with nothing but this document.
    pub fn verify(&self, key: &Verifier) -> Result<(), ProofError> {
        let stated = key.open(&self.checkpoint)?;
        if stated.size != self.tree_size {
            return Err(ProofError::Size { stated: stated.size, proof: self.tree_size });
        }
        let body = STANDARD.decode(&self.entry_bytes).map_err(|_| ProofError::Entry)?;
        if Entry::from_bytes(&body).as_ref() != Some(&self.entry) {
            return Err(ProofError::Entry);
        }
        let index = self.entry.index;
        match root_from_path(index, self.tree_size, leaf_hash(&body), &self.path) {
            Some(root) if root == stated.root => Ok(()),
            _ => Err(ProofError::Path { index }),
        }
    }
}

/// A proof that the log of one checkpoint is the beginning of the log of another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Growth {
    /// The earlier signed checkpoint.
    pub from: String,
    /// The later one.
    pub to: String,
    /// The hashes that show it (RFC 9162 section 2.1.4), hexadecimal.
    pub path: Vec<Digest>,
    /// The log's public key, for convenience; check it against one you trust.
    pub key: String,
}

/// Why growth is not shown.
#[derive(Debug, thiserror::Error)]
pub enum GrowthError {
    /// A checkpoint is not the log's.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The path shows nothing of the kind.
    #[error(
        "the log of {to} entries is not the log of {from} entries with others added: one of them is a fork"
    )]
    Forked {
        /// Entries of the earlier checkpoint.
        from: u64,
        /// Entries of the later one.
        to: u64,
    },
}

impl Growth {
    /// Builds it from two signed checkpoints; `None` where one is not signed, or the first is not the smaller.
    pub fn build<T: Subtrees>(
        from: &str,
        to: &str,
        key: &Verifier,
        trees: &mut T,
    ) -> Result<Option<Self>, T::Error> {
        let (Ok(old), Ok(new)) = (key.open(from), key.open(to)) else { return Ok(None) };
        let Some(path) = consistency_path(old.size, new.size, trees)? else { return Ok(None) };
        Ok(Some(Self { from: from.to_owned(), to: to.to_owned(), path, key: key.line() }))
    }

    /// Verifies against a trusted key, with nothing but this document, and says from how many entries to how many.
    pub fn verify(&self, key: &Verifier) -> Result<(u64, u64), GrowthError> {
        let (old, new) = (key.open(&self.from)?, key.open(&self.to)?);
        if is_grown((old.size, old.root), (new.size, new.root), &self.path) {
            Ok((old.size, new.size))
        } else {
            Err(GrowthError::Forked { from: old.size, to: new.size })
        }
    }
}
