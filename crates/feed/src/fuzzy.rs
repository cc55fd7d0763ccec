//! Times as people and servers write them, read the way IntelMQ's users are used to: the parts are looked for wherever
//! they stand, and words between them are passed over. Only for formats where an operator leaves the shape of a time open;
//! everything else goes through [`convert`]. What is not written is never filled in: a text without a
//! day, a month and a year is no time.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;

use crate::convert;

/// Most bytes of a text that is searched for a time.
const TEXT_BYTES_MAX: usize = 128;

/// Reads a time; without a zone it is UTC. Of `01/02/2026` the first number is the month, unless it cannot be one.
pub fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    convert::time(text).or_else(|| Found::search(text)?.instant())
}

/// What was found so far.
#[derive(Default)]
struct Found {
    /// Numbers of the date in their order, with how many digits they have.
    numbers: Vec<(i16, usize)>,
    month: Option<i8>,
    clock: Option<Time>,
    offset: Option<i32>,
}

/// A run of characters of one kind.
#[derive(Clone, Copy, PartialEq)]
enum Token<'a> {
    Digits(&'a str),
    Word(&'a str),
    Mark(char),
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut list = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let same = |c: char| match first {
            _ if first.is_ascii_digit() => c.is_ascii_digit(),
            _ if first.is_alphabetic() => c.is_alphabetic(),
            _ => false,
        };
        let end = rest.find(|c| !same(c)).unwrap_or(rest.len()).max(first.len_utf8());
        let (run, after) = rest.split_at(end);
        list.push(match first {
            _ if first.is_ascii_digit() => Token::Digits(run),
            _ if first.is_alphabetic() => Token::Word(run),
            _ => Token::Mark(first),
        });
        rest = after;
    }
    list
}

