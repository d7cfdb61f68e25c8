//! The daemon as seen over the wire: connection, calls and streams of raw messages.

pub mod codec;
