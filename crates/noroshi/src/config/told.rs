//! The configuration as it is in force, told line by line: what was set, what was left as it is by default, and whether the file says
//! something else by now. Nothing of it is changed from here: it has one place, which is the file.

use std::path::{Path, PathBuf};

use noroshi_law::evidence::Digest;
use noroshi_portal::desk::{FileState, Setting, SettingsPage};
use toml::{Table, Value};

use super::{CONFIG_FILE, Config, File};

/// The file that was read.
#[derive(Clone, Debug)]
pub struct ReadFrom {
    /// Where it is.
    pub path: PathBuf,
    /// What it held.
    pub digest: Digest,
}

impl ReadFrom {
    /// The named file, or the default one where it is there.
    pub fn of(named: Option<&Path>) -> Option<Self> {
        let path = named.unwrap_or(Path::new(CONFIG_FILE));
        let text = std::fs::read(path).ok()?;
        Some(Self {
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            digest: Digest::of(&text),
        })
    }

    /// What it says by now.
    fn state(&self) -> FileState {
        match std::fs::read(&self.path) {
            Err(e) => FileState::Wrong(format!("it cannot be read any more: {e}")),
            Ok(text) if Digest::of(&text) == self.digest => FileState::InForce,
            Ok(_) => match File::read(Some(&self.path)).and_then(Config::try_from) {
                Ok(_) => FileState::Changed,
                Err(e) => FileState::Wrong(format!("{e:#}")),
            },
        }
    }
}

impl Config {
    /// What is in force. No secret is in it: the configuration names the files that hold them.
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
        value => lines.push((key.to_owned(), value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_told_apart_from_what_was_not_and_a_file_that_changed_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("noroshi.toml");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let mut config = Config::try_from(File::read(Some(&path)).unwrap()).unwrap();
            config.read_from = ReadFrom::of(Some(&path));
            config
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
