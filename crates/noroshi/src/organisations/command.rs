//! `noroshi organisation`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::{ArgGroup, Args, Subcommand};
use ipnet::IpNet;
use jiff::Timestamp;
use noroshi_act::alert;
use noroshi_act::notice::jst;
use noroshi_model::case::StepState;
use noroshi_model::organisation::{Alert, Contact, Mute, Organisation, Range, Role, Way, is_key};
use noroshi_model::{Id, Lang};
use noroshi_store::StoreError;
use noroshi_store::alerts::AlertMessage;
use serde::Serialize;

use super::ranges::{self, RangeCommand};
use super::tell;
use crate::commands::Where;
use crate::house::House;
use crate::ladder::Webhook;
use crate::report::{self, plain, say};

/// Alerts and messages that are listed unless more are asked for.
const LISTED: u32 = 100;

/// Organisations that are told when a telescope sees one of their addresses
#[derive(Debug, Subcommand)]
pub enum OrganisationCommand {
    /// Register one
    Add {
        /// What it is called in commands: small letters, digits, - and .
        key: String,
        /// What it calls itself [default: the same]
        #[arg(long)]
        name: Option<String>,
        /// In which language it is told
        #[arg(long, value_name = "TAG", default_value = "ja", value_parser = ["ja", "en"])]
        lang: String,
        /// Where mails go; may be repeated
        #[arg(long, value_name = "ADDRESS")]
        mail: Vec<String>,
        #[command(flatten)]
        by: By,
    },
    /// List them
    List {
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Show one: ranges, contacts, what was seen
    Show {
        /// Which
        key: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget one, with everything about it
    Remove {
        /// Which
        key: String,
        #[command(flatten)]
        by: By,
    },
    /// Its ranges, and the proof that they are its own
    #[command(subcommand)]
    Range(RangeCommand),
    /// Whom to tell
    #[command(subcommand)]
    Contact(ContactCommand),
    /// Leave out addresses of its own scanners
    Mute {
        /// Whose
        key: String,
        /// Which
        prefix: IpNet,
        /// Why
        #[arg(long)]
        why: String,
        /// Until when, e.g. 2027-01-31T00:00:00Z [default: for good]
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
        #[command(flatten)]
        by: By,
    },
    /// Leave them out no more
    Unmute {
        /// Whose
        key: String,
        /// Which
        prefix: IpNet,
        #[command(flatten)]
        by: By,
    },
    /// What was seen, the last seen first
    #[command(group(ArgGroup::new("form").args(["json", "stix"])))]
    Alerts {
        /// Whose [default: everybody's]
        key: Option<String>,
        /// Most of them
        #[arg(long, value_name = "N", default_value_t = LISTED)]
        limit: u32,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
        /// Print a STIX 2.1 bundle
        #[arg(long)]
        stix: bool,
    },
    /// Say what became of a mail that is in doubt, where the mail server's log cannot tell
    Settle {
        /// The message's id, as `messages --json` shows it
        id: String,
        /// sent: it arrived; again: it never left, and is sent
        #[arg(value_parser = ["sent", "again"])]
        state: String,
        #[command(flatten)]
        by: By,
    },
    /// What it was sent, and what became of that
    Messages {
        /// Whose
        key: String,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
}

/// Who does it.
#[derive(Debug, Args)]
pub struct By {
    /// Who says so
    #[arg(long = "by", value_name = "NAME")]
    pub person: String,
}

/// Contacts
#[derive(Debug, Subcommand)]
pub enum ContactCommand {
    /// Tell somebody
    Add {
        #[command(flatten)]
        which: Which,
        /// File with the secret by which posts are signed: whsec_ and base64 (Standard Webhooks)
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// Tell them no more
    Remove {
        #[command(flatten)]
        which: Which,
    },
}

/// Which contact
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("way").required(true).args(["mail", "webhook", "stix"])))]
pub struct Which {
    /// Whose
    key: String,
    /// A mail address
    #[arg(long, value_name = "ADDRESS")]
    mail: Option<String>,
    /// Where alerts are posted to as JSON
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Where alerts are posted to as STIX 2.1 bundles
    #[arg(long, value_name = "URL")]
    stix: Option<String>,
    #[command(flatten)]
    by: By,
}

/// Everything about one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Whole {
    #[serde(flatten)]
    organisation: Organisation,
    ranges: Vec<Range>,
    contacts: Vec<Contact>,
    mutes: Vec<Mute>,
    alerts: u64,
    untold: u64,
    /// Of all telescopes that are there.
    telescope_addresses: u64,
    /// Average, until who scans all of IPv4 at 100 packets a second is seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_until_seen_at_100_pps: Option<i64>,
}

