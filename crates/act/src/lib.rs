//! What is done: who held the address is found out, a case is opened, the subscriber is told.
//!
//! ```text
//!   Decision ─▶ who held the address, or why that can't be said (the session book, `noroshi_book`)
//!                 └─▶ plan (one case, one mail, or a reason not to) ─▶ notice (the mail) ─▶ smtp (sent once)
//! ```
//!
//! In reading order: [`clocks`] how wrong each access server's clock is; [`directory`] who a contract is; [`plan`] what to do about it; [`notice`] the mail; [`template`] its two forms; [`wording`] others of them, to find out which works; [`dkim`] signs it; [`smtp`] sending it so
//! that it is known whether it was sent. Beside them [`alert`]: organisations told of their own addresses.
//!
//! **Invariant:** nothing here guesses. An answer of the book is one subscriber with a margin, or none, or ambiguous with a
//! reason, and only the first is ever mailed.

pub mod alert;
pub mod batch;
pub mod clocks;
pub mod directory;
pub mod dkim;
pub mod hours;
pub mod judge;
pub mod ladder;
pub mod notice;
pub mod plan;
pub mod short;
pub mod smtp;
pub mod template;
pub mod wording;
