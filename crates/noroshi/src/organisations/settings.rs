//! `[alert]`: how organisations are told of their own addresses, as written and as meant.

use std::net::SocketAddr;

use anyhow::ensure;
use jiff::SignedDuration;
use noroshi_act::alert::Pacing;
use noroshi_law::{InfectionNotice, Purpose as _};
use serde::{Deserialize, Serialize};

/// Who says which registry's server is asked about an address (RFC 9224).
pub const BOOTSTRAP: &str = "https://data.iana.org/rdap/";

/// Fewer packets are nothing to accuse anybody by.
const PACKETS_MIN: u32 = 5;

/// `[alert]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AlertFile {
    /// Seconds after which an address that was not seen is told of again, as if for the first time.
    pub quiet_s: u32,
    /// Seconds in which an organisation is told nothing more after its first message; doubled while more is seen each time.
    pub pause_s: u32,
    /// And at most.
    pub pause_max_s: u32,
    /// Days for which alerts are kept after their address was seen last.
    pub keep_days: u32,
    /// Days after which it is looked again whether a range's proof is still there.
    pub prove_again_days: u32,
    /// How often in a row, a day apart, it must not be there until the range is told of no more.
    pub missing_max: u32,
    /// Resolvers that are asked for proofs. Default: those of the system.
    pub resolvers: Vec<SocketAddr>,
    /// Where it is written which registry is asked about an address (RFC 9224): `ipv4.json` and `ipv6.json` there.
    pub rdap_bootstrap: String,
    /// A registry's RDAP server that is asked about every address, instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rdap: Option<String>,
    /// Whether senders of our own network enter the loop, so that subscribers are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribers: Option<SubscribersFile>,
}

/// `[alert.subscribers]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SubscribersFile {
    /// The campaign under which they are counted.
    pub campaign: String,
    /// The measure under which it is found out who they are.
    #[serde(default = "usual_measure")]
    pub measure: String,
    /// Packets of a sender, at least.
    #[serde(default = "usual_packets")]
    pub packets: u32,
}

fn usual_measure() -> String {
    InfectionNotice::MEASURE.to_owned()
}

fn usual_packets() -> u32 {
    20
}

impl Default for AlertFile {
    fn default() -> Self {
        let pacing = Pacing::default();
        let seconds = |span: SignedDuration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
        Self {
            quiet_s: seconds(pacing.quiet),
            pause_s: seconds(pacing.pause_min),
            pause_max_s: seconds(pacing.pause_max),
            keep_days: 366,
            prove_again_days: 30,
            missing_max: 3,
            resolvers: Vec::new(),
            rdap_bootstrap: BOOTSTRAP.to_owned(),
            rdap: None,
            subscribers: None,
        }
    }
}

/// What it means.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// As written.
    pub file: AlertFile,
    /// When organisations are told.
    pub pacing: Pacing,
    /// How long alerts are kept.
    pub keep: SignedDuration,
}

impl Alerts {
    /// Checks and reads it.
    pub fn read(file: AlertFile) -> anyhow::Result<Self> {
        ensure!(file.quiet_s > 0 && file.pause_s > 0, "quiet-s and pause-s are more than 0");
        ensure!(file.pause_max_s >= file.pause_s, "pause-max-s is at least pause-s");
        ensure!(
            file.keep_days > 0 && file.prove_again_days > 0,
            "keep-days and prove-again-days are more than 0"
        );
        ensure!(file.missing_max > 0, "missing-max is more than 0");
        if let Some(wish) = &file.subscribers {
            ensure!(!wish.campaign.trim().is_empty(), "subscribers.campaign is empty");
            ensure!(wish.packets >= PACKETS_MIN, "subscribers.packets is at least {PACKETS_MIN}");
        }
        let days = |n: u32| SignedDuration::from_hours(24 * i64::from(n));
        let seconds = |n: u32| SignedDuration::from_secs(n.into());
        let pacing = Pacing {
            quiet: seconds(file.quiet_s),
            pause_min: seconds(file.pause_s),
            pause_max: seconds(file.pause_max_s),
        };
        Ok(Self { pacing, keep: days(file.keep_days), file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let read = |text: &str| Alerts::read(toml::from_str(text).unwrap());
        assert_eq!(read("").unwrap().pacing, Pacing::default());
        let few = "subscribers = { campaign = \"t\", packets = 1 }";
        for text in ["quiet-s = 0", "pause-s = 100000", "keep-days = 0", "missing-max = 0", few] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(toml::from_str::<AlertFile>("pause = 3").is_err());
    }
}
