//! What the mail server did with a mail: the one place that can tell "sent" from "not sent" after a crash.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use noroshi_wire::postfix::{Fate, MailLog};

/// Mails remembered from the log at most; the log is followed from its start after a restart.
const MAILS_MAX: usize = 5_000_000;

/// How much later than a mail the log must have been written to before its silence means anything, in seconds.
const LOG_LAG_S: f64 = 10.0;

/// Where receipts come from.
#[derive(Debug, Default)]
pub enum Receipts {
    /// Nowhere: what is in doubt waits for a person.
    #[default]
    None,
    /// Postfix's log, followed.
    PostfixLog(Mutex<Followed>),
    /// The demo's own mailbox: a mail is there or it is not.
    Mailbox(PathBuf),
}

/// A log and how far it was read.
#[derive(Debug)]
pub struct Followed {
    path: PathBuf,
    inode: u64,
    offset: u64,
    log: MailLog,
    fates: HashMap<String, Fate>,
}

/// What is known of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The server has it, or had it.
    Known(Fate),
    /// The server never had it.
    Absent,
    /// Nobody can say.
    Unknown,
}

impl Receipts {
    /// Receipts from Postfix's log.
    pub fn postfix(path: &Path) -> Self {
        let followed = Followed {
            path: path.to_owned(),
            inode: 0,
            offset: 0,
            log: MailLog::default(),
            fates: HashMap::new(),
        };
        Self::PostfixLog(Mutex::new(followed))
    }

    /// What is known of the mail with this Message-ID that was handed over at `since` or not at all.
    pub fn of(&self, message_id: &str, since: Timestamp) -> Receipt {
        match self {
            Self::None => Receipt::Unknown,
            Self::PostfixLog(followed) => {
                followed.lock().unwrap_or_else(PoisonError::into_inner).of(message_id, since)
            }
            Self::Mailbox(folder) => {
                if crate::demo::mailbox::holds(folder, message_id) {
                    Receipt::Known(Fate::Delivered)
                } else {
                    Receipt::Absent
                }
            }
        }
    }
}

impl Followed {
    fn of(&mut self, message_id: &str, since: Timestamp) -> Receipt {
        if let Err(e) = self.follow() {
            tracing::warn!(log = %self.path.display(), "the mail log cannot be read: {e}");
            return Receipt::Unknown;
        }
        match self.fates.get(message_id) {
            Some(fate) => Receipt::Known(*fate),
            None if self.covers(since) => Receipt::Absent,
            None => Receipt::Unknown,
        }
    }

    /// Whether a mail handed over at `since` would be in this log: it was begun before that, and its writer has had time
    /// since. A log rotated meanwhile was begun later, and then nobody can say.
    fn covers(&self, since: Timestamp) -> bool {
        let file_times = std::fs::metadata(&self.path).and_then(|m| Ok((m.created()?, m.modified()?)));
        let Ok((begun, written)) = file_times else { return false };
        let (Ok(begun), Ok(written)) = (Timestamp::try_from(begun), Timestamp::try_from(written)) else {
            return false;
        };
        begun < since && (written - since).total(jiff::Unit::Second).is_ok_and(|s| s >= LOG_LAG_S)
    }

    /// Reads what was added since the last time; a log that is another file or shrank was rotated and is read from its
    /// start.
    fn follow(&mut self) -> std::io::Result<()> {
        let mut file = File::open(&self.path)?;
        let now = file.metadata()?;
        if now.ino() != self.inode || now.len() < self.offset {
            (self.inode, self.offset) = (now.ino(), 0);
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            // A line still being written is read next time.
            if read == 0 || line.last() != Some(&b'\n') {
                return Ok(());
            }
            self.offset += read as u64;
            if let Some((message_id, fate)) = self.log.line(String::from_utf8_lossy(&line).trim_end())
                && self.fates.len() < MAILS_MAX
            {
                let known = self.fates.entry(message_id).or_insert(fate);
                *known = (*known).max(fate);
            }
        }
    }
}
