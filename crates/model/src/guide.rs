//! What to do about a malware family, in both languages: data files, so that adding a family needs no code.
//!
//! A family without a guide of its own gets the general one, which is true for any infected device.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::lang::Lang;

/// Fewest and most steps of a guide: fewer explain nothing, more are not read.
pub const STEPS: std::ops::RangeInclusive<usize> = 3..=5;

/// The id of the guide for everything without one.
pub const GENERAL: &str = "general";

const SHIPPED: [(&str, &str); 6] = [
    ("general.toml", include_str!("../guides/general.toml")),
    ("mirai.toml", include_str!("../guides/mirai.toml")),
    ("andromeda.toml", include_str!("../guides/andromeda.toml")),
    ("gamut.toml", include_str!("../guides/gamut.toml")),
    ("qakbot.toml", include_str!("../guides/qakbot.toml")),
    ("emotet.toml", include_str!("../guides/emotet.toml")),
];

/// A text in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Both {
    /// Japanese.
    pub ja: String,
    /// English.
    pub en: String,
}

impl Both {
    /// The text in a language.
    pub fn of(&self, lang: Lang) -> &str {
        match lang {
            Lang::Ja => &self.ja,
            Lang::En => &self.en,
        }
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuideStep {
    /// The imperative.
    pub title: Both,
    /// How.
    pub body: Both,
}

/// A guide.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guide {
    /// The family's id, lower case.
    pub id: String,
    /// Other names feeds use for it, lower case.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What it is called.
    pub name: Both,
    /// What kind of device has it: "a router, camera or recorder".
    pub device: Both,
    /// What it does, in a sentence without jargon.
    pub about: Both,
    /// Three to five steps.
    pub steps: Vec<GuideStep>,
}

/// Why a guide is refused.
#[derive(Debug, thiserror::Error)]
pub enum GuideError {
    /// Not TOML of the form.
    #[error("{file}: {source}")]
    Syntax {
        /// The file.
        file: String,
        /// What the parser says.
        source: Box<toml::de::Error>,
    },
    /// Too few or too many steps.
    #[error("{file}: a guide has 3 to 5 steps, not {count}")]
    Steps {
        /// The file.
        file: String,
        /// How many it has.
        count: usize,
    },
    /// There must be a guide for everything else.
    #[error("there is no guide '{GENERAL}'")]
    NoGeneral,
}

/// All guides, by id and alias.
#[derive(Clone, Debug)]
pub struct Guides {
    guides: Vec<Guide>,
    by_name: BTreeMap<String, usize>,
    general: usize,
}

impl Guides {
    /// The guides shipped with noroshi.
    pub fn shipped() -> Result<Self, GuideError> {
        Self::read(SHIPPED)
    }

    /// Reads guides given as (file name, text).
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, GuideError> {
        let mut guides: Vec<Guide> = Vec::new();
        let mut by_name = BTreeMap::new();
        for (file, text) in files {
            let guide: Guide = toml::from_str(text)
                .map_err(|e| GuideError::Syntax { file: file.into(), source: Box::new(e) })?;
            if !STEPS.contains(&guide.steps.len()) {
                return Err(GuideError::Steps { file: file.into(), count: guide.steps.len() });
            }
            for name in std::iter::once(&guide.id).chain(&guide.aliases) {
                by_name.insert(name.clone(), guides.len());
            }
            guides.push(guide);
        }
        let general = *by_name.get(GENERAL).ok_or(GuideError::NoGeneral)?;
        Ok(Self { guides, by_name, general })
    }

    /// The guide for a family, by id, alias, or the general one.
    pub fn family(&self, family: &str) -> &Guide {
        let found = self.by_name.get(&family.to_ascii_lowercase()).copied();
        &self.guides[found.unwrap_or(self.general)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_guide_reads_and_an_unknown_family_gets_the_general_one() {
        let guides = Guides::shipped().unwrap();
        assert_eq!(guides.family("Mirai").id, "mirai");
        assert_eq!(guides.family("something new").id, GENERAL);
    }
}
