//! ARCHITECTURE.md leads a reader through the code by "The walk": a numbered list of at most eight files. A
//! walk that names files which have moved is worse than none.

use super::{Fault, Tree};

const PATH: &str = "ARCHITECTURE.md";
const HEADING: &str = "## The walk";
const FILES_MAX: usize = 8;

/// The walk is there, is short, and every file on it exists.
pub fn check(tree: &Tree) -> Vec<Fault> {
    let Some(text) = tree.0.get(PATH) else {
        return Vec::new();
    };
    let Some(start) = text.lines().position(|line| line.trim_end() == HEADING) else {
        return vec![Fault::error(PATH, 1, format!("lacks the section `{HEADING}`"))];
    };
    let section = text.lines().enumerate().skip(start + 1).take_while(|(_, line)| !line.starts_with("## "));
    let stops: Vec<(usize, Vec<&str>)> =
        section.filter(|(_, line)| is_numbered(line)).map(|(index, line)| (index + 1, paths(line))).collect();

    let mut faults: Vec<Fault> =
        stops.iter().flat_map(|(line, paths)| faults_of_stop(tree, *line, paths)).collect();
    let files = stops.iter().map(|(_, paths)| paths.len()).sum::<usize>();
    if files == 0 {
        faults.push(Fault::error(PATH, start + 1, "the walk names no file in a numbered list"));
    }
    if files > FILES_MAX {
        faults.push(Fault::error(
            PATH,
            start + 1,
            format!("the walk names {files} files, more than {FILES_MAX}"),
        ));
    }
    faults
}

fn faults_of_stop(tree: &Tree, line: usize, paths: &[&str]) -> Vec<Fault> {
    if paths.is_empty() {
        return vec![Fault::error(PATH, line, "this stop of the walk names no file")];
    }
    let missing = paths.iter().filter(|path| !tree.0.contains_key(**path));
    missing.map(|path| Fault::error(PATH, line, format!("{path} does not exist"))).collect()
}

/// `1. …`
fn is_numbered(line: &str) -> bool {
    line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

/// What stands between backticks and looks like a path: `crates/law/src/lib.rs`, not `Sealed<T>`.
fn paths(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).filter(|quoted| quoted.contains('/') && quoted.contains('.')).collect()
}

#[cfg(test)]
mod tests {
    use super::super::report;
    use super::*;

    fn check_walk(list: &str, expected: &[&str]) {
        let text = format!("# Architecture\n\n## The walk\n\n{list}\n\n## Why\n\n1. `not/on.the.walk`\n");
        let files = [(PATH, text.as_str()), ("crates/law/src/lib.rs", ""), ("crates/act/src/mail.rs", "")];
        assert_eq!(report(check, &files), expected);
    }

    #[test]
    fn a_walk_past_existing_files_passes() {
        check_walk("1. `crates/law/src/lib.rs`: a `Sealed<T>`\n2. the mail, `crates/act/src/mail.rs`", &[]);
        assert!(report(check, &[("README.md", "")]).is_empty());
    }

    #[test]
    fn a_walk_into_nothing_is_a_fault() {
        check_walk(
            "1. `crates/law/src/gone.rs`\n2. and then",
            &[
                "ARCHITECTURE.md:5: crates/law/src/gone.rs does not exist",
                "ARCHITECTURE.md:6: this stop of the walk names no file",
            ],
        );
        check_walk("Just read it all.", &["ARCHITECTURE.md:3: the walk names no file in a numbered list"]);
        assert_eq!(report(check, &[(PATH, "# A\n")]), ["ARCHITECTURE.md:1: lacks the section `## The walk`"]);
    }

    #[test]
    fn nine_files_are_too_long_a_walk() {
        let list = (1..=9).map(|n| format!("{n}. `crates/law/src/lib.rs`\n")).collect::<String>();
        check_walk(&list, &["ARCHITECTURE.md:3: the walk names 9 files, more than 8"]);
    }
}
