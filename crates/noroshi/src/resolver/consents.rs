//! Who has agreed, as the house tells it ([`crate::consents`]): a Unix socket in the data folder, a line for each thing that is said.
//!
//! ```text
//!   measure site-warning       what all that follows is about
//!   forget                     nobody has agreed
//!   + 192.0.2.7/32             this line has
//!   - 2001:db8:0:100::/56      this one has not
//!   until 10                   all that was said holds for so many seconds
//! ```
//!
//! What is not understood ends the connection, and what was said over it ends with its time: plain answers are never wrong.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use ipnet::IpNet;
use noroshi_law::{CncBlocking, Purpose as _, Register};
use noroshi_resolver::consent::Consents;
use noroshi_resolver::policy::Policy;
use noroshi_resolver::resolver::Resolver;

use super::hits::{Infected, Recorder, ZoneRecorded};
use super::settings::AboutZone;
use crate::consents::{BELIEVED_S, MEASURES, SOCKET};

/// Octets of a line at most.
const LINE_OCTETS_MAX: usize = 128;

/// Nobody has agreed to any measure, of lines of these networks.
pub fn nobody(own: &[IpNet], v6_line_len: u8) -> anyhow::Result<Vec<Consents>> {
    let of = |_: &&str| Consents::nobody(own, v6_line_len).context("[network] own");
    MEASURES.iter().map(of).collect()
}

/// Who records what rules of measures did: of a measure for as long as its dossier allows, and of several for the shortest of these times.
pub fn recorder(
    policy: &Policy,
    about: &[AboutZone],
    events: Option<PathBuf>,
    data_dir: &Path,
) -> anyhow::Result<Recorder> {
    let register = Register::shipped()?;
    let mut days = u32::MAX;
    let mut zones = Vec::with_capacity(policy.zones.len());
    for (zone, about) in policy.zones.iter().zip(about) {
        let measure = zone.settings.by_consent.and_then(|number| MEASURES.get(usize::from(number)));
        if let Some(measure) = measure {
            let dossier = register.measure(measure).with_context(|| format!("{measure} has no dossier"))?;
            days = days.min(dossier.retention_days);
        }
        let is_cnc = measure.is_some_and(|measure| *measure == CncBlocking::MEASURE);
        let infected = is_cnc.then(|| Infected { malware: about.malware_name.clone() });
        zones.push(ZoneRecorded { name: zone.settings.name.to_string(), infected });
    }
    Ok(Recorder::new(data_dir, zones, events, days))
}

/// Listens for what is said, as long as the program runs.
pub fn listen(data_dir: &Path, resolver: &Arc<Resolver>) -> anyhow::Result<()> {
    let (path, beside) = (data_dir.join(SOCKET), data_dir.join(format!("{SOCKET}.{}", std::process::id())));
    let _ = std::fs::remove_file(&beside);
    let listener =
        UnixListener::bind(&beside).with_context(|| format!("listening at {}", beside.display()))?;
    // In the place of one that was there before, and that nobody finds any more.
    std::fs::rename(&beside, &path).with_context(|| format!("listening at {}", path.display()))?;
    let resolver = Arc::clone(resolver);
    std::thread::Builder::new().name("consents".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            let resolver = Arc::clone(&resolver);
            let heard = std::thread::Builder::new().name("consents-heard".into()).spawn(move || {
                if let Err(error) = hear(&stream, &resolver) {
                    tracing::warn!("who has agreed: {error:#}");
                }
            });
            if let Err(error) = heard {
                tracing::error!(%error, "consents");
            }
        }
    })?;
    Ok(())
}

/// Takes what is said over a connection to its end.
fn hear(stream: &UnixStream, resolver: &Resolver) -> anyhow::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let mut line = String::new();
    let mut about = None;
    loop {
        line.clear();
        let len = reader.by_ref().take(LINE_OCTETS_MAX as u64).read_line(&mut line)?;
        if len == 0 {
            return Ok(());
        }
        let said = line.strip_suffix('\n').context("a line is too long, or its end is missing")?;
        match (said.split_once(' ').unwrap_or((said, "")), about) {
            (("measure", measure), _) => {
                let number = MEASURES.iter().position(|known| *known == measure);
                about = Some(number.with_context(|| format!("{measure:?} is no measure of a resolver"))?);
            }
            (_, None) => bail!("no measure was named"),
            ((word, rest), Some(number)) => take(resolver, number, word, rest)?,
        }
    }
}

fn take(resolver: &Resolver, measure: usize, word: &str, rest: &str) -> anyhow::Result<()> {
    let consents = resolver.consents().get(measure).context("no zone of this resolver asks for consent")?;
    match word {
        "forget" => consents.forget(),
        // Of networks that are not the operator's own nobody asked.
        "+" | "-" => {
            let network: IpNet = rest.parse().with_context(|| format!("{rest:?} is no network"))?;
            let _ours = consents.say(network, word == "+");
        }
        "until" => {
            let seconds: u32 = rest.parse().with_context(|| format!("{rest:?} is no number"))?;
            ensure!(seconds <= BELIEVED_S, "{seconds} seconds are more than {BELIEVED_S}");
            consents.holds_until(resolver.clock().now_s() + seconds);
        }
        _ => bail!("{word:?} is not understood"),
    }
    Ok(())
}
