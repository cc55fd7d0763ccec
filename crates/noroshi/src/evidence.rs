//! The evidence log at the command line: walk it, prove of it, publish it, say what the public is told. What takes a key file
//! and no data folder is what an auditor runs elsewhere.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use noroshi_act::notice::jst;
use noroshi_law::evidence::audit::{Report, audit_tiles};
use noroshi_law::evidence::disclosure::{Disclosure, Figures, Told};
use noroshi_law::evidence::note::Verifier;
use noroshi_law::evidence::proof::{Growth, Proof};
use noroshi_store::StoreError;
use noroshi_store::tiles::TilesError;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cli::{Evidence, Page};
use crate::commands::{FOUND_WRONG, PAGE, Where, offset};
use crate::house::House;
use crate::report::{self, say};

/// Faults shown to people.
const FAULTS_SHOWN: usize = 20;

/// Does what was typed.
pub fn run(at: &Where, what: Evidence) -> anyhow::Result<ExitCode> {
    match what {
        Evidence::Verify { proof: Some(proof), key: Some(key), json, .. } => verify_proof(&proof, &key, json),
        Evidence::Verify { tiles: Some(tiles), key, checkpoint, json, .. } => {
            let key = key.map_or_else(|| own_key(at), Ok)?;
            let report = audit_tiles(
                |path| std::fs::read(tiles.join(path)).ok(),
                &checkpoint.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?,
                &read_key(&key)?,
            );
            tell(&report, json)
        }
        Evidence::Verify { key, checkpoint, json, .. } => {
            let house = at.look()?;
            let key = key.map_or_else(|| Ok(house.signer.verifier()), |path| read_key(&path))?;
            let kept = checkpoint.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
            tell(&house.evidence().verify_against(&key, &kept)?, json)
        }
        Evidence::Export { tiles: Some(folder), json, .. } => export_tiles(&at.look()?, &folder, json),
        Evidence::Export { index, json, .. } | Evidence::Prove { index, from_size: None, json } => {
            let index = index.context("which entry?")?;
            let proof =
                at.look()?.evidence().prove(index)?.with_context(|| format!("there is no entry {index}"))?;
            document(&proof, json)
        }
        Evidence::Prove { from_size: Some(from), json, .. } => document(&growth(&at.look()?, from)?, json),
        Evidence::Transparency { json } => {
            let told = disclosure(&at.look()?, u64::MAX)?;
            if json {
                report::json(&told)?;
            } else {
                transparency(&told);
            }
            Ok(ExitCode::SUCCESS)
        }
        Evidence::List(page) => list(&at.look()?, &page),
    }
}

/// What the public is told; counts so many entries at most that were not counted before.
pub fn disclosure(house: &House, entries_max: u64) -> Result<Disclosure, StoreError> {
    let counts = house.evidence().counts(entries_max)?;
    Ok(Disclosure::of(&counts, &house.register, &house.signer.verifier()))
}

