//! The page of the book that puts a new feed online, played as it stands: each `$` line is run, and each line below it must
//! be among what the command printed.

use std::path::Path;
use std::process::Command;

use crate::world::text;

const PAGE: &str = include_str!("../../../../docs/src/new-feed.md");

/// The text of the blocks in a language, in order.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let open = format!("```{language}\n");
    page.split(&open).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

fn run(folder: &Path, command: &str) -> String {
    let command = match command.strip_prefix("noroshi ") {
        Some(rest) => format!("{} {rest}", env!("CARGO_BIN_EXE_noroshi")),
        None => command.to_owned(),
    };
    let output = Command::new("sh").args(["-c", &command]).current_dir(folder).output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{command}\n{said}");
    said
}

#[test]
fn a_new_feed_goes_online_as_the_book_says() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("honeynet.csv"), blocks(PAGE, "csv")[0]).unwrap();
    let mut played = 0;
    for block in blocks(PAGE, "console") {
        let mut said = String::new();
        for line in block.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => {
                    said = run(folder.path(), command);
                    played += 1;
                }
                None => assert!(said.contains(line), "«{line}» is not in\n{said}"),
            }
        }
    }
    assert!(played >= 6, "{played} commands");
}
