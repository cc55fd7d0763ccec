//! `noroshi site`: the sites that do harm, and why one may think so.
//!
//! ```text
//!   lists ─ import ─▶ store (one record a site) ─ known ─▶ score ─▶ listed, or a candidate
//!   people ─ add, remove, object ─▶              ─ check (does it answer) ─▶
//!                                                ─ export ─▶ RPZ, hosts, domains, URLs, STIX; since when
//! ```
//!
//! **Invariant:** what a warning list has is never handed out as a whole host unless two people said so, whatever lists say. **Invariant:**
//! whoever decides is named, and it is in the evidence log before it counts.

mod check;
mod decide;
mod desk;
mod export;
mod import;
mod known;
mod tell;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::commands::Where;
pub use desk::SitesKept;

/// Sites that are listed unless more are asked for.
const LISTED: u32 = 100;

/// Sites that do harm: what lists say, what people decide, and why
#[derive(Debug, Subcommand)]
pub enum SiteCommand {
    /// List a site by hand; a popular name needs two people
    Add {
        /// A host name, an IP address or a URL
        address: String,
        /// What harm it does
        #[arg(long, default_value = "other", value_parser = ["phishing", "malware", "control", "scam", "other"])]
        threat: String,
        #[command(flatten)]
        by: By,
    },
    /// Take a site out, whatever lists say of it; a popular name needs two people
    Remove {
        /// Which
        address: String,
        #[command(flatten)]
        by: By,
    },
    /// Take in what its owner says against being listed: it is handed out no more until that is answered (`add`, `remove`)
    Object {
        /// Which
        address: String,
        /// Who objects
        #[arg(long, value_name = "WHO")]
        from: String,
        #[command(flatten)]
        by: By,
    },
    /// List them
    List {
        /// Only those of this state
        #[arg(long, value_parser = ["candidate", "listed", "objected", "removed"])]
        state: Option<String>,
        /// Go on after this address
        #[arg(long, value_name = "ADDRESS", default_value = "")]
        after: String,
        /// Most of them
        #[arg(long, value_name = "N", default_value_t = LISTED)]
        limit: u32,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Show one: lists that have it, what was decided, objections, its score
    Show {
        /// Which
        address: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say how likely a site does harm, and everything that speaks for and against it; it need not be known
    Explain {
        /// A host name, an IP address or a URL
        address: String,
        /// In which language
        #[arg(long, value_name = "TAG", default_value = "en", value_parser = ["ja", "en"])]
        lang: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Read a list: candidates, of which those are listed whose score suffices
    Import {
        /// The file (plain, gzip, zstd, zip), `-` for standard input
        file: PathBuf,
        #[command(flatten)]
        list: import::List,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write what is listed, for resolvers and others
    Export {
        /// As what
        #[arg(long = "as", value_name = "FORM", value_parser = ["rpz", "hosts", "domains", "urls", "stix", "since"])]
        form: String,
        /// The policy zone's name
        #[arg(long, value_name = "NAME", default_value = "sites.rpz")]
        zone: String,
        /// Where to [default: standard output]; an old file is replaced when the new one is whole
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Ask sites whether they still answer
    Check {
        /// Which [default: those that are due]
        address: Option<String>,
        /// Those whose time has come, most overdue first
        #[arg(long, conflicts_with = "address")]
        due: bool,
        /// Most of them
        #[arg(long, value_name = "N", default_value_t = LISTED)]
        limit: u32,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// List the lists: how many sites each has, and how many of these people took out
    Sources {
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
}

/// Who does it, and why.
#[derive(Debug, Args)]
pub struct By {
    /// Who says so; twice, with two names, where a popular name is concerned
    #[arg(long = "by", value_name = "NAME", required = true)]
    people: Vec<String>,
    /// Why
    #[arg(long)]
    why: String,
}

/// Does it.
pub fn run(at: &Where, what: &SiteCommand) -> anyhow::Result<ExitCode> {
    match what {
        SiteCommand::Add { address, threat, by } => decide::add(&at.visit()?, address, threat, by)?,
        SiteCommand::Remove { address, by } => decide::remove(&at.look()?, address, by)?,
        SiteCommand::Object { address, from, by } => decide::object(&at.look()?, address, from, by)?,
        SiteCommand::List { state, after, limit, json } => {
            tell::list(&at.look()?, state.as_deref(), after, *limit, *json)?;
        }
        SiteCommand::Show { address, json } => tell::show(&at.look()?, address, *json)?,
        SiteCommand::Explain { address, lang, json } => tell::explain(&at.visit()?, address, lang, *json)?,
        SiteCommand::Import { file, list, json } => return import::run(&at.visit()?, file, list, *json),
        SiteCommand::Export { form, zone, out } => export::run(&at.look()?, form, zone, out.as_deref())?,
        SiteCommand::Check { address, due: _, limit, json } => {
            check::run(&at.look()?, address.as_deref(), *limit, *json)?;
        }
        SiteCommand::Sources { json } => tell::sources(&at.look()?, *json)?,
    }
    Ok(ExitCode::SUCCESS)
}
