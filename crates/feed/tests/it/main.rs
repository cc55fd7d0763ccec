//! Feeds, held against facts that others established: what IntelMQ's and n6's own tests expect of the same reports.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod intelmq;
mod shadowserver;
mod shared;
