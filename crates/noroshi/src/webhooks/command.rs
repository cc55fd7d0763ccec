//! `noroshi webhook`.

use std::process::ExitCode;

use clap::Subcommand;
use noroshi_act::notice::jst;

use crate::house::House;
use crate::report::{self, say};

/// Who is told what happens, and how that goes
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// List webhooks, with what waits for each and its last failure
    List {
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
}

/// Lists.
pub fn command(house: &House, what: &WebhookCommand) -> anyhow::Result<ExitCode> {
    let WebhookCommand::List { json } = what;
    let webhooks = house.store.tx("webhook.list", |tx| tx.webhooks())?;
    for webhook in &webhooks {
        if *json {
            report::json(webhook)?;
            continue;
        }
        let stands = match webhook.failing {
            Some(since) => format!(
                "failing since {} ({} in a row): {}",
                jst(since),
                webhook.failures,
                report::plain(&webhook.said)
            ),
            None => "not failing".to_owned(),
        };
        say!(
            "{:<24} {} delivered, {} waiting, {} given up; {stands}",
            webhook.name,
            webhook.delivered,
            webhook.waiting,
            webhook.given_up
        );
    }
    if webhooks.is_empty() && !*json {
        eprintln!("no webhooks are known; `noroshi run` makes those of the configuration known");
    }
    Ok(ExitCode::SUCCESS)
}
