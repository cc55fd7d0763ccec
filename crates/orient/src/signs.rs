//! The signs of what is coming, from how many senders a telescope counts for each port, protocol or tool.
//!
//! [`rises`] names the keys whose daily counts rise slowly, before they are five times what they were; [`together`] finds
//! in one port's senders those that move together, as a botnet's do; [`forecast`] says what to expect of the next hour and of
//! tomorrow, and how good that is. All three are pure and bounded, and were measured in worlds with a truth: see
//! `docs/src/signs.md`.

pub mod forecast;
pub mod rises;
pub mod together;
