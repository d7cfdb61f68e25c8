//! `olvid-rules`: a host for Olvid bots. See ARCHITECTURE.md for the floors.

pub mod cli;
pub mod diagnostic;
pub mod rules;
pub mod schema;
