//! The visible state of one feed: written by its task, read by whoever asks, and told once at each change.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{
    herald::{Change, Herald},
    tally::Tally,
};
use crate::{daemon::CallError, report::FeedName};

/// Where a feed stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// Not open.
    Opening {
        /// Since when.
        since: Timestamp,
        /// What the last attempt failed with; none before the first has failed.
        cause: Option<String>,
        /// When the next attempt is made; none while one is under way.
        next_try: Option<Timestamp>,
    },
    /// Open.
    Open {
        /// Since when.
        since: Timestamp,
    },
    /// Its `count` was delivered.
    Completed {
        /// Since when.
        since: Timestamp,
    },
    /// The daemon does not want it.
    Refused {
        /// Since when.
        since: Timestamp,
        /// The daemon's words.
        cause: String,
        /// When it is tried again.
        next_try: Timestamp,
    },
}

/// Of a feed that is to be open and is not.
pub(super) struct Awaited {
    /// What the last attempt failed with; none before the first has failed.
    pub(super) cause: Option<String>,
    /// When the next one is made; none while one is under way.
    pub(super) next_try: Option<Timestamp>,
}

impl State {
    /// What it waits for, unless it is open or over.
    pub(super) fn awaited(&self) -> Option<Awaited> {
        match self {
            Self::Open { .. } | Self::Completed { .. } => None,
            Self::Opening { cause, next_try, .. } => Some(Awaited { cause: cause.clone(), next_try: *next_try }),
            Self::Refused { cause, next_try, .. } => {
                Some(Awaited { cause: Some(cause.clone()), next_try: Some(*next_try) })
            }
        }
    }

    /// When it became so.
    pub(super) fn since(&self) -> Timestamp {
        let (Self::Opening { since, .. }
        | Self::Open { since }
        | Self::Completed { since }
        | Self::Refused { since, .. }) = self;
        *since
    }
}

/// What is known of a feed from outside of its task.
#[derive(Debug)]
pub(super) struct Cell {
    /// Unique in this process.
    pub(super) id: u64,
    name: Mutex<FeedName>,
    state: Mutex<State>,
    /// Notifications since the start.
    received: AtomicU64,
    /// When the last one came, in milliseconds of the epoch; 0 for never.
    last: AtomicU64,
    /// What is left of a `count`; `u64::MAX` where there is none.
    remaining: AtomicU64,
    /// Whether it was open before.
    was_open: AtomicBool,
    /// Where what becomes of it is counted.
    tally: Arc<Tally>,
}

impl Cell {
    pub(super) fn new(id: u64, name: FeedName, count: Option<u64>, tally: Arc<Tally>) -> Arc<Self> {
        let state = State::Opening { since: Timestamp::now(), cause: None, next_try: None };
        let remaining = AtomicU64::new(count.unwrap_or(u64::MAX));
        let (received, last, was_open) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let (name, state) = (Mutex::new(name), Mutex::new(state));
        Arc::new(Self { id, name, state, received, last, remaining, was_open, tally })
    }

    pub(super) fn name(&self) -> FeedName {
        lock(&self.name).clone()
    }

    pub(super) fn rename(&self, name: FeedName) {
        *lock(&self.name) = name;
    }

    pub(super) fn state(&self) -> State {
        lock(&self.state).clone()
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(*lock(&self.state), State::Open { .. })
    }

    pub(super) fn open_since(&self) -> Option<Timestamp> {
        if let State::Open { since } = *lock(&self.state) { Some(since) } else { None }
    }

    /// Whether it is not open for a cause.
    pub(super) fn has_failed(&self) -> bool {
        matches!(*lock(&self.state), State::Opening { cause: Some(_), .. } | State::Refused { .. })
    }

