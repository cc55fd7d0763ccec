//! NFWare, `A` for added and `D` for deleted:
//!
//! ```text
//!   A VRF 0 INT 100.64.0.1 EXT 203.0.113.9:1024-1535          a block of ports
//!   A VRF 0 6 INT 100.64.0.1:5000 EXT 203.0.113.9:28475       one mapping of protocol 6; of a session, `DST …` follows
//!   A VRF 0 INT 100.64.0.1 EXT 203.0.113.9                    the whole address
//! ```

use super::Told;
use super::words::{blocks as ranges, glued};
use crate::assignment::Change;

pub(super) fn blocks(text: &str) -> Result<Option<Vec<Told<'_>>>, String> {
    let Some(at) = memchr::memmem::find(text.as_bytes(), b" VRF ") else { return Ok(None) };
    let (before, rest) = text.split_at(at);
    let change = match before.rsplit([' ', ']']).next() {
        Some("A") => Change::Start,
        Some("I" | "U") => Change::Interim,
        Some("D") => Change::Stop,
        _ => return Ok(None),
    };
    let mut words = rest.split_ascii_whitespace().skip(1);
    let vrf = words.next();
    let mut word = words.next();
    let protocol = word.filter(|word| *word != "INT");
    if protocol.is_some() {
        word = words.next();
    }
    if word != Some("INT") {
        return Err("`INT` is missing".into());
    }
    let (inside, _port) = glued(words.next().ok_or("the inside address is missing")?)?;
    if words.next() != Some("EXT") {
        return Err("`EXT` is missing".into());
    }
    let (outside, ports) = glued(words.next().ok_or("the outside address is missing")?)?;
    let told = |ports| Told { change, outside, ports, inside, protocol, vrf, clock: None };
    match ports {
        None => Ok(Some(vec![told(None)])),
        Some(ports) => Ok(Some(ranges(ports)?.into_iter().map(|ports| told(Some(ports))).collect())),
    }
}
