//! What was asked of the daemon, for tests to look at: the newest commands, in order.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use serde_json::Value as Json;

use crate::schema::{Command, json};

/// How many commands are remembered: more than one test looks at, and little memory where `simulate` runs for days.
const KEPT: usize = 10_000;

/// A command that arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Who asked; empty for an administrator that acts for nobody.
    pub identity: String,
    /// What was asked.
    pub command: Arc<Command>,
    /// The encoded request; of an upload its first message.
    pub request: Bytes,
    /// Messages of the request: more than one in uploads only.
    pub messages: usize,
    /// When, in milliseconds of the world's clock.
    pub time: u64,
}

impl Recorded {
    /// The request as JSON; null where it is no such message.
    pub fn json(&self) -> Json {
        json::from_wire(&self.command.method.input, &self.request).unwrap_or(Json::Null)
    }
}

/// The newest commands.
#[derive(Debug, Default)]
pub(super) struct Record(VecDeque<Recorded>);

impl Record {
    pub(super) fn add(&mut self, recorded: Recorded) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(recorded);
    }

    pub(super) fn all(&self) -> Vec<Recorded> {
        self.0.iter().cloned().collect()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
