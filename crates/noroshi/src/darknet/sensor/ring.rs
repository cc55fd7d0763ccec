//! The interface of a sensor: one ring of the kernel, whose packets go into batches as they come.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::SocketError;
use noroshi_wire::capture::Frames;

use super::cut::Cutter;
use crate::darknet::live;

/// Watches until it is time to stop, or the interface is gone.
pub fn watch(interface: &str, cutter: &mut Cutter<'_>, stop: &AtomicBool) -> anyhow::Result<()> {
    let link = live::link_of(interface)?;
    let number = if_nametoindex(interface)?;
    let mut capture = live::ring(interface, 1)?;
    eprintln!("noroshi: watching {interface}");
    let mut frames = Frames::default();
    while !stop.load(Ordering::Relaxed) {
        frames.clear();
        if let Some(block) = capture.next_batch_blocking(live::LOOK_UP)? {
            live::put(&block, link, &mut frames);
        }
        if let Ok(counted) = capture.stats() {
            cutter.lose(counted.drops.into());
        }
        for frame in frames.iter() {
            cutter.add(&frame)?;
        }
        if frames.is_empty() {
            cutter.pass()?;
            // An interface that is down leaves an error, until which is asked for the ring does not wait.
            let _down = getsockopt(&capture, SocketError);
            if if_nametoindex(interface) != Ok(number) {
                cutter.cut()?;
                bail!("{interface}: the interface is gone");
            }
        }
    }
    Ok(())
}
