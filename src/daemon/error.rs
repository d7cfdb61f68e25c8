//! Why a call failed, classified by what its caller can do.
//!
//! Three kinds of things fail: the daemon answers with a status, one stream is broken off, or the whole connection ends.
//! Which of them it was is told by the types of the libraries below, never by their words.

use std::{error::Error, time::Duration};

use h2::Reason;
use tokio::time::Instant;
use tonic::{Code, Status};

/// A failed call or stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct CallError {
    /// gRPC's name of the code: `NOT_FOUND`.
    pub code: &'static str,
    /// The daemon's words, or what we know of a connection that failed.
    pub message: String,
    /// What the caller can do.
    pub disposition: Disposition,
    /// When it is no use to try before: the daemon cannot be reached, and all its callers share one pause.
    pub retry_at: Option<Instant>,
    /// How long the daemon asks this caller to wait, whatever the disposition says.
    pub pause: Option<Duration>,
}

/// What the caller of a failed call can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Try again at once, but once: the daemon never looked at it.
    Again,
    /// Try again after a pause.
    Retry,
    /// Try again after a long pause: the daemon asked for less.
    Slower,
    /// Try again after a minute: something else has to change first, and likely will.
    Later,
    /// The same call will be refused again until something changes.
    Permanent,
    /// No call with this key will do.
    Unauthorised,
}

impl Disposition {
    /// Whether the daemon does not want the call, so that nothing is to be expected of asking soon.
    pub(crate) fn is_refusal(self) -> bool {
        matches!(self, Self::Permanent | Self::Unauthorised)
    }
}

/// What ended a call that the daemon did not answer.
pub(super) enum Break<'e> {
    /// We knew before anything was sent.
    Known(&'e CallError),
    /// Nothing reached the daemon: its connection takes no calls any more.
    Unsent,
    /// This call alone.
    Stream(&'e h2::Error),
    /// Every call on the connection; with the words of this one.
    Connection(&'e (dyn Error + 'static)),
}

/// What a daemon may ask for at most.
const LONGEST_ASKED: Duration = Duration::from_mins(10);

/// What it may ask for at least: a daemon that asks for nothing is not called in a loop.
const SHORTEST_ASKED: Duration = Duration::from_millis(500);

impl CallError {
    /// The daemon could not be reached.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new("UNAVAILABLE", message, Disposition::Retry)
    }

    /// Settings that cannot work.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("INVALID_ARGUMENT", message, Disposition::Permanent)
    }

    /// Something that cannot be.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new("INTERNAL", message, Disposition::Retry)
    }

    /// An error that asks for no pause of its own.
    pub(crate) fn new(code: &'static str, message: impl Into<String>, disposition: Disposition) -> Self {
        Self { code, message: message.into(), disposition, retry_at: None, pause: None }
    }

    /// Reads the daemon's answer.
    pub(super) fn answered(status: &Status) -> Self {
        let disposition = match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => Disposition::Unauthorised,
            Code::InvalidArgument | Code::Unimplemented | Code::NotFound => Disposition::Permanent,
            Code::ResourceExhausted | Code::OutOfRange => Disposition::Slower,
            Code::FailedPrecondition => Disposition::Later,
            _ => Disposition::Retry,
        };
        let too_big = status.code() == Code::OutOfRange && status.message().contains("message length too large");
        let hint = if too_big { "; raise --max-message-size" } else { "" };
        let message = clean(status.message()) + hint;
        Self { pause: asked(status), ..Self::new(code_name(status.code()), message, disposition) }
    }

    /// Puts into words that the connection takes no calls any more and this one was not sent.
    pub(super) fn unsent() -> Self {
        Self::new("UNAVAILABLE", "the connection ended before the call was sent", Disposition::Again)
    }

    /// Puts into words why a stream was broken off, by the daemon or because of what it sent.
    pub(super) fn reset(error: &h2::Error) -> Self {
        let reason = error.reason().unwrap_or(Reason::INTERNAL_ERROR);
        let (code, disposition) = match reason {
            Reason::REFUSED_STREAM => ("UNAVAILABLE", Disposition::Again),
            Reason::CANCEL => ("CANCELLED", Disposition::Retry),
            Reason::ENHANCE_YOUR_CALM => ("RESOURCE_EXHAUSTED", Disposition::Slower),
            _ => ("INTERNAL", Disposition::Retry),
        };
        let message = if error.is_remote() {
            format!("the daemon broke the call off: {reason}")
        } else {
            format!("what the daemon sent is no HTTP/2: {reason}")
        };
        Self::new(code, message, disposition)
    }

    /// Puts into words why a connection ended.
    pub(super) fn broken(error: &(dyn Error + 'static)) -> Self {
        let h2 = chain(error).find_map(|cause| cause.downcast_ref::<h2::Error>());
        let text = clean(&innermost(error));
        Self::unavailable(match h2 {
            Some(h2) if h2.is_go_away() && h2.is_remote() => {
                let reason = text.trim_start_matches("connection error received: ").to_owned();
                format!("the daemon ended the connection: {reason}")
            }
            Some(h2) if h2.is_go_away() => {
                let reason = text.trim_start_matches("connection error detected: ").to_owned();
                format!("the connection broke: what the daemon sent is no HTTP/2: {reason}")
            }
            // The library's name for a connection that ended under an open stream.
            _ if text.contains("broken pipe") => CLOSED.to_owned(),
            _ => format!("the connection broke: {text}"),
        })
    }

    /// A connection that was closed without a word.
    pub(super) fn closed() -> Self {
        Self::unavailable(CLOSED)
    }

    /// What is left for the caller when the daemon had begun to answer.
    pub(super) fn under_way(self) -> Self {
        let disposition = if self.disposition == Disposition::Again { Disposition::Retry } else { self.disposition };
        Self { disposition, ..self }
    }
}

const CLOSED: &str = "the connection broke: the other side closed it";

impl Break<'_> {
    /// Finds what ended a call; none where the status is the daemon's, or about the message that it sent.
    pub(super) fn of(status: &Status) -> Option<Break<'_>> {
        let mut broken = None;
        for cause in chain(status.source()?) {
            if let Some(known) = cause.downcast_ref::<CallError>() {
                return Some(Break::Known(known));
            }
            if let Some(hyper) = cause.downcast_ref::<hyper::Error>() {
                if hyper.is_canceled() {
                    return Some(Break::Unsent);
                }
                broken.get_or_insert(Break::Connection(cause));
            }
            if let Some(h2) = cause.downcast_ref::<h2::Error>() {
                // A daemon that goes away says which streams it had not looked at: those end with its farewell.
                return Some(match h2.reason() {
                    Some(Reason::NO_ERROR) if h2.is_go_away() && h2.is_remote() => Break::Unsent,
                    _ if h2.is_reset() => Break::Stream(h2),
                    _ => Break::Connection(cause),
                });
            }
        }
        broken
    }
}

/// The pause that a daemon asks for; one that asks not to be called again is left alone for the longest.
fn asked(status: &Status) -> Option<Duration> {
    let asked = status.metadata().get("grpc-retry-pushback-ms")?;
    let milliseconds = asked.to_str().ok().and_then(|asked| asked.parse().ok());
    Some(milliseconds.map_or(LONGEST_ASKED, Duration::from_millis).clamp(SHORTEST_ASKED, LONGEST_ASKED))
}

fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The words of the cause behind all causes.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// A peer's text, made fit for one line: control characters escaped, cut at 512 characters.
fn clean(text: &str) -> String {
    text.chars().take(512).flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// gRPC's name of a code.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
