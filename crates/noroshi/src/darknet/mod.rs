//! The telescope from the command line.
//!
//! ```text
//!   captures │ rings │ sensors ──▶ Frames ──▶ Telescope (threads, each batch in its turn) ──▶ Watch: campaigns, attacks, members' addresses
//! ```
//!
//! `replay` reads captures and `live` an interface, `threads` has several threads look, `watch` looks at the news of all of them, in order;
//! `judged` says what each sender is, `told` is what is said, `telling` says it while it goes on, `ring` is the kernel's, `alerting` hands organisations' addresses on,
//! `subscribers` those of our own network, and `statistics` writes down what is counted. `anonymise` is for what others may see. `sensor` watches elsewhere, and `hub` takes in what sensors saw.
//! `cut` makes batches of packets, and `keep` puts them where history takes them up.

#[cfg(target_os = "linux")]
mod alerting;
mod anonymise;
#[cfg(target_os = "linux")]
mod cut;
#[cfg(target_os = "linux")]
mod hub;
mod judged;
#[cfg(target_os = "linux")]
mod keep;
#[cfg(target_os = "linux")]
mod live;
#[cfg(target_os = "linux")]
mod nats;
mod replay;
#[cfg(target_os = "linux")]
mod ring;
#[cfg(target_os = "linux")]
pub mod sensor;
#[cfg(target_os = "linux")]
mod statistics;
#[cfg(target_os = "linux")]
mod subscribers;
#[cfg(target_os = "linux")]
mod telling;
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
    /// Watch through sensors that are elsewhere, and tell who sends what and why
    #[cfg(target_os = "linux")]
    Hub(hub::Hub),
    /// Sensors that are elsewhere
    #[cfg(target_os = "linux")]
    #[command(subcommand)]
    Sensors(hub::SensorsCommand),
}

/// Does it.
pub fn run(at: &Where, what: &DarknetCommand) -> anyhow::Result<ExitCode> {
    match what {
        DarknetCommand::Replay(wish) => replay::run(&at.read()?, wish),
        #[cfg(target_os = "linux")]
        DarknetCommand::Live(wish) => live::run(at, wish),
        #[cfg(target_os = "linux")]
        DarknetCommand::Hub(wish) => hub::run(at, wish),
        #[cfg(target_os = "linux")]
        DarknetCommand::Sensors(what) => hub::sensors(&at.read()?, what),
    }
}

/// The name of a run: random, so that no two have the same.
#[cfg(target_os = "linux")]
fn random_run() -> anyhow::Result<noroshi_wire::batch::Run> {
    use ::ring::rand::SecureRandom as _;
    let mut bytes = [0; 16];
    ::ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gave no randomness"))?;
    Ok(noroshi_wire::batch::Run(bytes))
}
