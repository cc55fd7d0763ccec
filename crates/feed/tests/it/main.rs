//! Feeds, held against facts that others established: what IntelMQ's and n6's own tests expect of the same reports.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod complaints;
mod intelmq;
mod n6;
mod shadowserver;
mod shared;
