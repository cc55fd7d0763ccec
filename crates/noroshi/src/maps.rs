//! Where maps lie: those inside the program, a newer signed bundle, the operator's own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use noroshi_feed::Bundle;
use noroshi_feed::bundle::{MANIFEST_FILE, RELEASE_KEY, sign};
use noroshi_law::evidence::note::{Signer, Verifier};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::keys;
use crate::report::say;

/// `[feeds]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct FeedsFile {
    /// Folder of your own maps. Default: `feeds` in the data folder.
    pub maps: Option<PathBuf>,
    /// Folder of a signed bundle of maps; used where it is newer than what is shipped.
    pub bundle: Option<PathBuf>,
    /// Keys that may sign a bundle, besides that of the noroshi project.
    pub bundle_keys: Vec<String>,
}

/// The folder of the operator's own maps.
pub fn own_folder(config: &Config) -> PathBuf {
    config.feeds.maps.clone().unwrap_or_else(|| config.data_dir.join("feeds"))
}

/// All maps.
pub fn read(config: &Config) -> anyhow::Result<Bundle> {
    let mut bundle = Bundle::shipped();
    if let Some(folder) = &config.feeds.bundle {
        let keys = config.feeds.bundle_keys.iter().map(String::as_str).chain([RELEASE_KEY]);
        let keys = keys.map(Verifier::parse).collect::<Result<Vec<_>, _>>().context("feeds.bundle-keys")?;
        bundle.renew(folder, &keys).with_context(|| format!("the bundle in {}", folder.display()))?;
    }
    bundle.add_folder(&own_folder(config))?;
    Ok(bundle)
}

/// Keeps a map among the operator's own.
pub fn save(config: &Config, name: &str, map: &str, replace: bool) -> anyhow::Result<PathBuf> {
    let folder = own_folder(config);
    let path = folder.join(format!("{name}.toml"));
    if path.exists() && !replace {
        bail!("{} is there already; --replace replaces it", path.display());
    }
    keys::private_folder(&config.data_dir)?;
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    // Written beside and renamed: who reads maps meanwhile sees the old one or the new one.
    let next = folder.join(format!(".{name}.next"));
    std::fs::write(&next, map).with_context(|| format!("{} cannot be written", next.display()))?;
    std::fs::rename(&next, &path)?;
    Ok(path)
}

/// Signs the maps of a folder.
pub fn sign_folder(folder: &Path, key: &Path, signer: &str, version: u64) -> anyhow::Result<ExitCode> {
    let (parent, file) =
        (key.parent().unwrap_or(Path::new(".")), key.file_name().context("--key names a file")?);
    let pkcs8 = keys::read_or_make(parent, &file.to_string_lossy(), || Ok(Signer::generate()?))?;
    let signer = Signer::load(signer, &pkcs8)?;
    let manifest = sign(folder, version, &signer)?;
    std::fs::write(folder.join(MANIFEST_FILE), &manifest)?;
    say!("{}", signer.verifier().line());
    Ok(ExitCode::SUCCESS)
}
