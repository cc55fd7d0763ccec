//! A door in memory: a person of each role is in, by a cookie that is the role's name; one link invites; what is said about people is
//! remembered.

use std::collections::BTreeSet;
use std::sync::Mutex;

use jiff::Timestamp;
use noroshi_model::{Id, Person, StaffRole};
use noroshi_portal::DeskError;
use noroshi_portal::door::*;

use super::desk::at;

/// Invites.
pub const LINK: &str = "0123456789abcdef";

#[derive(Default)]
pub struct InMemoryDoor {
    pub said: Mutex<Vec<String>>,
    pub gone: Mutex<BTreeSet<String>>,
}

/// Somebody with these roles, named after them.
pub fn person(roles: &[StaffRole]) -> Person {
    let roles: BTreeSet<StaffRole> = roles.iter().copied().collect();
    let name = noroshi_model::staff::roles_text(&roles).replace(", ", " ");
    let id = Id::of("person", &[name.as_bytes()]);
    Person { id, name, roles, since: at("2026-11-01T00:00:00Z"), ended: None }
}

impl InMemoryDoor {
    fn note(&self, what: String) {
        self.said.lock().unwrap().push(what);
    }
}

impl Door for InMemoryDoor {
    fn who(&self, token: &str) -> Result<Option<Person>, DeskError> {
        if self.gone.lock().unwrap().contains(token) {
            return Ok(None);
        }
        Ok(noroshi_model::staff::read_roles(&token.replace('.', ","))
            .map(|roles| person(&roles.into_iter().collect::<Vec<_>>())))
    }

    fn leave(&self, token: &str, person: &Person) -> Result<(), DeskError> {
        self.note(format!("{} left", person.name));
        self.gone.lock().unwrap().insert(token.to_owned());
        Ok(())
    }

    fn invited(&self, link: &str) -> Result<Option<Person>, DeskError> {
        Ok((link == LINK).then(|| Person { name: "<b>Baba</b>".into(), ..person(&[StaffRole::Analyst]) }))
    }

    fn begin_passkey(&self, _: &Person) -> Result<Ceremony, DeskError> {
        Ok(b"{\"challenge\":\"x\"}".to_vec())
    }

    fn keep_passkey(
        &self,
        _: &Person,
        link: Option<&str>,
        answer: &[u8],
    ) -> Result<Option<Entered>, DeskError> {
        match answer {
            b"good" => Ok(link.map(|_| Entered { token: "analyst".into(), until: Timestamp::MAX })),
            _ => Err(DeskError::Declined("this passkey was not accepted".into())),
        }
    }

    fn provider(&self) -> Option<String> {
        Some("Staff <login>".into())
    }

    fn begin_oidc(&self) -> Result<Away, DeskError> {
        Ok(Away { url: "https://login.example.jp/auth?state=s".into(), kept: "kept-by-the-browser".into() })
    }

    fn finish_oidc(&self, query: &str, kept: &str) -> Result<Entered, DeskError> {
        match (query, kept) {
            ("code=c&state=s", "kept-by-the-browser") => {
                Ok(Entered { token: "analyst".into(), until: at("2026-12-24T00:00:00Z") })
            }
            ("code=away&state=s", _) => Err(DeskError::Unavailable("the <provider> is away".into())),
            _ => Err(DeskError::Declined("the answer is not for this browser".into())),
        }
    }

    fn begin_login(&self) -> Result<Ceremony, DeskError> {
        Ok(b"{\"challenge\":\"y\"}".to_vec())
    }

    fn login(&self, answer: &[u8]) -> Result<Entered, DeskError> {
        match answer {
            b"good" => Ok(Entered { token: "legal".into(), until: Timestamp::MAX }),
            _ => Err(DeskError::Declined("this passkey does not open the console".into())),
        }
    }

    fn passkeys(&self, _: &Person) -> Result<Vec<PasskeyLine>, DeskError> {
        let line = |credential: &str, used| PasskeyLine {
            credential: credential.into(),
            added: at("2026-11-02T00:00:00Z"),
            used,
        };
        Ok(vec![line("AAAA", Some(at("2026-11-20T00:00:00Z"))), line("\"><script>", None)])
    }

    fn forget_passkey(&self, person: &Person, credential: &str) -> Result<(), DeskError> {
        self.note(format!("{} forgot {credential}", person.name));
        Ok(())
    }

    fn staff(&self) -> Result<Vec<StaffLine>, DeskError> {
        let hostile = Person { name: super::desk::hostile(), ..person(&[StaffRole::Auditor]) };
        let left = Person { ended: Some(at("2026-11-09T00:00:00Z")), ..person(&[StaffRole::Legal]) };
        let line = |person, inside_since| StaffLine { person, passkeys: 2, inside_since };
        Ok(vec![
            line(person(&[StaffRole::Analyst]), Some(at("2026-11-22T00:00:00Z"))),
            line(hostile, None),
            line(left, None),
        ])
    }

    fn people(&self, act: &StaffAct, by: &Person) -> Result<Option<String>, DeskError> {
        self.note(format!("{act:?} by {}", by.name));
        match act {
            StaffAct::Invite { name, .. } if name == "taken" => {
                Err(DeskError::Declined("somebody has this name".into()))
            }
            StaffAct::Invite { .. } | StaffAct::InviteAgain(_) => Ok(Some(format!("/join/{LINK}"))),
            _ => Ok(None),
        }
    }
}
