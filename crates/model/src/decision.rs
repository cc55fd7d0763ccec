//! What policy says of a finding: an action with its lawful basis, or a refusal with its rule.

use noroshi_law::{BasisKind, Refusal};
use serde::{Deserialize, Serialize};

use crate::id::Id;

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// Find out who held the address and tell them.
    IdentifyAndNotify {
        /// On this basis.
        basis: BasisKind,
        /// By this rule.
        rule: String,
    },
    /// Not to be acted upon.
    Refused(Refusal),
}

/// A decision about one finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Decision {
    /// Hash of finding, measure and verdict.
    pub id: Id,
    /// The finding decided upon.
    pub finding: Id,
    /// The measure.
    pub measure: String,
    /// The answer.
    pub verdict: Verdict,
}
