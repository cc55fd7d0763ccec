//! The keys with which others may send us reports: one file a source, holding only hashes, so that who reads the data
//! folder or a copy of it cannot send. A key is 256 random bits and printed once; there is nothing to guess, so a plain
//! hash will do.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use noroshi_law::evidence::Digest;
use noroshi_model::Id;

use crate::keys;

/// What a key begins with, so that those who look for leaked secrets recognise it.
const PREFIX: &str = "noroshi_push_";
/// Keys that a source may have at a time.
const KEYS_MAX: usize = 100;

fn path(data_dir: &Path, source: &str) -> PathBuf {
    data_dir.join("keys").join(format!("push-{source}.sha256"))
}

fn hash(key: &str) -> String {
    Digest::of(key.as_bytes()).0.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hashes(path: &Path) -> anyhow::Result<Vec<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Makes a key for a source, beside those it has, or instead of them.
pub fn make(data_dir: &Path, source: &str, replace: bool) -> anyhow::Result<String> {
    let random = Id::random().zip(Id::random()).context("the system gave no randomness")?;
    let key = format!("{PREFIX}{}{}", random.0, random.1);
    let path = path(data_dir, source);
    let mut all = if replace { Vec::new() } else { hashes(&path)? };
    all.push(hash(&key));
    ensure!(all.len() <= KEYS_MAX, "{source} has {KEYS_MAX} keys; --replace makes the others invalid");
    keys::private_folder(&data_dir.join("keys"))?;
    let next = path.with_extension("next");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all((all.join("\n") + "\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&next, &path)?;
    fs::File::open(data_dir.join("keys"))?.sync_all()?;
    Ok(key)
}

/// Whether a key is one of a source's. The time it takes tells nothing about how much of a guess was right.
pub fn fits(data_dir: &Path, source: &str, key: &str) -> anyhow::Result<bool> {
    let given = hash(key);
    let all = hashes(&path(data_dir, source))?;
    let same = |ours: &String| {
        let differ = given
            .bytes()
            .zip(ours.bytes())
            .fold(given.len() ^ ours.len(), |d, (a, b)| d | usize::from(a ^ b));
        differ == 0
    };
    Ok(all.iter().fold(false, |found, ours| found | same(ours)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_fits_its_source_only_until_it_is_replaced_and_is_not_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let (first, second) = (make(data, "a", false).unwrap(), make(data, "a", false).unwrap());
        let fits = |source: &str, key: &str| fits(data, source, key).unwrap();
        assert!(fits("a", &first) && fits("a", &second) && !fits("b", &first));
        assert!(!fits("a", "") && !fits("a", &first[..first.len() - 1]) && !fits("a", &format!("{first}0")));
        assert!(!fits("a", &hash(&first)), "what is on disk opens nothing");
        let third = make(data, "a", true).unwrap();
        assert!(fits("a", &third) && !fits("a", &first) && !fits("a", &second));
        assert!(!fs::read_to_string(path(data, "a")).unwrap().contains(&third[PREFIX.len()..]));
    }
}
