//! The telescope from the command line.
//!
//! ```text
//!   captures │ rings ──▶ Frames ──▶ Telescope (threads, each batch in its turn) ──▶ Watch: campaigns, attacks, members' addresses
//! ```
//!
//! `replay` reads captures and `live` an interface, `threads` has several threads look, `watch` looks at the news of all of them, in order;
//! `judged` says what each sender is, `told` is what is said, `alerting` hands organisations' addresses on, and
//! `subscribers` those of our own network.

#[cfg(target_os = "linux")]
mod alerting;
mod judged;
#[cfg(target_os = "linux")]
mod live;
mod replay;
#[cfg(target_os = "linux")]
mod subscribers;
mod threads;
mod told;
mod watch;

use std::process::ExitCode;

use clap::Subcommand;

use crate::commands::Where;

/// The telescope: packets to addresses that nobody uses
#[derive(Debug, Subcommand)]
pub enum DarknetCommand {
    /// Read captures, and tell who sent what and why
    Replay(replay::Replay),
    /// Watch an interface, and tell who sends what and why
    #[cfg(target_os = "linux")]
    Live(live::Live),
}

/// Does it.
pub fn run(at: &Where, what: &DarknetCommand) -> anyhow::Result<ExitCode> {
    match what {
        DarknetCommand::Replay(wish) => replay::run(&at.read()?, wish),
        #[cfg(target_os = "linux")]
        DarknetCommand::Live(wish) => live::run(at, wish),
    }
}
