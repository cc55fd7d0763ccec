//! The nouns of the loop, and the few ports.
//!
//! ```text
//!   observe ──Event──▶ orient ──Finding──▶ decide ──Decision──▶ act ──Case, Step──▶ improve ──Outcome
//! ```
//!
//! A type lives here when two stages speak of it. In the order in which data moves: [`fields`] (an event while a feed is
//! read), [`event`] and its vocabulary [`rsit`] and [`tlp`]; [`finding`]; [`decision`]; [`case`]; [`outcome`], [`wording`] and [`network`]. Beside them [`intake`] (quarantine and the counts that
//! must add up), [`subscriber`], [`organisation`] (who is told of its own addresses), [`staff`] (who works here), [`seek`] (a place in a long list), [`guide`] (what to do about a malware family), [`link`] (the unforgeable link of a
//! notice), [`text`] (what people read, in their language), [`clock`] and [`id`].

pub mod case;
pub mod clock;
pub mod code;
pub mod decision;
pub mod event;
pub mod fields;
pub mod finding;
pub mod guide;
pub mod id;
pub mod intake;
pub mod lang;
pub mod link;
pub mod network;
pub mod organisation;
pub mod outcome;
pub mod return_path;
pub mod rsit;
pub mod seek;
pub mod staff;
pub mod subscriber;
pub mod telescope;
pub mod text;
pub mod tlp;
pub mod wording;

pub use case::{Case, CaseFilter, CaseState, Channel, Step};
pub use clock::{Clock, SteppedClock, SystemClock};
pub use decision::{Decision, Verdict};
pub use event::{Endpoint, Event, EventError};
pub use fields::{Datum, Fields};
pub use finding::Finding;
pub use id::Id;
pub use intake::{Bad, Tally};
pub use lang::Lang;
pub use outcome::{Funnel, Trial, VisitKind};
pub use rsit::ClassificationType;
pub use seek::{Mark, Seek};
pub use staff::{Person, Right, StaffRole};
pub use subscriber::{ContractRef, Subscriber};
pub use tlp::Tlp;