    pub(super) fn is_completed(&self) -> bool {
        matches!(*lock(&self.state), State::Completed { .. })
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(super) fn last(&self) -> Option<Timestamp> {
        let last = self.last.load(Ordering::Relaxed);
        (last > 0).then(|| Timestamp::from_millisecond(last.cast_signed()).ok()).flatten()
    }

    pub(super) fn remaining(&self) -> Option<u64> {
        Some(self.remaining.load(Ordering::Relaxed)).filter(|remaining| *remaining < u64::MAX)
    }

    /// Notifications came in, over the stream or because it had missed them.
    pub(super) fn note(&self, notifications: u64, caught_up: bool, remaining: Option<u64>) {
        self.received.fetch_add(notifications, Ordering::Relaxed);
        self.tally.received(notifications, caught_up);
        self.last.store(Timestamp::now().as_millisecond().cast_unsigned(), Ordering::Relaxed);
        if let Some(remaining) = remaining {
            self.remaining.store(remaining, Ordering::Relaxed);
        }
    }

    pub(super) async fn opened(&self, herald: &Herald) {
        if !self.is_open() {
            if self.was_open.swap(true, Ordering::Relaxed) {
                self.tally.reopened();
            }
            *lock(&self.state) = State::Open { since: Timestamp::now() };
            herald.tell(self.id, self.name(), Change::Opened).await;
        }
    }

    /// An attempt or a stream failed, and the next attempt is at a time.
    pub(super) async fn failed(&self, error: &CallError, retry_at: Instant, herald: &Herald) {
        self.tally.failed(error.code);
        let pause = retry_at.saturating_duration_since(Instant::now());
        let (now, cause) = (Timestamp::now(), error.to_string());
        let next_try = SignedDuration::try_from(pause).ok().and_then(|pause| now.checked_add(pause).ok());
        let retry_in = pause.as_secs_f64();
        let refused = error.disposition.is_refusal();
        let before = self.state();
        let since = match before {
            State::Opening { since, .. } if !refused => since,
            State::Refused { since, .. } if refused => since,
            _ => now,
        };
        let change = match &before {
            State::Refused { cause: told, .. } if refused && *told == cause => None,
            State::Opening { cause: Some(told), .. } if !refused && *told == cause => None,
            _ if refused => Some(Change::Refused { cause: cause.clone(), retry_in }),
            State::Opening { cause: Some(_), .. } | State::Refused { .. } => {
                Some(Change::Waiting { cause: cause.clone(), retry_in })
            }
            _ => Some(Change::Lost { cause: cause.clone(), retry_in }),
        };
        *lock(&self.state) = if refused {
            State::Refused { since, cause, next_try: next_try.unwrap_or(now) }
        } else {
            State::Opening { since, cause: Some(cause), next_try }
        };
        if let Some(change) = change {
            herald.tell(self.id, self.name(), change).await;
        }
    }

    pub(super) async fn completed(&self, count: u64, herald: &Herald) {
        *lock(&self.state) = State::Completed { since: Timestamp::now() };
        herald.tell(self.id, self.name(), Change::Completed { count }).await;
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        daemon::Disposition,
        report::{Event, Reporter},
    };

    const NAME: fn() -> FeedName =
        || FeedName { subscription: "any".into(), rules: Arc::default(), place: "rules.yaml:1".into() };

    fn error(cause: &str, disposition: Disposition) -> CallError {
        CallError::new("CODE", cause, disposition)
    }

    /// Puts a cell through failures, openings and completions, and returns the names of its state and what was told
    /// after each.
    async fn story(steps: &[(&str, Option<Disposition>)]) -> Vec<(&'static str, Option<String>)> {
        let told = Arc::<Mutex<Vec<Event>>>::default();
        let log = Arc::clone(&told);
        let reporter = Reporter::new(vec![Box::new(move |event| log.lock().unwrap().push(event.clone()))]);
        let (herald, _task) = Herald::start(reporter);
        let cell = Cell::new(1, NAME(), None, Arc::default());
        let mut all = Vec::new();
        for (what, disposition) in steps {
            match disposition {
                Some(disposition) => {
                    let pause = Instant::now() + Duration::from_secs(7);
                    cell.failed(&error(what, *disposition), pause, &herald).await;
                }
                None if *what == "open" => cell.opened(&herald).await,
                None => cell.completed(3, &herald).await,
            }
            // Time stands still otherwise: it goes on where all have nothing to do.
            tokio::time::sleep(Duration::from_secs(2)).await;
            let event = told.lock().unwrap().pop();
            assert!(told.lock().unwrap().is_empty(), "a change is told once");
            all.push((name_of(&cell.state()), event.map(|event| word(&event))));
        }
        all
    }

    fn name_of(state: &State) -> &'static str {
        match state {
            State::Opening { next_try: Some(_), .. } => "waiting",
            State::Opening { .. } => "opening",
            State::Open { .. } => "open",
            State::Completed { .. } => "completed",
            State::Refused { .. } => "refused",
        }
    }

