//! The collection of maps: those shipped inside the program, a newer bundle of them, and the operator's own.
//!
//! What is shipped is signed, so that maps can be renewed without a new program and without trusting whoever carried
//! them: a bundle is a folder of maps with a `MANIFEST`, a signed note (C2SP) of the form
//!
//! ```text
//! noroshi feed maps
//! 3                                      the bundle's version
//! <sha-256> shadowserver.toml            one line a map
//!
//! — noroshi.example/feeds <signature>
//! ```
//!
//! The operator's own maps are configuration: they need no signature, and go before what is shipped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use noroshi_law::evidence::Digest;
use noroshi_law::evidence::note::{NoteError, Signer, Verifier};

use crate::map::{MAP_BYTES_MAX, MapError, MapFile};

/// The maps that are shipped, as text.
const SHIPPED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/maps.rs"));
/// What is signed for them.
const MANIFEST: &str = include_str!("../../../feeds/MANIFEST");
/// The key that signs what is shipped.
pub const RELEASE_KEY: &str = include_str!("../../../feeds/release.pub");
/// The manifest's file name.
pub const MANIFEST_FILE: &str = "MANIFEST";
/// First line of a manifest.
const HEAD: &str = "noroshi feed maps";
/// Most maps in a folder.
const MAPS_MAX: usize = 1000;

/// Maps by format.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    maps: BTreeMap<String, Held>,
    version: u64,
}

#[derive(Clone, Debug)]
struct Held {
    text: String,
    map: OnceLock<MapFile>,
    own: bool,
}

/// What is wrong with a bundle or a folder of maps.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file or folder that cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A map that is none.
    #[error("{}: {error}", path.display())]
    Map {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: MapError,
    },
    /// Signed by nobody who is trusted, or changed.
    #[error("the manifest: {0}")]
    Note(#[from] NoteError),
    /// A manifest that does not fit its maps.
    #[error("the manifest: {0}")]
    Manifest(String),
    /// Too many.
    #[error("{}: more than {MAPS_MAX} maps", .0.display())]
    TooMany(PathBuf),
}

impl Bundle {
    /// The maps that are shipped. They are read when they are first used: a program that needs one should not wait for
    /// a hundred.
    pub fn shipped() -> Self {
        let held = |text: &str| Held { text: text.to_owned(), map: OnceLock::new(), own: false };
        let maps = SHIPPED.iter().map(|(file, text)| (format_of(file).to_owned(), held(text))).collect();
        Self { maps, version: version_of(MANIFEST) }
    }

    /// Checks what is shipped against its signature.
    pub fn verify_shipped() -> Result<u64, BundleError> {
        let texts = SHIPPED.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        check(&Verifier::parse(RELEASE_KEY)?, MANIFEST, &texts)
    }

    /// The version of the maps that are not the operator's own.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Adds a map, or replaces the one of the same format.
    pub fn add(&mut self, text: &str) -> Result<&MapFile, MapError> {
        let map = MapFile::parse(text)?;
        let held = Held { text: text.to_owned(), map: OnceLock::new(), own: true };
        let held = match self.maps.entry(map.format.clone()) {
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                entry.insert(held);
                entry.into_mut()
            }
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(held),
        };
        Ok(held.map.get_or_init(|| map))
    }

    /// Adds the operator's own maps, every `*.toml` of a folder. A folder that is not there has none.
    pub fn add_folder(&mut self, folder: &Path) -> Result<usize, BundleError> {
        let texts = read_folder(folder)?;
        for (file, text) in &texts {
            self.add(text).map_err(|error| BundleError::Map { path: folder.join(file), error })?;
        }
        Ok(texts.len())
    }

    /// Puts a newer bundle in place of what is shipped: every map of it is checked against its signed manifest first. An
    /// older one than we have changes nothing and is told by its version.
    pub fn renew(&mut self, folder: &Path, keys: &[Verifier]) -> Result<u64, BundleError> {
        let manifest = read(&folder.join(MANIFEST_FILE))?;
        let texts = read_folder(folder)?;
        let mut checked = Err(BundleError::Manifest("no key is trusted".to_owned()));
        for key in keys {
            checked = check(key, &manifest, &texts);
            if checked.is_ok() {
                break;
            }
        }
        let version = checked?;
        for (file, text) in &texts {
            MapFile::parse(text).map_err(|error| BundleError::Map { path: folder.join(file), error })?;
        }
        if version > self.version {
            self.version = version;
            self.maps.retain(|_, held| held.own);
            for (file, text) in texts {
                let held = Held { text, map: OnceLock::new(), own: false };
                self.maps.entry(format_of(&file).to_owned()).or_insert(held);
            }
        }
        Ok(version)
    }

    /// The map of a format.
    pub fn map(&self, format: &str) -> Option<&MapFile> {
        let held = self.maps.get(format)?;
        if let Some(map) = held.map.get() {
            return Some(map);
        }
        // A shipped map that cannot be read is found by the test below, not by an operator.
        let map = MapFile::parse(&held.text).ok()?;
        Some(held.map.get_or_init(|| map))
    }

    /// The formats there are maps for, and whether the map is the operator's own.
    pub fn formats(&self) -> impl Iterator<Item = (&str, bool)> {
        self.maps.iter().map(|(format, held)| (format.as_str(), held.own))
    }
}

