//! Who works here, and how they come in: the console's door over the house.
//!
//! ```text
//!   noroshi staff invite, /people ──▶ invitation (hash) ──link──▶ passkey ──▶ session (hash) ──▶ cookie
//!                                                                    └─ used again ──▶ session
//!   the operator's identity provider (OpenID Connect) ──who, as what──▶ session
//! ```
//!
//! Whatever is done about people is in the evidence log before it counts: who invited whom as what, who came in by which way, whose
//! access ended. Links and cookies are 256 random bits, of which the database keeps the hash. Whoever's access ends is out at the
//! next request, in every process.

mod command;
mod oidc;
mod passkeys;

pub use command::{StaffCommand, run};
pub use oidc::OidcFile;

use std::sync::Arc;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use noroshi_law::evidence::Digest;
use noroshi_model::staff::roles_text;
use noroshi_model::{Id, Person};
use noroshi_portal::console::{KEY_NAME, SESSION_LIFE};
use noroshi_portal::door::{Away, Ceremony, Door, Entered, PasskeyLine, StaffAct, StaffLine};
use noroshi_portal::{DeskError, desk};
use noroshi_store::StoreError;

use crate::house::House;
use oidc::{Known, Oidc};
use passkeys::Passkeys;

/// How long a link invites.
pub const INVITATION_LIFE: SignedDuration = SignedDuration::from_hours(24);
/// Passkeys that somebody may have.
const PASSKEYS_MAX: usize = 20;
/// Why somebody has no passkey.
const OF_PROVIDER: &str = "who comes in by the operator's own login has no passkey beside it";
/// Below which invitations lie, in the console.
const JOIN: &str = "/join/";

/// The door.
pub struct HouseDoor {
    house: Arc<House>,
    passkeys: Passkeys,
    /// The identity provider, where there is one.
    oidc: Option<Oidc>,
}

impl HouseDoor {
    /// A door of a console that is reached at an origin.
    pub fn new(house: Arc<House>, origin: &str) -> anyhow::Result<Self> {
        let oidc = house
            .config
            .oidc
            .clone()
            .map(|file| Oidc::new(file, origin))
            .transpose()
            .context("[console.oidc]")?;
        Ok(Self { house, passkeys: Passkeys::new(origin)?, oidc })
    }

    /// Whom the identity provider knows, as one of ours. Whoever comes for the first time is new here; roles are what it says now.
    fn of_provider(&self, known: Known) -> Result<Person, DeskError> {
        let Known { subject, name, roles } = known;
        let (store, now) = (&self.house.store, self.house.clock.now());
        let found = store.look("door.subject", |tx| tx.person_of_subject(&subject)).map_err(unavailable)?;
        let said = |text: &str| DeskError::Declined(text.to_owned());
        let is_nobody = roles.is_empty();
        match found {
            Some(person) if person.ended.is_some() => Err(said("whose login this is works here no longer")),
            Some(person) if is_nobody => {
                // Not that they have left: the provider may give them a role again.
                note(&self.house, &person, "was given no role by the identity provider").map_err(failed)?;
                store.tx("door.nobody", |tx| tx.end_sessions_of(&person.id)).map_err(unavailable)?;
                Err(said("the identity provider gives you no role here"))
            }
            None if is_nobody => Err(said("the identity provider gives you no role here")),
            Some(person) if person.roles == roles => Ok(person),
            Some(person) => {
                let now_is = format!("is {} by the identity provider", roles_text(&roles));
                note(&self.house, &person, &now_is).map_err(failed)?;
                let changed = Person { roles, ..person };
                store.tx("door.roles", |tx| tx.put_person(&changed)).map_err(unavailable)?;
                Ok(changed)
            }
            None => {
                let taken = store.look("door.named", |tx| tx.person_named(&name)).map_err(unavailable)?;
                if taken.is_some() || name.eq_ignore_ascii_case(KEY_NAME) {
                    return Err(said(
                        "somebody else has, or had, your name here, and the evidence log knows people by it",
                    ));
                }
                let id = Id::random().ok_or_else(no_randomness)?;
                let person = Person { id, name, roles, since: now, ended: None };
                let came = format!("is new here, as {}, by the identity provider", person.roles_text());
                note(&self.house, &person, &came).map_err(failed)?;
                match store
                    .tx("door.new", |tx| tx.insert_person(&person, Some(&subject)))
                    .map_err(unavailable)?
                {
                    true => Ok(person),
                    false => Err(said("somebody came in by this login at the same moment; try again")),
                }
            }
        }
    }

    fn enter(&self, person: &Person, how: &str) -> Result<Entered, DeskError> {
        let (now, token) = (self.house.clock.now(), token().ok_or_else(no_randomness)?);
        let until = now + SESSION_LIFE;
        note(&self.house, person, &format!("came in by {how}")).map_err(failed)?;
        let hash = hash(&token);
        self.house
            .store
            .tx("door.enter", |tx| tx.open_session(&hash, &person.id, how, now, until))
            .map_err(unavailable)?;
        Ok(Entered { token, until })
    }
}

