//! Languages of mails and pages: Japanese and English, which everything is written in, and as many more as texts are given for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest tag.
const TAG_BYTES_MAX: usize = 24;

/// A language, by its tag (BCP 47, RFC 5646) in lower case. Whether it is spoken is for the texts to say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Lang([u8; TAG_BYTES_MAX]);

impl Lang {
    /// Japanese, the default.
    pub const JA: Lang = Lang::of("ja");
    /// English.
    pub const EN: Lang = Lang::of("en");
    /// Plain Japanese (やさしい日本語), for who is learning it.
    pub const JA_EASY: Lang = Lang::of("ja-x-easy");

    /// Those in which everything is written, in the order in which they are offered.
    pub const WRITTEN: [Lang; 2] = [Lang::JA, Lang::EN];

    const fn of(tag: &str) -> Self {
        let (tag, mut bytes, mut at) = (tag.as_bytes(), [0; TAG_BYTES_MAX], 0);
        while at < tag.len() {
            bytes[at] = tag[at];
            at += 1;
        }
        Lang(bytes)
    }

    /// Its tag.
    pub fn tag(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(TAG_BYTES_MAX);
        // Only letters, digits and hyphens are in it.
        std::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }

    /// Reads a tag; an underscore is taken for a hyphen (`en_GB`).
    pub fn parse(tag: &str) -> Option<Self> {
        let tag = tag.trim().replace('_', "-").to_ascii_lowercase();
        let part =
            |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
        let first = tag.split('-').next().unwrap_or_default();
        let is_language = (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_lowercase());
        (tag.len() <= TAG_BYTES_MAX && is_language && tag.split('-').all(part)).then(|| Self::of(&tag))
    }

    /// The language without script, region and variant: `ja` of `ja-x-easy`.
    pub fn base(&self) -> Self {
        Self::of(self.tag().split('-').next().unwrap_or_default())
    }

    /// Of those that are spoken, the nearest: itself, with fewer and fewer of its parts, or none.
    pub fn among(&self, spoken: &[Lang]) -> Option<Self> {
        let mut tag = self.tag();
        loop {
            let lang = Self::of(tag);
            if spoken.contains(&lang) {
                return Some(lang);
            }
            tag = tag.rsplit_once('-')?.0;
        }
    }

    /// The first language of an `Accept-Language` header (RFC 9110 section 12.5.4) that is spoken. Weights are honoured;
    /// malformed members are passed over.
    pub fn accept(header: &str, spoken: &[Lang]) -> Option<Self> {
        let mut wanted: Vec<(f32, Lang)> = header
            .split(',')
            .take(32)
            .filter_map(|member| {
                let (tag, parameters) = member.split_once(';').unwrap_or((member, ""));
                let weight = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.parse().ok())?;
                Some((weight, Lang::parse(tag)?.among(spoken)?)).filter(|(weight, _)| *weight > 0.0)
            })
            .collect();
        wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
        wanted.first().map(|(_, lang)| *lang)
    }
}

impl Default for Lang {
    fn default() -> Self {
        Self::JA
    }
}

impl fmt::Debug for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lang({})", self.tag())
    }
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

impl TryFrom<String> for Lang {
    type Error = &'static str;

    fn try_from(tag: String) -> Result<Self, Self::Error> {
        Self::parse(&tag).ok_or("a language is a tag like ja, en or zh-Hans")
    }
}

impl From<Lang> for String {
    fn from(lang: Lang) -> Self {
        lang.tag().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_spoken_language_wins() {
        let spoken = [Lang::JA, Lang::EN, Lang::parse("pt-BR").unwrap()];
        assert_eq!(Lang::accept("de, en-GB;q=0.7, ja;q=0.9", &spoken), Some(Lang::JA));
        assert_eq!(Lang::accept("pt-BR;q=0.8, en;q=0.7", &spoken).unwrap().tag(), "pt-br");
        assert_eq!(Lang::accept("fr;q=x,,;;", &spoken), None);
    }

    #[test]
    fn a_tag_is_a_tag_and_its_parts_are_left_off_one_by_one() {
        for (tag, read) in
            [("ja", "ja"), (" EN_gb ", "en-gb"), ("zh-Hans-CN", "zh-hans-cn"), ("ja-x-easy", "ja-x-easy")]
        {
            assert_eq!(Lang::parse(tag).unwrap().tag(), read);
        }
        for tag in [
            "",
            "j",
            "日本語",
            "en-",
            "en--gb",
            "en-verylongpart",
            "../x",
            "12",
            "en-gb-oxendict-x-more-more",
        ] {
            assert_eq!(Lang::parse(tag), None, "{tag}");
        }
        let among = |tag: &str| Lang::parse(tag).unwrap().among(&Lang::WRITTEN);
        assert_eq!(among("ja-x-easy"), Some(Lang::JA));
        assert_eq!(among("en-us"), Some(Lang::EN));
        assert_eq!(among("de"), None);
        assert_eq!(Lang::JA_EASY.base(), Lang::JA);
    }
}
