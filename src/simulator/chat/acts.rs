//! What people in the simulated world do, one act at a time: typed in `dev`, written in a scenario.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::{Chat, escaped};

/// What somebody does.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Writes a message.
    Say(String),
    /// Writes one that quotes the newest of somebody else.
    Reply(String),
    /// Reacts to the newest message of somebody else; with nothing, takes that back.
    React(String),
    /// Changes the own newest message.
    Edit(String),
    /// Deletes the own newest message, everywhere.
    Delete,
    /// Sends a file.
    File {
        /// Where it is read from; its name is the file's.
        path: PathBuf,
        /// What is said of it.
        text: String,
    },
    /// Makes a group of this name with everybody, unless there is one, and enters it.
    Group(String),
    /// Notifies the bot of anything: a subscription, and the notification.
    Emit(String, Json),
    /// Carries out any command: its name, and the request.
    Do(String, Json),
}

impl Chat {
    /// Does it as the one who speaks, where that is; returns what there is to show.
    pub fn act(&mut self, act: &Act) -> Result<Vec<String>, String> {
        match act {
            Act::Say(text) => self.send(&json!({ "body": text }))?,
            Act::Reply(text) => {
                let id = self.last_of_others()?;
                self.send(&json!({ "body": text, "reply_id": id }))?;
            }
            Act::React(emoji) => {
                let id = self.last_of_others()?;
                self.call("message_react", &json!({ "message_id": id, "reaction": emoji }))?;
            }
            Act::Edit(text) => {
                let id = self.last_own()?;
                self.call("message_update_body", &json!({ "message_id": id, "updated_body": text }))?;
            }
            Act::Delete => {
                let id = self.last_own()?;
                self.call("message_delete", &json!({ "message_id": id, "delete_everywhere": true }))?;
            }
            Act::File { path, text } => self.send_file(path, text)?,
            Act::Group(name) => return Ok(vec![self.enter_group(name)?]),
            Act::Emit(subscription, content) => return Ok(vec![self.emit(subscription, content)?]),
            Act::Do(command, request) => drop(self.call(command, request)?),
        }
        Ok(Vec::new())
    }

    /// Lets somebody speak from here on, in a group or in the discussion with the bot.
    pub fn turn_to(&mut self, name: &str, group: Option<&str>) -> Result<(), String> {
        self.speak_as(name)?;
        let entered = match group {
            None => None,
            Some(title) => {
                let id = self.titled_for(name, title)?;
                Some((id.ok_or_else(|| format!("{name} is in no group `{title}`"))?, title.to_owned()))
            }
        };
        self.person_mut().group = entered;
        Ok(())
    }

    /// Makes groups with everybody in them, the bot too, whatever it does about invitations.
    pub fn found_groups<'n>(&mut self, names: impl Iterator<Item = &'n str>, bot_decides: bool) -> Result<(), String> {
        let accept = |truth: bool| json!({ "identity_settings": { "invitation": { "auto_accept_group": truth } } });
        self.call_as(&self.bot, "settings_identity_set", &accept(true))?;
        for name in names {
            self.enter_group(name)?;
        }
        let back = accept(!bot_decides);
        self.call_as(&self.bot, "settings_identity_set", &back).map(drop)
    }

    /// Writes a message as anybody, the bot too, in a group or in the discussion with somebody.
    pub fn write(&self, name: &str, place: &str, text: &str) -> Result<(), String> {
        let id = self.place(name, place)?.ok_or_else(|| format!("{name} has no discussion `{place}`"))?;
        self.call_as(name, "message_send", &json!({ "discussion_id": id, "body": text })).map(drop)
    }

    /// The discussion that the bot has with somebody, or in a group.
    pub fn place_of_bot(&self, place: &str) -> Result<Option<u64>, String> {
        self.place(&self.bot, place)
    }

    fn place(&self, name: &str, place: &str) -> Result<Option<u64>, String> {
        if !self.people.contains_key(place) && place != self.bot {
            return self.titled_for(name, place);
        }
        self.with(name, place)
    }

    fn send_file(&self, path: &Path, text: &str) -> Result<(), String> {
        let shown = path.display();
        let content = std::fs::read(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
        let name = path.file_name().map_or_else(|| shown.to_string(), |name| name.to_string_lossy().into_owned());
        let metadata = json!({ "discussion_id": self.discussion()?, "body": text });
        let files = [(name.as_str(), Bytes::from(content))];
        let sent = self.simulator.upload(&self.speaker, "message_send_with_attachments", &metadata, &files);
        sent.map(drop).map_err(|status| status.message().to_owned())
    }

    fn emit(&self, subscription: &str, content: &Json) -> Result<String, String> {
        let reached = self.simulator.emit(&self.bot, subscription, content.clone());
        Ok(match reached.map_err(|status| status.message().to_owned())? {
            0 => format!("(no rule listens to {} with parameters that match)", escaped(subscription)),
            1 => "(1 stream notified)".to_owned(),
            several => format!("({several} streams notified)"),
        })
    }
}
