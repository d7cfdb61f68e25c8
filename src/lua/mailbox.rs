//! The queues between feeds and scripts: one mailbox a script, with credits for each rule.
//!
//! A feed hands over all that is ready at once and the script's thread takes all that has arrived at once; a rule's
//! credits bound what of it is queued or running, so a mailbox is bounded by the sum over its rules. A rule without
//! credits makes its own feed wait, and with it, through flow control, the daemon; no other feed.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

/// Notifications of one rule that are queued or running: about one second of a busy group; when all are out, the feed
/// waits.
pub const CREDITS: usize = 256;

/// What a script's thread is told.
pub(super) enum Mail {
    /// A notification for one of its rules.
    Notification { rule: usize, bytes: Bytes },
    /// Finish what is there, until the deadline.
    Stop { deadline: Instant },
}

#[derive(Default)]
pub(super) struct Mailbox {
    mails: Mutex<VecDeque<Mail>>,
    arrived: Notify,
}

impl Mailbox {
    pub(super) fn put(&self, mails: impl IntoIterator<Item = Mail>) {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).extend(mails);
        self.arrived.notify_one();
    }

    /// Takes what has arrived.
    pub(super) fn take_now(&self) -> VecDeque<Mail> {
        mem::take(&mut *self.mails.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for mail and takes all of it.
    pub(super) async fn take(&self) -> VecDeque<Mail> {
        loop {
            let mails = self.take_now();
            if !mails.is_empty() {
                return mails;
            }
            self.arrived.notified().await;
        }
    }
}

/// One rule's end of its script's mailbox.
#[derive(Clone)]
pub struct RuleQueue {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) rule: usize,
    pub(super) credits: Arc<Semaphore>,
}

impl RuleQueue {
    /// Hands notifications over in order, as fast as there are credits for them.
    pub async fn push(&self, batch: &[Bytes]) {
        let mut rest = batch;
        while !rest.is_empty() {
            // The semaphore is never closed.
            let Ok(first) = self.credits.acquire().await else { return };
            first.forget();
            let mut taken = 1;
            while let Some(more) = (taken < rest.len()).then(|| self.credits.try_acquire().ok()).flatten() {
                more.forget();
                taken += 1;
            }
            let (now, later) = rest.split_at(taken);
            self.mailbox.put(now.iter().map(|bytes| Mail::Notification { rule: self.rule, bytes: bytes.clone() }));
            rest = later;
        }
    }
}
