//! The walled garden: which lines, how the access server is told, and what a line is told that connects.
//!
//! ```text
//!   step approved ─▶ who is it now? (session book, anew) ─▶ row ─▶ CoA ─▶ in ──asked, or the longest time over──▶ CoA ─▶ out
//!                                     │                                └─ connects again: the RADIUS server asks us
//!                                     └─ another, or in doubt: not restricted
//! ```

mod command;
mod radius;
mod settings;

pub use command::{GardenCommand, command};
pub use radius::Told;
pub use settings::{Garden, GardenFile};
