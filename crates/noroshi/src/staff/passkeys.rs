//! Passkeys: the ceremonies of WebAuthn (Level 3, sections 7.1 and 7.2), by a library that checks every step of them; here is what
//! it is asked, and what is kept of its answers.
//!
//! A ceremony that was begun lives in memory for five minutes, and the answer takes it out: it counts once. The authenticator
//! itself verifies the person (finger, face or PIN), so that a passkey is two factors, and the name of the console is part of what
//! it signs, so that no other site can ask for it.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, bail};
use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use noroshi_model::{Id, Person};
use noroshi_portal::DeskError;
use noroshi_store::staff::Passkey;
use webauthn_rp::bin::{Decode as _, Encode as _};
use webauthn_rp::request::auth::{AuthenticationVerificationOptions, DiscoverableCredentialRequestOptions};
use webauthn_rp::request::register::{
    CredProtect, PublicKeyCredentialCreationOptions, PublicKeyCredentialUserEntity,
    RegistrationVerificationOptions, UserHandle16,
};
use webauthn_rp::request::{
    AsciiDomain, ExtensionInfo, FixedCapHashSet, InsertResult, PublicKeyCredentialDescriptor, RpId,
};
use webauthn_rp::response::auth::DiscoverableAuthentication16;
use webauthn_rp::response::register::{CompressedPubKey, DynamicState, StaticState};
use webauthn_rp::response::{AuthTransports, CredentialId};
use webauthn_rp::{
    AuthenticatedCredential, DiscoverableAuthenticationServerState, Registration, RegistrationServerState,
};

/// Ceremonies that may be under way at a time, of each kind; whoever comes when all are is told to try again.
const CEREMONIES_MAX: usize = 256;

/// The console as a relying party.
pub struct Passkeys {
    rp: RpId,
    origin: String,
    made: Mutex<FixedCapHashSet<RegistrationServerState<16>>>,
    used: Mutex<FixedCapHashSet<DiscoverableAuthenticationServerState>>,
}

impl std::fmt::Debug for Passkeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Passkeys({})", self.origin)
    }
}

fn declined(what: &str, why: impl std::fmt::Display) -> DeskError {
    // Why exactly is for the operator's log; whoever tries learns that it did not work.
    tracing::warn!("{what}: {why}");
    DeskError::Declined(what.to_owned())
}

fn busy() -> DeskError {
    DeskError::Unavailable("too many people come in at the moment".into())
}

impl Passkeys {
    /// For a console that is reached at an origin, e.g. `https://console.example.jp` or `http://localhost:8481`. An address without
    /// a name cannot have passkeys.
    pub fn new(origin: &str) -> anyhow::Result<Self> {
        let host = origin.split_once("://").map_or(origin, |(_, rest)| rest);
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        if host.parse::<std::net::Ipv4Addr>().is_ok() || host.starts_with('[') {
            bail!("passkeys take an address with a name, not {origin}");
        }
        let domain = AsciiDomain::try_from(host.to_ascii_lowercase())
            .ok()
            .with_context(|| format!("{host} is no name that passkeys can be for"))?;
        Ok(Self {
            rp: RpId::Domain(domain),
            origin: origin.to_ascii_lowercase(),
            made: Mutex::new(FixedCapHashSet::new(CEREMONIES_MAX)),
            used: Mutex::new(FixedCapHashSet::new(CEREMONIES_MAX)),
        })
    }

    /// Begins to make a passkey for a person who has these already.
    pub fn begin_making(&self, person: &Person, known: &[Passkey]) -> Result<Vec<u8>, DeskError> {
        let failed = |why: &str| declined("a passkey cannot be made for this name", why);
        let handle = handle(&person.id).ok_or_else(|| failed("the id does not read"))?;
        // Names of accounts have no spaces (RFC 8265); what the device shows is the other.
        let account = person.name.replace(' ', ".");
        let user = PublicKeyCredentialUserEntity {
            name: account.as_str().try_into().map_err(|_| failed("not a name by RFC 8265"))?,
            id: &handle,
            display_name: person.name.as_str().try_into().ok(),
        };
        let known = known.iter().filter_map(descriptor).collect();
        let mut options = PublicKeyCredentialCreationOptions::passkey(&self.rp, user, known);
        // Asked for and not insisted on: many authenticators verify their person always, and know no such extension.
        options.extensions.cred_protect =
            CredProtect::UserVerificationRequired(ExtensionInfo::AllowDontEnforceValue);
        let (ours, theirs) = options.start_ceremony().map_err(|e| declined("no passkey can be made", e))?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        match made.insert_or_replace_all_expired(ours) {
            InsertResult::Success => serde_json::to_vec(&theirs).map_err(|_| busy()),
            _ => Err(busy()),
        }
    }

    /// The passkey that a browser made.
    pub fn made(&self, person: &Person, answer: &[u8], now: Timestamp) -> Result<Passkey, DeskError> {
        const FAILED: &str = "this passkey was not accepted";
        let answer = Registration::from_json_relaxed(answer).map_err(|e| declined(FAILED, e))?;
        let challenge = answer.challenge_relaxed().map_err(|e| declined(FAILED, e))?;
        let begun = self.made.lock().unwrap_or_else(PoisonError::into_inner).take(&challenge);
        let begun = begun.ok_or_else(|| declined("it took too long; begin again", "no such ceremony"))?;
        let origins = [self.origin.as_str()];
        let options = RegistrationVerificationOptions::<'_, '_, &str, &str> {
            allowed_origins: &origins,
            ..Default::default()
        };
        let made = begun.verify(&self.rp, &answer, &options).map_err(|e| declined(FAILED, e))?;
        // The ceremony is of whom it was begun for.
        if Some(*made.user_id()) != handle(&person.id) {
            return Err(declined(FAILED, "begun for somebody else"));
        }
        let Ok(fixed) = made.static_state().encode();
        let Ok(changing) = made.dynamic_state().encode();
        let Ok(transports) = made.transports().encode();
        Ok(Passkey {
            credential: BASE64URL_NOPAD.encode(made.id().as_ref()),
            staff: person.id.clone(),
            fixed,
            changing: changing.to_vec(),
            transports,
            added: now,
            used: None,
        })
    }

