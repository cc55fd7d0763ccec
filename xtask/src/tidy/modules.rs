//! No dead modules: a file under src/ that no `mod` declaration leads to is not compiled, and misleads
//! whoever reads it.

use std::collections::BTreeSet;

use super::lexer::only_code;
use super::{Fault, Tree, source_folder};

/// Every source file is reached from its package's lib.rs, main.rs or bin/.
pub fn check(tree: &Tree) -> Vec<Fault> {
    let mut reached: BTreeSet<String> =
        tree.sources().map(|(path, _)| path.to_owned()).filter(|p| is_root(p)).collect();
    let mut to_read: Vec<String> = reached.iter().cloned().collect();
    while let Some(path) = to_read.pop() {
        let folder = folder_of_children(&path);
        for name in declared(&tree.0[&path]) {
            let places = [format!("{folder}{name}.rs"), format!("{folder}{name}/mod.rs")];
            for place in places.into_iter().filter(|place| tree.0.contains_key(place)) {
                if reached.insert(place.clone()) {
                    to_read.push(place);
                }
            }
        }
    }
    tree.sources()
        .filter(|(path, _)| !reached.contains(*path))
        .map(|(path, _)| Fault::error(path, 1, "no `mod` declaration leads here"))
        .collect()
}

fn is_root(path: &str) -> bool {
    let inside = source_folder(path).map_or("", |folder| &path[folder.len()..]);
    let parts: Vec<&str> = inside.split('/').collect();
    matches!(parts.as_slice(), ["lib.rs" | "main.rs"] | ["bin", _] | ["bin", _, "main.rs"])
}

fn folder_of_children(path: &str) -> String {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    match file {
        "lib.rs" | "main.rs" | "mod.rs" => format!("{folder}/"),
        _ => format!("{folder}/{}/", file.trim_end_matches(".rs")),
    }
}

/// The names in `mod NAME;`.
fn declared(text: &str) -> Vec<String> {
    let code = only_code(text).replace(';', " ; ");
    let words: Vec<&str> = code.split_whitespace().collect();
    words
        .windows(3)
        .filter(|three| three[0] == "mod" && three[2] == ";")
        .map(|three| three[1].trim_start_matches("r#").to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::report;
    use super::*;

    #[test]
    fn a_file_nobody_declares_is_dead() {
        let files = [
            ("crates/law/src/lib.rs", "//! Why.\npub mod seal;\n// mod ghost;\n#[cfg(test)] mod tests;"),
            ("crates/law/src/seal.rs", "mod wax;"),
            ("crates/law/src/seal/wax.rs", ""),
            ("crates/law/src/tests.rs", ""),
            ("crates/law/src/ghost.rs", "mod child;"),
            ("crates/law/src/ghost/child.rs", ""),
            ("crates/law/src/bin/tool.rs", ""),
            ("crates/law/tests/outside.rs", ""),
        ];
        assert_eq!(
            report(check, &files),
            [
                "crates/law/src/ghost.rs:1: no `mod` declaration leads here",
                "crates/law/src/ghost/child.rs:1: no `mod` declaration leads here"
            ]
        );
    }
}
