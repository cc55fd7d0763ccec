//! Keys that end: what is kept together until one day is sealed under one key of its own, and destroying that key is how
//! it is deleted, wherever copies of the bytes may lie.
//!
//! ```text
//!   vault's root key ──wraps──▶ shelf key (random, one per day) ──HKDF, salt of the file──▶ file key
//!                                                                                             │
//!                                file: salt, chunk 0, chunk 1, …  ◀──AES-256-GCM, chunk number─┘
//! ```
//!
//! A file key is used for one file and its chunks are numbered, so no nonce is used twice; the number and whether a chunk
//! is the last are authenticated, so chunks can be neither moved nor left out. AES-256-GCM (NIST SP 800-38D), because
//! whole days are read at once and processors have instructions for it.

use std::fmt;

use ring::{aead, hkdf, rand::SecureRandom as _};

use crate::vault::{Vault, VaultError};

/// Bytes of a shelf key when wrapped: nonce, key, tag.
pub const WRAPPED_BYTES: usize = aead::NONCE_LEN + 32 + 16;
/// Bytes of the salt that a file begins with.
pub const SALT_BYTES: usize = 32;
/// Bytes that sealing adds to a chunk.
pub const TAG_BYTES: usize = 16;

/// The key of a shelf. Prints nothing of itself.
pub struct ShelfKey {
    prk: hkdf::Prk,
}

/// The key of one file on a shelf.
pub struct FileKey {
    key: aead::LessSafeKey,
}

impl fmt::Debug for ShelfKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShelfKey(‹redacted›)")
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(‹redacted›)")
    }
}

impl Vault {
    /// Makes the key of a new shelf, and its wrapped form to be kept. `name` must be said again to unwrap it.
    pub fn new_shelf(&self, name: &str) -> Result<(ShelfKey, Vec<u8>), VaultError> {
        let mut key = [0; 32];
        let mut nonce = [0; aead::NONCE_LEN];
        let random = ring::rand::SystemRandom::new();
        random.fill(&mut key).and_then(|()| random.fill(&mut nonce)).map_err(|_| VaultError::Random)?;
        let mut body = key.to_vec();
        self.wrapping
            .seal_in_place_append_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                aead::Aad::from(name.as_bytes()),
                &mut body,
            )
            .map_err(|_| VaultError::Unwritable)?;
        let mut wrapped = nonce.to_vec();
        wrapped.append(&mut body);
        Ok((ShelfKey::new(&key), wrapped))
    }

    /// The key of the shelf of that name.
    pub fn shelf(&self, name: &str, wrapped: &[u8]) -> Result<ShelfKey, VaultError> {
        let corrupt = || VaultError::Corrupt { id: name.to_owned() };
        if wrapped.len() != WRAPPED_BYTES {
            return Err(corrupt());
        }
        let (nonce, body) = wrapped.split_at(aead::NONCE_LEN);
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| corrupt())?;
        let mut body = body.to_vec();
        let key = self
            .wrapping
            .open_in_place(nonce, aead::Aad::from(name.as_bytes()), &mut body)
            .map_err(|_| corrupt())?;
        Ok(ShelfKey::new(key))
    }
}

impl ShelfKey {
    fn new(key: &[u8]) -> Self {
        Self { prk: hkdf::Salt::new(hkdf::HKDF_SHA256, b"noroshi shelf v1").extract(key) }
    }

    /// The key of a new file, and the salt that the file must begin with.
    pub fn new_file(&self, kind: &str) -> Result<(FileKey, [u8; SALT_BYTES]), VaultError> {
        let mut salt = [0; SALT_BYTES];
        ring::rand::SystemRandom::new().fill(&mut salt).map_err(|_| VaultError::Random)?;
        Ok((self.file(kind, &salt), salt))
    }

    /// The key of the file of that kind that begins with this salt.
    pub fn file(&self, kind: &str, salt: &[u8; SALT_BYTES]) -> FileKey {
        let info = [salt.as_slice(), kind.as_bytes()];
        let key: aead::UnboundKey = match self.prk.expand(&info, &aead::AES_256_GCM) {
            Ok(okm) => okm.into(),
            Err(_) => unreachable!("HKDF-SHA256 gives up to 8,160 bytes"),
        };
        FileKey { key: aead::LessSafeKey::new(key) }
    }
}

impl FileKey {
    /// Seals chunk `number` of the file in place; [`TAG_BYTES`] are appended. Each number once.
    pub fn seal(&self, number: u64, last: bool, chunk: &mut Vec<u8>) -> Result<(), VaultError> {
        self.key
            .seal_in_place_append_tag(nonce(number), aead::Aad::from([u8::from(last)]), chunk)
            .map_err(|_| VaultError::Unwritable)
    }

    /// Opens chunk `number` in place and says how many bytes it has.
    pub fn open(&self, number: u64, last: bool, chunk: &mut [u8]) -> Result<usize, VaultError> {
        self.key
            .open_in_place(nonce(number), aead::Aad::from([u8::from(last)]), chunk)
            .map(|plain| plain.len())
            .map_err(|_| VaultError::Corrupt { id: format!("chunk {number}") })
    }
}

fn nonce(number: u64) -> aead::Nonce {
    let mut bytes = [0; aead::NONCE_LEN];
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    aead::Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_opens_in_its_place_and_under_its_shelf_only() {
        let vault = Vault::new(&[7; 32]);
        let (shelf, wrapped) = vault.new_shelf("2026-11-25").unwrap();
        let (file, salt) = shelf.new_file("segment").unwrap();
        let mut chunk = b"who held what".to_vec();
        file.seal(3, false, &mut chunk).unwrap();
        assert_eq!(chunk.len(), 13 + TAG_BYTES);

        let again = vault.shelf("2026-11-25", &wrapped).unwrap().file("segment", &salt);
        let open = |file: &FileKey, number, last| {
            let mut chunk = chunk.clone();
            file.open(number, last, &mut chunk).map(|length| chunk[..length].to_vec())
        };
        assert_eq!(open(&again, 3, false).unwrap(), b"who held what");
        assert!(open(&again, 4, false).is_err());
        assert!(open(&again, 3, true).is_err());
        assert!(open(&shelf.file("open", &salt), 3, false).is_err());
        assert!(vault.shelf("2026-11-26", &wrapped).is_err());
        assert!(Vault::new(&[8; 32]).shelf("2026-11-25", &wrapped).is_err());
        assert!(vault.shelf("2026-11-25", &wrapped[1..]).is_err());
    }
}
