//! A look at the first thing that a server says.
//!
//! HTTP/2 servers may limit the streams of a connection, and the client library below keeps that to itself: a stream
//! beyond the limit waits in silence or is refused. The limit stands in the settings frame that every server must send
//! first, so the socket reads along until it has seen it. What says something else, or nothing, is no daemon, and this is
//! where that can still be told clearly.

use std::sync::Arc;

use tokio::sync::watch;

/// What a server said first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Greeting {
    /// Nothing so far.
    Awaited,
    /// Its settings: how many streams it takes on this connection.
    Limit(u32),
    /// That it is no daemon, in our words.
    Failed(Arc<str>),
}

/// What was read so far, and who waits for what it means.
pub(super) struct Preface {
    seen: Vec<u8>,
    greeting: watch::Sender<Greeting>,
}

/// RFC 9113: a frame's head, the type of a settings frame, the id of the setting, and its value where none is sent.
const FRAME_HEAD: usize = 9;
const SETTINGS: u8 = 4;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const UNLIMITED: u32 = u32::MAX;

/// A settings frame that is bigger than this tells us nothing that we wait for.
const PREFACE_LIMIT: usize = 1024;

/// The first byte of a TLS alert.
const ALERT: u8 = 0x15;

impl Preface {
    pub(super) fn new(greeting: watch::Sender<Greeting>) -> Self {
        Self { seen: Vec::new(), greeting }
    }

    /// Takes what was read; true once there is nothing more to learn.
    pub(super) fn read(&mut self, bytes: &[u8]) -> bool {
        self.seen.extend_from_slice(&bytes[..bytes.len().min(PREFACE_LIMIT)]);
        if let Some(what) = foreign(&self.seen) {
            self.fail(what);
            return true;
        }
        let Some((head, payload)) = self.seen.split_first_chunk::<FRAME_HEAD>() else { return false };
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        if head[3] == SETTINGS && length <= PREFACE_LIMIT && payload.len() < length {
            return false;
        }
        let settings = if head[3] == SETTINGS { &payload[..length.min(payload.len())] } else { &[] };
        let limit = settings
            .as_chunks::<6>()
            .0
            .iter()
            .filter(|setting| u16::from_be_bytes([setting[0], setting[1]]) == MAX_CONCURRENT_STREAMS)
            .map(|setting| u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]))
            .next_back();
        self.greeting.send_replace(Greeting::Limit(limit.unwrap_or(UNLIMITED)));
        true
    }

    /// Tells that nothing will come of this server.
    pub(super) fn fail(&self, cause: &str) {
        self.greeting.send_replace(Greeting::Failed(cause.into()));
    }
}

/// What begins like nothing that HTTP/2 begins with: settings are shorter than 64 KiB, so their first byte is 0.
fn foreign(seen: &[u8]) -> Option<&'static str> {
    match seen.first()? {
        0 => None,
        &ALERT => Some("the server speaks TLS: write https://"),
        b'H' => Some("the server answers with HTTP/1: gRPC is not spoken there"),
        _ => Some("the server does not speak HTTP/2: it is no daemon"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_from_the_first_frame_even_byte_by_byte() {
        let (greeting, seen) = watch::channel(Greeting::Awaited);
        let mut preface = Preface::new(greeting);
        let frame = [0, 0, 12, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 255, 255, 0, 3, 0, 0, 0, 100];
        let (last, first) = frame.split_last().unwrap();
        assert!(first.iter().all(|byte| !preface.read(&[*byte])));
        assert!(preface.read(&[*last]));
        assert_eq!(*seen.borrow(), Greeting::Limit(100));
    }

    #[test]
    fn what_is_no_settings_frame_is_told_by_its_first_byte() {
        for (bytes, word) in [(&b"\x15\x03\x01"[..], "https://"), (b"HTTP/1.1 400", "HTTP/1"), (b"220 smtp", "HTTP/2")]
        {
            let (greeting, seen) = watch::channel(Greeting::Awaited);
            assert!(Preface::new(greeting).read(bytes));
            let Greeting::Failed(told) = seen.borrow().clone() else { panic!("{bytes:?}") };
            assert!(told.contains(word), "{told}");
        }
    }
}
