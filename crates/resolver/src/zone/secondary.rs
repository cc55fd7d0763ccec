//! Zones that are fetched from a primary, and kept up to date.
//!
//! A zone is fetched when its primary says so (NOTIFY, RFC 1996) and when its SOA says so. What changed is applied to the policy
//! before it is written to disk: who is killed between has the version before, and fetches again.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::kept::{Kept, Whole};
use super::transfer::{self, Primary, TransferError, Transferred};
use super::{Change, OwnedRecord, Timers};
use crate::name::Name;
use crate::policy::{Editor, Read};

/// Seconds between two questions to a primary at least, whatever its SOA says; NOTIFY does not wait.
const REFRESH_S_MIN: u32 = 5;
/// Seconds at most.
const REFRESH_S_MAX: u32 = 86_400;
/// Where no SOA is known yet.
const RETRY_S: u32 = 10;

/// A zone that is fetched.
#[derive(Debug)]
pub struct Secondary {
    place: u8,
    zone: Name,
    primaries: Vec<Primary>,
    kept: Kept,
    editor: Arc<Mutex<Editor>>,
    wake: Arc<Notify>,
    standing: Mutex<Standing>,
    writing: Mutex<Option<JoinHandle<()>>>,
}

/// How a zone stands.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// What the last attempt failed with.
    pub failure: Option<String>,
    /// Whole transfers so far.
    pub whole: u64,
    /// Changes so far.
    pub changes: u64,
}

impl Secondary {
    /// A zone that is fetched from `primaries` and kept in `kept`.
    pub fn new(
        place: u8,
        zone: Name,
        primaries: Vec<Primary>,
        kept: Kept,
        editor: Arc<Mutex<Editor>>,
    ) -> Self {
        Self {
            place,
            zone,
            primaries,
            kept,
            editor,
            wake: Arc::default(),
            standing: Mutex::default(),
            writing: Mutex::default(),
        }
    }

    /// The zone's apex.
    pub fn zone(&self) -> &Name {
        &self.zone
    }

    /// Somebody says that there is a new version; it is believed when it is one of the primaries.
    pub fn notified(&self, by: IpAddr) -> bool {
        let known = self.primaries.iter().any(|primary| primary.address.ip() == by);
        if known {
            self.wake.notify_one();
        }
        known
    }

    /// Looks for a new version soon.
    pub fn hurry(&self) {
        self.wake.notify_one();
    }

    /// What the SOA of the version that holds says.
    pub fn timers(&self) -> Option<Timers> {
        tokio::task::block_in_place(|| {
            let editor = self.editor();
            let soa = editor.zone(self.place)?.soa.as_ref()?;
            Timers::of(soa.rtype, &soa.data)
        })
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes changes to disk while the next ones may come in and hold already: a disk may take its time. Where it cannot be written, a start begins with an
    /// older version.
    fn write_later(&self, changes: Vec<Change>) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, kept, zone) = (writing.take(), self.kept.clone(), self.zone);
        *writing = Some(tokio::spawn(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            let written = tokio::task::spawn_blocking(move || {
                changes.iter().try_for_each(|change| kept.append(change))
            });
            if let Ok(Err(error)) = written.await {
                tracing::warn!(%zone, %error, "a change could not be written");
            }
        }));
    }

    /// Waits until all changes are on disk.
    pub async fn written(&self) {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writing) = writing {
            let _ = writing.await;
        }
    }

    /// Whoever holds it may build a table, for a second: other tasks go on meanwhile on other threads.
    fn editor(&self) -> std::sync::MutexGuard<'_, Editor> {
        self.editor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is kept; `None` where nothing is.
    ///
    /// # Errors
    ///
    /// Whatever the disk says; a damaged file is fetched anew.
    pub fn restore(&self) -> std::io::Result<Option<Read>> {
        self.kept.mend()?;
        let (mut changes, mut failure) = (None, None);
        let read = self.editor().replace_if(self.place, |taking| {
            match self.kept.read(|record| taking.record(0, Ok(record))) {
                Ok(found) => changes = found,
                Err(error) => failure = Some(error),
            }
            changes.is_some()
        });
        if let Some(error) = failure {
            return Err(error);
        }
        for change in changes.iter().flatten() {
            self.apply(change);
        }
        Ok(changes.map(|_| read))
    }

    fn apply(&self, change: &Change) -> Read {
        let gone = change.gone.iter().map(OwnedRecord::lend);
        let come = change.come.iter().map(OwnedRecord::lend);
        tokio::task::block_in_place(|| self.editor().change(self.place, gone, come))
    }

    /// Keeps the zone up to date, for ever. `told` hears what became of each attempt.
    pub async fn follow(&self, told: impl Fn(&Name, &Result<Transferred, TransferError>) + Sync) {
        let mut failed = false;
        let mut is_first = true;
        loop {
            if !std::mem::take(&mut is_first) {
                let wait_s = match (self.timers(), failed) {
                    (Some(timers), false) => timers.refresh_s,
                    (Some(timers), true) => timers.retry_s,
                    (None, _) => RETRY_S,
                };
                let wait = Duration::from_secs(wait_s.clamp(REFRESH_S_MIN, REFRESH_S_MAX).into());
                let _ = tokio::time::timeout(wait, self.wake.notified()).await;
            }
            let result = self.update().await;
            failed = result.is_err();
            self.lock().failure = result.as_ref().err().map(ToString::to_string);
            told(&self.zone, &result);
        }
    }

    /// Asks the primaries in turn until one says something.
    ///
    /// # Errors
    ///
    /// What the last one said.
    pub async fn update(&self) -> Result<Transferred, TransferError> {
        let mut result = Ok(Transferred::UpToDate);
        for primary in &self.primaries {
            let serial = self.timers().map(|timers| timers.serial);
            result = self.update_from(primary, serial).await;
            if let (Err(TransferError::Refused(_) | TransferError::Malformed(_)), Some(_)) = (&result, serial)
            {
                // It does not know what changed, or does not tell.
                result = self.update_from(primary, None).await;
            }
            if result.is_ok() {
                break;
            }
        }
        result
    }

    async fn update_from(
        &self,
        primary: &Primary,
        serial: Option<u32>,
    ) -> Result<Transferred, TransferError> {
        let mut whole = None;
        let transferred = transfer::fetch(&self.zone, serial, primary, |record| {
            if whole.is_none() {
                whole = Some(self.kept.whole()?);
            }
            whole.as_mut().map_or(Ok(()), |whole| whole.record(&record))
        })
        .await?;
        match &transferred {
            Transferred::UpToDate => {}
            Transferred::Whole => {
                self.written().await;
                // A million rules take a second, in which other tasks go on.
                tokio::task::block_in_place(|| {
                    whole.map_or(Ok(()), Whole::end)?;
                    self.restore()
                })?;
                self.lock().whole += 1;
            }
            Transferred::Changes(changes) => {
                for change in changes {
                    self.apply(change);
                }
                self.lock().changes += changes.len() as u64;
                // What changes the operator's own file is fetched again.
                if self.kept.is_whole() {
                    self.write_later(changes.clone());
                }
            }
        }
        Ok(transferred)
    }
}
