//! Answers that a test wants instead of the world's, in the order it asked for them.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value as Json;
use tokio::sync::Notify;
use tonic::{Code, Status};

use crate::schema::{Method, encode};

/// What happens to a call instead of, or before, what the world would do.
#[derive(Debug, Clone)]
pub enum Reply {
    /// It is refused.
    Status(Code, String),
    /// It is answered with these messages, the world not asked. A subscription stays open behind them.
    Bytes(Vec<Bytes>),
    /// The same with one message, written as JSON.
    Json(Json),
    /// It waits, then goes its usual way.
    Delay(Duration),
    /// It waits until a permit is there, then goes its usual way.
    Hold(Arc<Notify>),
    /// It is never answered.
    Never,
}

/// The replies that are still to be given, by command or subscription.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    waiting: HashMap<String, VecDeque<(Reply, usize)>>,
    refusal: Option<Status>,
}

impl Scripts {
    pub(super) fn add(&mut self, name: &str, reply: Reply, times: usize) {
        if times > 0 {
            self.waiting.entry(name.to_owned()).or_default().push_back((reply, times));
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What is still to be played, by name.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &str> {
        self.waiting.iter().filter(|(_, queue)| !queue.is_empty()).map(|(name, _)| name.as_str())
    }

    /// Refuses every subscription, or none.
    pub(super) fn refuse(&mut self, status: Option<Status>) {
        self.refusal = status;
    }

    pub(super) fn refusal(&self) -> Option<Status> {
        self.refusal.clone()
    }

    pub(super) fn next(&mut self, name: &str) -> Option<Reply> {
        let queue = self.waiting.get_mut(name)?;
        let (reply, times) = queue.front_mut()?;
        let reply = reply.clone();
        *times -= 1;
        if *times == 0 {
            queue.pop_front();
        }
        Some(reply)
    }
}

impl Reply {
    /// A refusal with a status by its documented name, `UNAVAILABLE`; none where there is no such status.
    pub fn refusal(code: &str, message: &str) -> Option<Self> {
        let found = statuses().find(|(name, _)| name == code);
        found.map(|(_, code)| Self::Status(code, message.to_owned()))
    }

    /// The names of all statuses that are refusals.
    pub fn statuses() -> Vec<String> {
        statuses().map(|(name, _)| name).collect()
    }

    /// Does the waiting; returns the messages to answer with, or none where the call goes its usual way.
    pub(super) async fn play(self, method: &Method) -> Result<Option<Vec<Bytes>>, Status> {
        match self {
            Self::Status(code, message) => return Err(Status::new(code, message)),
            Self::Bytes(messages) => return Ok(Some(messages)),
            Self::Json(json) => return Ok(Some(vec![written(&method.output, &json)?])),
            Self::Delay(pause) => tokio::time::sleep(pause).await,
            Self::Hold(gate) => gate.notified().await,
            Self::Never => std::future::pending().await,
        }
        Ok(None)
    }
}

fn statuses() -> impl Iterator<Item = (String, Code)> {
    let all = (1..=16).map(Code::from_i32);
    all.map(|code| (crate::schema::names::snake_case(&format!("{code:?}")).to_uppercase(), code))
}

/// Writes JSON as a message, or says what is wrong with it.
pub(super) fn written(plan: &crate::schema::Message, json: &Json) -> Result<Bytes, Status> {
    encode::encode(plan, &json, None).map(Bytes::from).map_err(|mismatches| {
        let all: Vec<_> = mismatches.iter().map(ToString::to_string).collect();
        Status::invalid_argument(all.join("; "))
    })
}
