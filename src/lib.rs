//! `olvid-rules`: a host for Olvid bots. See ARCHITECTURE.md for the floors.

pub mod daemon;
pub mod diagnostic;
pub mod rules;
pub mod schema;
pub mod simulator;
