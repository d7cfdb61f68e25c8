//! What exists: every subscription and command of the daemon, and how each message reads and writes.
//!
//! Made by reflection from the descriptors that `build.rs` embeds; nothing here names a message or a field. Pure: no
//! runtime, no clock, no files. The floors above ask the [`Catalog`] and convert with the [`Message`] plans:
//! [`wire`] walks wire bytes, [`encode`] writes them from any [`Datum`](encode::Datum), [`json`] is the mapping to JSON.

pub mod acts;
pub mod catalog;
mod comments;
pub mod encode;
pub mod json;
pub mod message;
pub mod names;
pub mod order;
pub mod probes;
pub mod recovery;
pub mod subject;
pub mod wire;

pub use acts::AuthorPath;
pub use catalog::{Answer, Catalog, Command, Method, Shape, Subscription, Upload};
pub use message::{Cardinality, Enum, Field, Kind, Message};
pub use probes::Probes;
pub use recovery::Recovery;
