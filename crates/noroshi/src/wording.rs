//! `[[notice.wording]]`: other wordings of the notice that are tried out, as written and as read; and which of them a case gets.
//!
//! Who gets which follows from a keyed hash of the subscriber and the round, so that all matters of a subscriber are told in the same words
//! while a round lasts, nobody outside can know who is told how, and it has nothing to do with who is held out. What was drawn is
//! written down with the case, so that a change of the configuration changes nothing for cases that were told already.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use noroshi_act::template::FORMS;
use noroshi_act::wording::{Tried, Wordings};
use noroshi_model::{Case, Id};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::house::House;
use crate::languages::text;

/// `[notice]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct NoticeFile {
    /// Wordings that are tried out beside the standard one, four at most.
    pub wording: Vec<WordingFile>,
}

/// `[[notice.wording]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WordingFile {
    /// What it is called: a-z, 0-9 and `-`.
    pub id: String,
    /// Folder of its forms: `notice.txt`, `notice.html`, `subject.txt`; the standard ones for what is not there.
    pub templates: PathBuf,
    /// Of a hundred new cases, how many get it.
    pub share: u32,
}

/// The forms that there are in a folder.
pub fn forms(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut own = BTreeMap::new();
    for name in FORMS {
        let path = folder.join(name);
        if path.exists() {
            own.insert(name.to_owned(), text(&path)?);
        }
    }
    Ok(own)
}

/// All wordings of a configuration.
pub fn wordings(config: &Config) -> anyhow::Result<Wordings> {
    let standard = config.templates.as_deref().map(forms).transpose().context("operator.templates")?;
    let standard = standard.unwrap_or_default();
    // What is wrong with the standard forms is told as theirs.
    Wordings::new(&standard, &[]).context("operator.templates")?;
    let tried = |file: &WordingFile| -> anyhow::Result<Tried> {
        let forms = forms(&file.templates)?;
        ensure!(
            !forms.is_empty(),
            "'{}': {} has none of {}",
            file.id,
            file.templates.display(),
            FORMS.join(", ")
        );
        Ok(Tried { id: file.id.clone(), percent: file.share, forms })
    };
    let tried: Vec<Tried> =
        config.wordings.iter().map(tried).collect::<anyhow::Result<_>>().context("[[notice.wording]]")?;
    Wordings::new(&standard, &tried).context("[[notice.wording]]")
}

/// Place of the wording that a new case gets in the round.
pub fn drawn(house: &House, case: &Case) -> usize {
    let round = house.wordings.round();
    let key = house.vault.subject(&format!("wording {} {}", round.id, case.party));
    let drawn = Id::of("wording", &[key.as_bytes()]);
    let number = drawn.as_str().get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    round.drawn(number.unwrap_or_default() % 10_000)
}
