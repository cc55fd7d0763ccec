//! The policy resolver among others: they subscribe to its zones and it to theirs, it asks real servers, and a validator behind it still
//! validates.

mod consents;
mod counters;
mod dnstap;
mod encrypted;
mod flood;
mod hashes;
mod peers;
mod proxy;
mod queue;
mod restart;
mod scenarios;
mod stale;
mod transfers;
mod upstream;
mod validation;
mod warning;
mod world;
