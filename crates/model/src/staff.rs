//! Who works here: people with a name of their own and roles, and what a role may do in the console. Nobody decides about a
//! subscriber as "the operator": what is done is done by somebody, and the evidence log says by whom.
//!
//! ```text
//!             read everything   judge cases and steps   the switch   law   people
//!   analyst          ●                   ●                   ●
//!   legal            ●                                       ●         ●
//!   auditor          ●
//!   admin            ●                                       ●                ●
//! ```
//!
//! Whoever lets people in does not thereby decide about subscribers, and the other way round; a person may have several roles.
//! Everybody but an auditor may stop all telling, because stopping in time matters more than who does it.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::case::named;
use crate::id::Id;

named! {
    /// What somebody is here for.
    StaffRole {
        /// Works on cases.
        Analyst = "analyst",
        /// Answers for measures, approvals and reviews.
        Legal = "legal",
        /// Looks at everything and changes nothing.
        Auditor = "auditor",
        /// Lets people in and sends them away.
        Admin = "admin",
    }
}

named! {
    /// What may be done in the console.
    Right {
        /// See every page.
        Read = "read",
        /// Approve and reject steps; hold, release, reject and merge cases.
        Judge = "judge",
        /// Stop telling, and let it go on.
        Switch = "switch",
        /// Approve measures, review uses under an emergency.
        Law = "law",
        /// Invite people, change their roles, send them away.
        People = "people",
    }
}

impl StaffRole {
    /// What it may do.
    pub fn rights(self) -> &'static [Right] {
        match self {
            StaffRole::Analyst => &[Right::Read, Right::Judge, Right::Switch],
            StaffRole::Legal => &[Right::Read, Right::Switch, Right::Law],
            StaffRole::Auditor => &[Right::Read],
            StaffRole::Admin => &[Right::Read, Right::Switch, Right::People],
        }
    }
}

/// Somebody who works here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Person {
    /// Random.
    pub id: Id,
    /// What the others call them: unique, in the evidence log for ever.
    pub name: String,
    /// What they are here for.
    pub roles: BTreeSet<StaffRole>,
    /// Since when.
    pub since: Timestamp,
    /// Since when no longer.
    pub ended: Option<Timestamp>,
}

impl Person {
    /// Whether they may.
    pub fn may(&self, right: Right) -> bool {
        self.ended.is_none() && self.roles.iter().any(|role| role.rights().contains(&right))
    }

    /// Their roles in words: `analyst, legal`.
    pub fn roles_text(&self) -> String {
        roles_text(&self.roles)
    }
}

/// Roles in words: `analyst, legal`.
pub fn roles_text(roles: &BTreeSet<StaffRole>) -> String {
    roles.iter().map(|role| role.id()).collect::<Vec<_>>().join(", ")
}

/// Reads roles from words with commas or spaces between; `None` where one is unknown or there is none.
pub fn read_roles(text: &str) -> Option<BTreeSet<StaffRole>> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    let roles: BTreeSet<StaffRole> = words.map(StaffRole::parse).collect::<Option<_>>()?;
    (!roles.is_empty()).then_some(roles)
}

/// Longest name of a person, in characters.
pub const NAME_CHARS_MAX: usize = 64;

/// A name as it is kept: one line, no characters that hide or turn others, one space between words. `None` where nothing is
/// left, or too much.
pub fn plain_name(typed: &str) -> Option<String> {
    let name = typed.split_whitespace().collect::<Vec<_>>().join(" ");
    let fits = !name.is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && name.chars().all(|c| c == ' ' || c.is_alphanumeric() || "-'.・ー’()()_@+".contains(c));
    fits.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(roles: &str) -> Person {
        Person {
            id: Id::of("person", &[roles.as_bytes()]),
            name: "Aoki".into(),
            roles: read_roles(roles).unwrap(),
            since: Timestamp::UNIX_EPOCH,
            ended: None,
        }
    }

    #[test]
    fn who_lets_people_in_does_not_judge_and_an_auditor_changes_nothing() {
        let may = |roles: &str| -> Vec<Right> {
            Right::ALL.iter().copied().filter(|right| person(roles).may(*right)).collect()
        };
        assert_eq!(may("admin"), [Right::Read, Right::Switch, Right::People]);
        assert_eq!(may("auditor"), [Right::Read]);
        assert_eq!(may("analyst, legal"), [Right::Read, Right::Judge, Right::Switch, Right::Law]);
        let gone = Person { ended: Some(Timestamp::UNIX_EPOCH), ..person("admin") };
        assert!(!gone.may(Right::Read), "who has left may nothing");
    }

    #[test]
    fn roles_are_read_whole_or_not_at_all() {
        assert_eq!(
            read_roles("legal,analyst").map(|roles| roles_text(&roles)).as_deref(),
            Some("analyst, legal")
        );
        assert_eq!((read_roles(""), read_roles("analyst,root")), (None, None));
    }

    #[test]
    fn a_name_cannot_hide_or_turn_anything() {
        assert_eq!(plain_name("  青木  花子 ").as_deref(), Some("青木 花子"));
        assert_eq!(plain_name("O'Neil, x"), None, "a comma is for lists");
        for bad in ["", " ", "a\u{202e}b", "<b>", "a\0", &"x".repeat(65)] {
            assert_eq!(plain_name(bad), None, "{bad:?}");
        }
    }
}
