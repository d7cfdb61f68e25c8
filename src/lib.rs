//! `olvid-rules`: a host for Olvid bots. See ARCHITECTURE.md for the floors.

pub mod daemon;
pub mod diagnostic;
pub mod engine;
pub mod lua;
pub mod report;
pub mod rules;
pub mod schema;
