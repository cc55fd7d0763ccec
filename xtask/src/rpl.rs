//! Our resolver with the configuration of somebody else's test: NLnet Labs' Unbound tests its response policy zones by scenarios
//! (`rpz_*.rpl`), whose player hands the configuration of each over as JSON. Here it becomes one of ours.

use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::cargo::cargo;

/// Becomes a resolver that is configured as the file says, with its data in the file's folder.
pub fn run(root: &Path, mut args: impl Iterator<Item = String>) -> Result<ExitCode> {
    let file = args.next().context("usage: cargo xtask rpl-server FILE.json")?;
    let scenario: Value = serde_json::from_slice(&std::fs::read(&file)?).with_context(|| file.clone())?;
    let folder = Path::new(&file).parent().unwrap_or(Path::new("."));
    let config = folder.join("noroshi.toml");
    std::fs::write(&config, translate(&scenario)?)?;
    let program = match std::env::var_os("NOROSHI_PROGRAM") {
        Some(program) => PathBuf::from(program),
        None => build(root)?,
    };
    let error = Command::new(&program)
        .arg("--config")
        .arg(&config)
        .arg("--data-dir")
        .arg(folder.join("data"))
        .args(["resolver", "--threads", "1"])
        .exec();
    Err(error).with_context(|| program.display().to_string())
}

fn build(root: &Path) -> Result<PathBuf> {
    let built =
        cargo().args(["build", "--release", "--quiet", "--package", "noroshi"]).current_dir(root).status()?;
    if !built.success() {
        bail!("the program cannot be built");
    }
    Ok(root.join("target/release/noroshi"))
}

/// The scenario's configuration as ours.
fn translate(scenario: &Value) -> Result<String> {
    let server = &scenario["server"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let is = |value: &Value, word: &str| value.as_str() == Some(word);
    let mut allow = Vec::new();
    let mut deny = Vec::new();
    for line in strings(&server["access-control"]) {
        let (network, what) =
            line.split_once(char::is_whitespace).context("access-control: NETWORK ACTION")?;
        if what.trim().starts_with("allow") {
            allow.push(network.to_owned());
        } else {
            deny.push(network.to_owned());
        }
    }
    let mut out = String::from("[resolver]\n");
    writeln!(out, "listen = [{:?}]", text(&scenario["listen"]))?;
    writeln!(out, "allow = {allow:?}\ndeny = {deny:?}")?;
    writeln!(out, "minimal-responses = {}", !is(&server["minimal-responses"], "no"))?;
    writeln!(out, "qname-minimisation = {}", !is(&server["qname-minimisation"], "no"))?;
    // Unbound keeps what is too old only where it is told to, and its rules change signed answers as any other.
    writeln!(
        out,
        "stale-s = {}\nbreak-dnssec = true",
        if is(&server["serve-expired"], "yes") { 86_400 } else { 0 }
    )?;
    for line in strings(&server["access-control-tag"]) {
        let (network, tags) =
            line.split_once(char::is_whitespace).context("access-control-tag: NETWORK TAGS")?;
        writeln!(out, "[[resolver.client]]\nnetwork = {network:?}\ntags = {:?}", words(tags))?;
    }
    for zone in scenario["rpz"].as_array().into_iter().flatten() {
        writeln!(out, "[[resolver.rpz]]\nname = {:?}", text(&zone["name"]))?;
        if zone["zonefile"].is_string() {
            writeln!(out, "file = {:?}", text(&zone["zonefile"]))?;
        }
        let primaries: Vec<String> =
            [&zone["primary"], &zone["master"]].into_iter().flat_map(strings).collect();
        if !primaries.is_empty() {
            writeln!(out, "primary = {primaries:?}")?;
        }
        match zone["rpz-action-override"].as_str() {
            None => {}
            Some("cname") => {
                writeln!(out, "override = {:?}", format!("cname {}", text(&zone["rpz-cname-override"])))?;
            }
            Some(action) => writeln!(out, "override = {action:?}")?,
        }
        writeln!(out, "tags = {:?}", words(&text(&zone["tags"])))?;
        writeln!(out, "signal-nxdomain-ra = {}", is(&zone["rpz-signal-nxdomain-ra"], "yes"))?;
        if is(&server["ede"], "yes") {
            writeln!(out, "extended-error = \"blocked\"")?;
        }
    }
    for zone in scenario["stubs"].as_array().into_iter().flatten() {
        let is_stub = is(&zone["kind"], "stub-zone");
        let servers: Vec<String> = strings(&zone[if is_stub { "stub-addr" } else { "forward-addr" }])
            .map(|server| server.replace('@', ":"))
            .collect();
        writeln!(out, "[[resolver.{}]]", if is_stub { "stub" } else { "forward-zone" })?;
        writeln!(out, "zone = {:?}\nservers = {servers:?}", text(&zone["name"]))?;
    }
    Ok(out)
}

/// An option that is given once or several times.
fn strings(value: &Value) -> impl Iterator<Item = String> {
    let many = value.as_array().into_iter().flatten().chain(value.is_string().then_some(value));
    many.filter_map(Value::as_str).map(str::to_owned)
}

fn words(text: &str) -> Vec<String> {
    text.replace('"', " ").split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_becomes_a_configuration() {
        let scenario = serde_json::json!({
            "listen": "127.0.0.1:5300",
            "server": {"access-control": ["192.0.0.0/8 allow", "192.1.0.0/16 refuse"], "minimal-responses": "no",
                "access-control-tag": "192.0.0.0/8 \"internal other"},
            "rpz": [{"name": "rpz.", "zonefile": "/f", "rpz-action-override": "cname", "rpz-cname-override": "a.b.", "tags": "internal"}],
            "stubs": [{"kind": "stub-zone", "name": ".", "stub-addr": "192.0.2.1@54"}],
        });
        let config: toml::Table = translate(&scenario).unwrap().parse().unwrap();
        let resolver = &config["resolver"];
        assert_eq!(resolver["allow"][0].as_str(), Some("192.0.0.0/8"));
        assert_eq!(resolver["deny"][0].as_str(), Some("192.1.0.0/16"));
        assert_eq!(resolver["minimal-responses"].as_bool(), Some(false));
        assert_eq!(resolver["client"][0]["tags"][1].as_str(), Some("other"));
        assert_eq!(resolver["rpz"][0]["override"].as_str(), Some("cname a.b."));
        assert_eq!(resolver["stub"][0]["servers"][0].as_str(), Some("192.0.2.1:54"));
    }
}
