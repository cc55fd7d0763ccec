//! A Python with judges that are not ours: aics-tlog, an implementation of C2SP tlog-tiles, of our evidence log, dkimpy of the
//! signatures on our mails, dnspython, which plays scenarios against our resolver, and gglsbl, a client of its lists of URLs.
//! They want a newer Python than many machines call `python3`, so several places are looked into, and it gets a folder of its own
//! in `target`, kept between runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Ready, apt, on_path, output_of};

pub const HOW: &str = "install Python 3.12 or newer with its venv module (Debian 13: apt-get install python3-venv); \
                       aics-tlog, dkimpy, dnspython and gglsbl are then fetched with pip";

const NAMES: [&str; 5] = ["python3.14", "python3.13", "python3.12", "python3", "python"];
const NEW_ENOUGH: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))";
const VERSION: &str = "0.2.1";
const DKIMPY: &str = "1.1.8";
const DNSPYTHON: &str = "2.9.2";
const GGLSBL: &str = "1.4.15";

pub fn find() -> Result<Ready> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/aics-tlog");
    let python = folder.join("bin/python3");
    if !has_it(&python) {
        make(&folder).with_context(|| format!("a Python with aics-tlog {VERSION}"))?;
    }
    Ok(Ready {
        version: VERSION.to_owned(),
        environment: vec![
            ("NOROSHI_TEST_AICS", python.display().to_string()),
            ("NOROSHI_TEST_DKIMPY", python.display().to_string()),
            ("NOROSHI_TEST_DNSPYTHON", python.display().to_string()),
            ("NOROSHI_TEST_GGLSBL", python.display().to_string()),
        ],
        _keeper: None,
    })
}

fn has_it(python: &Path) -> bool {
    let script = format!(
        "import aics_tlog, dkim, dns, gglsbl, sys; from importlib.metadata import version as v; \
         sys.exit((aics_tlog.__version__, v('dkimpy'), v('dnspython'), v('gglsbl')) \
         != ('{VERSION}', '{DKIMPY}', '{DNSPYTHON}', '{GGLSBL}'))"
    );
    output_of(Command::new(python).args(["-c", &script])).is_ok()
}

fn make(folder: &Path) -> Result<()> {
    let python = match new_enough() {
        Some(python) => python,
        None => {
            apt::install(&["python3", "python3-venv"])?;
            new_enough().context("no Python 3.12 or newer")?
        }
    };
    output_of(Command::new(python).args(["-m", "venv", "--clear"]).arg(folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    let python = folder.join("bin/python3");
    output_of(Command::new(&python).args(pip).args([
        format!("aics-tlog=={VERSION}"),
        format!("dkimpy[ed25519]=={DKIMPY}"),
        format!("dnspython=={DNSPYTHON}"),
        "google-api-python-client".to_owned(),
    ]))?;
    // It asks for versions of what it needs that no longer install, and does with today's.
    output_of(Command::new(&python).args(pip).args(["--no-deps", &format!("gglsbl=={GGLSBL}")]))?;
    Ok(())
}

/// A Python that is new enough.
pub(super) fn new_enough() -> Option<PathBuf> {
    let on_path = NAMES.iter().filter_map(|name| on_path(name));
    on_path.chain(of_pyenv()).find(|python| {
        let tried = Command::new(python).args(["-c", NEW_ENOUGH]).output();
        tried.is_ok_and(|output| output.status.success())
    })
}

/// What pyenv has installed, newest first: its names on the path lead to the version chosen, and no other.
fn of_pyenv() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv"));
    let root = std::env::var_os("PYENV_ROOT").map(PathBuf::from).or(home);
    let versions = root.and_then(|root| std::fs::read_dir(root.join("versions")).ok());
    let versions = versions.into_iter().flatten().flatten();
    let mut pythons: Vec<PathBuf> = versions.map(|version| version.path().join("bin/python3")).collect();
    pythons.sort();
    pythons.reverse();
    pythons
}
