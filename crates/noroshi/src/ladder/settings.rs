//! `[ladder]`, `[sms]`, `[letter]`, `[call]` and `[outcome]`: how subscribers are told besides by mail, as written and as meant.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use jiff::tz::TimeZone;
use noroshi_act::hours::Hours;
use noroshi_act::ladder::{Ladder, MAILS, Rung};
use noroshi_model::Channel;
use serde::{Deserialize, Serialize};

use super::webhook::Webhook;
use crate::garden::{Garden, GardenFile};

/// Zone of the hours, where nothing else is said.
const ZONE: &str = "Asia/Tokyo";
/// When letters go to whoever prints them, where nothing else is said: one batch a day.
const LETTER_HOURS: &str = "06:00-07:00";
/// When the list of calls is written, where nothing else is said: before the day begins.
const CALL_HOURS: &str = "08:00-09:00";
/// When lines enter the walled garden, where nothing else is said: while the desk answers the telephone.
const GARDEN_HOURS: &str = "09:00-17:00";
/// Share of new cases that are not told at first, in percent, where nothing else is said.
const HOLD_OUT_PERCENT: u32 = 10;
/// For how many days, where nothing else is said: as long as a case needs to close as clean.
const HOLD_OUT_DAYS: u32 = 14;

/// `[ladder]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LadderFile {
    /// Zone of all hours. Default: Asia/Tokyo.
    pub zone: Option<String>,
    /// The rungs, from below. Default: three mails, a week apart.
    pub rung: Vec<Rung>,
}

/// `[sms]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SmsFile {
    /// Where messages are posted to. `https`, but on loopback.
    pub url: String,
    /// File with the secret by which they are signed: `whsec_` and base64 (Standard Webhooks).
    pub secret_file: PathBuf,
    /// When. Default: 09:00-20:00.
    pub hours: Option<Hours>,
    /// Most in an hour of the clock. Default: no limit.
    pub per_hour: Option<u32>,
}

/// `[letter]` and `[call]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BatchFile {
    /// Folder that batches are written to (CSV), for whoever prints them or calls.
    pub folder: PathBuf,
    /// When. Default: 06:00-07:00 for letters, 08:00-09:00 for calls.
    pub hours: Option<Hours>,
    /// Most in an hour of the clock. Default: no limit.
    pub per_hour: Option<u32>,
}

/// `[outcome]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct OutcomeFile {
    /// Share of new cases that are not told at first, in percent, to measure what telling does; none in an emergency.
    /// Default: 10.
    pub hold_out_percent: Option<u32>,
    /// For how many days. Default: 14.
    pub hold_out_days: Option<u32>,
}

/// What `[outcome]` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Share of new cases that are not told at first, in percent.
    pub hold_out_percent: u32,
    /// For how many days.
    pub hold_out_days: u32,
}

impl OutcomeFile {
    /// What it means.
    pub fn read(&self) -> anyhow::Result<Outcome> {
        let hold_out_percent = self.hold_out_percent.unwrap_or(HOLD_OUT_PERCENT);
        let hold_out_days = self.hold_out_days.unwrap_or(HOLD_OUT_DAYS);
        ensure!(
            hold_out_percent <= 50,
            "hold-out-percent = {hold_out_percent}: at most 50; 0 holds nobody out"
        );
        ensure!((4..=60).contains(&hold_out_days), "hold-out-days = {hold_out_days}: from 4 to 60");
        Ok(Outcome { hold_out_percent, hold_out_days })
    }
}

/// The ways besides mail, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// `[ladder]`
    pub ladder: LadderFile,
    /// Hours of mails.
    pub mail_hours: Option<Hours>,
    /// Most mails in an hour of the clock.
    pub mails_per_hour: Option<u32>,
    /// `[sms]`
    pub sms: Option<SmsFile>,
    /// `[letter]`
    pub letter: Option<BatchFile>,
    /// `[call]`
    pub call: Option<BatchFile>,
    /// `[walled-garden]`
    pub garden: Option<GardenFile>,
    /// `[outcome]`
    pub outcome: OutcomeFile,
}

