//! Scripts that can only go on in another VM: whose thread died or does not come back, or whose memory is full.
//!
//! Finds out which, once each, and tells it. Loading them anew is the reload's, as if their files had changed. Threads that
//! do not come back cannot be ended; so many of them are borne.

use std::{sync::Arc, time::Duration};

use futures_util::future::select_all;
use tokio::{net::UnixStream, select, time::sleep};

use crate::{
    lua::{Bell, Script},
    report::{Event, Fate, Reporter},
};

/// Threads that were given up and use CPU at one time: with more, there is none left for those that work.
const MOST_LOST: usize = 8;

/// How long a script that was not replaced waits for the next attempt.
const RETRY: Duration = Duration::from_mins(1);

/// What makes scripts heard that need another VM.
pub(super) struct Rescue {
    bell: Option<(Bell, UnixStream)>,
}

impl Rescue {
    /// Makes one; where the system gives no wire, threads that do not come back are not noticed.
    pub(super) fn new() -> Self {
        let bell = Bell::new().and_then(|(bell, ear)| Ok((bell, UnixStream::from_std(ear)?)));
        Self { bell: bell.ok() }
    }

    /// What scripts ring.
    pub(super) fn bell(&self) -> Option<Bell> {
        self.bell.as_ref().map(|(bell, _)| bell.clone())
    }

    /// Waits until one of these scripts is to be replaced; tells of each what befell it.
    pub(super) async fn needed(&self, scripts: &[&Script], reporter: &Reporter) {
        loop {
            let mut is_needed = false;
            for script in scripts {
                let Some(fate) = self.fate(script).filter(|_| script.is_news()) else { continue };
                script.account.befell(fate);
                reporter.emit(&Event::ScriptFailed { script: Arc::clone(&script.name), fate });
                is_needed |= fate != Fate::Abandoned;
            }
            if is_needed {
                return;
            }
            select! {
                () = death(scripts) => {}
                () = self.rung() => {}
                // For a mistake somewhere in the rules it was not replaced, or as too many threads were lost.
                () = sleep(RETRY), if scripts.iter().any(|script| self.fate(script).is_some()) => {
                    if scripts.iter().any(|script| self.fate(script).is_some_and(|fate| fate != Fate::Abandoned)) {
                        return;
                    }
                }
            }
        }
    }

    fn fate(&self, script: &Script) -> Option<Fate> {
        let too_many = || self.bell.as_ref().is_some_and(|(bell, _)| bell.lost() > MOST_LOST);
        script.fate().map(|fate| if fate == Fate::Lost && too_many() { Fate::Abandoned } else { fate })
    }

    async fn rung(&self) {
        let Some((_, ear)) = &self.bell else { return std::future::pending().await };
        if ear.readable().await.is_ok() {
            let mut rings = [0; 64];
            while ear.try_read(&mut rings).is_ok_and(|read| read > 0) {}
        }
    }
}

/// Waits for a thread to end unexpectedly.
async fn death(scripts: &[&Script]) {
    let alive: Vec<_> =
        scripts.iter().filter(|script| !script.is_dead()).map(|script| Box::pin(script.died())).collect();
    if alive.is_empty() {
        return std::future::pending().await;
    }
    select_all(alive).await;
}
