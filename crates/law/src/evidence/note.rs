//! Checkpoints as C2SP signed notes (`tlog-checkpoint`, `signed-note`): origin, size, root hash, and an Ed25519
//! signature (RFC 8032) that any witness tool can check.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::Digest;

/// Algorithm byte of Ed25519 in a signed note's key hash.
const ALGORITHM_ED25519: u8 = 0x01;

/// Why a note is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not of the form.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// Signed by a key of another name or not signed by this one.
    #[error("no signature by {0}")]
    Unsigned(String),
    /// The signature does not fit the text.
    #[error("the signature by {0} does not fit the text")]
    Forged(String),
    /// The key cannot be read.
    #[error("the key cannot be read: {0}")]
    Key(&'static str),
}

/// A statement: the log of this origin had this size and this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Merkle root over them.
    pub root: Digest,
}

impl Checkpoint {
    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    fn parse(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.lines();
        let mut next = || lines.next().ok_or(NoteError::Malformed("too few lines"));
        let origin = next()?.to_owned();
        let size = next()?.parse().map_err(|_| NoteError::Malformed("the size is no number"))?;
        let root = STANDARD.decode(next()?).ok().and_then(|b| Digest::from_slice(&b));
        Ok(Self { origin, size, root: root.ok_or(NoteError::Malformed("the root is no SHA-256 hash"))? })
    }
}

/// A named public key in note form: `NAME+HASH+BASE64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: Vec<u8>,
}

impl Verifier {
    /// Reads a key line.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let mut parts = line.trim().splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("expected NAME+HASH+KEY"));
        };
        let bytes = STANDARD.decode(key).map_err(|_| NoteError::Key("not base64"))?;
        let Some((&ALGORITHM_ED25519, key)) = bytes.split_first() else {
            return Err(NoteError::Key("not an Ed25519 key"));
        };
        let verifier = Self { name: name.to_owned(), key: key.to_vec() };
        let stated = hash.to_ascii_lowercase();
        if verifier.hash().iter().map(|b| format!("{b:02x}")).collect::<String>() != stated {
            return Err(NoteError::Key("the key's hash does not fit the key"));
        }
        Ok(verifier)
    }

    /// The log's origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key line.
    pub fn line(&self) -> String {
        let hash: String = self.hash().iter().map(|b| format!("{b:02x}")).collect();
        let mut key = vec![ALGORITHM_ED25519];
        key.extend_from_slice(&self.key);
        format!("{}+{hash}+{}", self.name, STANDARD.encode(key))
    }

    fn hash(&self) -> [u8; 4] {
        let mut bytes = self.name.clone().into_bytes();
        bytes.extend_from_slice(&[b'\n', ALGORITHM_ED25519]);
        bytes.extend_from_slice(&self.key);
        let digest = Digest::of(&bytes).0;
        [digest[0], digest[1], digest[2], digest[3]]
    }

    /// Checks a signed checkpoint and returns what it states.
    pub fn open(&self, note: &str) -> Result<Checkpoint, NoteError> {
        Checkpoint::parse(self.open_text(note)?)
    }

    /// Checks a signed note and returns its text, which ends with a line end.
    pub fn open_text<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let split = note.find("\n\n").ok_or(NoteError::Malformed("no signature block"))?;
        let (text, block) = (&note[..split + 1], &note[split + 2..]);
        for line in block.lines() {
            let Some(rest) = line.strip_prefix("\u{2014} ") else { continue };
            let Some((name, signature)) = rest.split_once(' ') else { continue };
            let Ok(signature) = STANDARD.decode(signature) else { continue };
            if name != self.name || signature.len() != 4 + 64 || signature[..4] != self.hash() {
                continue;
            }
            return UnparsedPublicKey::new(&ED25519, &self.key)
                .verify(text.as_bytes(), &signature[4..])
                .map_err(|_| NoteError::Forged(self.name.clone()))
                .map(|()| text);
        }
        Err(NoteError::Unsigned(self.name.clone()))
    }
}

/// The log's own signing key.
pub struct Signer {
    name: String,
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({}, ‹redacted›)", self.name)
    }
}

impl Signer {
    /// Makes a new key; the bytes are PKCS #8 and belong in a file only the program can read.
    pub fn generate() -> Result<Vec<u8>, NoteError> {
        Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new())
            .map(|doc| doc.as_ref().to_vec())
            .map_err(|_| NoteError::Key("the system gave no randomness"))
    }

    /// Loads a key made by [`Signer::generate`]; `name` is the log's origin, e.g. `isp.example/noroshi/evidence`.
    pub fn load(name: &str, pkcs8: &[u8]) -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| NoteError::Key("not an Ed25519 key"))?;
        Ok(Self { name: name.to_owned(), pair })
    }

    /// The public half.
    pub fn verifier(&self) -> Verifier {
        Verifier { name: self.name.clone(), key: self.pair.public_key().as_ref().to_vec() }
    }

    /// Signs the statement that the log has this size and root.
    pub fn checkpoint(&self, size: u64, root: Digest) -> String {
        self.sign(&Checkpoint { origin: self.name.clone(), size, root }.text())
    }

    /// Signs a text, which must end with a line end and have no empty line in it.
    pub fn sign(&self, text: &str) -> String {
        let mut signature = self.verifier().hash().to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n\u{2014} {} {}\n", self.name, STANDARD.encode(signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_opens_with_its_key_and_with_no_other() {
        let signer = Signer::load("log.example", &Signer::generate().unwrap()).unwrap();
        let other = Signer::load("log.example", &Signer::generate().unwrap()).unwrap();
        let note = signer.checkpoint(7, Digest::of(b"root"));
        let key = Verifier::parse(&signer.verifier().line()).unwrap();
        assert_eq!(key.open(&note).unwrap().size, 7);
        assert!(other.verifier().open(&note).is_err());
        let forged = note.replacen("\n7\n", "\n8\n", 1);
        assert_eq!(key.open(&forged), Err(NoteError::Forged("log.example".into())));
    }

    #[test]
    fn a_published_signed_note_of_another_implementation_opens() {
        // Go's golang.org/x/mod/sumdb/note, from its package documentation.
        let key =
            Verifier::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
        let note = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n\n\
                    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        // The signature is right; the text is no checkpoint.
        assert!(matches!(key.open(note), Err(NoteError::Malformed(_))));
    }
}