/// How subscribers are reached.
#[derive(Clone, Debug)]
pub struct Reach {
    /// As written.
    pub ways: Ways,
    /// The ladder, and when each way may be used.
    pub ladder: Ladder,
    /// Most steps of a way in an hour of the clock.
    pub per_hour: BTreeMap<Channel, u32>,
    /// The gateway of short messages.
    pub gateway: Option<Webhook>,
    /// Where lines are restricted whose users could not be reached.
    pub garden: Option<Garden>,
    /// How it is measured what telling does.
    pub outcome: Outcome,
}

impl Reach {
    /// What was written means.
    pub fn read(ways: Ways) -> anyhow::Result<Self> {
        let gateway = ways.sms.as_ref().map(|sms| Webhook::new(&sms.url, &sms.secret_file)).transpose();
        Ok(Self {
            ladder: ways.ladder().context("[ladder]")?,
            per_hour: ways.per_hour(),
            gateway: gateway.context("[sms]")?,
            garden: ways.garden.clone().map(Garden::read).transpose().context("[walled-garden]")?,
            outcome: ways.outcome.read().context("[outcome]")?,
            ways,
        })
    }
}

impl Ways {
    /// Whether the configuration says how a way is taken.
    pub fn has(&self, channel: Channel) -> bool {
        match channel {
            Channel::Mail => true,
            Channel::Sms => self.sms.is_some(),
            Channel::Letter => self.letter.is_some(),
            Channel::Call => self.call.is_some(),
            Channel::WalledGarden => self.garden.is_some(),
        }
    }

    fn ladder(&self) -> anyhow::Result<Ladder> {
        let zone = self.ladder.zone.as_deref().unwrap_or(ZONE);
        let zone =
            TimeZone::get(zone).with_context(|| format!("zone = \"{zone}\" is no zone, like Asia/Tokyo"))?;
        let rungs = match self.ladder.rung.as_slice() {
            [] => vec![Rung::of(Channel::Mail, MAILS)],
            rungs => rungs.to_vec(),
        };
        for rung in &rungs {
            let (channel, days) = (rung.channel, rung.after_days);
            ensure!((1..=50).contains(&rung.times), "a rung of {channel}: times is from 1 to 50");
            ensure!((1..=365).contains(&days), "a rung of {channel}: after-days is from 1 to 365");
            if !self.has(channel) {
                bail!("a rung of {channel}, and nothing says how: set [{channel}]");
            }
        }
        Ok(Ladder { rungs, zone, hours: self.hours() })
    }

    fn hours(&self) -> BTreeMap<Channel, Hours> {
        let said = |file: &BatchFile, usual: &str| file.hours.or_else(|| usual.parse().ok());
        let hours = [
            (Channel::Mail, self.mail_hours),
            (Channel::Sms, self.sms.as_ref().map(|sms| sms.hours.unwrap_or(Hours::DAYTIME))),
            (Channel::Letter, self.letter.as_ref().and_then(|file| said(file, LETTER_HOURS))),
            (Channel::Call, self.call.as_ref().and_then(|file| said(file, CALL_HOURS))),
            (
                Channel::WalledGarden,
                self.garden.as_ref().and_then(|file| file.hours.or_else(|| GARDEN_HOURS.parse().ok())),
            ),
        ];
        hours.into_iter().filter_map(|(channel, hours)| Some((channel, hours?))).collect()
    }

    fn per_hour(&self) -> BTreeMap<Channel, u32> {
        let most = [
            (Channel::Mail, self.mails_per_hour),
            (Channel::Sms, self.sms.as_ref().and_then(|sms| sms.per_hour)),
            (Channel::Letter, self.letter.as_ref().and_then(|file| file.per_hour)),
            (Channel::Call, self.call.as_ref().and_then(|file| file.per_hour)),
            (Channel::WalledGarden, self.garden.as_ref().and_then(|file| file.per_hour)),
        ];
        most.into_iter().filter_map(|(channel, most)| Some((channel, most?))).collect()
    }
}
