//! No function longer than one can hold in mind. Braces are counted in the bare code; test modules are
//! exempt, for a table of cases may be as long as it is.

use super::lexer::only_code;
use super::{Fault, Tree};

/// The longest function that passes, signature and closing brace included.
const LINES_MAX: usize = 90;

/// Every function outside the test modules is at most [`LINES_MAX`] lines long.
pub fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in tree.sources().filter(|(path, _)| !is_test_file(path)) {
        let code = without_test_modules(&only_code(text));
        for (name, line, lines) in functions(&code) {
            if lines > LINES_MAX {
                faults.push(Fault::error(
                    path,
                    line,
                    format!("fn {name} has {lines} lines, more than {LINES_MAX}"),
                ));
            }
        }
    }
    faults
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

const MARK: &str = "#[cfg(test)]";

/// Takes out every `#[cfg(test)] mod x { … }`, keeping the lines.
fn without_test_modules(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(MARK) {
        let after = start + MARK.len();
        let is_module = rest[after..].split_whitespace().take(3).any(|word| word == "mod");
        let end = match body(&rest[after..]) {
            Some((_, end)) if is_module => after + end,
            _ => after,
        };
        kept.push_str(&rest[..start]);
        kept.extend(rest[start..end].chars().filter(|c| *c == '\n'));
        rest = &rest[end..];
    }
    kept + rest
}

/// Name, first line and number of lines of every function with a body.
fn functions(code: &str) -> Vec<(&str, usize, usize)> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        let begins_a_word = !code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let name = code[start + 3..].split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
        if !begins_a_word || name.is_empty() {
            continue;
        }
        if let Some((_, end)) = body(&code[start..]) {
            let line = code[..start].matches('\n').count() + 1;
            found.push((name, line, code[start..start + end].matches('\n').count() + 1));
        }
    }
    found
}

/// Start and end of the first `{ … }` of an item; none if a `;` ends it before, as in a trait or `mod
/// tests;`.
fn body(item: &str) -> Option<(usize, usize)> {
    let (mut brackets, mut braces, mut start) = (0_i32, 0_i32, 0);
    for (at, c) in item.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if brackets == 0 && braces == 0 => return None,
            '{' => {
                if braces == 0 {
                    start = at;
                }
                braces += 1;
            }
            '}' => {
                braces -= 1;
                if braces == 0 {
                    return Some((start, at + 1));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::report;
    use super::*;

    fn function_of(lines: usize) -> String {
        format!("pub fn long(array: [u8; 4]) {{\n{}}}\n", "    let _ = \"}\";\n".repeat(lines - 2))
    }

    #[test]
    fn ninety_lines_pass_and_ninety_one_do_not() {
        let path = "crates/law/src/lib.rs";
        assert!(report(check, &[(path, &function_of(90))]).is_empty());
        let text = format!("//! Why.\n\n{}", function_of(91));
        assert_eq!(
            report(check, &[(path, &text)]),
            ["crates/law/src/lib.rs:3: fn long has 91 lines, more than 90"]
        );
    }

    #[test]
    fn tests_are_exempt_and_only_they() {
        let long = function_of(100);
        let inside = format!("#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert!(report(check, &[("crates/law/src/a.rs", &inside)]).is_empty());
        assert!(report(check, &[("crates/law/src/a/tests.rs", &long)]).is_empty());
        let beside = format!("#[cfg(test)]\nmod tests;\n#[cfg(test)]\nuse x::y;\n{long}");
        assert_eq!(report(check, &[("crates/law/src/a.rs", &beside)]).len(), 1);
        let after = format!("{inside}{long}");
        assert_eq!(
            report(check, &[("crates/law/src/a.rs", &after)]),
            ["crates/law/src/a.rs:104: fn long has 100 lines, more than 90"]
        );
    }
}
