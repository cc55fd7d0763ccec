//! The program from outside: the demo, a crash at any moment, tampering, refusals, bad input, real mail servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod bad_input;
mod crash;
mod demo;
mod evidence;
mod mail;
mod pages;
mod postgres;
mod sources;
mod world;
