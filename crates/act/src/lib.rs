//! What is done: who held the address is found out, a case is opened, the subscriber is told.
//!
//! ```text
//!   Decision ─▶ book (who held the address, or why that can't be said)
//!                 └─▶ plan (one case, one mail, or a reason not to) ─▶ notice (the mail) ─▶ smtp (sent once)
//! ```
//!
//! In reading order: [`clocks`] how wrong each access server's clock is; [`book`] the answer to "who held this address at
//! this second"; [`directory`] who a contract is; [`plan`] what to do about it; [`notice`] the mail; [`smtp`] sending it so
//! that it is known whether it was sent.
//!
//! **Invariant:** nothing here guesses. An answer is one subscriber with a margin, or none, or ambiguous with a reason, and
//! only the first is ever mailed.

pub mod book;
pub mod clocks;
pub mod directory;
pub mod notice;
pub mod plan;
pub mod smtp;
