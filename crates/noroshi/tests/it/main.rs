//! The program from outside: the demo, a crash at any moment, tampering, refusals, bad input, exports, real servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod api;
mod bad_input;
mod counters;
mod crash;
mod darknet;
mod demo;
mod dkim;
mod evidence;
mod export;
mod feed_clock;
mod feeds;
mod garden;
mod law;
mod lists;
mod mail;
mod names;
mod nats;
#[cfg(target_os = "linux")]
mod organisations;
mod outcome;
mod pages;
mod postgres;
mod reference;
#[cfg(target_os = "linux")]
mod resolver;
mod returns;
#[cfg(target_os = "linux")]
mod sensors;
mod sessions;
mod site;
mod sources;
#[cfg(target_os = "linux")]
mod telescope;
mod walkthrough;
mod world;
