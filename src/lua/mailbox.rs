//! What a script's thread is told: one mailbox a script.
//!
//! Notifications are not in it: they wait in their rules' queues, and a queue tells the mailbox once that there is
//! something to look at. So a mailbox holds at most two mails a rule besides what the control plane says.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::Value as Json;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::queue::Lane;
use crate::{diagnostic::Diagnostic, rules::Rule};

/// An answer that somebody waits for.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Vec<Diagnostic>>>;

pub(super) enum Mail {
    /// A lane is this script's from now on, on these terms; what waits in it may be started.
    Seat { lane: Arc<Lane>, rule: Arc<Rule>, generation: u64 },
    /// A lane has something to start, has moved on, or is retired.
    Ready(Arc<Lane>),
    /// Start nothing more, and say what the script wants to keep.
    Save(Reply<Option<Json>>),
    /// Here is what the former one kept.
    Restore { state: Json, reply: Reply<()> },
    /// Start again what may run.
    Resume,
    /// Finish what is there, until the deadline.
    Stop { deadline: Instant },
}

#[derive(Default)]
pub(super) struct Mailbox {
    contents: Mutex<Contents>,
    arrived: Notify,
    /// Whether somebody wants to know that the thread comes back, and does not know it yet.
    asked: AtomicBool,
}

#[derive(Default)]
struct Contents {
    mails: VecDeque<Mail>,
    /// How many are gathering mail that is to be taken together.
    gathering: usize,
    closed: bool,
}

/// Until it is dropped, no mail is taken.
pub(super) struct Gathering<'m>(&'m Mailbox);

impl Mailbox {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has what is put from now on taken together, once this is dropped: what the worker does by one mail may depend on all.
    pub(super) fn gather(&self) -> Gathering<'_> {
        self.contents().gathering += 1;
        Gathering(self)
    }

    /// Hands over mail; where the thread has ended, it is dropped.
    pub(super) fn put(&self, mail: Mail) {
        let mut contents = self.contents();
        if contents.closed {
            return;
        }
        contents.mails.push_back(mail);
        // Whoever gathers wakes the worker up once.
        if contents.gathering == 0 {
            drop(contents);
            self.arrived.notify_one();
        }
    }

    /// Waits for mail and takes all of it.
    pub(super) async fn take(&self) -> VecDeque<Mail> {
        loop {
            self.answer();
            if let Some(mails) = self.ready() {
                return mails;
            }
            self.arrived.notified().await;
        }
    }

    fn ready(&self) -> Option<VecDeque<Mail>> {
        let mut contents = self.contents();
        let is_there = contents.gathering == 0 && !contents.mails.is_empty();
        is_there.then(|| mem::take(&mut contents.mails))
    }

    /// Asks whether the thread comes back; one that waits for mail is woken for it.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        self.arrived.notify_one();
    }

    /// Says that it does. On the way of every run, so no more than a look where nobody asks.
    pub(super) fn answer(&self) {
        if self.is_asked() {
            self.asked.store(false, Ordering::Release);
        }
    }

    /// Whether a question has no answer yet.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Nobody reads on. What was not read is dropped, and with it the senders that somebody waits for.
    pub(super) fn close(&self) {
        let mut contents = self.contents();
        contents.closed = true;
        let unread = mem::take(&mut contents.mails);
        drop(contents);
        drop(unread);
    }
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        self.0.contents().gathering -= 1;
        self.0.arrived.notify_one();
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("asked", &self.asked).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn what_is_gathered_is_taken_together() {
        let mailbox = Mailbox::default();
        let gathering = mailbox.gather();
        mailbox.put(Mail::Resume);
        let mut taken = Box::pin(mailbox.take());
        assert!((&mut taken).now_or_never().is_none(), "the other half is still to come");
        mailbox.put(Mail::Resume);
        drop(gathering);
        assert_eq!(taken.now_or_never().map(|mails| mails.len()), Some(2));
    }
}
