//! The book's command-line reference is what the program says of itself. `NOROSHI_WRITE_REFERENCE=1` writes it anew.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Said once at the reference's beginning, since every command takes them.
const LEFT_OUT: [&str; 4] = ["--config <FILE>", "--data-dir <DIR>", "-h, --help", "-V, --version"];

fn help(command: &[String]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_noroshi")).args(command).arg("-h").output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (mut said, mut lines) = (Vec::new(), text.lines());
    while let Some(line) = lines.next() {
        match LEFT_OUT.iter().find(|option| line.trim_start().starts_with(*option)) {
            None => said.push(line),
            // What it means is on the next line.
            Some(option) if line.trim() == *option => drop(lines.next()),
            Some(_) => {}
        }
    }
    let text = said.join("\n");
    text.trim_end().trim_end_matches("\n\nOptions:").to_owned()
}

fn inner(help: &str) -> impl Iterator<Item = String> + '_ {
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned)
}

fn tell(command: &[String], out: &mut String) {
    let help = help(command);
    let mut commands = inner(&help).peekable();
    let goes_alone = help.lines().any(|line| line.starts_with("Usage:") && line.ends_with("[OPTIONS]"));
    if command.is_empty() || goes_alone || commands.peek().is_none() {
        if !command.is_empty() {
            write!(out, "## noroshi {}\n\n", command.join(" ")).unwrap();
        }
        write!(out, "```text\n{help}\n```\n\n").unwrap();
    }
    commands.for_each(|name| tell(&[command, &[name]].concat(), out));
}

#[test]
fn the_reference_in_the_book_is_what_the_program_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/cli.md");
    let there = std::fs::read_to_string(&path).unwrap();
    let head = there.split("```text").next().unwrap();
    let mut told = head.to_owned();
    tell(&[], &mut told);
    let told = format!("{}\n", told.trim_end());
    if std::env::var_os("NOROSHI_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, &told).unwrap();
    } else {
        let differs = told.lines().zip(there.lines()).find(|(told, there)| told != there);
        assert!(
            told == there,
            "docs/src/cli.md is not what the program says: {differs:?}; NOROSHI_WRITE_REFERENCE=1 writes it"
        );
    }
}
