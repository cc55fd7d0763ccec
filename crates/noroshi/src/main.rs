//! The program: from what was typed to who does it.
//!
//! ```text
//!   cli (what can be typed) ─▶ commands ─▶ intake, stages, desk ─▶ house (database, keys, law, clock)
//! ```
//!
//! In reading order: [`cli`]; [`config`] what the file means; [`house`] everything at hand; [`intake`] and [`sources`] observe;
//! [`stages`] orient to improve; [`desk`] what the pages show; [`law`] what counsel does; [`serve`]; [`demo`].

mod api;
mod attention;
mod cases;
mod cli;
mod commands;
mod config;
mod consents;
mod cost;
mod counters;
mod counting;
mod darknet;
mod demo;
mod desk;
mod dns;
mod doctor;
mod events;
mod evidence;
mod export;
mod feeds;
mod garden;
mod help;
mod house;
mod http;
mod intake;
mod internet;
mod keys;
mod ladder;
mod languages;
mod law;
mod lists;
mod maps;
mod metrics;
mod notices;
mod organisations;
mod outcome;
mod outgoing;
mod quarantine;
mod receipts;
mod report;
#[cfg(target_os = "linux")]
mod resolver;
mod retention;
mod returns;
mod reverse;
mod serve;
mod sessions;
mod site;
mod sources;
mod staff;
mod stages;
mod tables;
mod telescopes;
mod trust;
mod webhooks;
mod wording;

use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("NOROSHI_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match commands::run(cli::Cli::parse()) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("noroshi: {e:#}");
            ExitCode::FAILURE
        }
    }
}
