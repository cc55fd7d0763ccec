//! What a site's name weighs, learned anew (`site-train`) and judged (`site-eval`) on lists that are packages: fetched by
//! name, in fixed versions, so that anybody gets the same figures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::cargo::cargo;

/// npm's packages with lists of bad names.
const NPM: [(&str, &str); 2] =
    [("@adguard/dnr-rulesets", "3.3.20260320140136"), ("eth-phishing-detect", "1.2.0")];
/// PyPI's: lists of popular names, and the model that ours is held against.
const PYPI: [(&str, &str); 2] = [("pymispwarninglists", "1.7.0"), ("fraudurl", "1.0.1")];
const TABLE: &str = "crates/site/tables/site.table";

/// Learns the weights anew and writes the table.
pub fn train(root: &Path) -> Result<ExitCode> {
    let lists = fetch(root)?;
    let dir = tempfile::tempdir()?;
    let (body, packed) = (dir.path().join("site.body"), dir.path().join("site.zst"));
    let example = ["run", "--release", "--quiet", "--package", "noroshi-site", "--example", "train", "--"];
    done(cargo().args(example).arg(&lists).arg(&body).current_dir(root))?;
    done(
        Command::new("zstd").args(["-q", "--ultra", "-22", "--no-check"]).arg(&body).arg("-o").arg(&packed),
    )?;
    let mut file = head().into_bytes();
    file.extend(fs::read(&packed)?);
    let (new, table) = (root.join(TABLE).with_extension("new"), root.join(TABLE));
    fs::write(&new, &file)?;
    fs::rename(&new, &table)?;
    println!("{TABLE}: {} KiB", file.len() / 1024);
    Ok(ExitCode::SUCCESS)
}

/// Judges the table in the program, beside the other model in the same run.
pub fn eval(root: &Path) -> Result<ExitCode> {
    let lists = fetch(root)?;
    let test = ["test", "--release", "--package", "noroshi-site", "--test", "labelled", "--", "--nocapture"];
    done(cargo().args(test).env("NOROSHI_TEST_SITE_LISTS", &lists).current_dir(root))?;
    Ok(ExitCode::SUCCESS)
}

fn head() -> String {
    let [(rules, rules_version), _] = NPM;
    let [(warning, warning_version), _] = PYPI;
    format!(
        "noroshi-table 1\nkind: site\nsource: {rules} (lists 255, 257; scaled on 208, 256), {warning}\n\
         version: {rules_version}, {warning_version}\n\
         licence: counted from public lists, which are not in it; popular names: CC0-1.0 (MISP)\n\n"
    )
}

/// The folder with the unpacked packages, kept between runs.
pub fn fetch(root: &Path) -> Result<PathBuf> {
    let folder = root.join("target/site-lists");
    fs::create_dir_all(&folder)?;
    for (package, version) in NPM {
        let place = folder.join(package);
        if fs::read_to_string(place.join("package.json")).is_ok_and(|text| text.contains(version)) {
            continue;
        }
        let dir = tempfile::tempdir_in(&folder)?;
        done(
            Command::new("npm").args(["pack", "--silent", &format!("{package}@{version}")]).current_dir(&dir),
        )?;
        let archive = fs::read_dir(dir.path())?.flatten().map(|entry| entry.path()).next();
        let archive = archive.with_context(|| format!("npm brought no archive of {package}"))?;
        done(Command::new("tar").arg("xzf").arg(&archive).current_dir(&dir))?;
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        fs::create_dir_all(place.parent().context("a package without a place")?)?;
        fs::rename(dir.path().join("package"), &place)?;
    }
    for (package, version) in PYPI {
        if folder.join(format!("{package}-{version}.dist-info")).exists() {
            continue;
        }
        let pip = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--disable-pip-version-check",
            "--upgrade",
            "--target",
        ];
        done(Command::new("python3").args(pip).arg(&folder).arg(format!("{package}=={version}")))?;
    }
    Ok(folder)
}

fn done(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {:?}", command.get_program()))?;
    ensure!(status.success(), "{:?} failed: {status}", command.get_program());
    Ok(())
}
