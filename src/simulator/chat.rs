//! A person in the simulated world: what is typed becomes commands, what happens becomes lines.
//!
//! `dev` is a chat with the bot; this is its content, without a terminal. One person speaks at a time, in one discussion;
//! everyone else is listened to as well, so that nothing the bot does goes unseen.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Observation, Simulator};
use crate::{report::log::escaped, schema::names};

mod acts;

pub use acts::Act;

/// What can be typed beside messages: the command, what follows it, what it does.
pub const COMMANDS: &[(&str, &str, &str)] = &[
    ("/as", "NAME", "speak as somebody else"),
    ("/group", "[NAME]", "make a group with everybody, or enter the one of that name"),
    ("/direct", "", "go back to the discussion with the bot alone"),
    ("/reply", "TEXT", "reply to the bot's last message"),
    ("/react", "[EMOJI]", "react to the last message of somebody else; without one, take it back"),
    ("/edit", "TEXT", "change your last message"),
    ("/delete", "", "delete your last message, everywhere"),
    ("/file", "PATH [TEXT]", "send a file"),
    ("/emit", "SUBSCRIPTION {json}", "notify the bot of anything: /emit group_new {\"group\": {\"name\": \"ops\"}}"),
    ("/help", "", "show this"),
    ("/quit", "", "leave"),
];

/// What a bot listens to that decides about invitations itself.
pub const INVITATIONS: &str = "invitation_received";

/// The group that `/group` makes when it is given no name.
const GROUP: &str = "Team";

/// The people of a simulated world around one bot.
pub struct Chat {
    simulator: Simulator,
    bot: String,
    people: BTreeMap<String, Person>,
    speaker: String,
}

struct Person {
    seen: Observation,
    /// The discussion that is spoken in; none for the one with the bot.
    group: Option<(u64, String)>,
    /// The newest own message and the newest of somebody else, in each discussion.
    own: BTreeMap<u64, Json>,
    others: BTreeMap<u64, Json>,
}

/// What is to be done after a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Entered {
    /// Show these lines and go on.
    Shown(Vec<String>),
    /// Leave.
    Quit,
}

impl Chat {
    /// Joins a world with a bot that listens to these subscriptions; the first of the others speaks.
    pub fn new(simulator: &Simulator, bot: &str, people: &[String], listens_to: &[&str]) -> Result<Self, String> {
        let mut all = BTreeMap::new();
        for name in people {
            let seen = simulator.observe(name).map_err(|error| error.message().to_owned())?;
            all.insert(name.clone(), Person { seen, group: None, own: BTreeMap::new(), others: BTreeMap::new() });
        }
        let speaker = people.first().cloned().ok_or("there is nobody to chat with the bot")?;
        let chat = Self { simulator: simulator.clone(), bot: bot.to_owned(), people: all, speaker };
        // Everybody joins groups at once: an invitation that waits is a step that no newcomer expects. A bot with a rule
        // for invitations decides itself.
        let bot_decides = listens_to.contains(&INVITATIONS);
        let settings = json!({ "identity_settings": { "invitation": { "auto_accept_group": true } } });
        for name in chat.people.keys().chain((!bot_decides).then_some(&chat.bot)) {
            chat.call_as(name, "settings_identity_set", &settings)?;
        }
        Ok(chat)
    }

    /// Who speaks, and where: for the prompt.
    pub fn prompt(&self) -> String {
        match self.person().group.as_ref() {
            Some((_, name)) => format!("{} in {}> ", self.speaker, escaped(name)),
            None => format!("{}> ", self.speaker),
        }
    }

    /// Who speaks.
    pub fn speaker(&self) -> &str {
        &self.speaker
    }

    /// The group that is spoken in; none in the discussion with the bot.
    pub fn group(&self) -> Option<&str> {
        self.person().group.as_ref().map(|(_, name)| name.as_str())
    }

