//! Just enough of Rust's lexical rules to count braces: comments, strings and character literals become
//! blanks, so that what is left is code with the same lines and columns.

/// The code with everything quoted or commented blanked out.
pub fn only_code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = quoted_end(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none begins there.
fn quoted_end(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    let length = match rest {
        ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => block_comment(rest),
        ['"', ..] => string(rest, 1),
        ['r', '"' | '#', ..] if !follows_a_word(chars, at) => raw_string(rest),
        ['\'', '\\', _, ..] => rest.iter().skip(3).position(|c| *c == '\'').map_or(rest.len(), |end| end + 4),
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    };
    at + length
}

/// `r` that ends a name, as in `for"`, opens no raw string; the `r` of `br"` does.
fn follows_a_word(chars: &[char], at: usize) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    match chars[..at] {
        [.., before, 'b' | 'c'] => is_word(before),
        ['b' | 'c'] | [] => false,
        [.., before] => is_word(before),
    }
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn string(rest: &[char], mut at: usize) -> usize {
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let body = 2 + hashes;
    (body..rest.len())
        .find(|at| rest[*at] == '"' && rest[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes)
        .map_or(rest.len(), |quote| quote + 1 + hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &str) {
        let squeezed: Vec<String> = only_code(text).split_whitespace().map(str::to_owned).collect();
        assert_eq!(squeezed.join(" "), code);
        assert_eq!(only_code(text).matches('\n').count(), text.matches('\n').count());
    }

    #[test]
    fn what_is_quoted_is_gone_and_what_is_code_stays() {
        check("a // {\nb", "a b");
        check("a /* { /* { */ } */ b", "a b");
        check(r#"f("}\"{", 'x')"#, "f( , )");
        check("f(r#\"a\"{\"#, br\"{\", r#type)", "f( , b , r#type)");
        check(r"match c { '{' => '\'', '\u{1F525}' => '\\' }", "match c { => , => }");
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
        check("x = \"two\nlines\"; y", "x = ; y");
    }
}