impl Found {
    fn search(text: &str) -> Option<Self> {
        let tokens = tokens(text);
        let mut found = Self::default();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += match token {
                Token::Digits(digits) => found.digits(digits, &tokens[at..])?,
                Token::Word(word) => {
                    found.word(word)?;
                    1
                }
                Token::Mark(sign @ ('+' | '-')) if found.clock.is_some() && found.offset.is_none() => {
                    1 + found.zone(*sign, &tokens[at + 1..])
                }
                Token::Mark(_) => 1,
            };
        }
        Some(found)
    }

    /// Takes a number and what belongs to it; says how many tokens that were.
    fn digits(&mut self, digits: &str, tokens: &[Token<'_>]) -> Option<usize> {
        if let [_, Token::Mark(':'), Token::Digits(minute), rest @ ..] = tokens
            && self.clock.is_none()
            && digits.len() <= 2
        {
            return self.clock(digits, minute, rest).map(|used| used + 3);
        }
        match digits.len() {
            8 if self.numbers.is_empty() => self.packed_date(digits)?,
            12 | 14 if self.numbers.is_empty() && self.clock.is_none() => {
                let (date, clock) = digits.split_at(8);
                self.packed_date(date)?;
                let part = |from: usize| clock.get(from..from + 2).map_or(Some(0), |s| s.parse().ok());
                self.clock = Some(Time::new(part(0)?, part(2)?, part(4)?, 0).ok()?);
            }
            // Further numbers are no part of the date.
            1..=4 if self.numbers.len() + usize::from(self.month.is_some()) < 3 => {
                self.numbers.push((digits.parse().ok()?, digits.len()));
            }
            _ => {}
        }
        Some(1)
    }

    fn packed_date(&mut self, digits: &str) -> Option<()> {
        for (from, to) in [(0, 4), (4, 6), (6, 8)] {
            self.numbers.push((digits.get(from..to)?.parse().ok()?, to - from));
        }
        Some(())
    }

    fn clock(&mut self, hour: &str, minute: &str, rest: &[Token<'_>]) -> Option<usize> {
        let (mut second, mut nanos, mut used) = (0, 0, 0);
        if let [Token::Mark(':'), Token::Digits(digits), after @ ..] = rest {
            second = digits.parse().ok()?;
            used = 2;
            if let [Token::Mark('.' | ','), Token::Digits(fraction), ..] = after {
                nanos = format!("{fraction:0<9.9}").parse().ok()?;
                used = 4;
            }
        }
        self.clock = Some(Time::new(hour.parse().ok()?, minute.parse().ok()?, second, nanos).ok()?);
        Some(used)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        const MONTHS: [&str; 12] = [
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ];
        let word = word.to_lowercase();
        let month = MONTHS.iter().position(|name| {
            word.len() >= 3 && (name.starts_with(&word) || word == "sept" && *name == "september")
        });
        if let (Some(month), None) = (month, self.month) {
            self.month = i8::try_from(month + 1).ok();
        } else if matches!(word.as_str(), "z" | "utc" | "gmt") {
            self.offset.get_or_insert(0);
        } else if let ("am" | "pm", Some(clock)) = (word.as_str(), self.clock) {
            let hour = clock.hour() % 12 + if word == "pm" { 12 } else { 0 };
            self.clock =
                Some(Time::new(hour, clock.minute(), clock.second(), clock.subsec_nanosecond()).ok()?);
        }
        Some(())
    }

    /// An offset behind its sign; says how many tokens it has.
    fn zone(&mut self, sign: char, rest: &[Token<'_>]) -> usize {
        let (hours, minutes, used) = match rest {
            [Token::Digits(hours), Token::Mark(':'), Token::Digits(minutes), ..] if hours.len() <= 2 => {
                (*hours, *minutes, 3)
            }
            [Token::Digits(both), ..] if both.len() == 4 => (&both[..2], &both[2..], 1),
            [Token::Digits(hours), ..] if hours.len() <= 2 => (*hours, "0", 1),
            _ => return 0,
        };
        if let (Ok(hours), Ok(minutes)) = (hours.parse::<i32>(), minutes.parse::<i32>()) {
            let seconds = hours * 3600 + minutes * 60;
            self.offset = Some(if sign == '-' { -seconds } else { seconds });
        }
        used
    }

    fn instant(&self) -> Option<Timestamp> {
        let year = |(number, digits): (i16, usize)| match digits {
            4 => Some(number),
            1 | 2 => Some(if number < 69 { 2000 + number } else { 1900 + number }),
            _ => None,
        };
        let is_year = |(number, digits): (i16, usize)| digits > 2 || number > 31;
        let (y, m, d) = match (self.month, self.numbers.as_slice()) {
            (Some(month), [first, second]) if is_year(*first) => (*first, month, second.0),
            (Some(month), [first, second]) => (*second, month, first.0),
            (None, [first, second, third]) if is_year(*first) => (*first, second.0.try_into().ok()?, third.0),
            (None, [first, second, third]) if first.0 > 12 => (*third, second.0.try_into().ok()?, first.0),
            (None, [first, second, third]) => (*third, first.0.try_into().ok()?, second.0),
            _ => return None,
        };
        let date = Date::new(year(y)?, m, d.try_into().ok()?).ok()?;
        let offset = Offset::from_seconds(self.offset.unwrap_or(0)).ok()?;
        offset.to_timestamp(date.to_datetime(self.clock.unwrap_or(Time::midnight()))).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parts_of_a_time_are_found_where_they_stand() {
        for text in [
            "01/Aug/2018:09:49:41 +0200",
            "2018-08-01 07:49:41",
            "Wed Aug  1 07:49:41 2018",
            "August 1, 2018 7:49:41 AM",
            "seen on 1 aug 2018 at 07:49:41 GMT",
            "08/01/2018 07:49:41",
            "20180801074941",
            "2018.08.01 07:49:41.000",
            "2018-08-01T09:49:41+02",
        ] {
            assert_eq!(time(text).map(|t| t.to_string()).as_deref(), Some("2018-08-01T07:49:41Z"), "{text}");
        }
        assert_eq!(time("13/01/18 12:00 pm").unwrap().to_string(), "2018-01-13T12:00:00Z");
        for text in ["07:49:41", "Aug 2018", "32/13/2018", "1533109781", "never", ""] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_ends_without_panic(text in "[0-9a-zA-Z:+./ ,-]{0,40}", odd in any::<String>()) {
            let _ = (time(&text), time(&odd));
        }
    }
}
