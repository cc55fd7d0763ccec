//! One entry as a document that an auditor verifies offline: the entry's bytes, its path to the root, the signed root.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::note::{NoteError, Verifier};
use super::tree::{inclusion_path, leaf_hash, root_from_path};
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
    /// Builds the proof of entry `index`, given all leaf hashes up to the checkpoint's size.
    pub fn build(
        index: u64,
        body: &[u8],
        leaves: &[Digest],
        checkpoint: &str,
        key: &Verifier,
    ) -> Option<Self> {
        Some(Self {
            entry: Entry::from_bytes(body)?,
            entry_bytes: STANDARD.encode(body),
            tree_size: leaves.len() as u64,
            path: inclusion_path(usize::try_from(index).ok()?, leaves)?,
            checkpoint: checkpoint.to_owned(),
            key: key.line(),
        })
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
