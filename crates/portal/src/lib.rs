//! HTTP: the pages a subscriber opens from a notice, and the console the operator keeps open all day.
//!
//! ```text
//!   public listener ──▶ guard ──▶ subscriber pages ─┐
//!                                                   ├─▶ counter (few seats) ──▶ Desk (the port, blocking)
//!   loopback listener ─▶ guard ─▶ door ─▶ console ──┤
//!   API listener ──────▶ guard ─▶ token ─▶ API ─────┘
//! ```
//!
//! Both are complete without scripts and send no cookie that a subscriber would have to agree to. [`guard`]
//! holds what is true of every answer: headers, sizes, times. [`desk`] and [`door`] are what the program
//! behind implements.

pub mod api;
mod asset;
pub mod console;
mod counter;
pub mod cursor;
pub mod desk;
pub mod door;
pub mod guard;
mod pace;
mod radius;
mod show;
pub mod subscriber;
mod whence;

pub use console::{ConsoleKey, console, metrics_page};
pub use cursor::{Cursor, Placed};
pub use desk::{Desk, DeskError};
pub use door::Door;
pub use radius::radius_page;
pub use subscriber::subscriber_pages;
pub use subscriber::warned::{OWN as WARNING_OWN, Reason, Warned, WarnedBy, Warner, warned_pages};