    /// The groups that somebody is in who is not the bot, by name.
    pub fn groups(&self) -> Vec<String> {
        let all = self.call("discussion_list", &json!({ "filter": { "type": "TYPE_GROUP" } })).unwrap_or_default();
        let titles = all.as_array().into_iter().flatten().map(|discussion| text(&discussion["title"]).to_owned());
        titles.collect()
    }

    /// The names that `/as` takes.
    pub fn people(&self) -> impl Iterator<Item = &str> {
        self.people.keys().map(String::as_str)
    }

    /// Does what a line says.
    pub fn enter(&mut self, line: &str) -> Result<Entered, String> {
        if let Some(act) = Self::meant(line)? {
            return self.act(&act).map(Entered::Shown);
        }
        match split(line) {
            ("/as", name) => self.speak_as(name)?,
            ("/direct", _) => self.person_mut().group = None,
            ("/help", _) => return Ok(Entered::Shown(help())),
            ("/quit", _) => return Ok(Entered::Quit),
            _ => {}
        }
        Ok(Entered::Shown(Vec::new()))
    }

    /// What somebody does by a line; nothing by one that only changes who speaks and where, or asks for help.
    pub fn meant(line: &str) -> Result<Option<Act>, String> {
        match split(line) {
            ("" | "/as" | "/direct" | "/help" | "/quit", _) => Ok(None),
            (command, rest) if command.starts_with('/') => typed(command, rest).map(Some),
            _ => Ok(Some(Act::Say(line.trim().to_owned()))),
        }
    }

    /// What happened since the last look, as the people see it.
    pub fn news(&mut self) -> Vec<String> {
        let names: Vec<String> = self.people.keys().cloned().collect();
        let mut lines = Vec::new();
        for name in names {
            let events = self.people.get_mut(&name).map(|person| person.seen.all()).unwrap_or_default();
            for (subscription, content) in events {
                let shown = self.told(&name, &subscription, &content);
                let whispered = name != self.speaker;
                // What all see in a group is shown once, as the speaker sees it.
                if let Some((line, in_group)) = shown.filter(|(_, in_group)| !(whispered && *in_group)) {
                    let aside = if whispered && !in_group { format!("[to {name}] ") } else { String::new() };
                    lines.push(aside + &plain(&line));
                }
            }
        }
        lines
    }

    /// Puts one notification into words; none for the echo of what the person did.
    fn told(&mut self, name: &str, subscription: &str, content: &Json) -> Option<(String, bool)> {
        let message = &content["message"];
        let discussion = message["discussion_id"].as_u64().or_else(|| content["attachment"]["discussion_id"].as_u64());
        let in_group = discussion.is_some_and(|id| self.is_group(name, id));
        let person = self.people.get_mut(name)?;
        match (subscription, discussion) {
            ("message_sent", Some(id)) => drop(person.own.insert(id, message["id"].clone())),
            ("message_received", Some(id)) => drop(person.others.insert(id, message["id"].clone())),
            _ => {}
        }
        let sender = self.contact(name, &message["sender_id"]);
        let quoted = format!("\"{}\"", cut(message["body"].as_str().unwrap_or_default()));
        let reacting = content["reaction"]["contact_id"].as_u64().filter(|id| *id != 0);
        let by = reacting.map(|id| self.contact(name, &json!(id)));
        let emoji = content["reaction"]["reaction"].as_str().unwrap_or_default();
        let line = match subscription {
            "message_received" => {
                let reply = self.quoted_reply(name, &message["replied_message_id"]);
                format!("{sender}: {reply}{}", message["body"].as_str().unwrap_or_default())
            }
            "message_reaction_added" | "message_reaction_updated" => format!("{} reacted {emoji} to {quoted}", by?),
            "message_reaction_removed" => format!("{} took back {emoji} from {quoted}", by?),
            "message_body_updated" if is_inbound(message) => {
                let before = cut(content["previous_body"].as_str().unwrap_or_default());
                format!("{sender} edited \"{before}\": {}", message["body"].as_str().unwrap_or_default())
            }
            "message_deleted" if is_inbound(message) => format!("{sender} deleted {quoted}"),
            "attachment_received" => {
                let attachment = &content["attachment"];
                let file = attachment["file_name"].as_str().unwrap_or_default();
                format!("{}: [file {file}, {} bytes]", self.bot, attachment["size"])
            }
            "discussion_locked" | "contact_deleted" | "group_deleted" | "call_incoming_call" => {
                format!("({subscription} {})", cut(&content.to_string()))
            }
            "group_name_updated" => {
                format!(
                    "(the group \"{}\" is now \"{}\")",
                    text(&content["previous_name"]),
                    text(&content["group"]["name"])
                )
            }
            _ => return None,
        };
        Some((line, in_group))
    }

