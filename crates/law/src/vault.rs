//! Sealed data at rest: encrypted bodies under keyed index tokens, so that a copy of the database names nobody.
//!
//! A record is stored under one token per *slot* it can be asked for by (an address, an access server). Computing a
//! token needs the vault's key *and* a permit, so even "is there anything about this address" is a lawful question or
//! none. ChaCha20-Poly1305 (RFC 8439) with random nonces for bodies, HMAC-SHA256 (RFC 2104) for tokens and ids.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::{aead, hkdf, hmac, rand::SecureRandom as _};
use serde::{Serialize, de::DeserializeOwned};

use crate::evidence::{Ledger, LedgerError};
use crate::gate::Permit;
use crate::purpose::{Purpose, SessionKeeping};
use crate::sealed::{Lawful, Sealed};

/// Bytes of the vault's root key.
pub const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = aead::NONCE_LEN;

/// What the vault can hold.
pub trait Lockable: Serialize + DeserializeOwned {
    /// Names the type in tokens and as associated data, so that rows of one kind cannot pass for another.
    const KIND: &'static str;
    /// What the record can be asked for by: addresses, prefixes, access servers.
    fn slots(&self) -> Vec<String>;
    /// The time by which rows are ranged, kept in the clear.
    fn at(&self) -> Timestamp;
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Keyed hash of the content: the same record twice has the same id.
    pub id: String,
    /// Index tokens.
    pub slots: Vec<String>,
    /// When, for ranging.
    pub at: Timestamp,
    /// Nonce and ciphertext.
    pub body: Vec<u8>,
}

/// What can go wrong with data at rest.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The look could not be recorded, so it did not happen.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A row does not decrypt: wrong key, or tampered with.
    #[error("sealed row {id} does not decrypt: wrong key, or changed in the store")]
    Corrupt {
        /// The row's id.
        id: String,
    },
    /// The permit has ended.
    #[error("the permit has expired; ask again")]
    Expired,
    /// The record could not be put into its stored form.
    #[error("the record cannot be put at rest")]
    Unwritable,
    /// No randomness from the system.
    #[error("the system gave no randomness")]
    Random,
}

/// The keys under which sealed data rests.
pub struct Vault {
    body: aead::LessSafeKey,
    index: hmac::Key,
    pub(crate) wrapping: aead::LessSafeKey,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(‹redacted›)")
    }
}

