//! The code in a notice that opens its page without the link: typed on the ISP's own top page by who, rightly, does not follow
//! links in mails. `7ZQK-M2RX-0WT4-HB9C`
//!
//! Crockford's base 32 of the first 80 bits of the case's random id. Of these 32 are the reference told on the telephone; the
//! other 48 are told to nobody, and every guess costs a request.

use crate::id::Id;

/// Crockford's digits: no I, L, O, U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Bytes of the id that a code stands for.
const BYTES: usize = 10;
/// Characters of a code without its hyphens.
pub const CODE_CHARS: usize = BYTES * 8 / 5;
/// Longest text that is looked at.
const TYPED_CHARS_MAX: usize = 64;

/// The code of a case.
pub fn code(case: &Id) -> String {
    let bytes = data_encoding::HEXLOWER.decode(case.as_str().as_bytes()).unwrap_or_default();
    let mut number = bytes.iter().take(BYTES).fold(0u128, |number, byte| number << 8 | u128::from(*byte));
    let mut digits = [0; CODE_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(number & 31) as usize];
        number >>= 5;
    }
    let groups: Vec<String> =
        digits.chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    groups.join("-")
}

/// The beginning of the id that a typed code stands for, as hexadecimal digits. Case, hyphens, spaces and wide letters do not
/// matter, and what looks like a digit is one.
pub fn id_prefix(typed: &str) -> Option<String> {
    let (mut number, mut digits) = (0u128, 0);
    for c in typed.chars().take(TYPED_CHARS_MAX) {
        // As a Japanese keyboard may write it.
        let c = match c {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0)?,
            other => other,
        };
        let c = match c.to_ascii_uppercase() {
            '-' | ' ' | '\u{3000}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | 'ー' | '\t' => continue,
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        };
        let digit = DIGITS.iter().position(|digit| char::from(*digit) == c)?;
        number = number << 5 | digit as u128;
        digits += 1;
        if digits > CODE_CHARS {
            return None;
        }
    }
    (digits == CODE_CHARS).then(|| format!("{number:020x}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let id = Id::parse("60725dc4250f9cf0827273923abac494").unwrap();
        let code = code(&id);
        assert_eq!((code.len(), code.split('-').count()), (19, 4));
        let wide: String = code.chars().map(|c| char::from_u32(c as u32 + 0xfee0).unwrap()).collect();
        for typed in [&code, &code.to_lowercase(), &code.replace('-', " "), &wide, &format!("  {code} ")] {
            assert_eq!(id_prefix(typed).as_deref(), Some(&id.as_str()[..20]), "{typed}");
        }
        for typed in [
            "",
            "7ZQK-M2RX",
            &format!("{code}0"),
            "ÄÖÜß-ÄÖÜß-ÄÖÜß-ÄÖÜß",
            "U".repeat(16).as_str(),
            &"0".repeat(1000),
        ] {
            assert_eq!(id_prefix(typed), None, "{typed}");
        }
        assert_eq!(id_prefix("oooo-iiii-llll-0000"), id_prefix("0000-1111-1111-0000"));
    }

    proptest! {
        #[test]
        fn every_code_stands_for_its_id(bytes in any::<[u8; 16]>()) {
            let id = Id::from_bytes(&bytes);
            prop_assert_eq!(id_prefix(&code(&id)), Some(id.as_str()[..20].to_owned()));
        }

        #[test]
        fn nothing_typed_makes_it_panic(typed in ".{0,80}") {
            let _ = id_prefix(&typed);
        }
    }
}
