//! The house rules, checked by an ordinary test, so that a reader can rely on them and a reviewer need not
//! remember them. The whole tree is read once into memory; each rule is a function from that tree to faults.

mod arrows;
mod fluent;
mod functions;
mod lexer;
mod modules;
mod sources;
mod walk;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

/// Kinds of file whose text some rule reads; of the others only the name is kept.
const READ: [&str; 4] = [".rs", ".toml", ".ftl", ".md"];

const RULES: [fn(&Tree) -> Vec<Fault>; 7] = [
    arrows::check,
    arrows::lints_are_inherited,
    fluent::check,
    functions::check,
    modules::check,
    sources::check,
    walk::check,
];

/// Prints every fault as `path:line: what is wrong`.
pub fn run(root: &Path) -> Result<ExitCode> {
    let tree = Tree::read(root)?;
    let faults = tree.faults();
    for fault in &faults {
        println!("{fault}");
    }
    let sources = tree.sources().count();
    ensure!(sources > 0, "no source file found below {}", root.display());
    let errors = faults.iter().filter(|fault| fault.is_error).count();
    println!("tidy: {sources} source files, {errors} errors, {} warnings", faults.len() - errors);
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The project's files by their path from its root, with `/` between folders.
#[derive(Default)]
struct Tree(BTreeMap<String, String>);

impl Tree {
    fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    fn read_folder(&mut self, root: &Path, folder: &str) -> Result<()> {
        let entries = std::fs::read_dir(root.join(folder)).with_context(|| format!("reading {folder}"))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || (name == "target" && !folder.ends_with("src")) {
                continue;
            }
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if entry.file_type()?.is_dir() {
                self.read_folder(root, &path)?;
            } else {
                let text = if READ.iter().any(|ending| path.ends_with(ending)) {
                    std::fs::read_to_string(entry.path()).with_context(|| format!("reading {path}"))?
                } else {
                    String::new()
                };
                self.0.insert(path, text);
            }
        }
        Ok(())
    }

    fn faults(&self) -> Vec<Fault> {
        RULES.iter().flat_map(|rule| rule(self)).collect()
    }

    fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust files the rules are for: `crates/*/src/**` and `xtask/src/**`.
    fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| path.ends_with(".rs") && source_folder(path).is_some())
    }
}

/// `crates/law/src/` of `crates/law/src/a/b.rs`.
fn source_folder(path: &str) -> Option<&str> {
    let package_start =
        if path.starts_with("xtask/") { 0 } else { path.strip_prefix("crates/").map(|_| 7)? };
    let package_end = package_start + path[package_start..].find('/')? + 1;
    let rest = path[package_end..].strip_prefix("src/")?;
    Some(&path[..path.len() - rest.len()])
}

/// One breach of a rule.
#[derive(Debug)]
struct Fault {
    path: String,
    line: usize,
    what: String,
    is_error: bool,
}

impl Fault {
    fn error(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), is_error: true }
    }

    fn warning(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { is_error: false, ..Self::error(path, line, what) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what, is_error } = self;
        write!(f, "{path}:{line}: {}{what}", if *is_error { "" } else { "warning: " })
    }
}

/// Runs one rule on a few files given in the test; returns its report.
#[cfg(test)]
fn report(rule: fn(&Tree) -> Vec<Fault>, files: &[(&str, &str)]) -> Vec<String> {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    rule(&Tree(files.collect())).iter().map(Fault::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let root = crate::workspace_root(&std::env::current_dir().unwrap()).unwrap();
        let tree = Tree::read(&root).unwrap();
        assert!(tree.sources().count() > 0, "looked at nothing");
        let (errors, warnings): (Vec<_>, Vec<_>) =
            tree.faults().into_iter().partition(|fault| fault.is_error);
        for warning in warnings {
            eprintln!("{warning}");
        }
        let errors: Vec<String> = errors.iter().map(Fault::to_string).collect();
        assert!(errors.is_empty(), "\n{}\n", errors.join("\n"));
    }

    #[test]
    fn a_tree_leaves_out_hidden_folders_and_build_results() {
        let dir = tempfile::tempdir().unwrap();
        for file in
            ["crates/a/src/lib.rs", "target/x.rs", ".git/y.rs", "crates/a/fuzz/target/z.rs", "logo.bin"]
        {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, [0x2f, 0x2f, 0x21]).unwrap();
        }
        let tree = Tree::read(dir.path()).unwrap();
        assert_eq!(tree.files().collect::<Vec<_>>(), [("crates/a/src/lib.rs", "//!"), ("logo.bin", "")]);
        assert_eq!(tree.sources().count(), 1);
    }

    #[test]
    fn sources_are_what_lies_in_src() {
        assert_eq!(source_folder("crates/law/src/a/b.rs"), Some("crates/law/src/"));
        assert_eq!(source_folder("xtask/src/main.rs"), Some("xtask/src/"));
        assert_eq!(source_folder("crates/law/tests/a.rs"), None);
        assert_eq!(source_folder("docs/src/a.rs"), None);
    }
}
