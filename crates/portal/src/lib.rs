//! HTTP: subscriber pages and the operator console.

pub mod desk;
