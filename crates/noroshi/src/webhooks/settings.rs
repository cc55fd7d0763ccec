//! `[[webhook]]`: who is told what, as written and as meant.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use noroshi_store::webhooks::KINDS;
use serde::{Deserialize, Serialize};

use crate::ladder::Webhook;

/// Webhooks there may be; each has a thread of its own.
const WEBHOOKS_MAX: usize = 20;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// `[[webhook]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WebhookFile {
    /// What it is called in `doctor` and the counters. Default: its host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where what happens is posted to. `https`, but on loopback.
    pub url: String,
    /// What it is told: `case.opened`, `step.*`, `*`.
    pub events: Vec<String>,
    /// File with the secret by which it is signed: `whsec_` and base64 (Standard Webhooks).
    pub secret_file: PathBuf,
}

/// Somebody who is told.
#[derive(Clone, Debug)]
pub struct Outlet {
    /// What it is called.
    pub name: String,
    /// What it is told.
    pub kinds: Vec<String>,
    /// The receiver.
    pub to: Webhook,
}

/// What was written means.
pub fn outlets(files: &[WebhookFile]) -> anyhow::Result<Vec<Outlet>> {
    ensure!(files.len() <= WEBHOOKS_MAX, "at most {WEBHOOKS_MAX} webhooks");
    let mut names = BTreeSet::new();
    let mut outlets = Vec::new();
    for file in files {
        let uri: Option<ureq::http::Uri> = file.url.parse().ok();
        let host = || uri.as_ref().and_then(|uri| uri.host()).map(str::to_owned);
        let name = file.name.clone().or_else(host).unwrap_or_default();
        let outlet = read(file, &name).with_context(|| format!("webhook {name}"))?;
        ensure!(names.insert(name.clone()), "two webhooks are called {name}: give one a name of its own");
        outlets.push(outlet);
    }
    Ok(outlets)
}

fn read(file: &WebhookFile, name: &str) -> anyhow::Result<Outlet> {
    ensure!(
        !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control),
        "a name has from 1 to {NAME_BYTES_MAX} bytes"
    );
    let mut kinds = Vec::new();
    for wish in &file.events {
        let fits = |kind: &str| match wish.strip_suffix('*') {
            Some(begin) => (begin.is_empty() || begin.ends_with('.')) && kind.starts_with(begin),
            None => kind == wish,
        };
        let found: Vec<String> =
            KINDS.iter().filter(|kind| fits(kind)).map(|kind| (*kind).to_owned()).collect();
        ensure!(
            !found.is_empty(),
            "there is no event {wish:?}; there are {}, and \"case.*\", \"*\"",
            KINDS.join(", ")
        );
        kinds.extend(found);
    }
    ensure!(!kinds.is_empty(), "events names what it is told; \"*\" is everything");
    kinds.sort();
    kinds.dedup();
    Ok(Outlet { name: name.to_owned(), kinds, to: Webhook::new(&file.url, &file.secret_file)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_told_what_it_names_and_what_there_is_not_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n").unwrap();
        let file = |name: Option<&str>, events: &[&str]| WebhookFile {
            name: name.map(str::to_owned),
            url: "https://soc.example.jp/hook".into(),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            secret_file: secret.clone(),
        };
        let kinds = |events: &[&str]| outlets(&[file(None, events)]).map(|outlets| outlets[0].kinds.clone());
        assert_eq!(kinds(&["*"]).unwrap().len(), KINDS.len());
        assert_eq!(kinds(&["ladder.*", "ladder.stopped"]).unwrap(), ["ladder.resumed", "ladder.stopped"]);
        for events in [&["case.open"][..], &[], &["ca*"], &["evil.*"]] {
            assert!(kinds(events).is_err(), "{events:?}");
        }
        let two = |name| outlets(&[file(None, &["*"]), file(name, &["*"])]);
        assert!(two(None).is_err() && two(Some("second")).is_ok());
        let plain = WebhookFile { url: "http://soc.example.jp/".into(), ..file(None, &["*"]) };
        assert!(outlets(&[plain]).is_err());
    }
}