    fn quoted_reply(&self, name: &str, id: &Json) -> String {
        if id.is_null() {
            return String::new();
        }
        let original = self.call_as(name, "message_get", &json!({ "message_id": id }));
        original.map_or_else(|_| String::new(), |answer| format!("(re \"{}\") ", cut(text(&answer["message"]["body"]))))
    }

    fn speak_as(&mut self, name: &str) -> Result<(), String> {
        if !self.people.contains_key(name) {
            let all = self.people().collect::<Vec<_>>().join(", ");
            return Err(format!("there is no `{name}` here; there are {all}"));
        }
        name.clone_into(&mut self.speaker);
        Ok(())
    }

    fn enter_group(&mut self, name: &str) -> Result<String, String> {
        let found = self.discussion_titled(name)?;
        let (discussion, made) = if let Some(discussion) = found {
            (discussion, false)
        } else {
            let contacts = self.call("contact_list", &json!({}))?;
            let ids: Vec<_> = contacts.as_array().into_iter().flatten().map(|contact| contact["id"].clone()).collect();
            self.call("group_new_standard_group", &json!({ "name": name, "admin_contact_ids": ids }))?;
            (self.discussion_titled(name)?.ok_or("the group has no discussion")?, true)
        };
        for person in self.people.values_mut() {
            person.group = None;
        }
        for someone in self.people.keys().cloned().collect::<Vec<_>>() {
            let own = if someone == self.speaker { Some(discussion) } else { self.titled_for(&someone, name)? };
            if let (Some(id), Some(person)) = (own, self.people.get_mut(&someone)) {
                person.group = Some((id, name.to_owned()));
            }
        }
        Ok(if made { format!("(made the group \"{}\")", escaped(name)) } else { format!("(in \"{}\")", escaped(name)) })
    }

    fn discussion_titled(&self, title: &str) -> Result<Option<u64>, String> {
        self.titled_for(&self.speaker, title)
    }

    fn titled_for(&self, name: &str, title: &str) -> Result<Option<u64>, String> {
        let all = self.call_as(name, "discussion_list", &json!({ "filter": { "type": "TYPE_GROUP" } }))?;
        let found = all.as_array().into_iter().flatten().find(|discussion| discussion["title"] == title);
        Ok(found.and_then(|discussion| discussion["id"].as_u64()))
    }

    fn send(&mut self, message: &Json) -> Result<(), String> {
        let mut request = message.clone();
        request["discussion_id"] = json!(self.discussion()?);
        self.call("message_send", &request).map(drop)
    }

    /// The discussion that the speaker is in.
    fn discussion(&self) -> Result<u64, String> {
        if let Some((id, _)) = &self.person().group {
            return Ok(*id);
        }
        self.with(&self.speaker, &self.bot)?.ok_or_else(|| "there is no discussion with the bot".to_owned())
    }

    /// The discussion that somebody has with somebody else.
    fn with(&self, name: &str, other: &str) -> Result<Option<u64>, String> {
        let contacts = self.call_as(name, "contact_list", &json!({}))?;
        let found = contacts.as_array().into_iter().flatten().find(|contact| is_called(contact, other));
        let id = found.map(|contact| contact["id"].clone());
        let id = id.ok_or_else(|| format!("{other} is no contact of {name} any more"))?;
        let found = self.call_as(name, "discussion_get_by_contact", &json!({ "contact_id": id }))?;
        Ok(found["discussion"]["id"].as_u64())
    }

