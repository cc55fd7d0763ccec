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
    /// Everybody there is.
    pub const ALL: [Role; 4] = [Role::System, Role::Analyst, Role::Legal, Role::Auditor];

    /// The name used in dossiers and policy text.
    pub fn id(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::Analyst => "analyst",
            Role::Legal => "legal",
            Role::Auditor => "auditor",
        }
    }

    /// For a reader who is no engineer: English, Japanese.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Role::System => ("noroshi itself", "noroshi自身"),
            Role::Analyst => ("a person at the abuse desk", "対応窓口の担当者"),
            Role::Legal => ("counsel", "法務担当者"),
            Role::Auditor => ("an auditor", "監査担当者"),
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
    /// Put a warning before what was asked for; the user may go on.
    Warn,
    /// Drop packets at the border by a fixed pattern.
    Filter,
    /// Stop connections to a named host.
    Block,
    /// Suspend an account that is being abused.
    Suspend,
    /// Let a line reach the pages that help and nothing else.
    Restrict,
    /// Work over many records for a pattern, naming nobody.
    Analyse,
    /// Approve that a measure is used. No use of data: only evidence entries name it.
    Approve,
    /// Review a use afterwards. No use of data: only evidence entries name it.
    Review,
    /// Lift a restriction. No use of data: only evidence entries name it.
    Release,
    /// Decide about a case, a switch or who works here. No use of data: only evidence entries name it.
    Manage,
    /// Destroy what is older than may be kept. No use of data: only evidence entries name it.
    Forget,
}

impl Use {
    /// All uses of data.
    pub const ALL: [Use; 9] = [
        Use::Keep,
        Use::Identify,
        Use::Notify,
        Use::Warn,
        Use::Filter,
        Use::Block,
        Use::Suspend,
        Use::Restrict,
        Use::Analyse,
    ];

    /// The action's name in policy text.
    pub fn id(self) -> &'static str {
        match self {
            Use::Keep => "keep",
            Use::Identify => "identify",
            Use::Notify => "notify",
            Use::Warn => "warn",
            Use::Filter => "filter",
            Use::Block => "block",
            Use::Suspend => "suspend",
            Use::Restrict => "restrict",
            Use::Release => "release",
            Use::Analyse => "analyse",
            Use::Approve => "approve",
            Use::Review => "review",
            Use::Manage => "manage",
            Use::Forget => "forget",
        }
    }

    /// For a reader who is no engineer: English, Japanese.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Use::Keep => ("keep the records", "記録の保存"),
            Use::Identify => ("find out whose line it was", "利用者の割り出し"),
            Use::Notify => ("tell the subscriber", "利用者への注意喚起"),
            Use::Warn => ("show a warning before access", "アクセス前の警告表示"),
            Use::Filter => ("drop packets at the border", "網の境界での遮断"),
            Use::Block => ("stop the connection", "接続の遮断"),
            Use::Suspend => ("suspend the account", "IDの一時停止"),
            Use::Restrict => ("restrict the line to pages that help", "回線の接続先の一時制限"),
            Use::Release => ("lift the restriction", "制限の解除"),
            Use::Analyse => ("analyse many records", "多数の記録の分析"),
            Use::Approve => ("approve the measure's use", "施策の利用の承認"),
            Use::Review => ("review a use", "利用の事後確認"),
            Use::Manage => ("decide about a case, or who works here", "事案・担当者の管理"),
            Use::Forget => ("destroy what is too old", "保存期間を過ぎた記録の消去"),
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
