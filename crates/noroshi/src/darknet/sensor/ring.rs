//! The interface of a sensor: one ring of the kernel, whose packets go into batches as they come.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use noroshi_wire::capture::Frames;

use crate::darknet::cut::{Cutter, Sink};
use crate::darknet::ring;

/// Watches until it is time to stop, or the interface is gone.
pub fn watch<S: Sink>(interface: &str, cutter: &mut Cutter<'_, S>, stop: &AtomicBool) -> anyhow::Result<()> {
    let link = ring::link_of(interface)?;
    let number = ring::number_of(interface)?;
    let mut capture = ring::open(interface, 1)?;
    eprintln!("noroshi: watching {interface}");
    let mut frames = Frames::default();
    while !stop.load(Ordering::Relaxed) {
        frames.clear();
        if let Some(block) = capture.next_batch_blocking(ring::LOOK_UP)? {
            ring::put(&block, link, &mut frames);
        }
        if let Ok(counted) = capture.stats() {
            cutter.lose(counted.drops.into());
        }
        for frame in frames.iter() {
            cutter.add(&frame)?;
        }
        if frames.is_empty() {
            cutter.pass()?;
            if !ring::is_there(&capture, interface, number) {
                cutter.cut()?;
                bail!("{interface}: the interface is gone");
            }
        }
    }
    Ok(())
}
