//! The ladder as operators see it: what the configuration says of the ways, what is stopped, and what waits for a person.

pub mod acts;
mod command;
mod settings;
mod webhook;

pub use command::{LadderCommand, StepCommand, ladder, steps};
pub use settings::{BatchFile, LadderFile, OutcomeFile, Reach, SmsFile, Ways};
pub use webhook::{Posted, Webhook};
