//! When a feed tries again.

use std::time::Duration;

use backon::ExponentialBackoff;
use tokio::time::Instant;

use crate::daemon::{CallError, Disposition};

/// Pauses where trying again soon cannot help.
const REFUSED_PAUSE: Duration = Duration::from_mins(5);
const UNAUTHORISED_PAUSE: Duration = Duration::from_secs(30);
const SLOWER_PAUSE: Duration = Duration::from_secs(5);
const LATER_PAUSE: Duration = Duration::from_mins(1);

/// When to try again.
pub(super) fn retry_at(error: &CallError, attempts: &mut ExponentialBackoff) -> Instant {
    // All feeds wait for the same moment; the first to ask then makes the one attempt for all.
    if let Some(at) = error.retry_at {
        return at;
    }
    let mut soon = || attempts.next().unwrap_or(UNAUTHORISED_PAUSE);
    let pause = match (error.pause, error.disposition) {
        // The daemon says itself when to come again.
        (Some(pause), _) => pause,
        (_, Disposition::Again | Disposition::Retry) => soon(),
        (_, Disposition::Slower) => soon().max(SLOWER_PAUSE),
        (_, Disposition::Later) => LATER_PAUSE,
        (_, Disposition::Permanent) => REFUSED_PAUSE,
        (_, Disposition::Unauthorised) => UNAUTHORISED_PAUSE,
    };
    Instant::now() + pause
}

/// Whether the pause after it is so long that a change of the rules is worth an attempt.
pub(super) fn is_slow(disposition: Disposition) -> bool {
    disposition.is_refusal() || disposition == Disposition::Later
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::pauses;

    fn error(disposition: Disposition) -> CallError {
        CallError::new("CODE", "words", disposition)
    }

    /// The seconds until the next attempt, after so many before.
    fn seconds(error: &CallError, before: usize) -> f64 {
        let mut attempts = pauses();
        for _ in 0..before {
            attempts.next();
        }
        (retry_at(error, &mut attempts) - Instant::now()).as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_is_what_can_help() {
        let cases = [
            // What, attempts before, and the seconds from and to.
            (Disposition::Again, 0, 0.5, 1.0),
            (Disposition::Retry, 0, 0.5, 1.0),
            (Disposition::Retry, 1, 1.0, 2.0),
            (Disposition::Retry, 20, 15.0, 30.0),
            (Disposition::Slower, 0, 5.0, 5.0),
            (Disposition::Slower, 20, 15.0, 30.0),
            (Disposition::Later, 0, 60.0, 60.0),
            (Disposition::Permanent, 7, 300.0, 300.0),
            (Disposition::Unauthorised, 7, 30.0, 30.0),
        ];
        for (disposition, before, from, to) in cases {
            let pause = seconds(&error(disposition), before);
            assert!((from..=to).contains(&pause), "{disposition:?}, {before} before: {pause} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_of_one_kind_are_not_the_same_for_all() {
        let retry = error(Disposition::Retry);
        let all: std::collections::BTreeSet<_> = (0..20).map(|_| format!("{:.4}", seconds(&retry, 3))).collect();
        assert!(all.len() > 10, "{all:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_daemon_or_the_connection_says_goes_first() {
        let asked = CallError { pause: Some(Duration::from_secs(77)), ..error(Disposition::Permanent) };
        assert!((seconds(&asked, 0) - 77.0).abs() < 1e-6);
        let shared = Instant::now() + Duration::from_secs(3);
        let unreachable = CallError { retry_at: Some(shared), ..asked };
        assert_eq!(retry_at(&unreachable, &mut pauses()), shared);
    }
}
