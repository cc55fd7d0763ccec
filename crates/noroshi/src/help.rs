//! What a subscriber is offered besides steps: cleaners, with the hash by which one is known, and people who help. The operator's
//! own words and files; what is published is what was hashed when noroshi started.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use noroshi_law::evidence::Digest;
use noroshi_model::Lang;
use noroshi_model::guide::Texts;
use noroshi_portal::desk::{Cleaner, Helper};
use serde::{Deserialize, Serialize};

/// Largest cleaner that is handed out from here; a larger one needs a web server of its own.
const BYTES_MAX: u64 = 64 << 20;

/// `[[portal.cleaner]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CleanerFile {
    /// For these families; every one where none is named.
    #[serde(default)]
    pub families: Vec<String>,
    /// What it is called and for which devices: `{ ja = "…", en = "…" }`.
    pub name: BTreeMap<Lang, String>,
    /// The file that is handed out.
    pub file: Option<PathBuf>,
    /// Or where it is to be had.
    pub link: Option<String>,
    /// SHA-256 in hexadecimal; needed with a link, and held against a file.
    pub sha256: Option<String>,
}

/// `[[portal.helper]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HelperFile {
    /// Who helps, and whom.
    pub name: BTreeMap<Lang, String>,
    /// Telephone number, hours, place, what it costs.
    pub how: BTreeMap<Lang, String>,
    /// Their page.
    pub link: Option<String>,
}

/// What is offered.
#[derive(Clone, Debug, Default)]
pub struct Help {
    /// Cleaners, with the families they are for.
    pub cleaners: Vec<(Vec<String>, Cleaner)>,
    /// People who help.
    pub helpers: Vec<Helper>,
}

impl Help {
    /// Reads what was written, and the files.
    pub fn read(cleaners: &[CleanerFile], helpers: &[HelperFile]) -> anyhow::Result<Self> {
        let mut help = Self::default();
        for (at, file) in cleaners.iter().enumerate() {
            let cleaner = cleaner(at, file).with_context(|| format!("[[portal.cleaner]] {}", at + 1))?;
            help.cleaners.push((file.families.clone(), cleaner));
        }
        for (at, file) in helpers.iter().enumerate() {
            let texts = |texts: &BTreeMap<Lang, String>| {
                Texts::of_operator(texts.clone())
                    .map_err(|e| anyhow::anyhow!("[[portal.helper]] {}: {e}", at + 1))
            };
            if let Some(link) = &file.link {
                https(link).with_context(|| format!("[[portal.helper]] {}", at + 1))?;
            }
            let (name, how) = (texts(&file.name)?, texts(&file.how)?);
            help.helpers.push(Helper { name, how, link: file.link.clone() });
        }
        Ok(help)
    }

    /// The cleaners for a family.
    pub fn cleaners_for(&self, family: &str) -> Vec<Cleaner> {
        let fits = |families: &[String]| {
            families.is_empty() || families.iter().any(|known| known.eq_ignore_ascii_case(family))
        };
        self.cleaners
            .iter()
            .filter(|(families, _)| fits(families))
            .map(|(_, cleaner)| cleaner.clone())
            .collect()
    }
}

fn https(link: &str) -> anyhow::Result<()> {
    ensure!(link.starts_with("https://"), "link = \"{link}\": subscribers are sent to https:// only");
    Ok(())
}

fn cleaner(at: usize, file: &CleanerFile) -> anyhow::Result<Cleaner> {
    let name = Texts::of_operator(file.name.clone()).map_err(|e| anyhow::anyhow!("name: {e}"))?;
    let stated = file.sha256.as_deref().map(|hex| {
        Digest::from_hex(&hex.to_ascii_lowercase())
            .with_context(|| format!("sha256 = \"{hex}\": 64 hexadecimal digits"))
    });
    let stated = stated.transpose()?;
    let id = at as u32;
    match (&file.file, &file.link, stated) {
        (None, Some(link), Some(sha256)) => {
            https(link)?;
            Ok(Cleaner {
                id,
                name,
                link: Some(link.clone()),
                sha256: sha256.to_string(),
                bytes: None,
                file_name: String::new(),
            })
        }
        (None, Some(_), None) => {
            bail!("a link without sha256: nobody could tell whether it is the right file")
        }
        (Some(path), None, stated) => {
            let mut bytes = Vec::new();
            let open = std::fs::File::open(path).with_context(|| path.display().to_string())?;
            open.take(BYTES_MAX + 1).read_to_end(&mut bytes).with_context(|| path.display().to_string())?;
            ensure!(
                bytes.len() as u64 <= BYTES_MAX,
                "{} is larger than 64 MiB: publish it elsewhere, and give link and sha256",
                path.display()
            );
            let sha256 = Digest::of(&bytes);
            if let Some(stated) = stated.filter(|stated| *stated != sha256) {
                bail!("{} has the SHA-256 {sha256}, and {stated} was expected", path.display());
            }
            let file_name = path.file_name().and_then(|name| name.to_str()).unwrap_or("cleaner").to_owned();
            ensure!(
                file_name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)),
                "{file_name}: a file's name has letters, digits, - _ and . only"
            );
            Ok(Cleaner {
                id,
                name,
                link: None,
                sha256: sha256.to_string(),
                bytes: Some(bytes.into()),
                file_name,
            })
        }
        _ => bail!("either file or link"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Help, String> {
        #[derive(Deserialize)]
        struct Portal {
            #[serde(default)]
            cleaner: Vec<CleanerFile>,
            #[serde(default)]
            helper: Vec<HelperFile>,
        }
        let portal: Portal = toml::from_str(text).unwrap();
        Help::read(&portal.cleaner, &portal.helper).map_err(|e| format!("{e:#}"))
    }

    #[test]
    fn a_cleaner_is_known_by_its_hash_and_is_for_its_families() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clean-1.0.exe");
        std::fs::write(&path, "MZ").unwrap();
        let name = "name = { ja = \"駆除ツール\", en = \"Cleaner\" }";
        let of_file = |more: &str| read(&format!("[[cleaner]]\n{name}\nfile = {path:?}\n{more}"));
        let help = of_file("families = [\"Emotet\"]").unwrap();
        assert_eq!((help.cleaners_for("emotet").len(), help.cleaners_for("mirai").len()), (1, 0));
        let hash = help.cleaners_for("emotet")[0].sha256.clone();
        assert_eq!(hash, Digest::of(b"MZ").to_string());
        assert!(of_file(&format!("sha256 = \"{}\"", hash.to_uppercase())).is_ok());
        let other = Digest::of(b"other").to_string();
        assert!(of_file(&format!("sha256 = \"{other}\"")).unwrap_err().contains("was expected"));
        for (text, told) in [
            (format!("[[cleaner]]\n{name}\nlink = \"https://a.example/x\""), "sha256"),
            (format!("[[cleaner]]\n{name}\nlink = \"http://a.example/x\"\nsha256 = \"{hash}\""), "https://"),
            (format!("[[cleaner]]\n{name}"), "either file or link"),
            ("[[cleaner]]\nname = { ja = \"x\" }\nlink = \"https://a.example/x\"".into(), "missing in en"),
            ("[[helper]]\nname = { ja = \"x\", en = \"x\" }\nhow = { en = \"x\" }".into(), "missing in ja"),
        ] {
            let e = read(&text).unwrap_err();
            assert!(e.contains(told), "{e}");
        }
    }
}
