//! The API as operators see it: where it listens, who has a token. What it answers is in the portal; what it looks up, in [`desk`].

mod command;
mod desk;

use std::net::SocketAddr;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

pub use command::{ApiCommand, TokenCommand, api, tokens};

/// Requests of one token in a second, where nothing else is said.
const PER_SECOND: u32 = 20;
/// Most that can be said.
const PER_SECOND_MAX: u32 = 10_000;

/// `[api]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ApiFile {
    /// Address to listen on, plain HTTP. Default: none, and there is no API.
    pub listen: Option<SocketAddr>,
    /// Most requests of one token in a second; a few seconds' worth at once. Default: 20.
    pub per_second: Option<u32>,
}

impl ApiFile {
    /// Whether it can be meant.
    pub fn check(&self) -> anyhow::Result<()> {
        let n = self.per_second();
        ensure!((1..=PER_SECOND_MAX).contains(&n), "api.per-second = {n}: from 1 to {PER_SECOND_MAX}");
        Ok(())
    }

    /// Most requests of one token in a second.
    pub fn per_second(&self) -> u32 {
        self.per_second.unwrap_or(PER_SECOND)
    }
}
