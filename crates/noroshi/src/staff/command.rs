//! `noroshi staff`.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use noroshi_act::notice::jst;
use noroshi_model::staff::{plain_name, read_roles};
use noroshi_model::{Id, Person, StaffRole};
use noroshi_portal::door::StaffAct;
use serde_json::json;

use super::{Settled, settle};
use crate::commands::Where;
use crate::house::House;
use crate::report::say;

/// People of the console: who may come in, and as what
#[derive(Debug, Subcommand)]
pub enum StaffCommand {
    /// Invite somebody: prints a link, once, that lets them make a passkey
    Invite {
        /// What the others, and the evidence log, will call them
        name: String,
        /// analyst, legal, auditor, admin; several with commas
        #[arg(long, value_parser = roles)]
        role: Roles,
        /// Who says so
        #[arg(long = "by", value_name = "NAME")]
        person: String,
    },
    /// Show everybody
    List {
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Make a new link for somebody who lost theirs, or their passkey
    Link {
        /// Whom
        name: String,
        /// Who says so
        #[arg(long = "by", value_name = "NAME")]
        person: String,
    },
    /// Give somebody other roles
    Roles {
        /// Whom
        name: String,
        /// analyst, legal, auditor, admin; several with commas
        #[arg(long, value_parser = roles)]
        role: Roles,
        /// Who says so
        #[arg(long = "by", value_name = "NAME")]
        person: String,
    },
    /// End somebody's access, at once and in every process
    End {
        /// Whom
        name: String,
        /// Who says so
        #[arg(long = "by", value_name = "NAME")]
        person: String,
    },
}

/// Roles as they are typed.
#[derive(Clone, Debug)]
pub struct Roles(BTreeSet<StaffRole>);

fn roles(text: &str) -> Result<Roles, String> {
    let known = || StaffRole::ALL.iter().map(|role| role.id()).collect::<Vec<_>>().join(", ");
    read_roles(text).map(Roles).ok_or_else(|| format!("one or more of {}", known()))
}

/// Does what was typed.
pub fn run(at: &Where, what: StaffCommand) -> anyhow::Result<ExitCode> {
    let house = match &what {
        StaffCommand::List { .. } => at.look()?,
        _ => at.visit()?,
    };
    let (act, by) = match what {
        StaffCommand::List { json } => return list(&house, json),
        StaffCommand::Invite { name, role, person } => {
            let name = plain_name(&name)
                .context("a name has letters, digits, spaces and - ' . ( ) _ @ +, at most 64 characters")?;
            (StaffAct::Invite { name, roles: role.0 }, person)
        }
        StaffCommand::Link { name, person } => (StaffAct::InviteAgain(named(&house, &name)?), person),
        StaffCommand::Roles { name, role, person } => {
            (StaffAct::Roles(named(&house, &name)?, role.0), person)
        }
        StaffCommand::End { name, person } => (StaffAct::End(named(&house, &name)?), person),
    };
    match settle(&house, &act, &typed(&by)?)? {
        Settled::Done => {}
        Settled::Link(path) => {
            say!("{}{path}", house.config.console_origin(house.config.console));
            eprintln!("It works once, for 24 hours, while `noroshi run` serves the console.");
        }
        Settled::Not(why) => bail!("not done: {why}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Whoever has a shell on this machine and says who they are.
fn typed(name: &str) -> anyhow::Result<Person> {
    let name = plain_name(name).context("--by takes a name")?;
    let (id, since) = (Id::of("typed", &[name.as_bytes()]), jiff::Timestamp::UNIX_EPOCH);
    Ok(Person { id, name, roles: [StaffRole::Admin].into(), since, ended: None })
}

fn named(house: &House, name: &str) -> anyhow::Result<Id> {
    let found = house.store.look("staff.named", |tx| tx.person_named(name))?;
    Ok(found.with_context(|| format!("nobody is called {name}; see `noroshi staff list`"))?.id)
}

fn list(house: &House, json: bool) -> anyhow::Result<ExitCode> {
    let (staff, inside) = house.store.look("staff.list", |tx| {
        let inside = tx.sessions(house.clock.now())?;
        Ok::<_, noroshi_store::StoreError>((tx.staff()?, inside))
    })?;
    for person in &staff {
        let inside = inside.iter().any(|session| session.person.id == person.id);
        if json {
            say!(
                "{}",
                json!({ "name": person.name, "roles": person.roles, "since": person.since, "ended": person.ended, "inside": inside })
            );
        } else {
            let state = match (person.ended, inside) {
                (Some(at), _) => format!("left {}", jst(at)),
                (None, true) => "in".to_owned(),
                (None, false) => "out".to_owned(),
            };
            say!("{:<24} {:<28} {state}", person.name, person.roles_text());
        }
    }
    if staff.is_empty() && !json {
        eprintln!("Nobody has been invited: noroshi staff invite NAME --role analyst --by YOU");
    }
    Ok(ExitCode::SUCCESS)
}
