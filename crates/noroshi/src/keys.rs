//! The keys in the data folder: made at first use, readable by the owner only, never printed.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use noroshi_law::evidence::note::Signer;
use ring::rand::SecureRandom as _;

/// Reads 32 secret bytes, making them where there are none.
pub fn secret(folder: &Path, name: &str) -> anyhow::Result<[u8; 32]> {
    let made = || {
        let mut bytes = [0; 32];
        ring::rand::SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow!("the system gave no randomness"))?;
        Ok(bytes.to_vec())
    };
    let bytes = read_or_make(folder, name, made)?;
    bytes.try_into().map_err(|_| anyhow!("{name} is not a key of 32 bytes"))
}

/// Loads the evidence log's signing key, making one where there is none.
pub fn signer(folder: &Path, origin: &str) -> anyhow::Result<Signer> {
    let pkcs8 = read_or_make(folder, "evidence.key", || Ok(Signer::generate()?))?;
    let signer = Signer::load(origin, &pkcs8)?;
    let public = folder.join("evidence.pub");
    if !public.exists() {
        fs::write(&public, format!("{}\n", signer.verifier().line()))?;
    }
    Ok(signer)
}

fn read_or_make(
    folder: &Path,
    name: &str,
    make: impl FnOnce() -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<Vec<u8>> {
    let path = folder.join(name);
    match fs::read(&path) {
        Ok(bytes) => return Ok(bytes),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e).with_context(|| format!("{} cannot be read", path.display())),
    }
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    // Written beside and renamed: a crash in between leaves no half key.
    let next = folder.join(format!("{name}.next"));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(&make()?)?;
    file.sync_all()?;
    fs::rename(&next, &path)?;
    fs::File::open(folder)?.sync_all()?;
    fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))
}
