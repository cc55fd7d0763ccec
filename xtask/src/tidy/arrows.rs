//! Who may depend on whom. The arrows between our crates run one way, towards law and model; this table is
//! that drawing, and a dependency that is not in it is a fault. Dev-dependencies are free: a test may borrow
//! from anywhere.

use toml::{Table, Value};

use super::{Fault, Tree};

/// Folder in crates/ → what it may depend on of ours. `ANY` is for the program that puts it all together.
const ALLOWED: [(&str, &[&str]); 17] = [
    ("law", &[]),
    ("policy", &["law"]),
    ("model", &["law"]),
    ("wire", &["model", "law"]),
    ("feed", &["law", "model", "wire"]),
    ("observe", &["law", "model", "wire", "feed"]),
    ("orient", &["law", "model"]),
    ("decide", &["law", "model"]),
    ("act", &["law", "model", "wire"]),
    ("directory", &["law", "model", "act"]),
    ("book", &["law", "wire"]),
    ("improve", &["law", "model"]),
    ("resolver", &["law", "model", "wire"]),
    ("site", &["law", "model"]),
    ("store", &["law", "model"]),
    ("portal", &["law", "model"]),
    ("noroshi", ANY),
];
const ANY: &[&str] = &["*"];

/// Every crate is in the table, and depends only on what the table allows it.
pub fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in manifests(tree) {
        let name =
            path.strip_prefix("crates/").map_or("xtask", |rest| rest.split('/').next().unwrap_or(rest));
        let allowed = match ALLOWED.iter().find(|(krate, _)| *krate == name) {
            Some((_, allowed)) => allowed,
            None if path.starts_with("xtask/") => &[] as &[&str],
            None => {
                faults.push(Fault::error(
                    path,
                    1,
                    format!("{name} is not in the table of xtask/src/tidy/arrows.rs"),
                ));
                continue;
            }
        };
        match text.parse::<Table>() {
            Ok(manifest) => faults.extend(forbidden(path, text, &manifest, name, allowed)),
            Err(error) => {
                faults.push(Fault::error(path, 1, format!("not readable as TOML: {}", error.message())));
            }
        }
    }
    faults
}

/// Every crate takes its lints from the workspace.
pub fn lints_are_inherited(tree: &Tree) -> Vec<Fault> {
    manifests(tree)
        .filter(|(_, text)| {
            let lints = text.parse::<Table>().ok().and_then(|manifest| manifest.get("lints").cloned());
            lints.and_then(|lints| lints.get("workspace").and_then(Value::as_bool)) != Some(true)
        })
        .map(|(path, _)| Fault::error(path, 1, "lacks `[lints] workspace = true`"))
        .collect()
}

fn manifests(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.files().filter(|(path, _)| {
        let parts: Vec<&str> = path.split('/').collect();
        matches!(parts.as_slice(), ["crates", _, "Cargo.toml"] | ["xtask", "Cargo.toml"])
    })
}

fn forbidden(path: &str, text: &str, manifest: &Table, name: &str, allowed: &[&str]) -> Vec<Fault> {
    dependencies(manifest)
        .filter_map(|(key, value)| {
            let package = value.get("package").and_then(Value::as_str).unwrap_or(key);
            let ours = if package == "noroshi" { package } else { package.strip_prefix("noroshi-")? };
            let may = allowed == ANY || allowed.contains(&ours);
            let what = || format!("{name} may not depend on {ours}");
            (!may).then(|| Fault::error(path, line_of(text, key), what()))
        })
        .collect()
}

/// `[dependencies]` and `[build-dependencies]`, those for single targets among them.
fn dependencies(manifest: &Table) -> impl Iterator<Item = (&String, &Value)> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let tables = targets.filter_map(|(_, target)| target.as_table()).chain([manifest]);
    tables.flat_map(|table| {
        let kinds = ["dependencies", "build-dependencies"];
        kinds.into_iter().filter_map(|kind| table.get(kind).and_then(Value::as_table)).flatten()
    })
}

fn line_of(text: &str, key: &str) -> usize {
    text.lines()
        .position(|line| line.trim_start().starts_with(key) || line.contains(&format!(".{key}]")))
        .unwrap_or(0)
        + 1
}

#[cfg(test)]
mod tests {
    use super::super::report;
    use super::*;

    #[test]
    fn arrows_as_drawn_pass() {
        let model = "[dependencies]\nserde.workspace = true\nnoroshi-law.workspace = true\n\
                     [dev-dependencies]\nnoroshi-store.workspace = true\n";
        let program = "[dependencies]\nnoroshi-act.workspace = true\nnoroshi-portal.workspace = true\n";
        let files = [("crates/model/Cargo.toml", model), ("crates/noroshi/Cargo.toml", program)];
        assert!(report(check, &files).is_empty());
    }

    #[test]
    fn an_arrow_against_the_stream_is_a_fault() {
        let law = "[package]\nname = \"noroshi-law\"\n\n[dependencies]\nnoroshi-model.workspace = true\n";
        assert_eq!(
            report(check, &[("crates/law/Cargo.toml", law)]),
            ["crates/law/Cargo.toml:5: law may not depend on model"]
        );
    }

    #[test]
    fn renaming_or_a_target_hides_nothing() {
        let wire =
            "[target.'cfg(unix)'.dependencies]\nshelf = { package = \"noroshi-store\", version = \"0\" }\n";
        let xtask = "[build-dependencies.noroshi-law]\nversion = \"0\"\n";
        assert_eq!(
            report(check, &[("crates/wire/Cargo.toml", wire), ("xtask/Cargo.toml", xtask)]),
            [
                "crates/wire/Cargo.toml:2: wire may not depend on store",
                "xtask/Cargo.toml:1: xtask may not depend on law"
            ]
        );
    }

    #[test]
    fn an_unknown_crate_has_to_enter_the_table() {
        let report = report(check, &[("crates/share/Cargo.toml", "")]);
        assert_eq!(
            report,
            ["crates/share/Cargo.toml:1: share is not in the table of xtask/src/tidy/arrows.rs"]
        );
    }

    #[test]
    fn own_lints_are_a_fault() {
        let good = ("crates/law/Cargo.toml", "[lints]\nworkspace = true\n");
        let bad = ("crates/model/Cargo.toml", "[lints.rust]\nunsafe_code = \"allow\"\n");
        assert_eq!(
            report(lints_are_inherited, &[good, bad]),
            ["crates/model/Cargo.toml:1: lacks `[lints] workspace = true`"]
        );
    }
}
