//! `[walled-garden]`, as written ([`GardenFile`]) and as meant ([`Garden`]).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use ipnet::IpNet;
use jiff::SignedDuration;
use noroshi_act::hours::Hours;
use noroshi_wire::radius::Secret;
use noroshi_wire::radius::dynamic::{Attributes, Written};
use serde::{Deserialize, Serialize};

use crate::sources::secret;

/// Longest stay in days, where nothing else is said.
const DAYS_MAX: u32 = 30;
/// How often a subscriber lets their line out by themselves, where nothing else is said.
const SELF_RELEASES: u32 = 2;

/// How the access server is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The session is changed (CoA).
    #[default]
    Change,
    /// The session is ended, and begins anew under what the RADIUS server says then.
    Disconnect,
}

/// `[walled-garden]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GardenFile {
    /// `host:3799` of the access servers, or of the RADIUS proxy before them; each is asked until one has the session.
    pub servers: Vec<SocketAddr>,
    /// File with the secret shared with them.
    pub secret_file: PathBuf,
    /// `change` or `disconnect`. Default: change.
    #[serde(default)]
    pub by: By,
    /// Attributes that move a line in: `{ Filter-Id = "walled-garden" }`.
    #[serde(default)]
    pub enter: BTreeMap<String, Written>,
    /// Attributes that move it out again.
    #[serde(default)]
    pub leave: BTreeMap<String, Written>,
    /// Where the RADIUS server asks whether a line that connects is restricted. Default: nowhere.
    pub listen: Option<SocketAddr>,
    /// Addresses that lines in the garden have: what is asked from there is told that it is captive (RFC 8908).
    #[serde(default)]
    pub prefixes: Vec<IpNet>,
    /// When lines enter. Default: 09:00-17:00.
    pub hours: Option<Hours>,
    /// Most in an hour of the clock. Default: no limit.
    pub per_hour: Option<u32>,
    /// Longest stay. Default: 30.
    pub days_max: Option<u32>,
    /// How often a subscriber lets their line out by themselves. Default: 2.
    pub self_releases: Option<u32>,
}

/// What it means.
#[derive(Clone, Debug)]
pub struct Garden {
    /// As written.
    pub file: GardenFile,
    /// Shared with the access servers.
    pub secret: Secret,
    /// Moves a line in.
    pub enter: Attributes,
    /// Moves it out.
    pub leave: Attributes,
    /// Longest stay.
    pub longest: SignedDuration,
    /// How often a subscriber lets their line out by themselves.
    pub self_releases: u32,
}

impl Garden {
    /// Reads what was written.
    pub fn read(file: GardenFile) -> anyhow::Result<Self> {
        ensure!(!file.servers.is_empty(), "servers: name at least one access server, like 192.0.2.1:3799");
        let told = |what: &str| format!("{what} is empty: the access server would be told nothing");
        if file.by == By::Change {
            ensure!(!file.enter.is_empty(), told("enter"));
            ensure!(!file.leave.is_empty(), told("leave"));
        } else {
            ensure!(
                file.listen.is_some(),
                "by = \"disconnect\" without listen: nobody would tell the RADIUS server that the line is restricted"
            );
        }
        if let Some(listen) = file.listen {
            ensure!(
                listen.ip().is_loopback(),
                "listen must be a loopback address: it tells whether a line is restricted"
            );
        }
        let days = file.days_max.unwrap_or(DAYS_MAX);
        ensure!((1..=DAYS_MAX).contains(&days), "days-max is from 1 to {DAYS_MAX}");
        let attributes =
            |what, written| Attributes::read(written).map_err(|e| anyhow::anyhow!("{what}: {e}"));
        let octets = secret(&file.secret_file)?.into_bytes();
        Ok(Self {
            secret: Secret::try_from(octets).with_context(|| file.secret_file.display().to_string())?,
            enter: attributes("enter", &file.enter)?,
            leave: attributes("leave", &file.leave)?,
            longest: SignedDuration::from_hours(i64::from(days) * 24),
            self_releases: file.self_releases.unwrap_or(SELF_RELEASES),
            file,
        })
    }

    /// Whether an address is one that lines in the garden have.
    pub fn has(&self, ip: std::net::IpAddr) -> bool {
        self.file.prefixes.iter().any(|prefix| prefix.contains(&ip))
    }

    /// What a RADIUS server is answered of a line that connects and is restricted, as FreeRADIUS' `rlm_rest` reads it.
    pub fn login_answer(&self) -> serde_json::Value {
        let attribute = |(name, value): (&String, &Written)| {
            let values = match value {
                Written::Many(several) => serde_json::json!(several),
                one => serde_json::json!([one]),
            };
            (format!("reply:{name}"), serde_json::json!({ "op": ":=", "value": values }))
        };
        self.file.enter.iter().map(attribute).collect::<serde_json::Map<_, _>>().into()
    }
}
