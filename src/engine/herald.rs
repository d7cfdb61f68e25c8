//! The herald: what happens to streams, told together where it happens together.
//!
//! A thousand streams that lose one connection are one piece of news. Feeds tell the herald each change of their state
//! once; what comes without a moment's rest between becomes one event for each cause. The order of each feed's own
//! changes stays.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

#[cfg(test)]
mod tests;

use crate::report::{Event, FeedName, Reporter};

/// What happened is told when this many looks in a row, this far apart, found nothing new. Several short ones: on a busy
/// machine, which may leave us standing for longer than all of them, a pause of ours still passes for one look only.
const LOOKS: u32 = 4;
const LOOK: Duration = Duration::from_millis(25);

/// How long news waits at most while there is more.
const LONGEST: Duration = Duration::from_secs(1);

/// Feeds that were told as lost try again after a random part of their shortest pause. For so long the news of one waits
/// for the others': they tend to get the same answer.
const SHORTLY: Duration = Duration::from_millis(1500);

/// Changes that wait to be told; a feed with more waits, which it can well do when its stream has just changed.
const BOUND: usize = 1024;

/// What happened to one stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    Opened,
    Lost { cause: String, retry_in: f64 },
    Waiting { cause: String, retry_in: f64 },
    Refused { cause: String, retry_in: f64 },
    Completed { count: u64 },
    Gap { from: Timestamp, to: Timestamp, cause: Option<String> },
    CaughtUp { notifications: u64 },
}

/// Where feeds tell their changes.
#[derive(Clone)]
pub(super) struct Herald(mpsc::Sender<(u64, FeedName, Change)>);

/// Changes that are told together.
struct News {
    change: Change,
    feeds: Vec<(u64, FeedName)>,
}

impl Herald {
    /// Starts the task that tells; it ends, with everything told, when the last handle is dropped.
    pub(super) fn start(reporter: Reporter) -> (Self, JoinHandle<()>) {
        let (sender, mut changes) = mpsc::channel::<(u64, FeedName, Change)>(BOUND);
        let task = tokio::spawn(async move {
            let mut lost = HashMap::<u64, Instant>::new();
            while let Some(first) = changes.recv().await {
                let (mut news, end) = (Vec::new(), Instant::now() + LONGEST);
                lost.retain(|_, since| since.elapsed() < SHORTLY);
                let (mut next, mut quiet) = (Some(first), 0);
                loop {
                    match next {
                        Some(change) => {
                            lost.remove(&change.0);
                            add(&mut news, change);
                            quiet = 0;
                        }
                        None => quiet += 1,
                    }
                    let now = Instant::now();
                    if now >= end || lost.is_empty() && quiet >= LOOKS {
                        break;
                    }
                    let until = if lost.is_empty() { end.min(now + LOOK) } else { end };
                    next = match timeout_at(until, changes.recv()).await {
                        // Nobody is left to tell anything.
                        Ok(None) => break,
                        told => told.ok().flatten(),
                    };
                }
                for news in news {
                    if let Change::Lost { .. } = news.change {
                        lost.extend(news.feeds.iter().map(|(feed, _)| (*feed, Instant::now())));
                    }
                    reporter.emit(&news.event());
                }
            }
        });
        (Self(sender), task)
    }

    /// Tells a change of a feed.
    pub(super) async fn tell(&self, feed: u64, name: FeedName, change: Change) {
        // The task outlives every handle.
        drop(self.0.send((feed, name, change)).await);
    }
}

/// Adds a change to the news that it belongs to, behind what the same feed told before.
fn add(news: &mut Vec<News>, (feed, name, change): (u64, FeedName, Change)) {
    let last = news.iter().rposition(|news| news.feeds.iter().any(|(other, _)| *other == feed));
    let from = last.map_or(0, |at| at + 1);
    match news[from..].iter_mut().find_map(|news| joins(&mut news.change, &change).then_some(news)) {
        Some(found) => found.feeds.push((feed, name)),
        None => news.push(News { change, feeds: vec![(feed, name)] }),
    }
}

/// Whether a change is the same piece of news as another, which is then widened to hold both.
fn joins(told: &mut Change, change: &Change) -> bool {
    match (told, change) {
        (Change::Opened, Change::Opened) => true,
        (Change::Lost { cause, retry_in }, Change::Lost { cause: other, retry_in: pause })
        | (Change::Waiting { cause, retry_in }, Change::Waiting { cause: other, retry_in: pause })
        | (Change::Refused { cause, retry_in }, Change::Refused { cause: other, retry_in: pause })
            if cause == other =>
        {
            *retry_in = retry_in.min(*pause);
            true
        }
        (Change::Gap { from, to, cause }, Change::Gap { from: earlier, to: later, cause: other }) if cause == other => {
            (*from, *to) = ((*from).min(*earlier), (*to).max(*later));
            true
        }
        (Change::CaughtUp { notifications }, Change::CaughtUp { notifications: more }) => {
            *notifications += more;
            true
        }
        _ => false,
    }
}

impl News {
    fn event(self) -> Event {
        let feeds: Arc<[FeedName]> = self.feeds.into_iter().map(|(_, name)| name).collect();
        match self.change {
            Change::Opened => Event::FeedOpened { feeds },
            Change::Lost { cause, retry_in } => Event::FeedLost { feeds, cause, retry_in },
            Change::Waiting { cause, retry_in } => Event::FeedWaiting { feeds, cause, retry_in },
            Change::Refused { cause, retry_in } => Event::FeedRefused { feeds, cause, retry_in },
            Change::Gap { from, to, cause } => Event::Gap { feeds, from, to, cause },
            Change::Completed { count } => Event::FeedCompleted { feeds, count },
            Change::CaughtUp { notifications } => Event::CaughtUp { feeds, notifications },
        }
    }
}
