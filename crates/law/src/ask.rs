//! A request to use communications data: which measure, who asks, for what, with which fields. What dossiers, rules,
//! permits and evidence entries all speak of.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::purpose::Purpose;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// noroshi itself, by rule.
    System,
    /// A person at the abuse desk.
    Analyst,
    /// Counsel.
    Legal,
    /// Somebody who checks the others.
    Auditor,
}

impl Role {
    /// The name used in dossiers and policy text.
    pub fn id(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::Analyst => "analyst",
            Role::Legal => "legal",
            Role::Auditor => "auditor",
        }
    }
}

/// What is to be done with the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// Keep it, sealed.
    Keep,
    /// Find the line that held an address.
    Identify,
    /// Tell that line's subscriber.
    Notify,
}

impl Use {
    /// The action's name in policy text.
    pub fn id(self) -> &'static str {
        match self {
            Use::Keep => "keep",
            Use::Identify => "identify",
            Use::Notify => "notify",
        }
    }
}

/// A request to use communications data.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ask {
    /// The measure's id.
    pub measure: String,
    /// The purpose, as the asker states it.
    pub purpose: String,
    /// Who asks.
    pub role: Role,
    /// What for.
    pub usage: Use,
    /// Which fields, in IntelMQ names.
    pub fields: BTreeSet<String>,
}

impl Ask {
    /// The ask that purpose `P` makes for all of the given fields.
    pub fn of<P: Purpose>(role: Role, usage: Use, fields: &[&str]) -> Self {
        Self {
            measure: P::MEASURE.into(),
            purpose: P::PURPOSE.into(),
            role,
            usage,
            fields: fields.iter().map(|f| (*f).to_owned()).collect(),
        }
    }
}
