//! The way of calls from scripts' threads to the thread that has the sockets.
//!
//! Each crossing wakes a thread, which costs more than all else of a call. So a call crosses as a whole, and not each step
//! of it, and calls that are made at a stretch cross together: whoever finds nobody waiting sends a boat for all who come
//! until it leaves. A call that nobody waits for any more ends where it is.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{runtime::Handle, select, sync::oneshot};

/// One for each daemon.
pub(super) struct Crossing {
    io: Handle,
    waiting: Mutex<Vec<Call>>,
}

/// A call, its answer's way back included.
type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Crossing {
    pub(super) fn new(io: Handle) -> Arc<Self> {
        Arc::new(Self { io, waiting: Mutex::default() })
    }

    /// Has a call made on the other side. None, where that runtime has ended.
    pub(super) async fn make<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (mut back, answer) = oneshot::channel();
        self.board(Box::pin(async move {
            let answer = select! {
                answer = call => answer,
                () = back.closed() => return,
            };
            // Who has gone meanwhile needs none.
            drop(back.send(answer));
        }));
        answer.await.ok()
    }

    fn board(self: &Arc<Self>, call: Call) {
        let mut waiting = self.waiting();
        let is_first = waiting.is_empty();
        waiting.push(call);
        drop(waiting);
        if is_first {
            let boat = Boat { crossing: Arc::clone(self), has_left: false };
            self.io.spawn(async move { boat.leave() });
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Call>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
        let calls = mem::take(&mut *self.crossing.waiting());
        for call in calls {
            tokio::spawn(call);
        }
    }
}

impl Drop for Boat {
    fn drop(&mut self) {
        if !self.has_left {
            let calls = mem::take(&mut *self.crossing.waiting());
            // What they hold may be another handle on this.
            drop(calls);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
        time::Duration,
    };

    use tokio::{runtime, time::timeout};

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
                    let crossing = Arc::clone(&crossing);
                    async move { crossing.make(async move { (number, thread::current().id()) }).await }
                });
                let answers = futures_util::future::join_all(calls).await;
                assert_eq!(answers, (0..100).map(|number| Some((number, there))).collect::<Vec<_>>());
                assert_ne!(here, there);
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
        let held = Ended(Arc::clone(&ended));
        let call = crossing.make(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        timeout(Duration::from_millis(10), call).await.unwrap_err();
        tokio::task::yield_now().await;
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn nobody_waits_for_a_runtime_that_has_ended() {
        let io = runtime();
        let crossing = Crossing::new(io.handle().clone());
        drop(io);
        for _ in 0..2 {
            assert_eq!(runtime().block_on(crossing.make(async {})), None);
        }
    }
}