/// 256 random bits, in hexadecimal.
fn token() -> Option<String> {
    Some(format!("{}{}", Id::random()?, Id::random()?))
}

fn hash(token: &str) -> String {
    Digest::of(token.as_bytes()).to_string()
}

fn no_randomness() -> DeskError {
    DeskError::Unavailable("this machine gave no random numbers".into())
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn unavailable(e: StoreError) -> DeskError {
    tracing::error!("the door cannot read: {e}");
    DeskError::Unavailable(e.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn failed(e: anyhow::Error) -> DeskError {
    tracing::error!("the door: {e:#}");
    DeskError::Unavailable(format!("{e:#}"))
}

/// Records what a person did about the house itself.
fn note(house: &House, person: &Person, did: &str) -> anyhow::Result<u64> {
    house.note(&person.name, did)
}

/// What became of what was said about people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is done.
    Done,
    /// It is done, and this is the invitation, shown once.
    Link(String),
    /// It is not done, and why.
    Not(&'static str),
}

/// Does what is said about who works here. Who says so is in the evidence log before it counts.
pub fn settle(house: &House, act: &StaffAct, by: &Person) -> anyhow::Result<Settled> {
    let now = house.clock.now();
    let found = |id: &Id| house.store.tx("staff.person", |tx| tx.person(id));
    match act {
        StaffAct::Invite { name, roles } => {
            if name.eq_ignore_ascii_case(KEY_NAME) {
                return Ok(Settled::Not("this name is the key's"));
            }
            let id = Id::random().context("this machine gave no random numbers")?;
            let person = Person { id, name: name.clone(), roles: roles.clone(), since: now, ended: None };
            if house.store.tx("staff.named", |tx| tx.person_named(name))?.is_some() {
                return Ok(Settled::Not(
                    "somebody has, or had, this name, and the evidence log knows them by it",
                ));
            }
            note(house, by, &format!("invited {name} as {}", roles_text(roles)))?;
            match house.store.tx("staff.insert", |tx| tx.insert_person(&person, None))? {
                true => invite(house, &person, by, now),
                false => Ok(Settled::Not("somebody has this name")),
            }
        }
        StaffAct::InviteAgain(id) => match found(id)? {
            Some(person) if house.store.look("staff.provider", |tx| tx.is_of_provider(&person.id))? => {
                Ok(Settled::Not(OF_PROVIDER))
            }
            Some(person) if person.ended.is_none() => {
                note(house, by, &format!("made a new link for {}", person.name))?;
                invite(house, &person, by, now)
            }
            _ => Ok(Settled::Not("there is no such person here")),
        },
        StaffAct::Roles(id, roles) => match found(id)? {
            Some(person) if person.ended.is_none() => {
                note(house, by, &format!("made {} {}", person.name, roles_text(roles)))?;
                let changed = Person { roles: roles.clone(), ..person };
                house.store.tx("staff.roles", |tx| tx.put_person(&changed))?;
                Ok(Settled::Done)
            }
            _ => Ok(Settled::Not("there is no such person here")),
        },
        StaffAct::End(id) => match found(id)? {
            Some(person) if person.ended.is_none() => {
                note(house, by, &format!("ended the access of {}", person.name))?;
                let gone = Person { ended: Some(now), ..person };
                house.store.tx("staff.end", |tx| {
                    tx.put_person(&gone)?;
                    tx.end_sessions_of(&gone.id)
                })?;
                Ok(Settled::Done)
            }
            _ => Ok(Settled::Not("there is no such person here")),
        },
    }
}

fn invite(house: &House, person: &Person, by: &Person, now: Timestamp) -> anyhow::Result<Settled> {
    let link = token().context("this machine gave no random numbers")?;
    let hash = hash(&link);
    house
        .store
        .tx("staff.invite", |tx| tx.invite(&hash, &person.id, &by.name, now, now + INVITATION_LIFE))?;
    Ok(Settled::Link(format!("{JOIN}{link}")))
}

impl Door for HouseDoor {
    fn who(&self, token: &str) -> Result<Option<Person>, DeskError> {
        let (hash, now) = (hash(token), self.house.clock.now());
        let session = self.house.store.look("door.who", |tx| tx.session(&hash, now)).map_err(unavailable)?;
        Ok(session.map(|session| session.person))
    }

    fn leave(&self, token: &str, person: &Person) -> Result<(), DeskError> {
        let hash = hash(token);
        note(&self.house, person, "left").map_err(failed)?;
        self.house.store.tx("door.leave", |tx| tx.end_session(&hash)).map_err(unavailable)
    }

    fn invited(&self, link: &str) -> Result<Option<Person>, DeskError> {
        let (hash, now) = (hash(link), self.house.clock.now());
        self.house.store.look("door.invited", |tx| tx.invited(&hash, now)).map_err(unavailable)
    }

    fn begin_passkey(&self, person: &Person) -> Result<Ceremony, DeskError> {
        let look = self.house.store.look("door.known", |tx| {
            Ok::<_, StoreError>((tx.passkeys(&person.id)?, tx.is_of_provider(&person.id)?))
        });
        let (known, is_of_provider) = look.map_err(unavailable)?;
        // Else they could come in when the provider does not let them in any more.
        if is_of_provider {
            return Err(DeskError::Declined(OF_PROVIDER.into()));
        }
        if known.len() >= PASSKEYS_MAX {
            return Err(DeskError::Declined(format!("{PASSKEYS_MAX} passkeys are enough; forget one first")));
        }
        self.passkeys.begin_making(person, &known)
    }

    fn keep_passkey(
        &self,
        person: &Person,
        invitation: Option<&str>,
        answer: &[u8],
    ) -> Result<Option<Entered>, DeskError> {
        let now = self.house.clock.now();
        let passkey = self.passkeys.made(person, answer, now)?;
        note(&self.house, person, "made a passkey").map_err(failed)?;
        let invitation = invitation.map(hash);
        let kept = self.house.store.tx("door.passkey", |tx| {
            // An invitation counts once, whoever is faster.
            let invited = match &invitation {
                Some(hash) => tx.use_invitation(hash, now)?,
                None => true,
            };
            Ok(invited && tx.insert_passkey(&passkey)?)
        });
        match kept.map_err(unavailable)? {
            true if invitation.is_some() => self.enter(person, "passkey").map(Some),
            true => Ok(None),
            false => Err(DeskError::Declined("the link was used meanwhile, or the passkey is known".into())),
        }
    }

    fn provider(&self) -> Option<String> {
        self.oidc.as_ref().map(Oidc::title)
    }

    fn begin_oidc(&self) -> Result<Away, DeskError> {
        self.oidc.as_ref().ok_or(DeskError::NotFound)?.begin()
    }

    fn finish_oidc(&self, query: &str, kept: &str) -> Result<Entered, DeskError> {
        let known = self.oidc.as_ref().ok_or(DeskError::NotFound)?.finish(query, kept)?;
        let person = self.of_provider(known)?;
        self.enter(&person, "oidc")
    }

    fn begin_login(&self) -> Result<Ceremony, DeskError> {
        self.passkeys.begin_using()
    }

    fn login(&self, answer: &[u8]) -> Result<Entered, DeskError> {
        let store = &self.house.store;
        let (passkey, changing) = self.passkeys.used(answer, |credential| {
            store.look("door.credential", |tx| tx.passkey(credential)).map_err(unavailable)
        })?;
        let now = self.house.clock.now();
        let person = store.tx("door.used", |tx| {
            let Some(person) = tx.person(&passkey.staff)?.filter(|person| person.ended.is_none()) else {
                return Ok(None);
            };
            tx.use_passkey(&passkey.credential, &changing, now)?;
            Ok::<_, StoreError>(Some(person))
        });
        let person = person.map_err(unavailable)?;
        let person =
            person.ok_or_else(|| DeskError::Declined("whose passkey this is works here no longer".into()))?;
        self.enter(&person, "passkey")
    }

    fn passkeys(&self, person: &Person) -> Result<Vec<PasskeyLine>, DeskError> {
        let known = self.house.store.look("door.mine", |tx| tx.passkeys(&person.id)).map_err(unavailable)?;
        let line = |passkey: noroshi_store::staff::Passkey| PasskeyLine {
            credential: passkey.credential,
            added: passkey.added,
            used: passkey.used,
        };
        Ok(known.into_iter().map(line).collect())
    }

    fn forget_passkey(&self, person: &Person, credential: &str) -> Result<(), DeskError> {
        note(&self.house, person, "forgot a passkey").map_err(failed)?;
        let gone = self.house.store.tx("door.forget", |tx| tx.remove_passkey(&person.id, credential));
        match gone.map_err(unavailable)? {
            true => Ok(()),
            false => Err(desk::DeskError::NotFound),
        }
    }

    fn staff(&self) -> Result<Vec<StaffLine>, DeskError> {
        let now = self.house.clock.now();
        let lines = self.house.store.look("door.staff", |tx| {
            let inside = tx.sessions(now)?;
            let staff = tx.staff()?.into_iter().map(|person| {
                let passkeys = tx.passkeys(&person.id)?.len();
                let since =
                    inside.iter().filter(|session| session.person.id == person.id).map(|s| s.opened).min();
                Ok(StaffLine {
                    passkeys: u32::try_from(passkeys).unwrap_or(u32::MAX),
                    inside_since: since,
                    person,
                })
            });
            staff.collect::<Result<Vec<_>, StoreError>>()
        });
        lines.map_err(unavailable)
    }

    fn people(&self, act: &StaffAct, by: &Person) -> Result<Option<String>, DeskError> {
        match settle(&self.house, act, by).map_err(failed)? {
            Settled::Done => Ok(None),
            Settled::Link(link) => Ok(Some(link)),
            Settled::Not(why) => Err(DeskError::Declined(why.into())),
        }
    }
}