    fn word(event: &Event) -> String {
        match event {
            Event::FeedOpened { .. } => "opened".to_owned(),
            Event::FeedLost { cause, .. } => format!("lost {cause}"),
            Event::FeedWaiting { cause, .. } => format!("waits {cause}"),
            Event::FeedRefused { cause, .. } => format!("refused {cause}"),
            Event::FeedCompleted { count, .. } => format!("completed {count}"),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_change_is_told_once() {
        use Disposition::{Again, Later, Permanent, Retry, Slower, Unauthorised};
        type Steps<'a> = &'a [(&'a str, Option<Disposition>, &'static str, Option<&'a str>)];
        let stories: [Steps<'_>; 5] = [
            // What happens, what the state is then, and what is told.
            &[
                ("a", Some(Retry), "waiting", Some("lost CODE: a")),
                ("a", Some(Retry), "waiting", None),
                ("b", Some(Slower), "waiting", Some("waits CODE: b")),
                ("b", Some(Later), "waiting", None),
                ("open", None, "open", Some("opened")),
                ("open", None, "open", None),
                ("a", Some(Again), "waiting", Some("lost CODE: a")),
                ("open", None, "open", Some("opened")),
            ],
            &[
                ("no", Some(Permanent), "refused", Some("refused CODE: no")),
                ("no", Some(Permanent), "refused", None),
                ("never", Some(Permanent), "refused", Some("refused CODE: never")),
                ("gone", Some(Retry), "waiting", Some("waits CODE: gone")),
                ("gone", Some(Retry), "waiting", None),
                ("never", Some(Permanent), "refused", Some("refused CODE: never")),
                ("open", None, "open", Some("opened")),
            ],
            &[
                ("key", Some(Unauthorised), "refused", Some("refused CODE: key")),
                ("key", Some(Unauthorised), "refused", None),
                ("open", None, "open", Some("opened")),
                ("key", Some(Unauthorised), "refused", Some("refused CODE: key")),
                ("key", Some(Unauthorised), "refused", None),
            ],
            // A server may send its headers before it refuses.
            &[
                ("open", None, "open", Some("opened")),
                ("no", Some(Permanent), "refused", Some("refused CODE: no")),
                ("no", Some(Permanent), "refused", None),
            ],
            &[("open", None, "open", Some("opened")), ("", None, "completed", Some("completed 3"))],
        ];
        for steps in stories {
            let done: Vec<_> = steps.iter().map(|(what, disposition, ..)| (*what, *disposition)).collect();
            let wanted: Vec<_> = steps.iter().map(|(.., state, told)| (*state, told.map(str::to_owned))).collect();
            assert_eq!(story(&done).await, wanted);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_state_says_since_when_and_until_when() {
        let (herald, _task) = Herald::start(Reporter::new(Vec::new()));
        let cell = Cell::new(1, NAME(), Some(5), Arc::default());
        assert!(matches!(cell.state(), State::Opening { cause: None, next_try: None, .. }));
        let pause = |seconds| Instant::now() + Duration::from_secs(seconds);
        cell.failed(&error("a", Disposition::Retry), pause(10), &herald).await;
        let State::Opening { since, cause, next_try } = cell.state() else { panic!("{:?}", cell.state()) };
        assert_eq!(cause.as_deref(), Some("CODE: a"));
        let ahead = next_try.unwrap().duration_since(Timestamp::now()).as_secs_f64();
        assert!((8.0..=10.0).contains(&ahead), "{ahead}");
        cell.failed(&error("b", Disposition::Retry), pause(1), &herald).await;
        assert!(matches!(cell.state(), State::Opening { since: later, .. } if later == since), "it is the same outage");
        cell.failed(&error("c", Disposition::Permanent), pause(1), &herald).await;
        let State::Refused { since, .. } = cell.state() else { panic!("{:?}", cell.state()) };
        cell.failed(&error("d", Disposition::Permanent), pause(1), &herald).await;
        assert!(matches!(cell.state(), State::Refused { since: later, .. } if later == since));
        cell.note(2, false, Some(3));
        assert_eq!((cell.received(), cell.remaining(), cell.last().is_some()), (2, Some(3), true));
    }
}
