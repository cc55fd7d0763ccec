//! schemathesis, which reads the API's document and asks whatever that allows and does not allow: what it finds is a difference between
//! the document and the program, or an error of ours. It gets a folder of its own in `target`, kept between runs.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Ready, apt, judges, output_of};

pub const HOW: &str = "install Python 3.12 or newer with its venv module (Debian 13: apt-get install python3-venv); \
                       schemathesis is then fetched with pip";

const VERSION: &str = "4.32.5";

pub fn find() -> Result<Ready> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/schemathesis");
    let program = folder.join("bin/schemathesis");
    let installed =
        || output_of(Command::new(&program).arg("--version")).is_ok_and(|said| said.contains(VERSION));
    if !installed() {
        let python = match judges::new_enough() {
            Some(python) => python,
            None => {
                apt::install(&["python3", "python3-venv"])?;
                judges::new_enough().context("no Python 3.12 or newer")?
            }
        };
        output_of(Command::new(python).args(["-m", "venv", "--clear"]).arg(&folder))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        output_of(
            Command::new(folder.join("bin/python3")).args(pip).arg(format!("schemathesis=={VERSION}")),
        )?;
    }
    Ok(Ready {
        version: VERSION.to_owned(),
        environment: vec![("NOROSHI_TEST_SCHEMATHESIS", program.display().to_string())],
        _keeper: None,
    })
}
