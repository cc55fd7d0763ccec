//! The unforgeable link of a notice: a random id, an expiry and a MAC, nothing about the person.
//!
//! `ID.EXPIRY.MAC`, where ID is 128 random bits, EXPIRY is seconds since 1970 in hexadecimal and MAC is
//! HMAC-SHA256 (RFC 2104) over both. Opening a link consumes nothing, because
//! mail scanners open links too.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::hmac;

use crate::id::Id;

/// How long a notice's link opens the page.
pub const LINK_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Longest link token looked at.
pub const TOKEN_BYTES_MAX: usize = 96;

/// Makes and checks tokens.
pub struct LinkKey(hmac::Key);

impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkKey(‹redacted›)")
    }
}

/// Why a token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not one of ours, or changed.
    #[error("this link is not one of ours")]
    Forged,
    /// Ours, and too old.
    #[error("this link has expired")]
    Expired,
}

impl LinkKey {
    /// A key of 32 secret bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The token for a case until `expires`.
    pub fn token(&self, case: &Id, expires: Timestamp) -> String {
        let signed = format!("{case}.{:x}", expires.as_second().max(0));
        let mac = URL_SAFE_NO_PAD.encode(self.mac(&signed));
        format!("{signed}.{mac}")
    }

    /// The case a token opens at `now`. Tells nothing about why a forged one is wrong.
    pub fn open(&self, token: &str, now: Timestamp) -> Result<Id, LinkError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(LinkError::Forged);
        }
        let (signed, mac) = token.rsplit_once('.').ok_or(LinkError::Forged)?;
        let (case, expires) = signed.split_once('.').ok_or(LinkError::Forged)?;
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| LinkError::Forged)?;
        hmac::verify(&self.0, signed.as_bytes(), &mac).map_err(|_| LinkError::Forged)?;
        let case = Id::parse(case).ok_or(LinkError::Forged)?;
        let expires = i64::from_str_radix(expires, 16).map_err(|_| LinkError::Forged)?;
        if now.as_second() >= expires { Err(LinkError::Expired) } else { Ok(case) }
    }

    /// Until when a token opens; `None` where it is not of the form. Says nothing about whether it is genuine.
    pub fn until(&self, token: &str) -> Option<Timestamp> {
        let expires = token.split('.').nth(1)?;
        Timestamp::from_second(i64::from_str_radix(expires, 16).ok()?).ok()
    }

    /// A MAC over any text of another use, e.g. a form or a session; `usage` keeps the uses apart.
    pub fn seal(&self, usage: &str, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.sealed(usage, text))
    }

    /// The same as bytes.
    pub(crate) fn sealed(&self, usage: &str, text: &str) -> Vec<u8> {
        self.mac(&format!("{usage}\0{text}")).as_ref().to_vec()
    }

    fn mac(&self, signed: &str) -> hmac::Tag {
        hmac::sign(&self.0, signed.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_token_opens_its_case_until_it_expires() {
        let key = LinkKey::new(&[7; 32]);
        let case = Id::of("case", &[b"1"]);
        let token = key.token(&case, at(2_000_000_000));
        assert!(token.len() <= TOKEN_BYTES_MAX);
        assert_eq!(key.open(&token, at(1_999_999_999)), Ok(case));
        assert_eq!(key.open(&token, at(2_000_000_000)), Err(LinkError::Expired));
        assert_eq!(LinkKey::new(&[8; 32]).open(&token, at(0)), Err(LinkError::Forged));
    }

    #[test]
    fn no_token_with_one_character_changed_opens_anything() {
        let key = LinkKey::new(&[7; 32]);
        let token = key.token(&Id::of("case", &[b"1"]), at(2_000_000_000));
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
        let mut tried = 0;
        for place in 0..token.len() {
            for other in alphabet.chars().filter(|c| token.as_bytes()[place] != *c as u8) {
                let mut changed = token.clone();
                changed.replace_range(place..=place, &other.to_string());
                assert_eq!(key.open(&changed, at(0)), Err(LinkError::Forged), "{changed}");
                tried += 1;
            }
        }
        assert!(tried > 3000);
    }

    /// A number that looks random, the same each time.
    fn dice(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    /// `NOROSHI_TEST_LINKS` tries more.
    #[test]
    fn no_forged_or_altered_link_opens_anything() {
        let tries = std::env::var("NOROSHI_TEST_LINKS").map_or(200_000, |n| n.parse().unwrap());
        let (key, now) = (LinkKey::new(&[7; 32]), at(1_999_999_999));
        let token =
            |n: u64| key.token(&Id::of("case", &[&n.to_be_bytes()]), at(2_000_000_000 + (n % 1000) as i64));
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
        let (mut state, mut opened) = (1, 0);
        for n in 0..tries {
            let real = token(n % 5000);
            let mut forged = real.clone().into_bytes();
            let place = dice(&mut state) as usize % forged.len();
            let letter = alphabet[dice(&mut state) as usize % alphabet.len()];
            match n % 8 {
                // A letter changed, two exchanged, left out, put in.
                0 => forged[place] = letter,
                1 => forged.swap(place, dice(&mut state) as usize % real.len()),
                2 => drop(forged.remove(place)),
                3 => forged.insert(place, letter),
                // Cut off, doubled, with a random MAC, with the MAC of another case.
                4 => forged.truncate(place),
                5 => forged.extend_from_slice(real.as_bytes()),
                6 => forged[44..].fill_with(|| alphabet[dice(&mut state) as usize % 64]),
                _ => {
                    let other = token((n + 1) % 5000);
                    let dot = |text: &str| text.rfind('.').unwrap();
                    forged = format!("{}{}", &real[..dot(&real)], &other[dot(&other)..]).into_bytes();
                }
            }
            let forged = String::from_utf8(forged).unwrap();
            opened += u64::from(forged != real && key.open(&forged, now).is_ok());
        }
        assert_eq!(opened, 0, "of {tries}");
    }

    proptest! {
        #[test]
        fn noise_opens_nothing(noise in ".{0,120}") {
            prop_assert_eq!(LinkKey::new(&[7; 32]).open(&noise, at(0)), Err(LinkError::Forged));
        }
    }
}
