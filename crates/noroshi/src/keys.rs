//! The keys in the data folder: made at first use, readable by the owner only, never printed.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use noroshi_law::evidence::note::{Signer, Verifier};
use ring::rand::SecureRandom as _;

/// Reads 32 secret bytes, making them where there are none.
pub fn secret(folder: &Path, name: &str) -> anyhow::Result<[u8; 32]> {
    let made = || {
        let mut bytes = [0; 32];
        ring::rand::SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| anyhow!("the system gave no randomness"))?;
        Ok(bytes.to_vec())
    };
    let bytes = read_or_make(folder, name, made)?;
    bytes.try_into().map_err(|_| anyhow!("{name} is not a key of 32 bytes"))
}

/// Loads the evidence log's signing key, making one where there is none. `origin` names a new log; an existing one keeps
/// the name in its public key, whatever the configuration says by now.
pub fn signer(folder: &Path, origin: &str) -> anyhow::Result<Signer> {
    let pkcs8 = read_or_make(folder, "evidence.key", || Ok(Signer::generate()?))?;
    let public = || Ok(format!("{}\n", Signer::load(origin, &pkcs8)?.verifier().line()).into_bytes());
    let public = String::from_utf8(read_or_make(folder, "evidence.pub", public)?)?;
    let public = Verifier::parse(&public).context("keys/evidence.pub")?;
    let signer = Signer::load(public.name(), &pkcs8)?;
    if signer.verifier() != public {
        bail!("keys/evidence.pub is not the public half of keys/evidence.key");
    }
    Ok(signer)
}

/// Makes a folder that only its owner can enter.
pub fn private_folder(folder: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("{} cannot be made", folder.display()))
}

/// Reads a file of the folder, making it for its owner only where there is none.
pub fn read_or_make(
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
    private_folder(folder)?;
    // Written beside and renamed: a crash in between leaves no half key.
    let next = folder.join(format!("{name}.next"));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(&make()?)?;
    file.sync_all()?;
    fs::rename(&next, &path)?;
    fs::File::open(folder)?.sync_all()?;
    fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))
}
