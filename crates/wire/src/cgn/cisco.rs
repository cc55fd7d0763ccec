//! IOS XR, several in a datagram:
//!
//! ```text
//!   [UserbasedA    - 100.64.0.1 INSIDE -           203.0.113.9 - 2048 3071 - -]
//!   [SessionbasedA TCP - INSIDE 2001:db8::1 203.0.113.9 5000 2048 - - -]
//!    event         L4 source VRF source-IPv6 translated port first last destination port
//! ```
//!
//! `A` assigns, `W` withdraws, a `D` after it adds the destination. With a source in IPv6 (DS-Lite) that is the subscriber's.

use super::Told;
use super::words::{block, ip, port};
use crate::assignment::Change;

pub(super) fn blocks(text: &str) -> Result<Option<Vec<Told<'_>>>, String> {
    let mut told = Vec::new();
    let mut left = text;
    while let Some((_, rest)) = left.split_once('[') {
        let (event, fields) = rest.split_once(' ').unwrap_or((rest, ""));
        let change = match event {
            "UserbasedA" | "SessionbasedA" | "SessionbasedAD" => Change::Start,
            "UserbasedW" | "SessionbasedW" | "SessionbasedWD" => Change::Stop,
            _ => {
                left = rest;
                continue;
            }
        };
        let (fields, rest) = fields.split_once(']').ok_or("a bracket opens and does not close")?;
        told.push(one(fields, change, event.starts_with('U'))?);
        left = rest;
    }
    Ok(if told.is_empty() { None } else { Some(told) })
}

fn one(fields: &str, change: Change, is_block: bool) -> Result<Told<'_>, String> {
    let mut words = fields.split_ascii_whitespace();
    let mut field = || words.next().ok_or("a field is missing");
    let [l4, source, vrf, source6, outside] = [field()?, field()?, field()?, field()?, field()?];
    let [_port, first, last] = [field()?, field()?, field()?];
    let stated = |word| Some(word).filter(|word| *word != "-");
    let inside = ip(stated(source6).or(stated(source)).ok_or("the source is missing")?)?;
    let last = stated(last);
    let ports = match last {
        Some(last) => block(first, last)?,
        None if is_block => return Err("the last port of a block is missing".into()),
        None => (port(first)?, port(first)?),
    };
    let protocol = stated(l4).filter(|_| !is_block);
    Ok(Told { protocol, vrf: stated(vrf), ..Told::block(change, ip(outside)?, ports, inside) })
}
