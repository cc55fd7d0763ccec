//! Traffic Light Protocol 2.0 (FIRST, 2022): who may be told.

use serde::{Deserialize, Serialize};

/// A TLP 2.0 label, from the widest to the narrowest audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tlp {
    /// Everybody.
    #[serde(rename = "CLEAR", alias = "WHITE")]
    Clear,
    /// The community.
    #[serde(rename = "GREEN")]
    Green,
    /// The organisation and its clients.
    #[serde(rename = "AMBER")]
    Amber,
    /// The organisation only.
    #[serde(rename = "AMBER+STRICT")]
    AmberStrict,
    /// The recipients themselves.
    #[serde(rename = "RED")]
    Red,
}
