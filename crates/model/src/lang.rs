//! The two languages that everybody outside the project is spoken to in.

use serde::{Deserialize, Serialize};

/// A language of mails and pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lang {
    /// Japanese, the default.
    #[default]
    Ja,
    /// English.
    En,
}

impl Lang {
    /// Both, in the order in which they are offered.
    pub const ALL: [Lang; 2] = [Lang::Ja, Lang::En];

    /// BCP 47 tag.
    pub fn tag(self) -> &'static str {
        match self {
            Lang::Ja => "ja",
            Lang::En => "en",
        }
    }

    /// Reads a tag, its region and script ignored (`en-GB` is English).
    pub fn parse(tag: &str) -> Option<Self> {
        match tag.trim().split(['-', '_']).next()?.to_ascii_lowercase().as_str() {
            "ja" => Some(Lang::Ja),
            "en" => Some(Lang::En),
            _ => None,
        }
    }

    /// The first language of an `Accept-Language` header (RFC 9110 section 12.5.4) that is spoken here.
    /// Weights are honoured; malformed members are passed over.
    pub fn accept(header: &str) -> Option<Self> {
        let mut wanted: Vec<(f32, Lang)> = header
            .split(',')
            .take(32)
            .filter_map(|member| {
                let (tag, parameters) = member.split_once(';').unwrap_or((member, ""));
                let weight = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.parse().ok())?;
                Some((weight, Lang::parse(tag)?)).filter(|(weight, _)| *weight > 0.0)
            })
            .collect();
        wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
        wanted.first().map(|(_, lang)| *lang)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_spoken_language_wins() {
        assert_eq!(Lang::accept("de, en-GB;q=0.7, ja;q=0.9"), Some(Lang::Ja));
        assert_eq!(Lang::accept("fr;q=x,,;;"), None);
    }
}