impl Vault {
    /// Derives the body and index keys from a root key (HKDF-SHA256, RFC 5869).
    pub fn new(root: &[u8; KEY_BYTES]) -> Self {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"noroshi vault v1").extract(root);
        let body: aead::UnboundKey = expand(&prk, b"body", &aead::CHACHA20_POLY1305);
        let index: hmac::Key = expand(&prk, b"index", hmac::HMAC_SHA256);
        let wrapping: aead::UnboundKey = expand(&prk, b"shelf keys", &aead::AES_256_GCM);
        Self { body: aead::LessSafeKey::new(body), index, wrapping: aead::LessSafeKey::new(wrapping) }
    }

    /// Puts a sealed record at rest. Keeping is a use of its own and needs its permit.
    pub fn lock<T: Lockable>(
        &self,
        record: &Sealed<T>,
        _permit: &Permit<SessionKeeping>,
    ) -> Result<Locked, VaultError> {
        self.encrypt(record.under_seal(), SessionKeeping::MEASURE)
    }

    /// Puts something derived under a permit (for whom a mail is) at rest again; it stays bound to its purpose
    /// because only a permit of the same purpose will be asked to open it.
    pub fn shelve<T: Lockable, P: Purpose>(&self, value: &Lawful<T, P>) -> Result<Locked, VaultError> {
        self.encrypt(value.read(), P::MEASURE)
    }

    /// The token under which records about `slot` are stored; needs a permit because asking is already using.
    pub fn slot<T: Lockable, P: Purpose>(&self, slot: &str, _permit: &Permit<P>) -> String {
        self.token(T::KIND, "slot", slot.as_bytes())
    }

    /// Opens rows for the permit's purpose: one evidence entry for the look, durable before anything is decrypted.
    /// `subject` is what was asked about, given in the clear; it is kept as a keyed hash only.
    pub fn open<T: Lockable, P: Purpose>(
        &self,
        rows: &[Locked],
        subject: &str,
        permit: &Permit<P>,
        now: Timestamp,
        ledger: &mut dyn Ledger,
    ) -> Result<Lawful<Vec<T>, P>, VaultError> {
        if !permit.in_force(now) {
            return Err(VaultError::Expired);
        }
        ledger.append(permit.opening(&self.subject(subject), rows.len() as u64, now))?;
        let opened = rows.iter().map(|row| self.decrypt(row)).collect::<Result<Vec<T>, _>>()?;
        Ok(Lawful::granted(opened))
    }

    /// Opens one sealed value that was never at rest here (a directory entry), recording a keyed hash of `subject`.
    pub fn open_one<T, P: Purpose>(
        &self,
        value: Sealed<T>,
        subject: &str,
        permit: &Permit<P>,
        now: Timestamp,
        ledger: &mut dyn Ledger,
    ) -> Result<Lawful<T, P>, VaultError> {
        if !permit.in_force(now) {
            return Err(VaultError::Expired);
        }
        Ok(value.open(permit, &self.subject(subject), now, ledger)?)
    }

    /// Opens many, each with the subject that its entry names: one entry for every look, all of them durable, together,
    /// before the first is opened.
    pub fn open_all<T, P: Purpose>(
        &self,
        values: Vec<(Sealed<T>, String)>,
        permit: &Permit<P>,
        now: Timestamp,
        ledger: &mut dyn Ledger,
    ) -> Result<Vec<Lawful<T, P>>, VaultError> {
        if !permit.in_force(now) {
            return Err(VaultError::Expired);
        }
        let entries: Vec<_> =
            values.iter().map(|(_, subject)| permit.opening(&self.subject(subject), 1, now)).collect();
        let written = ledger.append_all(&entries)?;
        // What has no entry stays closed.
        Ok(written.iter().zip(values).map(|(_, (value, _))| value.recorded()).collect())
    }

    /// The keyed hash under which evidence entries name a subject; an auditor with the key can look one up.
    pub fn subject(&self, subject: &str) -> String {
        self.token("evidence", "subject", subject.as_bytes())
    }

    fn encrypt<T: Lockable>(&self, record: &T, measure: &str) -> Result<Locked, VaultError> {
        let mut body = serde_json::to_vec(record).map_err(|_| VaultError::Unwritable)?;
        let id = self.token(T::KIND, measure, &body);
        let mut nonce = [0; NONCE_BYTES];
        ring::rand::SystemRandom::new().fill(&mut nonce).map_err(|_| VaultError::Random)?;
        self.body
            .seal_in_place_append_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                aead::Aad::from(id.as_bytes()),
                &mut body,
            )
            .map_err(|_| VaultError::Unwritable)?;
        let slots = record.slots().iter().map(|slot| self.token(T::KIND, "slot", slot.as_bytes())).collect();
        let mut framed = nonce.to_vec();
        framed.append(&mut body);
        Ok(Locked { id, slots, at: record.at(), body: framed })
    }

    pub(crate) fn decrypt<T: Lockable>(&self, row: &Locked) -> Result<T, VaultError> {
        let corrupt = |id: &str| VaultError::Corrupt { id: id.to_owned() };
        if row.body.len() < NONCE_BYTES {
            return Err(corrupt(&row.id));
        }
        let (nonce, sealed) = row.body.split_at(NONCE_BYTES);
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| corrupt(&row.id))?;
        let mut sealed = sealed.to_vec();
        let plain = self
            .body
            .open_in_place(nonce, aead::Aad::from(row.id.as_bytes()), &mut sealed)
            .map_err(|_| corrupt(&row.id))?;
        serde_json::from_slice(plain).map_err(|_| corrupt(&row.id))
    }

    pub(crate) fn token(&self, kind: &str, part: &str, content: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.index);
        for piece in [kind.as_bytes(), part.as_bytes(), content] {
            context.update(&(piece.len() as u64).to_be_bytes());
            context.update(piece);
        }
        URL_SAFE_NO_PAD.encode(&context.sign().as_ref()[..16])
    }
}

/// Expands one subkey; the lengths are those of the algorithms, which HKDF-SHA256 can always give.
fn expand<L: hkdf::KeyType, K: for<'a> From<hkdf::Okm<'a, L>>>(prk: &hkdf::Prk, info: &[u8], len: L) -> K {
    match prk.expand(&[info], len) {
        Ok(okm) => okm.into(),
        Err(_) => unreachable!("HKDF-SHA256 gives up to 8,160 bytes"),
    }
}
