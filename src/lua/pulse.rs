//! Whether a script's thread comes back: asked now and then by whoever wants to know, and by nobody else.
//!
//! A question is a flag that the thread takes back as soon as it is between two runs, or between two parts of one. Only
//! where it waits for mail is it woken for that. So a host that nobody asks is never woken, and a run pays one look at a
//! flag. A thread that the kernel does not let go on is found out in this way too, of which no [`alarm`](super::alarm)
//! tells: that one is rung by the thread itself, as it uses CPU.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{alarm::Alarm, interrupt, mailbox::Mailbox, script::LOADING};
use crate::{report::Fate, rules::Limits};

/// By how much longer than on a core of its own a thread may take for the same work, on a machine that has much to do.
const STARVED: u32 = 30;

/// One script's.
#[derive(Debug)]
pub struct Pulse {
    mailbox: Arc<Mailbox>,
    alarm: Arc<Alarm>,
    /// True when the thread has come to its end; closed before that when it panicked.
    ended: watch::Receiver<bool>,
    question: Mutex<Option<Question>>,
}

/// What was asked and is not answered.
#[derive(Debug)]
struct Question {
    asked: Instant,
    /// Whether it was overdue when it was last looked at.
    is_overdue: bool,
}

impl Pulse {
    pub(super) fn new(mailbox: Arc<Mailbox>, alarm: Arc<Alarm>, ended: watch::Receiver<bool>) -> Self {
        Self { mailbox, alarm, ended, question: Mutex::default() }
    }

    /// For how long the script makes no progress, where that is longer than its longest run may take to come back: its
    /// thread does not come back, it has died, or only another VM would help and there is none.
    ///
    /// What is said now is what came of asking before, so the first answer is always none; and who asks rarely learns of
    /// it late. `patience` is what [`patience`] says of its rules. Overdue once is not enough: it may have been the whole
    /// process that stood still.
    pub fn stalled(&self, patience: Duration, now: Instant) -> Option<Duration> {
        let mut question = self.question.lock().unwrap_or_else(PoisonError::into_inner);
        let stands_still = self.mailbox.is_asked() || self.fate().is_some();
        match &mut *question {
            Some(Question { asked, is_overdue }) if stands_still => {
                let silent = now.saturating_duration_since(*asked);
                let was_overdue = std::mem::replace(is_overdue, silent > patience);
                (was_overdue && *is_overdue).then_some(silent)
            }
            answered => {
                *answered = Some(Question { asked: now, is_overdue: false });
                if !*self.ended.borrow() {
                    self.mailbox.ask();
                }
                None
            }
        }
    }

    /// Whether the thread has not answered yet.
    #[cfg(test)]
    pub(super) fn is_asked(&self) -> bool {
        self.mailbox.is_asked()
    }

    /// Whether the thread ended unexpectedly.
    pub(super) fn is_dead(&self) -> bool {
        !*self.ended.borrow() && self.ended.has_changed().is_err()
    }

    /// What befell it, where it is of no use any more: only another VM helps.
    pub(super) fn fate(&self) -> Option<Fate> {
        match () {
            () if self.is_dead() => Some(Fate::Died),
            () if self.alarm.is_spent() => Some(Fate::Spent),
            () => self.alarm.is_lost().then_some(Fate::Lost),
        }
    }
}

/// The longest that a script with rules of these limits may take to come back, on a busy machine: a run that is stopped at
/// its `cpu` or its `timeout`, whichever is first, and after that is about to be given up.
pub fn patience<'l>(limits: impl Iterator<Item = &'l Limits>) -> Duration {
    let of = |limits: &Limits| {
        let given_up = interrupt::given_up_after(limits.memory);
        let by_cpu = limits.cpu.saturating_add(given_up).saturating_mul(STARVED);
        by_cpu.min(limits.timeout.saturating_add(given_up.saturating_mul(STARVED)))
    };
    // To save its state it has time whatever its rules say.
    limits.map(of).max().unwrap_or_default().max(LOADING)
}
