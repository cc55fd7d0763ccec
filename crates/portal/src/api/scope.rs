//! What a token is good for. A route names its scope in its type ([`May`]), so that none is without one; the document says the same,
//! and a test holds the two together.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::problem::Problem;

macro_rules! scopes {
    ($($(#[$doc:meta])* $name:ident = $id:literal),+ $(,)?) => {
        /// What a token is good for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Scope { $($(#[$doc])* $name),+ }

        impl Scope {
            /// Every one of them.
            pub const ALL: &'static [Scope] = &[$(Scope::$name),+];

            /// As it is written: `cases:read`.
            pub fn id(self) -> &'static str {
                match self { $(Scope::$name => $id),+ }
            }

            /// Reads what is written.
            pub fn parse(id: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|scope| scope.id() == id)
            }
        }

        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub(super) struct $name;
            impl Needs for $name { const SCOPE: Scope = Scope::$name; }
        )+
    };
}

/// A scope as a type.
pub(super) trait Needs {
    /// Which.
    const SCOPE: Scope;
}

scopes! {
    /// Cases and their stories.
    CasesRead = "cases:read",
    /// Steps that wait for a person.
    StepsRead = "steps:read",
    /// Approving them, or not.
    StepsWrite = "steps:write",
    /// What is stopped.
    LadderRead = "ladder:read",
    /// The switch that stops telling.
    LadderWrite = "ladder:write",
    /// Events, but for those under a measure.
    EventsRead = "events:read",
    /// What came in, and what could not be read.
    IntakeRead = "intake:read",
    /// Measures, refusals, consents.
    LawRead = "law:read",
    /// The evidence log.
    EvidenceRead = "evidence:read",
    /// What came of it.
    OutcomeRead = "outcome:read",
}

/// Who asks: a token that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The token's name.
    pub name: String,
    /// What it is good for; what this version does not know is good for nothing.
    pub scopes: Vec<Scope>,
}

impl Caller {
    /// As whom it acts, in the evidence log: no person can be called like this by mistake.
    pub fn person(&self) -> String {
        format!("token:{}", self.name)
    }
}

/// Who asks may do so: their token has the scope.
#[derive(Debug)]
pub(super) struct May<N>(pub(super) Caller, PhantomData<N>);

impl<S: Sync, N: Needs> FromRequestParts<S> for May<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // It was put there at the door; without it nobody was let in.
        let caller = parts.extensions.get::<Caller>().cloned().ok_or_else(Problem::no_token)?;
        if !caller.scopes.contains(&N::SCOPE) {
            return Err(Problem::scope_lacks(N::SCOPE));
        }
        Ok(Self(caller, PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_reads_as_it_is_written() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.id()), Some(*scope));
        }
        assert!(Scope::ALL.len() >= 10 && Scope::parse("cases:READ").is_none());
    }
}
