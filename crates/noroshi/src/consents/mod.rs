//! Who has agreed to a measure, told to the resolvers that act on it, as it is this moment.
//!
//! ```text
//!   session book ──who is there now──┐
//!   directory ──whose line that is───┼──▶ roll ──"+ network", "- network"──▶ resolvers' sockets
//!   consent register ──who has not───┘
//! ```
//!
//! The other way round from a look: nobody asks who somebody is; a resolver knows, of each of the operator's addresses, one bit. A line whose contract is
//! not known has not agreed. Resolvers believe what they were told for seconds only, so that when this here stands still, or may not act any more,
//! they give plain answers.

mod roll;
mod tell;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use noroshi_law::purpose::InPassing;
use noroshi_law::{CncBlocking, SiteWarning, Use};

use crate::house::House;

/// The socket's name in a resolver's data folder.
pub const SOCKET: &str = "resolver-consents.sock";
/// The measures that a resolver acts on, in the order of their numbers.
pub const MEASURES: [&str; 2] =
    [<SiteWarning as noroshi_law::Purpose>::MEASURE, <CncBlocking as noroshi_law::Purpose>::MEASURE];
/// For how many seconds a resolver believes what it was told.
pub const BELIEVED_S: u32 = 10;
/// How often it is looked whether something changed.
const STEP: Duration = Duration::from_millis(100);

/// Tells resolvers who has agreed, each measure by itself, as long as the program runs.
pub fn start(house: &Arc<House>) -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let file = &house.config.resolver;
        for (number, measure) in MEASURES.iter().enumerate() {
            if !file.rpz.iter().any(|zone| zone.measure.as_deref() == Some(measure)) {
                continue;
            }
            let mut sockets: Vec<PathBuf> = vec![house.config.data_dir.join(SOCKET)];
            sockets.extend(file.consent_sockets.iter().cloned());
            let house = Arc::clone(house);
            std::thread::Builder::new().name(format!("consents-{number}")).spawn(move || match number {
                0 => keep_telling::<SiteWarning>(&house, Use::Warn, sockets),
                _ => keep_telling::<CncBlocking>(&house, Use::Block, sockets),
            })?;
        }
    }
    Ok(())
}

fn keep_telling<P: InPassing>(house: &House, usage: Use, sockets: Vec<PathBuf>) {
    let mut telling = tell::Telling::<P>::new(usage, sockets);
    loop {
        if let Err(error) = telling.step(house) {
            tracing::error!("{}: who has agreed cannot be told: {error:#}", P::MEASURE);
            std::thread::sleep(Duration::from_secs(1));
        }
        std::thread::sleep(STEP);
    }
}
