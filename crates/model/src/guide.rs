//! What to do about a malware family, in every language: data files, so that adding a family needs no code.
//!
//! A family without a guide of its own gets the general one, which is true for any infected device.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::lang::Lang;
use crate::text::{Catalogue, TextError};

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

/// A text in Japanese, English, and whatever else it was translated to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<Lang, String>")]
pub struct Texts(BTreeMap<Lang, String>);

impl TryFrom<BTreeMap<Lang, String>> for Texts {
    type Error = String;

    fn try_from(texts: BTreeMap<Lang, String>) -> Result<Self, String> {
        match Lang::WRITTEN.iter().find(|lang| !texts.contains_key(lang)) {
            Some(missing) => Err(format!("a text is missing in {missing}")),
            None => Ok(Self(texts)),
        }
    }
}

impl Texts {
    /// What an operator wrote: in Japanese and English at least.
    pub fn of_operator(texts: BTreeMap<Lang, String>) -> Result<Self, String> {
        let empty = |lang: &Lang| texts.get(lang).is_none_or(|text| text.trim().is_empty());
        match [Lang::JA, Lang::EN].iter().find(|lang| empty(lang)) {
            Some(missing) => Err(format!("a text is missing in {missing}")),
            None => Ok(Self(texts)),
        }
    }

    /// The text in the nearest language there is: itself, its base, else English.
    pub fn of(&self, lang: Lang) -> &str {
        let spoken: Vec<Lang> = self.0.keys().copied().collect();
        let nearest = lang.among(&spoken).unwrap_or(Lang::EN);
        self.0.get(&nearest).map_or("", String::as_str)
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuideStep {
    /// The imperative.
    pub title: Texts,
    /// How.
    pub body: Texts,
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
    pub name: Texts,
    /// What kind of device has it: "a router, camera or recorder".
    pub device: Texts,
    /// What it does, in a sentence without jargon.
    pub about: Texts,
    /// Three to five steps.
    pub steps: Vec<GuideStep>,
}

impl Guide {
    /// Each of its texts with the key under which it is translated.
    fn texts_mut(&mut self) -> Vec<(String, &mut Texts)> {
        let id = self.id.clone();
        let mut texts = vec![
            (format!("{id}-name"), &mut self.name),
            (format!("{id}-device"), &mut self.device),
            (format!("{id}-about"), &mut self.about),
        ];
        for (at, step) in self.steps.iter_mut().enumerate() {
            texts.push((format!("{id}-step-{}-title", at + 1), &mut step.title));
            texts.push((format!("{id}-step-{}-body", at + 1), &mut step.body));
        }
        texts
    }
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
    /// A translation that does not fit.
    #[error(transparent)]
    Translation(#[from] TextError),
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

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Guide> {
        self.guides.iter()
    }

    /// Adds a translation of all guides: Fluent messages `ID-name`, `ID-device`, `ID-about`, `ID-step-1-title`,
    /// `ID-step-1-body`, …
    pub fn translate(&mut self, lang: Lang, fluent: &str) -> Result<(), GuideError> {
        let mut texts = Catalogue::read(&[(Lang::EN, &self.fluent(Lang::EN))])?;
        texts.add(lang, fluent)?;
        for guide in &mut self.guides {
            for (key, text) in guide.texts_mut() {
                let said = texts.say(lang, &key, &[]);
                text.0.insert(lang, said);
            }
        }
        Ok(())
    }

    /// All guides in a language as Fluent, for who translates them.
    pub fn fluent(&self, lang: Lang) -> String {
        let mut out = String::new();
        for mut guide in self.guides.clone() {
            for (key, text) in guide.texts_mut() {
                // A brace would begin a value, and a line that begins with one of these would be something else.
                let line = text.of(lang).replace(['\n', '\r'], " ").replace('{', "{\"{\"}");
                out.push_str(&format!("{key} = {}\n", line.trim()));
            }
            out.push('\n');
        }
        out
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

    #[test]
    fn what_is_written_out_for_translation_reads_back_as_one() {
        let mut guides = Guides::shipped().unwrap();
        let pt = Lang::parse("pt").unwrap();
        let translated = guides.fluent(Lang::EN).replace("mirai-name = Mirai", "mirai-name = Mirai (pt)");
        guides.translate(pt, &translated).unwrap();
        assert_eq!(guides.family("mirai").name.of(pt), "Mirai (pt)");
        assert_eq!(
            guides.family("mirai").steps[1].title.of(pt),
            guides.family("mirai").steps[1].title.of(Lang::EN)
        );
        let missing = guides.translate(Lang::parse("de").unwrap(), "mirai-name = Mirai\n").unwrap_err();
        assert!(missing.to_string().contains("is missing in de"), "{missing}");
        assert_eq!(guides.family("mirai").name.of(Lang::JA_EASY), "Mirai(ミライ)");
    }
}
