//! `olvid-rules`: a host for Olvid bots. YAML rules bind the daemon's notifications to Lua handlers.
//!
//! The modules are floors; one uses what is below it, never above. From the bottom:
//!
//! - [`diagnostic`], [`report`], [`clock`]: mistakes with places, what happened as plain data, and the time;
//! - [`schema`]: what exists, by reflection over the descriptors;
//! - [`daemon`], [`rules`]: the wire, and text made into rules;
//! - [`lua`] has scripts;
//! - [`engine`], [`simulator`]: what runs, and a daemon made from the catalog;
//! - [`scenario`]: stories that rules are tested with;
//! - [`cli`]: the process.
//!
//! ARCHITECTURE.md has the way of one notification through them.

pub mod clock;
pub mod diagnostic;
pub mod report;

pub mod schema;

pub mod daemon;
pub mod rules;

pub mod lua;

pub mod engine;
pub mod simulator;

pub mod scenario;

pub mod cli;

// The tests of `lua` share a generator with those in `tests/`, which name this crate as any user of it does.
#[cfg(test)]
extern crate self as olvid_rules;
