//! What every source file owes its reader: a word on why it exists, no leftovers, and a length one can read
//! in a sitting.

use super::lexer::only_code;
use super::{Fault, Tree};

const LINES_WARNED: usize = 600;
const LINES_MAX: usize = 900;

/// Looked for in code alone: a doc example may well leave its body out.
const MACROS: [&str; 3] = ["todo!(", "unimplemented!(", "dbg!("];

/// Looked for in comments too. Spelled in two halves, so that this file passes its own rule.
const NOTES: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X")];

/// Opening paragraph, leftovers, length.
pub fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in tree.sources() {
        faults.extend(opening(path, text));
        faults.extend(leftovers(path, text));
        faults.extend(length(path, text));
    }
    faults
}

fn opening(path: &str, text: &str) -> Option<Fault> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let says_why = first.strip_prefix("//!").is_some_and(|words| !words.trim().is_empty());
    (!says_why).then(|| Fault::error(path, 1, "does not open with a `//!` paragraph that says why it exists"))
}

fn leftovers(path: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let code = only_code(text);
    for (text, words) in [(code.as_str(), &MACROS[..]), (text, &NOTES)] {
        for (index, line) in text.lines().enumerate() {
            let found = words.iter().filter(|word| line.contains(**word));
            faults.extend(found.map(|word| Fault::error(path, index + 1, format!("`{word}` is left over"))));
        }
    }
    faults
}

fn length(path: &str, text: &str) -> Option<Fault> {
    let lines = text.lines().count();
    let what = format!("has {lines} lines; look for a second noun");
    if lines > LINES_MAX {
        return Some(Fault::error(path, lines, what));
    }
    (lines > LINES_WARNED).then(|| Fault::warning(path, lines, what))
}

#[cfg(test)]
mod tests {
    use super::super::report;
    use super::*;

    #[test]
    fn a_file_says_why_it_exists() {
        assert!(report(check, &[("crates/law/src/lib.rs", "\n//! Why.\n")]).is_empty());
        for text in ["", "//!\n", "use x;\n//! Why.\n", "/// Why.\n"] {
            let report = report(check, &[("xtask/src/a.rs", text)]);
            assert_eq!(
                report,
                ["xtask/src/a.rs:1: does not open with a `//!` paragraph that says why it exists"]
            );
        }
    }

    #[test]
    fn each_leftover_is_found_with_its_line() {
        for word in MACROS.iter().chain(&NOTES) {
            let text = format!("//! Why.\nfn f() {{\n    {word}\n}}\n");
            let report = report(check, &[("crates/law/src/a.rs", &text)]);
            assert_eq!(report, [format!("crates/law/src/a.rs:3: `{word}` is left over")]);
        }
    }

    #[test]
    fn a_doc_example_may_leave_its_body_out() {
        let text = "//! Why.\n//! ```\n//! fn f() -> Seal { unimplemented!() }\n//! ```\n";
        assert!(report(check, &[("crates/law/src/a.rs", text)]).is_empty());
    }

    #[test]
    fn long_files_are_warned_of_and_very_long_ones_refused() {
        let file = |lines: usize| format!("//! Why.\n{}", "\n".repeat(lines - 1));
        let path = "crates/law/src/a.rs";
        assert!(report(check, &[(path, &file(600))]).is_empty());
        let warned = "crates/law/src/a.rs:601: warning: has 601 lines; look for a second noun";
        assert_eq!(report(check, &[(path, &file(601))]), [warned]);
        let refused = "crates/law/src/a.rs:901: has 901 lines; look for a second noun";
        assert_eq!(report(check, &[(path, &file(901))]), [refused]);
    }
}
