//! The address to which a mail comes back if it cannot be delivered, one for each mail (VERP): `bounce+TOKEN@example.ne.jp`.
//!
//! TOKEN is the mail's key, its number in the case and a MAC over both, in base 32: mail servers may change the case of
//! letters. Who makes one up gets nothing believed, so nobody can have a subscriber's notices stopped from outside.

use data_encoding::BASE32_NOPAD;

use crate::id::Id;
use crate::link::LinkKey;

/// Bytes of the MAC in a token: a guess succeeds once in 2^64.
const MAC_BYTES: usize = 8;
/// Key of the mail, number, MAC.
const TOKEN_BYTES: usize = 16 + 1 + MAC_BYTES;
/// Longest local part of RFC 5321 section 4.5.3.1.1.
const LOCAL_BYTES_MAX: usize = 64;

/// Where mail comes back to: a mailbox that takes everything behind a delimiter (`recipient_delimiter` of Postfix).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnPath {
    local: String,
    domain: String,
    delimiter: char,
}

impl ReturnPath {
    /// Of the mailbox's address. `None` where it is no plain address, or has no room for a token.
    pub fn new(mailbox: &str, delimiter: char) -> Option<Self> {
        let (local, domain) = mailbox.rsplit_once('@')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._+=".contains(c);
        let token_chars = BASE32_NOPAD.encode_len(TOKEN_BYTES);
        let fits = !local.is_empty()
            && !domain.is_empty()
            && "+-=".contains(delimiter)
            && mailbox.chars().all(|c| plain(c) || c == '@')
            && !local.contains('@')
            && local.len() + 1 + token_chars <= LOCAL_BYTES_MAX;
        fits.then(|| Self { local: local.to_owned(), domain: domain.to_owned(), delimiter })
    }

    /// The return path of a mail; `None` for a number beyond 255.
    pub fn of(&self, key: &LinkKey, mail: &Id, number: u32) -> Option<String> {
        let number = u8::try_from(number).ok()?;
        let mut token = bytes(mail)?.to_vec();
        token.push(number);
        token.extend(mac(key, mail, number));
        let token = BASE32_NOPAD.encode(&token).to_ascii_lowercase();
        Some(format!("{}{}{token}@{}", self.local, self.delimiter, self.domain))
    }

    /// Which mail came back to this address: its key and number.
    pub fn open(&self, key: &LinkKey, address: &str) -> Option<(Id, u32)> {
        let (local, domain) = address.rsplit_once('@')?;
        let token = local.get(..self.local.len()).filter(|l| l.eq_ignore_ascii_case(&self.local))?;
        let token = local[token.len()..].strip_prefix(self.delimiter)?;
        if !domain.eq_ignore_ascii_case(&self.domain) {
            return None;
        }
        let token = BASE32_NOPAD.decode(token.to_ascii_uppercase().as_bytes()).ok()?;
        let (id, rest) = token.split_first_chunk::<16>()?;
        let (number, found) = rest.split_first()?;
        let id = Id::from_bytes(id);
        let right = mac(key, &id, *number);
        // All bytes are looked at whatever the first ones are.
        let differ = right.iter().zip(found).fold(0, |seen, (a, b)| seen | (a ^ b));
        (found.len() == MAC_BYTES && differ == 0).then(|| (id, u32::from(*number)))
    }
}

fn bytes(id: &Id) -> Option<[u8; 16]> {
    data_encoding::HEXLOWER.decode(id.as_str().as_bytes()).ok()?.try_into().ok()
}

fn mac(key: &LinkKey, mail: &Id, number: u8) -> [u8; MAC_BYTES] {
    let mut mac = [0; MAC_BYTES];
    mac.copy_from_slice(&key.sealed("return-path", &format!("{mail}.{number}"))[..MAC_BYTES]);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_path_opens_its_mail_in_any_case_and_nothing_else_does() {
        let (key, path) = (LinkKey::new(&[7; 32]), ReturnPath::new("bounce@example.ne.jp", '+').unwrap());
        let mail = Id::of("mail", &[b"1"]);
        let address = path.of(&key, &mail, 2).unwrap();
        assert_eq!(path.open(&key, &address), Some((mail.clone(), 2)));
        assert_eq!(path.open(&key, &address.to_ascii_uppercase()), Some((mail.clone(), 2)));
        assert!(address.split_once('@').unwrap().0.len() <= LOCAL_BYTES_MAX, "{address}");
        assert_eq!(path.open(&LinkKey::new(&[8; 32]), &address), None);
        let (mut tried, alphabet) = (0, "abcdefghijklmnopqrstuvwxyz234567");
        for place in "bounce+".len()..address.find('@').unwrap() {
            for other in alphabet.chars().filter(|c| address.as_bytes()[place] != *c as u8) {
                let mut changed = address.clone();
                changed.replace_range(place..=place, &other.to_string());
                assert_eq!(path.open(&key, &changed), None, "{changed}");
                tried += 1;
            }
        }
        assert_eq!(tried, 40 * 31);
        for other in [
            "bounce@example.ne.jp",
            "bounce+@example.ne.jp",
            "bounce+aa@example.ne.jp",
            "é+aa@example.ne.jp",
            "",
            "@",
        ] {
            assert_eq!(path.open(&key, other), None, "{other}");
        }
        assert_eq!(path.of(&key, &mail, 256), None);
    }

    #[test]
    fn a_mailbox_that_cannot_be_one_is_refused() {
        for (mailbox, delimiter) in [
            ("bounce", '+'),
            ("@x", '+'),
            ("a b@x", '+'),
            ("a@x", 'a'),
            ("this-is-far-too-long-for-it@x", '+'),
        ] {
            assert_eq!(ReturnPath::new(mailbox, delimiter), None, "{mailbox}");
        }
    }
}