fn list(house: &House, page: &Page) -> anyhow::Result<ExitCode> {
    for entry in house.evidence().page(offset(page), PAGE)? {
        if page.json {
            report::json(&entry)?;
        } else {
            let r = &entry.record;
            say!(
                "{:>6}  {}  {:<8} {:<16} {:<9} rule {} ({} records)",
                entry.index,
                jst(r.at),
                format!("{:?}", r.kind).to_lowercase(),
                r.measure,
                r.usage.id(),
                r.rule,
                r.records
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A document for somebody else, to be read or in one line.
fn document(what: &impl Serialize, in_one_line: bool) -> anyhow::Result<ExitCode> {
    if in_one_line {
        report::json(what)?;
    } else {
        say!("{}", serde_json::to_string_pretty(what)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn growth(house: &House, from: u64) -> anyhow::Result<Growth> {
    let log = house.evidence();
    if let Some(growth) = log.prove_growth(from)? {
        return Ok(growth);
    }
    match log.signed_sizes_around(from)?[..] {
        [below, above] => {
            bail!("no checkpoint of {from} entries was signed; the nearest are of {below} and of {above}")
        }
        [one] => bail!("no checkpoint of {from} entries was signed; the nearest is of {one}"),
        _ => bail!("no checkpoint was signed yet"),
    }
}

fn export_tiles(house: &House, folder: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    match house.evidence().export_tiles(folder) {
        Ok(exported) if as_json => report::json(&exported)?,
        Ok(exported) => say!(
            "{}: {} entries, {} of them new; {} files written",
            folder.display(),
            exported.entries,
            exported.entries - exported.from,
            exported.files
        ),
        Err(TilesError::Forked(why)) => {
            eprintln!("noroshi: nothing was published: {why}");
            return Ok(ExitCode::from(FOUND_WRONG));
        }
        Err(e) => return Err(e.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn read_key(path: &Path) -> anyhow::Result<Verifier> {
    Ok(Verifier::parse(&read(path)?)?)
}

/// The public key of the data folder, which is not opened for that.
fn own_key(at: &Where) -> anyhow::Result<PathBuf> {
    Ok(at.read()?.data_dir.join("keys/evidence.pub"))
}

/// What `evidence prove` gives.
#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Entry(Box<Proof>),
    Growth(Growth),
}

fn verify_proof(proof: &Path, key: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let document: Document = serde_json::from_str(&read(proof)?).context("that is no proof")?;
    let key = read_key(key)?;
    let held = match &document {
        Document::Entry(proof) => {
            let (index, size) = (proof.entry.index, proof.tree_size);
            let says = format!("entry {index} is in the log of {size} entries that was signed");
            proof
                .verify(&key)
                .map(|()| (says, json!({ "entry": index, "entries": size })))
                .map_err(|e| e.to_string())
        }
        Document::Growth(growth) => growth
            .verify(&key)
            .map(|(from, to)| {
                let says =
                    format!("the log of {to} entries is the log of {from} entries that was signed, grown");
                (says, json!({ "from": from, "entries": to }))
            })
            .map_err(|e| e.to_string()),
    };
    match held {
        Ok((_, mut as_said)) if as_json => {
            as_said["holds"] = true.into();
            report::json(&as_said)?;
        }
        Ok((says, _)) => say!("{says}"),
        Err(why) => {
            if as_json {
                report::json(&json!({ "holds": false, "why": why }))?;
            } else {
                eprintln!("noroshi: the proof does not hold: {why}");
            }
            return Ok(ExitCode::from(FOUND_WRONG));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(found: &Report, as_json: bool) -> anyhow::Result<ExitCode> {
    let faults: Vec<String> = found.faults.iter().map(ToString::to_string).collect();
    let intact = found.intact();
    let root = found.root.map(|r| r.to_string()).unwrap_or_default();
    if as_json {
        report::json(&json!({
            "intact": intact, "entries": found.entries, "checkpoints": found.checkpoints,
            "root": root, "faults": faults,
        }))?;
    } else if intact {
        say!("intact: {} entries, {} signed checkpoints, root {root}", found.entries, found.checkpoints);
    } else {
        say!("NOT INTACT: {} entries, {} faults", found.entries, faults.len());
        faults.iter().take(FAULTS_SHOWN).for_each(|f| say!("  {f}"));
        if faults.len() > FAULTS_SHOWN {
            say!("  and {} more; --json lists them all", faults.len() - FAULTS_SHOWN);
        }
    }
    Ok(if intact { ExitCode::SUCCESS } else { ExitCode::from(FOUND_WRONG) })
}

fn transparency(told: &Disclosure) {
    let number = |number: &Told| match number {
        Told::Exactly(number) => number.to_string(),
        Told::FewerThan(k) => format!("fewer than {k}"),
    };
    say!(
        "{} of {} entries counted; numbers below {} are not told exactly\n",
        told.counted,
        told.entries,
        told.fewer_than
    );
    for Figures { measure, title_en, permits, looks, subscribers, notices, opt_outs, refusals, .. } in
        &told.measures
    {
        say!("{measure}: {title_en}");
        for (name, figure) in [
            ("permits", permits),
            ("looks", looks),
            ("subscribers found", subscribers),
            ("notices sent", notices),
            ("opt-outs honoured", opt_outs),
        ] {
            say!("  {name:<18} {}", number(figure));
        }
        refusals.iter().for_each(|(rule, figure)| say!("  refused            {} by {rule}", number(figure)));
        say!("");
    }
    say!("refused, for measures that there are not: {}", number(&told.unknown_measure));
    say!("\n{}{}", told.checkpoint, told.key);
}
