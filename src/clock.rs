//! What time it is: the machine's, or one that is set by hand.
//!
//! Whoever needs the time is given a clock. What waits for a clock that is set by hand waits until that is moved, and it
//! is known at every moment how many do: that is how a test tells that everything has come to rest. Moments are told apart
//! by [`Instant`]s of the clock, which are not to be compared with those of another one.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::{FutureExt as _, future::Either};
use tokio::{
    select,
    time::{Instant, sleep_until, timeout_at},
};

/// How long of the machine's time a run has at least where time is set by hand: what it may take is measured by that, and
/// this is for runs that never end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A source of time. Clones of one that is set by hand show the same time.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<Manual>>);

#[derive(Debug)]
struct Manual {
    /// The moment that stands for the time it was first set to.
    origin: Instant,
    begun: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    now: u64,
    /// Whoever waits, by when for and in the order of their coming.
    waiting: BTreeMap<(u64, u64), Waiting>,
    next: u64,
    asleep: usize,
    /// Alarms that went off and were not looked at yet.
    ringing: usize,
    /// How often anybody began or ended to wait.
    changes: u64,
}

#[derive(Debug)]
struct Waiting {
    sleeps: bool,
    waker: Option<Waker>,
}

/// Who waits for a clock that is set by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// How many do nothing before it is moved on.
    pub asleep: usize,
    /// Whether somebody was woken to look at the time and has not done so yet.
    pub is_ringing: bool,
    /// Another number whenever anything of it was otherwise meanwhile.
    pub changes: u64,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until it is set or advanced, at so many milliseconds since 1970.
    pub fn manual(milliseconds: u64) -> Self {
        let state = Mutex::new(State { now: milliseconds, ..State::default() });
        Self(Some(Arc::new(Manual { origin: Instant::now(), begun: milliseconds, state })))
    }

    /// Whether it is set by hand.
    pub fn is_manual(&self) -> bool {
        self.0.is_some()
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> u64 {
        match &self.0 {
            Some(manual) => manual.state().now,
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, milliseconds),
        }
    }

    /// The present moment. On a clock that was set back before its beginning, that.
    pub fn instant(&self) -> Instant {
        self.0.as_ref().map_or_else(Instant::now, |manual| manual.instant())
    }

    /// By when a run has to end that begins now and may take so long: on this clock, and on the machine's, which is the
    /// same unless this one is set by hand.
    pub fn limits(&self, time: Duration) -> (Instant, Instant) {
        let now = Instant::now();
        match &self.0 {
            Some(manual) => (manual.instant() + time, now + time.max(PATIENCE)),
            None => (now + time, now + time),
        }
    }

    /// Sets a clock that is set by hand, backward too. Whoever waits for an earlier time goes on.
    pub fn set(&self, milliseconds: u64) {
        let Some(manual) = &self.0 else { return };
        let wakers = manual.state().set(milliseconds);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Moves a clock set by hand forward; the machine's clock moves by itself.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().saturating_add(milliseconds(by)));
    }

    /// The next time that somebody waits for, in milliseconds since 1970; of the machine's clock, nobody knows.
    pub fn next(&self) -> Option<u64> {
        let state = self.0.as_ref()?.state();
        state.waiting.keys().next().map(|(at, _)| *at)
    }

    /// Who waits for a clock that is set by hand.
    pub fn rest(&self) -> Rest {
        let Some(manual) = &self.0 else { return Rest { asleep: 0, is_ringing: false, changes: 0 } };
        let State { asleep, ringing, changes, .. } = *manual.state();
        Rest { asleep, is_ringing: ringing > 0, changes }
    }

    /// Does nothing until a moment.
    pub async fn sleep_until(&self, at: Instant) {
        match &self.0 {
            Some(manual) => manual.wait(at, true).await,
            None => sleep_until(at).await,
        }
    }

    /// Waits for a moment beside something else: who does is not counted as asleep.
    pub async fn alarm(&self, at: Instant) {
        match &self.0 {
            Some(manual) => manual.wait(at, false).await,
            None => sleep_until(at).await,
        }
    }

    /// Waits for something until a moment; none where that comes first. Where time is set by hand and something else than
    /// time is waited for, `limit` of the machine's time holds too. To be called where tokio's timers are.
    pub fn within<T>(
        &self,
        at: Instant,
        limit: Option<Instant>,
        future: impl Future<Output = T>,
    ) -> impl Future<Output = Option<T>> {
        // Not `async`, which would have room for the future twice: as it was given, and as it is waited for.
        let Some(manual) = &self.0 else { return Either::Left(timeout_at(at, future).map(Result::ok)) };
        let boxed = Box::pin(future);
        Either::Right(async move {
            let mut alarm = pin!(manual.wait(at, false));
            let mut future = boxed;
            let done = select! {
                biased;
                value = &mut future => Some(value),
                () = &mut alarm => None,
                () = until(limit) => None,
            };
            // Nobody is to be taken for asleep who was woken: the alarm is put off after what it ends.
            drop(future);
            done
        })
    }
}

