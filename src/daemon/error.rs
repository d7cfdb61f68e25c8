//! Why a call failed, classified by what its caller can do.

use std::error::Error;

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
}

/// What the caller of a failed call can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Try again after a pause.
    Retry,
    /// Try again after a long pause: the daemon asked for less.
    Slower,
    /// The same call will be refused again until something changes.
    Permanent,
    /// No call with this key will do.
    Unauthorised,
}

impl CallError {
    /// The daemon could not be reached.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { code: "UNAVAILABLE", message: message.into(), disposition: Disposition::Retry, retry_at: None }
    }

    /// Settings that cannot work.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { code: "INVALID_ARGUMENT", message: message.into(), disposition: Disposition::Permanent, retry_at: None }
    }

    /// Something that cannot be.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { code: "INTERNAL", message: message.into(), disposition: Disposition::Retry, retry_at: None }
    }

    /// Reads a status, whether the daemon sent it or the transport made it.
    pub(crate) fn from_status(status: &Status) -> Self {
        let disposition = match status.code() {
            _ if is_transport(status) => Disposition::Retry,
            Code::Unauthenticated | Code::PermissionDenied => Disposition::Unauthorised,
            Code::InvalidArgument | Code::Unimplemented | Code::NotFound => Disposition::Permanent,
            Code::ResourceExhausted | Code::OutOfRange => Disposition::Slower,
            _ => Disposition::Retry,
        };
        let code = if is_transport(status) { "UNAVAILABLE" } else { code_name(status.code()) };
        Self { code, message: words(status), disposition, retry_at: None }
    }
}

/// Whether a status was made on this side because the connection failed.
pub(crate) fn is_transport(status: &Status) -> bool {
    status.source().is_some()
        && matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled)
}

/// The status' own words; where the connection failed, those of the innermost cause, which is the one that says something.
fn words(status: &Status) -> String {
    let text = match status.source() {
        Some(cause) if is_transport(status) => broken(cause),
        Some(cause) => innermost(cause),
        None => status.message().to_owned(),
    };
    let too_big = status.code() == Code::OutOfRange && text.contains("message length too large");
    clean(&if too_big { text + "; raise --max-message-size" } else { text })
}

/// Says how a connection broke, or a call on it was broken off.
pub(super) fn broken(error: &(dyn Error + 'static)) -> String {
    let text = innermost(error);
    match text.strip_prefix("stream error received: ") {
        Some(reason) => format!("the daemon broke the call off: {reason}"),
        // The library's name for a connection that ended under an open stream.
        None if text.contains("broken pipe") => "the connection broke: the other side closed it".to_owned(),
        None => format!("the connection broke: {text}"),
    }
}

/// The words of the cause behind all causes.
pub(super) fn innermost(mut error: &(dyn Error + 'static)) -> String {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
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
