//! Captures replayed: who sent what and why.
//!
//! A file that is damaged or cut off counts as far as it could be read, and is told of with the byte at which that ended.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use clap::Args;
use indicatif::ProgressBar;
use ipnet::IpNet;
use noroshi_observe::telescope::{Telescope, Turn};
use noroshi_wire::capture::{Capture, Frames};
use noroshi_wire::unpack::{Input, Members};

use super::anonymise;
use super::judged;
use super::threads::{self, Batches};
use super::told::{self, OneFile};
use super::watch::{self, Member, Watch};
use crate::config::Config;
use crate::report;
use crate::tables;

/// Read captures, and tell who sent what and why
#[derive(Debug, Args)]
pub struct Replay {
    /// Captures: pcap or pcapng, plain, gzip, zstd or zip; `-` for standard input
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The telescope's networks; packets to other addresses are counted and left out [default: every address]
    #[arg(long = "network", value_name = "PREFIX")]
    pub networks: Vec<IpNet>,
    /// Write the senders to a file: ip, class, tool, packets, first, last; most packets first, none of the telescope's own addresses
    #[arg(long, value_name = "OUT.csv")]
    pub sources: Option<PathBuf>,
    /// An organisation that is told when one of its addresses is seen; may be repeated
    #[arg(long = "organisation", value_name = "NAME=PREFIX")]
    pub organisations: Vec<Member>,
    /// Threads that look [default: one for each core, at most 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub threads: Option<u8>,
    /// Tell other addresses instead, alike in the same prefixes (Crypto-PAn), by a key in the data folder: for what leaves this house
    #[arg(long)]
    pub anonymise: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The captures, one after the other, for whichever thread is free.
pub(super) struct Captures {
    paths: std::vec::IntoIter<PathBuf>,
    /// What is being read: the file's members, and the one of them that is open.
    open: Option<(Members, ProgressBar, Option<Capture<Input>>)>,
    files: Vec<OneFile>,
    turn: u64,
}

impl Captures {
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths: paths.into_iter(), open: None, files: Vec::new(), turn: 0 }
    }

    /// Reads on; none when the file at hand has no more.
    fn read(&mut self, frames: &mut Frames) -> anyhow::Result<Option<()>> {
        let Some((members, _, at)) = &mut self.open else { return Ok(None) };
        loop {
            if let Some(capture) = at
                && capture.next_frames(frames)?
            {
                return Ok(Some(()));
            }
            let Some(member) = members.next() else { return Ok(None) };
            *at = Some(Capture::new(member?.input)?);
        }
    }

    /// Says what is wrong with the file at hand, and leaves it.
    fn give_up(&mut self, error: &anyhow::Error) {
        let text = format!("{error:#}");
        eprintln!("noroshi: {text}");
        if let Some(file) = self.files.last_mut() {
            file.error = Some(text);
        }
        self.open = None;
    }
}

impl Captures {
    /// Whether one could not be read to its end.
    pub(super) fn failed(&self) -> bool {
        self.files.iter().any(|file| file.error.is_some())
    }

    /// The next batch of all files.
    pub(super) fn next(&mut self, frames: &mut Frames) -> Option<u64> {
        loop {
            match self.read(frames) {
                Ok(Some(())) => {
                    if let Some(file) = self.files.last_mut() {
                        file.packets += frames.len() as u64;
                    }
                    self.turn += 1;
                    return Some(self.turn - 1);
                }
                Ok(None) => {
                    if let Some((_, bar, _)) = self.open.take() {
                        bar.finish_and_clear();
                    }
                    let path = self.paths.next()?;
                    self.files.push(OneFile { file: crate::intake::name(&path), packets: 0, error: None });
                    match crate::intake::open(&path) {
                        Ok((members, bar)) => self.open = Some((members, bar, None)),
                        Err(error) => self.give_up(&error),
                    }
                }
                Err(error) => {
                    let file = self.files.last().map(|file| file.file.clone()).unwrap_or_default();
                    self.give_up(&error.context(file));
                }
            }
        }
    }
}

impl Batches for &Mutex<Captures> {
    fn next(&mut self, frames: &mut Frames) -> Option<u64> {
        self.lock().unwrap_or_else(PoisonError::into_inner).next(frames)
    }
}

/// Does it.
pub fn run(config: &Config, wish: &Replay) -> anyhow::Result<ExitCode> {
    let tables = tables::read_countries(&config.enrich)?;
    let members = watch::members(&wish.organisations)?;
    let begun = std::time::Instant::now();
    let telescope = Telescope::new(wish.networks.clone());
    let watch = Turn::new(Watch::new(members, Arc::clone(&tables.lists)));
    let captures = Mutex::new(Captures::new(wish.files.clone()));
    let threads = wish.threads.map_or_else(threads::usual, usize::from);
    threads::look(&telescope, &watch, std::iter::repeat_n(&captures, threads));
    let files = captures.into_inner().unwrap_or_else(PoisonError::into_inner).files;
    let judged = judged::judge(&telescope, &tables, threads);
    let pan = wish.anonymise.then(|| anonymise::by_key_of(config)).transpose()?;
    if let Some(path) = &wish.sources {
        judged::write_sources(path, &judged::senders(&telescope), pan.as_ref())
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let failed = files.iter().any(|file| file.error.is_some());
    let wall_s = begun.elapsed().as_secs_f64();
    let mut replayed = watch.look(|watch| told::summary(&telescope, watch, judged, files, wall_s))?;
    if let Some(pan) = &pan {
        replayed.anonymise(pan);
    }
    if wish.json {
        report::json(&replayed)?;
    } else {
        told::print(&replayed);
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