/// Signs the maps of a folder: the text of its manifest.
pub fn sign(folder: &Path, version: u64, signer: &Signer) -> Result<String, BundleError> {
    Ok(signer.sign(&manifest_text(version, &read_folder(folder)?)))
}

fn manifest_text(version: u64, texts: &BTreeMap<String, String>) -> String {
    let lines = texts.iter().map(|(file, text)| format!("{} {file}\n", Digest::of(text.as_bytes())));
    format!("{HEAD}\n{version}\n{}", lines.collect::<String>())
}

fn check(key: &Verifier, manifest: &str, texts: &BTreeMap<String, String>) -> Result<u64, BundleError> {
    let signed = key.open_text(manifest)?;
    let version = version_of(signed);
    if version > 0 && signed == manifest_text(version, texts) {
        return Ok(version);
    }
    Err(BundleError::Manifest("it was signed for other maps than these".to_owned()))
}

fn version_of(manifest: &str) -> u64 {
    manifest.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)
}

fn format_of(file: &str) -> &str {
    file.trim_end_matches(".toml")
}

fn read_folder(folder: &Path) -> Result<BTreeMap<String, String>, BundleError> {
    let failed = |error| BundleError::Io { path: folder.to_owned(), error };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut texts = BTreeMap::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".toml") && !name.starts_with('.') {
            if texts.len() >= MAPS_MAX {
                return Err(BundleError::TooMany(folder.to_owned()));
            }
            let text = read(&folder.join(&name))?;
            texts.insert(name, text);
        }
    }
    Ok(texts)
}

fn read(path: &Path) -> Result<String, BundleError> {
    use std::io::Read as _;
    let failed = |error| BundleError::Io { path: path.to_owned(), error };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(MAP_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_map_can_be_read_and_is_called_as_its_file() {
        assert!(!SHIPPED.is_empty());
        for (file, text) in SHIPPED {
            let map = MapFile::parse(text).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert_eq!(format!("{}.toml", map.format), *file);
        }
    }

    #[test]
    fn what_is_shipped_is_signed() {
        assert!(Bundle::verify_shipped().expect("run `noroshi feed sign feeds`") > 0);
    }

    #[test]
    fn a_bundle_is_taken_when_it_is_signed_whole_and_newer() {
        let folder = std::env::temp_dir().join(format!("noroshi-bundle-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let map =
            |column: &str| format!("format = \"x\"\nversion = 1\n[columns]\n{column} = \"source.ip\"\n");
        let signer = Signer::load("feeds.example", &Signer::generate().unwrap()).unwrap();
        let keys = [signer.verifier()];
        let write = |text: &str| std::fs::write(folder.join("x.toml"), text).unwrap();
        let sign = |version| {
            let manifest = sign(&folder, version, &signer).unwrap();
            std::fs::write(folder.join(MANIFEST_FILE), manifest).unwrap();
        };
        write(&map("ip"));
        sign(7);
        let mut bundle = Bundle::default();
        assert_eq!(bundle.renew(&folder, &keys).unwrap(), 7);
        assert!(bundle.map("x").unwrap().mapping.columns.contains_key("ip"));
        write(&map("changed"));
        assert!(matches!(bundle.renew(&folder, &keys), Err(BundleError::Manifest(_))));
        sign(6);
        assert_eq!(bundle.renew(&folder, &keys).unwrap(), 6);
        assert!(bundle.map("x").unwrap().mapping.columns.contains_key("ip"), "older than what we have");
        let other = Signer::load("feeds.example", &Signer::generate().unwrap()).unwrap();
        assert!(matches!(bundle.renew(&folder, &[other.verifier()]), Err(BundleError::Note(_))));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