/// Does it.
pub fn run(at: &Where, what: &OrganisationCommand) -> anyhow::Result<ExitCode> {
    match what {
        OrganisationCommand::Add { key, name, lang, mail, by } => {
            let name = name.as_deref().unwrap_or(key);
            add(&at.visit()?, key, name, lang, mail, by)?;
        }
        OrganisationCommand::List { json } => list(&at.look()?, *json)?,
        OrganisationCommand::Show { key, json } => show(&at.look()?, key, *json)?,
        OrganisationCommand::Remove { key, by } => {
            let house = at.look()?;
            known(&house, key)?;
            house.note(&by.person, &format!("forgot the organisation {key}"))?;
            house.store.tx("organisation.remove", |tx| tx.remove_organisation(key))?;
        }
        OrganisationCommand::Range(what) => return ranges::run(&at.look()?, what),
        OrganisationCommand::Contact(what) => contact(&at.look()?, what)?,
        OrganisationCommand::Mute { key, prefix, why, until, by } => {
            let house = at.look()?;
            known(&house, key)?;
            let prefix = prefix.trunc();
            house.note(&by.person, &format!("left {prefix} of {key} out of alerts: {why}"))?;
            let mute = Mute { organisation: key.clone(), prefix, why: why.clone(), until: *until };
            house.store.tx("organisation.mute", |tx| tx.put_mute(&mute))?;
        }
        OrganisationCommand::Unmute { key, prefix, by } => {
            let (house, prefix) = (at.look()?, prefix.trunc());
            house.note(&by.person, &format!("left {prefix} of {key} out of alerts no more"))?;
            let was = house.store.tx("organisation.unmute", |tx| tx.remove_mute(key, prefix))?;
            ensure!(was, "{prefix} of {key} is not left out; see `noroshi organisation show {key}`");
        }
        OrganisationCommand::Alerts { key, limit, json, stix } => {
            alerts(&at.look()?, key.as_deref(), *limit, *json, *stix)?;
        }
        OrganisationCommand::Settle { id, state, by } => settle(&at.look()?, id, state, by)?,
        OrganisationCommand::Messages { key, json } => messages(&at.look()?, key, *json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One that is there.
pub fn known(house: &House, key: &str) -> anyhow::Result<Organisation> {
    let one = house.store.look("organisation", |tx| tx.organisation(key))?;
    one.with_context(|| format!("there is no organisation {key}; see `noroshi organisation list`"))
}

fn add(house: &House, key: &str, name: &str, lang: &str, mails: &[String], by: &By) -> anyhow::Result<()> {
    ensure!(is_key(key), "{key:?}: 1 to 64 small letters, digits, - and .");
    let fits = !name.trim().is_empty() && name.len() <= 200 && !name.contains(char::is_control);
    ensure!(fits, "a name has from 1 to 200 bytes");
    for mail in mails {
        mail_address(mail)?;
    }
    let one = Organisation {
        key: key.to_owned(),
        name: name.trim().to_owned(),
        lang: Lang::parse(lang).context("no language")?,
        since: house.clock.now(),
        messages: 0,
        next: None,
        pause_s: 0,
    };
    house.note(&by.person, &format!("registered the organisation {key}"))?;
    let new = house.store.tx("organisation.add", |tx| {
        let new = tx.insert_organisation(&one)?;
        for mail in mails.iter().filter(|_| new) {
            let contact =
                Contact { organisation: key.into(), way: Way::Mail, target: mail.clone(), secret_file: None };
            tx.insert_contact(&contact)?;
        }
        Ok::<_, StoreError>(new)
    })?;
    ensure!(new, "there is an organisation {key} already");
    eprintln!("Registered. Now: noroshi organisation range add {key} PREFIX --by {}", by.person);
    Ok(())
}

fn mail_address(text: &str) -> anyhow::Result<()> {
    ensure!(alert::is_mail_address(text), "{text} is no mail address");
    Ok(())
}

fn list(house: &House, json: bool) -> anyhow::Result<()> {
    for one in house.store.look("organisation.list", |tx| tx.organisations())? {
        let whole = whole(house, one)?;
        if json {
            report::json(&whole)?;
            continue;
        }
        let proven = whole.ranges.iter().filter(|range| range.proven.is_some()).count();
        say!(
            "{:<24} {} of {} ranges proven, {} contacts, {} alerts, {} messages  {}",
            whole.organisation.key,
            proven,
            whole.ranges.len(),
            whole.contacts.len(),
            whole.alerts,
            whole.organisation.messages,
            plain(&whole.organisation.name)
        );
    }
    Ok(())
}

fn whole(house: &House, one: Organisation) -> anyhow::Result<Whole> {
    let now = house.clock.now();
    let since = now - jiff::SignedDuration::from_hours(24);
    let key = one.key.clone();
    let (ranges, contacts, mutes, (alerts, untold), telescopes) = house.store.look("organisation", |tx| {
        Ok::<_, StoreError>((
            tx.ranges(Some(&key))?,
            tx.contacts(&key)?,
            tx.mutes(&key, now)?,
            tx.alerts_count(&key)?,
            tx.telescopes(since)?,
        ))
    })?;
    let telescope_addresses = telescopes.iter().map(|telescope| telescope.addresses).sum();
    let seconds_until_seen_at_100_pps = alert::floor(telescope_addresses).map(|span| span.as_secs());
    Ok(Whole {
        organisation: one,
        ranges,
        contacts,
        mutes,
        alerts,
        untold,
        telescope_addresses,
        seconds_until_seen_at_100_pps,
    })
}

fn show(house: &House, key: &str, json: bool) -> anyhow::Result<()> {
    let whole = whole(house, known(house, key)?)?;
    if json {
        return report::json(&whole);
    }
    let Whole { organisation, ranges, contacts, mutes, alerts, untold, .. } = &whole;
    say!(
        "{}  {}  in {}, since {}",
        key,
        plain(&organisation.name),
        organisation.lang.tag(),
        jst(organisation.since)
    );
    for range in ranges {
        say!("range    {:<24} {}", range.prefix.to_string(), ranges::state_of(range));
    }
    for contact in contacts {
        say!("contact  {:<8} {}", contact.way.id(), plain(&contact.target));
    }
    for mute in mutes {
        let until = mute.until.map(|at| format!(" until {}", jst(at))).unwrap_or_default();
        say!("muted    {}{until}: {}", mute.prefix, plain(&mute.why));
    }
    let next = organisation.next.map(|at| format!(", not told again before {}", jst(at)));
    say!(
        "{alerts} alerts, {untold} of them to be told; {} messages{}",
        organisation.messages,
        next.unwrap_or_default()
    );
    if let Some(wait) = whole.seconds_until_seen_at_100_pps {
        say!(
            "the telescopes have {} addresses: who scans all of IPv4 at 100 packets a second is seen after {wait} s on average",
            whole.telescope_addresses
        );
    }
    if contacts.is_empty() {
        say!("nobody is told: noroshi organisation contact add {key} --mail ADDRESS --by NAME");
    }
    Ok(())
}

fn contact(house: &House, what: &ContactCommand) -> anyhow::Result<()> {
    let (ContactCommand::Add { which, .. } | ContactCommand::Remove { which }) = what;
    let Which { key, mail, webhook, stix, by } = which;
    known(house, key)?;
    let ways = [(Way::Mail, mail), (Way::Webhook, webhook), (Way::Stix, stix)];
    let named = ways.into_iter().find_map(|(way, target)| Some((way, target.clone()?)));
    let (way, target) = named.context("name --mail, --webhook or --stix")?;
    match what {
        ContactCommand::Add { secret_file, .. } => {
            let secret_file = match (way, secret_file) {
                (Way::Mail, _) => {
                    mail_address(&target)?;
                    None
                }
                (_, Some(file)) => {
                    let file = std::path::absolute(file)?;
                    Webhook::new(&target, &file)?;
                    Some(file.to_string_lossy().into_owned())
                }
                (_, None) => bail!("posts are signed: name --secret-file"),
            };
            house.note(&by.person, &format!("had {key} told by {way}"))?;
            let contact = Contact { organisation: key.clone(), way, target, secret_file };
            let new = house.store.tx("organisation.contact", |tx| tx.insert_contact(&contact))?;
            ensure!(new, "{key} is told by that way already");
        }
        ContactCommand::Remove { .. } => {
            house.note(&by.person, &format!("had {key} told by {way} no more"))?;
            let was = house.store.tx("organisation.contact", |tx| tx.remove_contact(key, way, &target))?;
            ensure!(was, "{key} has no such contact; see `noroshi organisation show {key}`");
        }
    }
    Ok(())
}

fn alerts(house: &House, key: Option<&str>, limit: u32, json: bool, stix: bool) -> anyhow::Result<()> {
    if let Some(key) = key {
        known(house, key)?;
    }
    let all = house.store.look("alert.list", |tx| tx.alerts(key, None, limit))?;
    if stix {
        say!("{}", tell::bundle_of(&format!("alerts of {}", key.unwrap_or("all")), &all));
        return Ok(());
    }
    for alert in all {
        if json {
            report::json(&alert)?;
        } else {
            say_alert(&alert);
        }
    }
    Ok(())
}

fn say_alert(alert: &Alert) {
    let seen = &alert.seen;
    let what = if seen.tool.is_empty() { &seen.class } else { &seen.tool };
    let port = seen.port.map(|port| format!(" {}/{port}", seen.protocol)).unwrap_or_default();
    let role = if seen.role == Role::Victim { "is attacked" } else { "sends" };
    let told = match (alert.message, alert.muted) {
        (Some(number), _) => format!("message {number}"),
        (None, true) => "left out".to_owned(),
        (None, false) => "to be told".to_owned(),
    };
    say!(
        "{:<20} {:<39} {role} {what}{port}, {} packets, {} sensors, {} to {}, {told}",
        alert.organisation,
        seen.ip,
        seen.packets,
        seen.sensors,
        jst(seen.first),
        jst(seen.last)
    );
}

fn settle(house: &House, id: &str, state: &str, by: &By) -> anyhow::Result<()> {
    let id = Id::parse(id).context("that is no message's id; see `noroshi organisation messages`")?;
    let message = house.store.look("alert.message", |tx| tx.alert_message(&id))?;
    let message = message.context("there is no such message")?;
    ensure!(message.state == StepState::InDoubt, "it is not in doubt but {}", message.state);
    house.note(&by.person, &format!("settled the alert message {id} as {state}"))?;
    let now = house.clock.now();
    let to = if state == "sent" { StepState::Sent } else { StepState::Pending };
    let reply = format!("settled by {}", by.person);
    let settled = AlertMessage { state: to, due: now, changed: now, reply, ..message };
    house.store.tx("alert.settle", |tx| tx.put_alert_message(StepState::InDoubt, &settled))?;
    Ok(())
}

fn messages(house: &House, key: &str, json: bool) -> anyhow::Result<()> {
    known(house, key)?;
    for message in house.store.look("alert.messages", |tx| tx.alert_messages(key, LISTED))? {
        if json {
            report::json(&message)?;
        } else {
            say!(
                "{:>6}  {}  {:<8} {:<9} {} attempts  {}  {}",
                message.number,
                jst(message.made),
                message.way.id(),
                message.state.id(),
                message.attempts,
                plain(&message.target),
                plain(&message.reply)
            );
        }
    }
    Ok(())
}
