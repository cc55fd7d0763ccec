//! Installs what is missing where that is possible without asking: as root on a Debian-like machine, which is
//! what CI is.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{am_root, on_path, output_of};

/// Installs the packages, quietly and without asking.
pub fn install(packages: &[&str]) -> Result<()> {
    ensure!(on_path("apt-get").is_some(), "not installed, and there is no apt-get here");
    ensure!(am_root(), "not installed, and only root may install it");
    eprintln!("xtask: installing {}", packages.join(" "));
    if apt_get("install", packages).is_ok() {
        return Ok(());
    }
    // The package lists may be absent or name files that have been replaced since.
    apt_get("update", &[])?;
    apt_get("install", packages).with_context(|| format!("installing {}", packages.join(" ")))
}

fn apt_get(verb: &str, packages: &[&str]) -> Result<()> {
    let options = ["-y", "-q", "--no-install-recommends"];
    let waits = ["-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confold"];
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(options).args(waits).arg(verb).args(packages);
    output_of(&mut command).map(drop)
}