    fn last_own(&self) -> Result<Json, String> {
        let last = self.person().own.get(&self.discussion()?).cloned();
        last.ok_or_else(|| "you have not said anything here yet".to_owned())
    }

    fn last_of_others(&self) -> Result<Json, String> {
        let last = self.person().others.get(&self.discussion()?).cloned();
        last.ok_or_else(|| "nobody else has said anything here yet".to_owned())
    }

    fn is_group(&self, name: &str, discussion: u64) -> bool {
        let found = self.call_as(name, "discussion_get", &json!({ "discussion_id": discussion }));
        found.is_ok_and(|answer| !answer["discussion"]["group_id"].is_null())
    }

    fn contact(&self, name: &str, id: &Json) -> String {
        let found = self.call_as(name, "contact_get", &json!({ "contact_id": id }));
        found.map_or_else(|_| "somebody".to_owned(), |answer| text(&answer["contact"]["display_name"]).to_lowercase())
    }

    fn call(&self, command: &str, request: &Json) -> Result<Json, String> {
        self.call_as(&self.speaker, command, request)
    }

    fn call_as(&self, name: &str, command: &str, request: &Json) -> Result<Json, String> {
        self.simulator.call(name, command, request).map_err(|status| status.message().to_owned())
    }

    #[expect(clippy::indexing_slicing, reason = "the speaker is one of the people, from the first on")]
    fn person(&self) -> &Person {
        &self.people[&self.speaker]
    }

    fn person_mut(&mut self) -> &mut Person {
        let speaker = self.speaker.clone();
        self.people.get_mut(&speaker).unwrap_or_else(|| unreachable!("the speaker is one of the people"))
    }
}

/// The lines of `/help`.
pub fn help() -> Vec<String> {
    let mut lines = vec!["What you type is a message to the bot. Beside that:".to_owned()];
    lines.extend(COMMANDS.iter().map(|(name, what, does)| format!("  {:<30} {does}", format!("{name} {what}"))));
    lines
}

/// The first word and the rest.
fn split(line: &str) -> (&str, &str) {
    let line = line.trim();
    let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (first, rest.trim())
}

/// What a line that begins with a command asks for.
fn typed(command: &str, rest: &str) -> Result<Act, String> {
    let text = || rest.to_owned();
    Ok(match command {
        "/group" => Act::Group(if rest.is_empty() { GROUP.to_owned() } else { text() }),
        "/reply" => Act::Reply(text()),
        "/react" => Act::React(text()),
        "/edit" => Act::Edit(text()),
        "/delete" => Act::Delete,
        "/file" => {
            let (path, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            if path.is_empty() {
                return Err("which file? /file PATH [TEXT]".to_owned());
            }
            Act::File { path: path.into(), text: text.trim().to_owned() }
        }
        "/emit" => {
            let (subscription, content) = rest.split_once(char::is_whitespace).unwrap_or((rest, "{}"));
            let content =
                serde_json::from_str(content).map_err(|error| format!("the notification is no JSON: {error}"))?;
            Act::Emit(subscription.to_owned(), content)
        }
        _ => return Err(unknown(command)),
    })
}

fn unknown(command: &str) -> String {
    let near = names::nearest(command, COMMANDS.iter().map(|(name, ..)| *name));
    let hint = near.map_or_else(|| "/help shows what there is".to_owned(), |near| format!("did you mean {near}?"));
    format!("there is no {command}; {hint}")
}

/// A stranger's text for a terminal: its lines stay lines, indented below the first; all else that could harm is escaped.
fn plain(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n    ")
}

fn is_inbound(message: &Json) -> bool {
    message["sender_id"].as_u64().is_some_and(|id| id != 0)
}

fn is_called(contact: &Json, name: &str) -> bool {
    text(&contact["display_name"]).eq_ignore_ascii_case(name)
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    short
}
