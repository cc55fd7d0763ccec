//! Junos, structured and plain:
//!
//! ```text
//!   RT_NAT - RT_SRC_NAT_PBA_ALLOC [internal-ip="100.64.0.1" … block-port-low="48640" block-port-high="48895"
//!                                  reflexive-ip="203.0.113.9" … epoch-time-64="624b0492"]
//!   RT_NAT: RT_SRC_NAT_PBA_ALLOC: Subscriber 100.64.0.1 used/maximum [1/4] blocks, allocates port block [48640-48895] from
//!           203.0.113.9 in source pool p lsys_id: 0 epoch 0x624b0492
//!   JSERVICES_NAT_PORT_BLOCK_ALLOC: 100.64.0.1 -> 203.0.113.9:48640-48895 0x624b0492
//! ```
//!
//! `INTERIM` repeats the epoch of the allocation and repairs a lost one; in `ALLOC` and `RELEASE` it is that of the event.

use std::sync::LazyLock;

use jiff::Timestamp;
use memchr::memmem::Finder;

use super::Told;
use super::words::{block, blocks as ranges, glued, ip};
use crate::assignment::Change;
use crate::time::in_range;

/// What stands before an event's name, in newer and older releases.
static MARKERS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [Finder::new("RT_SRC_NAT_PBA_"), Finder::new("_NAT_PORT_BLOCK_")]);

pub(super) fn blocks(text: &str) -> Result<Option<Vec<Told<'_>>>, String> {
    let after = |marker: &Finder<'_>| text.get(marker.find(text.as_bytes())? + marker.needle().len()..);
    let (event, rest) = match MARKERS.iter().find_map(after) {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            rest.split_at(end)
        }
        None => return Ok(None),
    };
    let change = match event {
        "ALLOC" => Change::Start,
        "INTERIM" | "ACTIVE" => Change::Interim,
        "RELEASE" => Change::Stop,
        _ => return Ok(None),
    };
    let told = if rest.starts_with(" [") {
        structured(rest, change)
    } else if rest.contains("Subscriber ") {
        plain(rest, change)
    } else if rest.contains("=\"") {
        structured(rest, change)
    } else {
        arrow(rest, change)
    };
    told.map(Some)
}

fn structured(rest: &str, change: Change) -> Result<Vec<Told<'_>>, String> {
    let (mut inside, mut outside, mut low, mut high, mut epoch) = (None, None, None, None, None);
    let mut left = rest;
    while let Some((before, after)) = named(left) {
        let begins = memchr::memrchr3(b' ', b'[', b'"', before.as_bytes()).map_or(0, |at| at + 1);
        let name = before.get(begins..).unwrap_or(before);
        let closes = memchr::memchr(b'"', after.as_bytes()).ok_or("a quote opens and does not close")?;
        let (value, after) = (&after[..closes], &after[closes + 1..]);
        let place = match name {
            "internal-ip" => &mut inside,
            "reflexive-ip" => &mut outside,
            "block-port-low" => &mut low,
            "block-port-high" => &mut high,
            "epoch-time-64" => &mut epoch,
            _ => {
                left = after;
                continue;
            }
        };
        *place = Some(value);
        left = after;
    }
    let inside = ip(inside.ok_or("`internal-ip` is missing")?)?;
    let outside = ip(outside.ok_or("`reflexive-ip` is missing")?)?;
    let ports =
        block(low.ok_or("`block-port-low` is missing")?, high.ok_or("`block-port-high` is missing")?)?;
    Ok(vec![Told { clock: epoch.and_then(clock), ..Told::block(change, outside, ports, inside) }])
}

/// What stands before the next `="`, and after it.
fn named(text: &str) -> Option<(&str, &str)> {
    let mut signs = memchr::memchr_iter(b'=', text.as_bytes());
    let at = signs.find(|at| text.as_bytes().get(at + 1) == Some(&b'"'))?;
    Some((text.get(..at)?, text.get(at + 2..)?))
}

fn plain(rest: &str, change: Change) -> Result<Vec<Told<'_>>, String> {
    let after = |marker: &str| rest.split_once(marker).map(|(_, after)| after);
    let word = |text: &'_ str| text.split([' ', ',']).next().unwrap_or_default().to_owned();
    let inside = ip(&word(after("Subscriber ").unwrap_or_default()))?;
    let ports =
        after("port block [").and_then(|after| after.split_once(']')).ok_or("the port block is missing")?;
    let outside = ports.1.trim_start().strip_prefix("from ").ok_or("the address is missing")?;
    let outside = ip(&word(outside))?;
    let clock = after(" epoch ").and_then(clock);
    let told = |ports| Told { clock, ..Told::block(change, outside, ports, inside) };
    Ok(ranges(ports.0)?.into_iter().map(told).collect())
}

fn arrow(rest: &str, change: Change) -> Result<Vec<Told<'_>>, String> {
    let (inside, rest) = rest.split_once(" -> ").ok_or("neither structured nor plain as Junos writes it")?;
    let inside = ip(inside.trim_start_matches(':').trim())?;
    let (block, epoch) = rest.split_once(" 0x").unwrap_or((rest, ""));
    let (outside, ports) = glued(block)?;
    let clock = clock(epoch);
    let told = |ports| Told { clock, ..Told::block(change, outside, ports, inside) };
    Ok(ranges(ports.ok_or("the port block is missing")?)?.into_iter().map(told).collect())
}

/// Seconds since 1970 in hex.
fn clock(text: &str) -> Option<Timestamp> {
    let text = text.trim_start().trim_start_matches("0x");
    let digits = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    let seconds = i64::from_str_radix(text.get(..digits)?, 16).ok()?;
    in_range(Timestamp::from_second(seconds).ok()?).ok()
}
