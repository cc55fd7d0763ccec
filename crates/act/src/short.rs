//! The short message, and the telephone number it goes to: who writes, what it is about, and a code to be typed on a page the
//! reader opens by themselves. No link: a message with a link is what imitators send.

use std::fmt;

use noroshi_law::{Lawful, NoticePurpose};
use noroshi_model::{Subscriber, code};
use serde::Serialize;

use crate::notice::{Facts, NoticeError};

/// Fewest and most digits of a telephone number (ITU-T E.164 allows 15).
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// A short message. Never stored; prints redacted.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Short {
    /// The number, digits only but for a `+` in front.
    pub to: String,
    /// What it says.
    pub text: String,
    /// In which language.
    pub language: String,
    /// The case's reference.
    pub reference: String,
}

impl fmt::Debug for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Short(‹redacted›)")
    }
}

/// A telephone number without what people write between its digits; `None` where it is none.
pub fn phone(written: &str) -> Option<String> {
    let mut number = String::new();
    for c in written.trim().chars() {
        match c {
            '+' if number.is_empty() => number.push('+'),
            '0'..='9' => number.push(c),
            // Digits as Japanese forms have them.
            '\u{ff10}'..='\u{ff19}' => number.push(char::from(b'0' + (c as u32 - 0xff10) as u8)),
            ' ' | '-' | '(' | ')' | '.' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}' | '\u{3000}' => {}
            _ => return None,
        }
    }
    DIGITS.contains(&number.trim_start_matches('+').len()).then_some(number)
}

/// What is said in few words, on the telephone too.
pub fn words(to: &Subscriber, facts: &Facts<'_>) -> String {
    let (number, code) = (facts.case.reference(), code::code(facts.case));
    let page = facts.operator.page.as_deref().unwrap_or(facts.portal);
    let values = [
        ("operator", facts.operator.name.as_str()),
        ("desk", facts.operator.desk.as_str()),
        ("number", number.as_str()),
        ("page", page),
        ("code", code.as_str()),
    ];
    facts.texts.say(to.lang, "short", &values)
}

/// Writes the message.
pub fn compose<P: NoticePurpose>(
    to: Lawful<Subscriber, P>,
    facts: &Facts<'_>,
) -> Result<Lawful<Short, P>, NoticeError> {
    let short = to.and_then(|to| {
        let number = phone(to.phone.as_deref()?)?;
        let (language, reference) = (to.lang.tag().to_owned(), facts.case.reference());
        Some(Short { to: number, text: words(&to, facts), language, reference })
    });
    short.ok_or(NoticeError::Address("telephone"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (written, number) in [
            ("090-1234-5678", Some("09012345678")),
            ("+81 (90) 1234.5678", Some("+819012345678")),
            ("０９０－１２３４－５６７８", Some("09012345678")),
            ("1234567", None),
            ("1234567890123456", None),
            ("090-1234-5678 ext. 3", None),
            ("8190+12345678", None),
            ("", None),
        ] {
            assert_eq!(phone(written).as_deref(), number, "{written}");
        }
    }
}
