//! The session book: who held this address, on this port, at this second.
//!
//! ```text
//!   Sealed<Assignment> ──keep──▶ log (durable) ──▶ keeper: open sessions, those lately over ──checkpoint──▶ day segments
//!                                                       │                                                      │
//!   question ──look, permit──▶ Sealed<Look> ──open──▶ Look::who ◀──────────────── rows near the moment ────────┘
//! ```
//!
//! [`row`] says what is kept and how an answer is drawn from it; [`keeper`](Keeper) turns records into sessions;
//! [`present`] says who is there now; [`segment`] is a day, packed; [`log`] what came since; [`book`] puts them into a folder that any number of processes
//! share; [`look`] is the only way in, and only with a permit; [`synth`] makes sessions of which the truth is known.
//!
//! What rests on disk is sealed. Each day has a key of its own, and forgetting a day is destroying that key.

mod bits;
mod block;
pub mod book;
mod checkpoint;
mod days;
mod entry;
mod keeper;
pub mod log;
pub mod look;
mod memory;
mod names;
mod naming;
mod pool;
pub mod present;
pub mod row;
mod sealed_file;
mod section;
pub mod segment;
mod slots;
pub mod synth;

pub use book::{Book, BookError, Forgotten, Kept, Stats};
pub use keeper::{Effect, Keeper};
pub use look::{Answer, Held, Look, Rules};
pub use present::{LineNumber, Looked, Moved, Present};
pub use row::{Doubt, Slot};
