//! How values are written on a page: times, counts, and text from outside, which may be hostile.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};

/// Most characters of a text from outside that are shown; the JSON twin has all of it.
pub(crate) const SHOWN_CHARS_MAX: usize = 300;

/// A time as people read it: `2026-11-22 21:03 JST`.
pub(crate) fn jst(at: &Timestamp) -> String {
    at.to_zoned(TimeZone::fixed(offset(9))).strftime("%Y-%m-%d %H:%M JST").to_string()
}

/// A count with its thousands apart: `1,204,112`.
pub(crate) fn count(number: &u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Seconds that may be negative: `−3,612 s`.
pub(crate) fn seconds(number: &i64) -> String {
    format!("{}{} s", if *number < 0 { "−" } else { "" }, count(&number.unsigned_abs()))
}

/// A share in percent with one decimal; `–` of nothing.
pub(crate) fn share(part: &u64, whole: &u64) -> String {
    if *whole == 0 { "–".into() } else { format!("{:.1} %", *part as f64 * 100.0 / *whole as f64) }
}

/// The 95 % interval of a share: `56.3 to 74.5 %`.
pub(crate) fn between(part: &u64, whole: &u64) -> String {
    let interval = noroshi_model::outcome::interval(*part, *whole);
    interval.map_or_else(String::new, |(low, high)| format!("{:.1} to {:.1} %", low * 100.0, high * 100.0))
}

/// Text from outside: no longer than is read, and every character that would hide, move or turn others is
/// shown as what it is. Escaping for HTML comes after, in the template.
pub(crate) fn visible(text: &str) -> String {
    let mut out: String = text.chars().take(SHOWN_CHARS_MAX).map(Seen).map(|c| c.to_string()).collect();
    let left = text.chars().skip(SHOWN_CHARS_MAX).count();
    if left > 0 {
        let _infallible = write!(out, "… ({} more characters)", count(&(left as u64)));
    }
    out
}

/// The same for documents, which are never cut.
pub(crate) fn whole(text: &str) -> String {
    text.chars().map(|c| Seen(c).to_string()).collect()
}

struct Seen(char);

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            '\t' => f.write_str("‹TAB›"),
            '\n' => f.write_str("‹LF›"),
            '\r' => f.write_str("‹CR›"),
            c if c.is_control() || hides(c) => write!(f, "‹U+{:04X}›", c as u32),
            c => f.write_char(c),
        }
    }
}

/// The format characters of Unicode that have no looks of their own: bidirectional controls,
/// zero-width characters, soft hyphens, tags.
fn hides(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text as one segment of a path: all but unreserved characters (RFC 3986 section 2.3) percent-encoded.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The value of a name in a query, undecoded: everything asked for by ours is plain.
pub(crate) fn query_value<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let mut members = query?.split('&').filter_map(|member| member.split_once('='));
    members.find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        let shown: Vec<String> = [0, 999, 1000, 1_204_112].iter().map(count).collect();
        assert_eq!(shown, ["0", "999", "1,000", "1,204,112"]);
    }

    #[test]
    fn a_time_is_told_in_japan() {
        assert_eq!(jst(&"2026-11-22T12:03:59Z".parse().unwrap()), "2026-11-22 21:03 JST");
    }

    #[test]
    fn what_would_hide_is_shown_and_what_is_long_is_cut() {
        assert_eq!(visible("a\0b\u{202e}c\u{7f}\n狼煙"), "a‹U+0000›b‹U+202E›c‹U+007F›‹LF›狼煙");
        let long = visible(&"x".repeat(10_000));
        assert!(long.ends_with("x… (9,700 more characters)") && long.len() < 400);
    }

    #[test]
    fn a_segment_cannot_leave_its_place() {
        assert_eq!(segment("../a b?#狼"), "..%2Fa%20b%3F%23%E7%8B%BC");
    }

    #[test]
    fn a_share_of_nothing_is_no_number() {
        assert_eq!((share(&4, &10), share(&0, &0)), ("40.0 %".into(), "–".into()));
    }
}
