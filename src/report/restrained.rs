//! What keeps rules from running away: loops that are stopped, commands that are slowed.

use std::{sync::Arc, time::Duration};

/// How a rule is restrained, or is no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restrained {
    /// Exchanges went round in circles: the rule handles nothing of them for a while.
    LoopStopped(Loop),
    /// The while is over.
    LoopResumed {
        /// What they were about.
        thing: Arc<str>,
        /// Its number.
        id: u64,
        /// Notifications that were not handled meanwhile.
        left_out: u64,
    },
    /// Commands wait for their turn.
    Slowed {
        /// Commands a second.
        rate: u32,
    },
    /// Commands no longer wait.
    AtPace {
        /// How many did.
        calls: u64,
    },
}

/// Exchanges that went round in circles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loop {
    /// What they were about: `discussion`, `group`; nothing where that is not known.
    pub thing: Arc<str>,
    /// Its number.
    pub id: u64,
    /// With whom, 0: with this identity itself; none where notifications do not say.
    pub author: Option<u64>,
    /// How many within a minute.
    pub count: u32,
    /// The beginning of what was to be sent.
    pub sample: String,
    /// For how long they are not handled.
    pub pause: Duration,
}
