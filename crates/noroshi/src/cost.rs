//! What this process has cost so far: for those who measure it, and hold it beside others.

use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

/// Computing and memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Seconds of CPU, of all threads, in the program and in the system for it.
    pub cpu_s: f64,
    /// The most memory it had.
    pub rss_max_bytes: u64,
}

impl Cost {
    /// Until now.
    pub fn so_far() -> anyhow::Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
        // Kibibytes, but on the systems that count bytes.
        let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
        Ok(Self {
            cpu_s: seconds(usage.user_time()) + seconds(usage.system_time()),
            rss_max_bytes: usage.max_rss().unsigned_abs() * unit,
        })
    }
}
