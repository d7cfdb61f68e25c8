//! The way of calls from scripts' threads to the thread that has the sockets.
//!
//! Each crossing wakes a thread, which costs more than all else of a call. Where many calls are under way, one crosses as a
//! whole, and not each step of it; those that are made at a stretch cross together, as whoever finds nobody waiting sends a
//! boat for all who come until it leaves. What crosses is how to make a call: its large state is made, and freed, on the
//! other side, as threads that free each other's memory wait for each other. Where there are few calls, they are made from
//! where they are: the answer is read while its thread wakes up. A call that nobody waits for any more ends where it is.

use std::{
    future::Future,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{runtime::Handle, select, sync::oneshot};

/// Calls under way that are few.
const FEW: usize = 4;

/// One for each daemon.
pub(super) struct Crossing {
    io: Handle,
    under_way: AtomicUsize,
    waiting: Mutex<Vec<Call>>,
}

/// Starts a call, on the other side.
type Call = Box<dyn FnOnce() + Send>;

impl Crossing {
    pub(super) fn new(io: Handle) -> Arc<Self> {
        Arc::new(Self { io, under_way: AtomicUsize::new(0), waiting: Mutex::default() })
    }

    /// Has a call made. None, where the runtime on the other side has ended.
    pub(super) async fn make<T, F>(self: &Arc<Self>, call: impl FnOnce() -> F + Send + 'static) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let place = Place::take(&self.under_way);
        if place.before < FEW {
            // Apart, so that the many others need no room for it.
            return Some(Box::pin(call()).await);
        }
        let (mut back, answer) = oneshot::channel();
        self.board(Box::new(move || {
            if back.is_closed() {
                return;
            }
            let call = call();
            tokio::spawn(async move {
                let answer = select! {
                    biased;
                    () = back.closed() => return,
                    answer = call => answer,
                };
                // Who has gone meanwhile needs none.
                drop(back.send(answer));
            });
        }));
        answer.await.ok()
    }

    fn board(self: &Arc<Self>, call: Call) {
        let mut waiting = self.waiting();
        waiting.push(call);
        let is_first = waiting.len() == 1;
        drop(waiting);
        if is_first {
            let boat = Boat { crossing: Arc::clone(self), has_left: false };
            self.io.spawn(async move { boat.leave() });
        }
    }

    fn take_all(&self) -> Vec<Call> {
        mem::take(&mut *self.waiting())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Call>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call's place among those under way, until it is dropped.
struct Place<'c> {
    under_way: &'c AtomicUsize,
    before: usize,
}

impl<'c> Place<'c> {
    fn take(under_way: &'c AtomicUsize) -> Self {
        Self { under_way, before: under_way.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What takes along all who wait when it leaves. One that never does, as its runtime has ended, takes them down with it.
struct Boat {
    crossing: Arc<Crossing>,
    has_left: bool,
}

impl Boat {
    fn leave(mut self) {
        self.has_left = true;
        self.crossing.take_all().into_iter().for_each(|start| start());
    }
}

impl Drop for Boat {
    fn drop(&mut self) {
        if !self.has_left {
            // What they hold may be another handle on this: nothing is locked when they are dropped.
            drop(self.crossing.take_all());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use tokio::{runtime, task::yield_now, time::timeout};

    use super::*;

    fn runtime() -> runtime::Runtime {
        runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn calls_are_made_on_the_other_side_and_answered_on_this() {
        let io = runtime();
        let crossing = Crossing::new(io.handle().clone());
        let there = thread::current().id();
        let caller = thread::spawn(move || {
            let here = thread::current().id();
            runtime().block_on(async move {
                let calls = (0..100).map(|number| {
                    let crossing = &crossing;
                    let call = move || async move {
                        yield_now().await;
                        (number, thread::current().id())
                    };
                    async move { crossing.make(call).await }
                });
                let answers = futures_util::future::join_all(calls).await;
                // The first few find nobody under way, and are made from here.
                let made = |number| if number < FEW { here } else { there };
                assert_eq!(answers, (0..100).map(|number| Some((number, made(number)))).collect::<Vec<_>>());
                assert_ne!(here, there);
                assert_eq!(crossing.under_way.load(Ordering::Relaxed), 0);
            });
        });
        io.block_on(async {
            while !caller.is_finished() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        caller.join().unwrap();
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_ends() {
        struct Ended(Arc<AtomicUsize>);
        impl Drop for Ended {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (crossing, ended) = (Crossing::new(Handle::current()), Arc::<AtomicUsize>::default());
        let calls = (0..2 * FEW).map(|_| {
            let held = Ended(Arc::clone(&ended));
            crossing.make(|| async move {
                std::future::pending::<()>().await;
                drop(held);
            })
        });
        let calls = futures_util::future::join_all(calls.collect::<Vec<_>>());
        timeout(Duration::from_millis(10), calls).await.unwrap_err();
        yield_now().await;
        assert_eq!(ended.load(Ordering::Relaxed), 2 * FEW);
    }

    #[test]
    fn nobody_waits_for_a_runtime_that_has_ended() {
        let io = runtime();
        let crossing = Crossing::new(io.handle().clone());
        drop(io);
        crossing.under_way.store(FEW, Ordering::Relaxed);
        for _ in 0..2 {
            assert_eq!(runtime().block_on(crossing.make(|| async {})), None);
        }
    }
}