    /// Begins to come in by a passkey: whichever one the device has for this console.
    pub fn begin_using(&self) -> Result<Vec<u8>, DeskError> {
        let options = DiscoverableCredentialRequestOptions::passkey(&self.rp);
        let (ours, theirs) = options.start_ceremony().map_err(|e| declined("nobody can come in", e))?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        match used.insert_or_replace_all_expired(ours) {
            InsertResult::Success => serde_json::to_vec(&theirs).map_err(|_| busy()),
            _ => Err(busy()),
        }
    }

    /// The passkey that a browser used, as `kept` has it by its credential's id, and what is to be kept of it from now on.
    pub fn used(
        &self,
        answer: &[u8],
        kept: impl FnOnce(&str) -> Result<Option<Passkey>, DeskError>,
    ) -> Result<(Passkey, Vec<u8>), DeskError> {
        const FAILED: &str = "this passkey does not open the console";
        let answer =
            DiscoverableAuthentication16::from_json_relaxed(answer).map_err(|e| declined(FAILED, e))?;
        let challenge = answer.challenge_relaxed().map_err(|e| declined(FAILED, e))?;
        let begun = self.used.lock().unwrap_or_else(PoisonError::into_inner).take(&challenge);
        let begun = begun.ok_or_else(|| declined("it took too long; begin again", "no such ceremony"))?;
        let credential = BASE64URL_NOPAD.encode(answer.raw_id().as_ref());
        let passkey = kept(&credential)?.ok_or_else(|| declined(FAILED, "nobody's"))?;
        let owner = handle(&passkey.staff).ok_or_else(|| declined(FAILED, "the id does not read"))?;
        let mut known =
            known(&passkey, answer.raw_id(), &owner).ok_or_else(|| declined(FAILED, "not readable"))?;
        let origins = [self.origin.as_str()];
        let options = AuthenticationVerificationOptions::<'_, '_, &str, &str> {
            allowed_origins: &origins,
            ..Default::default()
        };
        begun.verify(&self.rp, &answer, &mut known, &options).map_err(|e| declined(FAILED, e))?;
        let Ok(changing) = known.dynamic_state().encode();
        Ok((passkey, changing.to_vec()))
    }
}

/// A kept passkey as the library wants it.
type Known<'a> = AuthenticatedCredential<'a, 'a, 16, CompressedPubKey<[u8; 32], [u8; 32], [u8; 48], Vec<u8>>>;

fn known<'a>(passkey: &Passkey, id: CredentialId<&'a [u8]>, owner: &'a UserHandle16) -> Option<Known<'a>> {
    let fixed = StaticState::decode(&passkey.fixed).ok()?;
    let changing = DynamicState::decode(passkey.changing.as_slice().try_into().ok()?).ok()?;
    AuthenticatedCredential::new(id, owner, fixed, changing).ok()
}

fn descriptor(passkey: &Passkey) -> Option<PublicKeyCredentialDescriptor<Vec<u8>>> {
    let id = BASE64URL_NOPAD.decode(passkey.credential.as_bytes()).ok()?;
    Some(PublicKeyCredentialDescriptor {
        id: CredentialId::decode(id).ok()?,
        transports: AuthTransports::decode(passkey.transports).ok()?,
    })
}

/// Somebody's id as the 16 bytes that a passkey carries.
fn handle(id: &Id) -> Option<UserHandle16> {
    let bytes = data_encoding::HEXLOWER.decode(id.as_str().as_bytes()).ok()?;
    let Ok(handle) = UserHandle16::decode(bytes.try_into().ok()?);
    Some(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_with_a_name_can_have_passkeys_and_one_without_cannot() {
        for good in ["http://localhost:8481", "https://console.example.jp", "https://Console.example.jp:8443"]
        {
            assert!(Passkeys::new(good).is_ok(), "{good}");
        }
        for bad in ["http://127.0.0.1:8481", "http://[::1]:8481", "https://"] {
            assert!(Passkeys::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_no_browser_made_is_declined() {
        let passkeys = Passkeys::new("http://localhost:1").unwrap();
        for bad in ["", "{}", "[]", "\0", &"[".repeat(100_000)] {
            assert!(
                matches!(passkeys.used(bad.as_bytes(), |_| Ok(None)), Err(DeskError::Declined(_))),
                "{bad:.20}"
            );
        }
    }

    #[test]
    fn ceremonies_are_bounded() {
        let passkeys = Passkeys::new("http://localhost:1").unwrap();
        let begun = (0..CEREMONIES_MAX * 4).take_while(|_| passkeys.begin_using().is_ok()).count();
        // A table has room for somewhat more than it was asked for.
        assert!((CEREMONIES_MAX..CEREMONIES_MAX * 2).contains(&begun), "{begun}");
        assert!(matches!(passkeys.begin_using(), Err(DeskError::Unavailable(_))));
    }
}
