//! All languages say the same things: `ja/NAME.ftl` and `en/NAME.ftl` beside each other define the same messages, and so does
//! every other language. A text missing in one of them would show its bare id to a citizen.

use std::collections::BTreeMap;

use super::{Fault, Tree};

/// Every message of a language exists in the one it is held against, and the other way round.
pub fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| path.ends_with(".ftl")) {
        let Some((twin, variant)) = twin(path) else {
            faults.push(Fault::error(path, 1, "lies in no folder of a language"));
            continue;
        };
        let Some(other) = tree.0.get(&twin) else {
            faults.push(Fault::error(path, 1, format!("has no counterpart {twin}")));
            continue;
        };
        let (own, other) = (messages(text), messages(other));
        let missing = own.iter().filter(|(id, _)| !other.contains_key(*id)).map(|(id, line)| (*id, *line));
        // A language has everything; a variant of one leaves to it what it does not say otherwise.
        let more = other.keys().filter(|id| !variant && !own.contains_key(*id));
        faults.extend(more.map(|id| Fault::error(path, 1, format!("{id} is missing, which {twin} has"))));
        faults
            .extend(missing.map(|(id, line)| Fault::error(path, line, format!("{id} is missing in {twin}"))));
    }
    faults
}

/// The same file of the language it is held against, and whether this is a variant of that: `ja` of `en` and `en` of `ja`,
/// `ja-x-easy` of `ja`, every other of `en`.
fn twin(path: &str) -> Option<(String, bool)> {
    let (folder, file) = path.rsplit_once('/')?;
    let (above, language) =
        folder.rsplit_once('/').map_or(("", folder), |(above, language)| (above, language));
    let (base, variant) = language.split_once('-').map_or((language, false), |(base, _)| (base, true));
    if base.len() > 3 {
        return None;
    }
    let other = match (base, variant) {
        ("ja", true) => "ja",
        ("en", false) => "ja",
        _ => "en",
    };
    Some((
        if above.is_empty() { format!("{other}/{file}") } else { format!("{above}/{other}/{file}") },
        variant,
    ))
}

/// Ids of messages and terms, which begin their line, with that line.
fn messages(text: &str) -> BTreeMap<&str, usize> {
    let mut messages = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let Some((id, _)) = line.split_once('=') else { continue };
        let id = id.trim_end();
        let letters = id.strip_prefix('-').unwrap_or(id);
        let is_id = letters.starts_with(|c: char| c.is_ascii_alphabetic())
            && letters.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if is_id {
            messages.insert(id, index + 1);
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::super::report;
    use super::*;

    #[test]
    fn the_same_messages_in_both_languages_pass() {
        let files = [
            (
                "crates/portal/i18n/ja/main.ftl",
                "-brand = 狼煙\nhello = こんにちは\n    .title = 題 = x\n# note = x\n",
            ),
            ("crates/portal/i18n/en/main.ftl", "hello =\n    Hello\n-brand = Noroshi\n"),
        ];
        assert!(report(check, &files).is_empty());
    }

    #[test]
    fn a_message_in_one_language_only_is_a_fault() {
        let files = [("i18n/ja/a.ftl", "one = 一\n"), ("i18n/en/a.ftl", "one = One\ntwo = Two\n")];
        let told = report(check, &files);
        assert_eq!(
            told,
            [
                "i18n/en/a.ftl:2: two is missing in i18n/ja/a.ftl",
                "i18n/ja/a.ftl:1: two is missing, which i18n/en/a.ftl has"
            ]
        );
        let variant = [files[0], ("i18n/en/a.ftl", "one = One\n"), ("i18n/ja-x-easy/a.ftl", "# none\n")];
        assert!(report(check, &variant).is_empty());
    }

    #[test]
    fn a_file_in_one_language_only_is_a_fault() {
        let files = [("i18n/ja/a.ftl", ""), ("i18n/fr/b.ftl", "")];
        assert_eq!(
            report(check, &files),
            [
                "i18n/fr/b.ftl:1: has no counterpart i18n/en/b.ftl",
                "i18n/ja/a.ftl:1: has no counterpart i18n/en/a.ftl"
            ]
        );
    }
}