/// Waits for a moment of the machine's time, or for ever.
pub(crate) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Manual {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instant(&self) -> Instant {
        self.origin + Duration::from_millis(self.state().now.saturating_sub(self.begun))
    }

    fn wait(self: &Arc<Self>, at: Instant, sleeps: bool) -> Wait {
        // A part of a millisecond is waited for to its end.
        let after = at.saturating_duration_since(self.origin) + Duration::from_nanos(999_999);
        let at = self.begun.saturating_add(milliseconds(after));
        Wait { manual: Arc::clone(self), at, sleeps, stage: Stage::New }
    }
}

impl State {
    fn set(&mut self, milliseconds: u64) -> Vec<Waker> {
        self.now = milliseconds;
        let later = self.waiting.split_off(&(milliseconds.saturating_add(1), 0));
        let woken = std::mem::replace(&mut self.waiting, later);
        self.changes += woken.len() as u64;
        for waiting in woken.values() {
            if waiting.sleeps { self.asleep -= 1 } else { self.ringing += 1 }
        }
        woken.into_values().filter_map(|waiting| waiting.waker).collect()
    }
}

/// Somebody who waits for a clock that is set by hand.
struct Wait {
    manual: Arc<Manual>,
    at: u64,
    sleeps: bool,
    stage: Stage,
}

enum Stage {
    New,
    Waiting(u64),
    Over,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let manual = Arc::clone(&self.manual);
        let mut state = manual.state();
        let key = match self.stage {
            Stage::Over => return Poll::Ready(()),
            Stage::New if self.at <= state.now => {
                self.stage = Stage::Over;
                return Poll::Ready(());
            }
            Stage::New => {
                let id = state.next;
                state.next += 1;
                state.changes += 1;
                state.asleep += usize::from(self.sleeps);
                self.stage = Stage::Waiting(id);
                (self.at, id)
            }
            Stage::Waiting(id) => {
                if !state.waiting.contains_key(&(self.at, id)) {
                    self.stage = Stage::Over;
                    state.ringing -= usize::from(!self.sleeps);
                    state.changes += 1;
                    return Poll::Ready(());
                }
                (self.at, id)
            }
        };
        state.waiting.insert(key, Waiting { sleeps: self.sleeps, waker: Some(context.waker().clone()) });
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let Stage::Waiting(id) = self.stage else { return };
        let mut state = self.manual.state();
        state.changes += 1;
        let was_waiting = state.waiting.remove(&(self.at, id)).is_some();
        match (self.sleeps, was_waiting) {
            (true, true) => state.asleep -= 1,
            (false, false) => state.ringing -= 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const START: u64 = 1_700_000_000_000;

    fn after(clock: &Clock, seconds: u64) -> Instant {
        clock.instant() + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn sleepers_are_known_until_their_time_has_come() {
        let clock = Clock::manual(START);
        let mut one = Box::pin(clock.sleep_until(after(&clock, 1)));
        let two = clock.sleep_until(after(&clock, 2));
        let mut two = Box::pin(two);
        assert!((&mut one).now_or_never().is_none() && (&mut two).now_or_never().is_none());
        assert_eq!((clock.rest().asleep, clock.next()), (2, Some(START + 1000)));
        clock.advance(Duration::from_secs(1));
        assert_eq!((clock.rest().asleep, clock.next()), (1, Some(START + 2000)));
        one.await;
        drop(two);
        assert_eq!((clock.rest().asleep, clock.next()), (0, None));
        clock.sleep_until(clock.instant()).await;
    }

    #[tokio::test]
    async fn what_is_waited_for_is_held_once() {
        let large = async {
            let held = [1_u8; 4096];
            tokio::task::yield_now().await;
            held.len()
        };
        let clock = Clock::system();
        let waiting = clock.within(after(&clock, 10), None, large);
        assert!(size_of_val(&waiting) < 4096 + 1024, "{}", size_of_val(&waiting));
        assert_eq!(waiting.await, Some(4096));
    }

    #[tokio::test]
    async fn an_alarm_rings_until_it_is_looked_at() {
        let clock = Clock::manual(START);
        let slept = Arc::new(Mutex::new(false));
        let long = async {
            clock.sleep_until(after(&clock, 60)).await;
            *slept.lock().unwrap() = true;
        };
        let mut within = Box::pin(clock.within(after(&clock, 30), None, long));
        assert!((&mut within).now_or_never().is_none());
        assert_eq!((clock.rest().asleep, clock.rest().is_ringing, clock.next()), (1, false, Some(START + 30_000)));
        clock.set(START + 30_000);
        assert!(clock.rest().is_ringing);
        assert_eq!(within.await, None);
        assert_eq!((clock.rest().asleep, clock.rest().is_ringing, clock.next()), (0, false, None));
        assert!(!*slept.lock().unwrap());
    }

    #[tokio::test]
    async fn what_comes_in_time_counts_though_the_time_is_over() {
        let clock = Clock::manual(START);
        let mut within = Box::pin(clock.within(after(&clock, 30), None, clock.sleep_until(after(&clock, 30))));
        assert!((&mut within).now_or_never().is_none());
        clock.advance(Duration::from_secs(30));
        assert_eq!(within.await, Some(()));
        assert!(!clock.rest().is_ringing);
    }
}
