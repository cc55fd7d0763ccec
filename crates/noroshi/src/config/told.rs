//! The configuration as it is in force, told line by line: what was set, what was left as it is by default, and whether the file says
//! something else by now. Nothing of it is changed from here: it has one place, which is the file.

use std::path::{Path, PathBuf};

use noroshi_law::evidence::Digest;
use noroshi_portal::desk::{FileState, Setting, SettingsPage};
use toml::{Table, Value};

use super::{Config, File};

/// The file that was read.
#[derive(Clone, Debug)]
pub struct ReadFrom {
    /// Where it is.
    pub path: PathBuf,
    /// What it held.
    pub digest: Digest,
}

impl ReadFrom {
    /// A file that held this.
    pub fn of(path: &Path, text: &str) -> Self {
        // Wherever the program goes from here.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self { path, digest: Digest::of(text.as_bytes()) }
    }

    /// What it says by now.
    fn state(&self) -> FileState {
        match std::fs::read(&self.path) {
            Err(e) => FileState::Wrong(format!("it cannot be read any more: {e}")),
            Ok(text) if Digest::of(&text) == self.digest => FileState::InForce,
            Ok(_) => match File::read(Some(&self.path)).and_then(|(file, _)| Config::try_from(file)) {
                Ok(_) => FileState::Changed,
                Err(e) => FileState::Wrong(format!("{e:#}")),
            },
        }
    }
}

impl Config {
    /// What is in force. The configuration names the files that hold secrets; an address shows neither a user nor a query, in which
    /// people put them all the same.
    pub fn told(&self) -> SettingsPage {
        let usual = File { data_dir: Some(self.data_dir.clone()), ..File::default() };
        let usual = Config::try_from(usual).map(|config| lines(&config)).unwrap_or_default();
        let is_usual = |setting: &Setting| {
            usual.iter().any(|(key, value)| *key == setting.key && *value == setting.value)
        };
        let mut settings: Vec<Setting> =
            lines(self).into_iter().map(|(key, value)| Setting { key, value, is_set: false }).collect();
        settings.iter_mut().for_each(|setting| setting.is_set = !is_usual(setting));
        SettingsPage {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            file: self.read_from.as_ref().map(|from| from.path.display().to_string()),
            state: self.read_from.as_ref().map_or(FileState::None, ReadFrom::state),
            warnings: self.warnings(),
            settings,
        }
    }
}

/// Every key with its value, as they would be written.
fn lines(config: &Config) -> Vec<(String, String)> {
    let table = Table::try_from(config.filled_in()).unwrap_or_default();
    let mut lines = Vec::new();
    table.iter().for_each(|(key, value)| flatten(key, value, &mut lines));
    lines
}

fn flatten(key: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Table(table) => {
            table.iter().for_each(|(inner, value)| flatten(&format!("{key}.{inner}"), value, lines));
        }
        Value::Array(all) if all.first().is_some_and(Value::is_table) => {
            for (value, number) in all.iter().zip(1..) {
                flatten(&format!("{key}[{number}]"), value, lines);
            }
        }
        value => lines.push((key.to_owned(), without_secrets(value).to_string())),
    }
}

/// A value without what may be a secret in an address: who asks, and with what.
fn without_secrets(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain_address(text)),
        Value::Array(all) => Value::Array(all.iter().map(without_secrets).collect()),
        other => other.clone(),
    }
}

fn plain_address(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (place, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (asker, place) = place.rsplit_once('@').map_or(("", place), |(_, place)| ("…@", place));
    let (path, query) = path.split_once('?').map_or((path, ""), |(path, _)| (path, "?…"));
    format!("{scheme}://{asker}{place}{path}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_neither_who_asks_nor_with_what() {
        for (text, told) in [
            ("https://a:b@hook.example.jp/x?token=1", "https://…@hook.example.jp/x?…"),
            ("https://hook.example.jp?token=1", "https://hook.example.jp?…"),
            ("postgres://u@h/d", "postgres://…@h/d"),
            ("https://hook.example.jp/x", "https://hook.example.jp/x"),
            ("/a/b?c@d", "/a/b?c@d"),
        ] {
            assert_eq!(plain_address(text), told);
        }
        let two = Value::Array(vec!["https://a@b/".into(), "https://c?d".into()]);
        assert_eq!(without_secrets(&two).to_string(), "[\"https://…@b/\", \"https://c?…\"]");
    }

    #[test]
    fn what_was_set_is_told_apart_from_what_was_not_and_a_file_that_changed_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("noroshi.toml");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let (file, read_from) = File::read(Some(&path)).unwrap();
            Config { read_from, ..Config::try_from(file).unwrap() }
        };
        let config = read(
            "[mail]\nserver = \"127.0.0.1:2525\"\n[[network.part]]\nname = \"north\"\nprefixes = [\"192.0.2.0/24\"]\n",
        );
        let told = config.told();
        assert_eq!(told.state, FileState::InForce);
        let set: Vec<(&str, &str)> = told
            .settings
            .iter()
            .filter(|setting| setting.is_set)
            .map(|setting| (setting.key.as_str(), setting.value.as_str()))
            .collect();
        assert!(set.contains(&("mail.server", "\"127.0.0.1:2525\"")), "{set:?}");
        assert!(set.contains(&("network.part[1].name", "\"north\"")), "{set:?}");
        assert!(set.len() < 6 && told.settings.len() > 30, "{set:?}");

        std::fs::write(&path, "[mail]\nserver = \"127.0.0.1:25\"\n").unwrap();
        assert_eq!(config.told().state, FileState::Changed);
        std::fs::write(&path, "[mail]\nsrever = \"127.0.0.1:25\"\n").unwrap();
        assert!(matches!(config.told().state, FileState::Wrong(why) if why.contains("srever")));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(config.told().state, FileState::Wrong(why) if why.contains("cannot be read")));
    }
}
