//! The signs of what is coming, judged in worlds with a truth.

mod forecast;
mod others;
mod rises;
mod together;
mod world;
