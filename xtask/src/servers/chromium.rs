//! Finds the browser that the portal's tests drive, with fonts for Japanese so that a missing glyph is our
//! fault.

use std::process::Command;

use anyhow::{Context, Result};

use super::{Ready, apt, on_path, output_of};

pub const HOW: &str =
    "install Chromium and the Noto CJK fonts (Debian: apt-get install chromium fonts-noto-cjk)";

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

pub fn find() -> Result<Ready> {
    let found = || NAMES.iter().find_map(|name| on_path(name));
    let path = match found() {
        Some(path) => path,
        None => {
            apt::install(&["chromium", "fonts-noto-cjk"])?;
            found().context("installed, yet not found")?
        }
    };
    let version = output_of(Command::new(&path).arg("--version"))?;
    let version = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    Ok(Ready {
        version: version.unwrap_or("of unknown version").to_owned(),
        environment: vec![("NOROSHI_TEST_CHROMIUM", path.display().to_string())],
        _keeper: None,
    })
}
