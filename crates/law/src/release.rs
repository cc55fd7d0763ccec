//! The way out. A line that is restricted under a permit must be let out again when the permit has long ended, the dossier has
//! expired or the subscriber has withdrawn: whatever refuses a use may not keep somebody in. So what it takes to let a line out
//! opens without a ruling, for that alone, and the entry in the evidence log comes first here too.
//!
//! ```compile_fail,E0308
//! // Nothing else opens this way.
//! use noroshi_law::release::Release;
//! use noroshi_law::{Lawful, LineQuarantine, Locked, Vault};
//! fn misuse(vault: &Vault, addressee: &Locked, out: &Release) -> Lawful<String, LineQuarantine> {
//!     vault.open_to_release(addressee, out).unwrap()
//! }
//! ```

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ask::Use;
use crate::dossier::Dossier;
use crate::evidence::{Ledger, LedgerError};
use crate::gate::Gate;
use crate::purpose::LineQuarantine;
use crate::sealed::Lawful;
use crate::vault::{Lockable, Locked, Vault, VaultError};

/// A line that is restricted, as the network names it. Rests encrypted while it is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestrictedLine {
    /// `User-Name`, or what else names a line.
    pub user: String,
}

impl std::fmt::Debug for RestrictedLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RestrictedLine(‹redacted›)")
    }
}

impl Lockable for RestrictedLine {
    const KIND: &'static str = "restricted-line";
    fn slots(&self) -> Vec<String> {
        vec![self.user.clone()]
    }
    fn at(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// That letting a line out is in the evidence log.
#[derive(Debug)]
pub struct Release(());

impl Gate<'_> {
    /// Records that a line is let out, and why. `subject` is whom it concerns, as a keyed hash; `under` is the entry of the permit
    /// under which it was restricted, where that is known.
    pub fn release(
        &self,
        dossier: &Dossier,
        subject: &str,
        why: &str,
        under: Option<u64>,
        now: Timestamp,
        ledger: &mut dyn Ledger,
    ) -> Result<Release, LedgerError> {
        self.remark(dossier, Use::Release, format!("{subject}: {why}"), under, now, ledger)?;
        Ok(Release(()))
    }
}

impl Vault {
    /// Opens a restricted line to let it out.
    pub fn open_to_release(
        &self,
        line: &Locked,
        _recorded: &Release,
    ) -> Result<Lawful<RestrictedLine, LineQuarantine>, VaultError> {
        Ok(Lawful::granted(self.decrypt(line)?))
    }

    /// The token under which a line is restricted, of which it is asked when the line connects: the network's own question about
    /// its own connection, whose answer is a restriction that stands already.
    pub fn restricted_slot(&self, user: &str) -> String {
        self.token(RestrictedLine::KIND, "slot", user.as_bytes())
    }
}
