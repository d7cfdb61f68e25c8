//! A chat as a scenario: what was done, and what came of it, step by step, as it is written in a file.

use std::{fmt::Write as _, path::Path};

use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use super::{
    BOT, Given,
    align::Sent,
    expect::PLACE,
    pattern::is_nothing,
    play::{failure_of, line_of, sent_of},
    stage::Stage,
};
use crate::{report::Event, rules::Measure, simulator::chat::Act};

/// What was recorded so far.
#[derive(Debug)]
pub struct Recorder {
    steps: Vec<Step>,
    /// Milliseconds that passed since the last step.
    passed: u64,
    /// Notifications that the rules got until then.
    queued: u64,
}

#[derive(Debug)]
struct Step {
    when: String,
    expect: Vec<String>,
}

impl Recorder {
    /// Begins with a stage at rest.
    pub fn new(stage: &Stage) -> Self {
        stage.sent();
        stage.heard();
        Self { steps: Vec::new(), passed: 0, queued: queued(stage) }
    }

    /// Somebody does something. A path is written as it is found from the folder of the file.
    pub fn did(&mut self, by: &str, group: Option<&str>, act: &Act, folder: &Path) {
        self.wait();
        let who = match (by, group) {
            (_, Some(group)) => format!(", by: {}, in: {}", quoted(by), quoted(group)),
            (_, None) => format!(", by: {}", quoted(by)),
        };
        let alone = format!(", by: {}", quoted(by));
        let when = match act {
            Act::Say(text) => format!("{{ say: {}{who} }}", quoted(text)),
            Act::Reply(text) => format!("{{ reply: {}{who} }}", quoted(text)),
            Act::React(text) => format!("{{ react: {}{who} }}", quoted(text)),
            Act::Edit(text) => format!("{{ edit: {}{who} }}", quoted(text)),
            Act::Delete => format!("{{ delete: last{who} }}"),
            Act::File { path, text } => {
                let text = if text.is_empty() { String::new() } else { format!(", text: {}", quoted(text)) };
                format!("{{ file: {}{text}{who} }}", quoted(&relative(path, folder)))
            }
            Act::Group(name) => format!("{{ group: {}{alone} }}", quoted(name)),
            Act::Emit(subscription, content) => format!("{{ emit: {{ {subscription}: {} }} }}", flow(content)),
            Act::Do(command, request) => format!("{{ do: {{ {command}: {} }}{alone} }}", flow(request)),
        };
        self.steps.push(Step { when, expect: Vec::new() });
    }

    /// So many milliseconds have passed.
    pub fn passed(&mut self, milliseconds: u64) {
        self.passed += milliseconds;
    }

    /// Takes note of what has come of it, with everything at rest.
    pub fn take(&mut self, stage: &Stage) {
        let sent: Vec<Sent> = stage.sent().into_iter().filter(|sent| !sent.command.reads).map(sent_of).collect();
        let heard = stage.heard();
        let before = std::mem::replace(&mut self.queued, queued(stage));
        let commands: Vec<String> = sent.iter().map(|sent| command(stage, sent)).collect();
        let others: Vec<String> = heard.iter().filter_map(told).collect();
        if commands.is_empty() && others.is_empty() {
            return;
        }
        self.wait();
        let Some(step) = self.steps.last_mut() else { return };
        // What several runs send at one time comes as it comes.
        let several = commands.len() > 1 && self.queued > before + 1;
        if several {
            step.expect.push("- unordered:".to_owned());
        }
        let indent = if several { "    " } else { "" };
        step.expect.extend(commands.iter().flat_map(|command| command.lines()).map(|line| format!("{indent}{line}")));
        step.expect.extend(others);
    }

    /// Writes down that time has passed, if it has.
    fn wait(&mut self) {
        let passed = std::mem::take(&mut self.passed);
        if passed > 0 {
            let when = format!("{{ wait: {} }}", Measure::Time.show(passed));
            self.steps.push(Step { when, expect: Vec::new() });
        }
    }

    /// How many steps there are.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// The file, about these rules.
    pub fn file(&self, rules: &[impl AsRef<Path>], given: &Given, folder: &Path) -> String {
        let rules = rules.iter().map(|path| quoted(&relative(path.as_ref(), folder))).collect::<Vec<_>>().join(", ");
        let clock = Timestamp::from_millisecond(i64::try_from(given.clock).unwrap_or_default()).unwrap_or_default();
        let contacts = given.contacts.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        let mut text = format!(
            "# Recorded with `olvid-rules dev --record`.\nrules: [{rules}]\nscenarios:\n  - name: a recorded chat\n    \
             given: {{ clock: \"{clock}\", contacts: [{contacts}] }}\n    steps:\n"
        );
        for Step { when, expect } in &self.steps {
            _ = writeln!(text, "      - when: {when}");
            if expect.is_empty() {
                text.push_str("        expect: nothing\n");
            } else {
                text.push_str("        expect:\n");
                for line in expect {
                    _ = writeln!(text, "          {line}");
                }
            }
        }
        text
    }
}

fn queued(stage: &Stage) -> u64 {
    stage.engine.counters().queued.load(std::sync::atomic::Ordering::Acquire)
}

/// A command as it is expected, with the discussion by its name.
fn command(stage: &Stage, sent: &Sent) -> String {
    let mut request = sent.request.clone();
    let places = stage.chat.people().map(str::to_owned).chain(stage.chat.groups());
    let mut places = places.filter(|place| place != BOT);
    let within =
        places.find(|place| sent.discussion != 0 && stage.chat.place_of_bot(place) == Ok(Some(sent.discussion)));
    if let (Some(_), Json::Object(entries)) = (&within, &mut request) {
        entries.remove(&format!("{PLACE}_id"));
    }
    let line = format!("- {}: {}", sent.command.name, flow(&request));
    within.map_or_else(|| line.clone(), |within| format!("{line}\n  in: {}", quoted(&within)))
}

fn told(event: &Event) -> Option<String> {
    let pick = |told: &Json, keys: &[&str]| -> Json {
        let entries = keys.iter().filter_map(|key| Some(((*key).to_owned(), told.get(*key)?.clone())));
        Json::Object(entries.collect::<Map<_, _>>())
    };
    if let Some(line) = line_of(event) {
        return Some(format!("- log: {}", flow(&pick(&line, &["level", "text"]))));
    }
    failure_of(event).map(|failure| format!("- failure: {}", flow(&pick(&failure, &["rule", "kind", "message"]))))
}

/// The way to a file from a folder, where it is below it.
fn relative(path: &Path, folder: &Path) -> String {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let folder = real(if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let path = real(path);
    path.strip_prefix(&folder).unwrap_or(&path).display().to_string()
}

/// A value on one line, as YAML reads it: what stands for nothing is left out.
fn flow(value: &Json) -> String {
    match value {
        Json::Object(entries) => {
            let there = entries.iter().filter(|(_, value)| !is_nothing(value));
            let entries: Vec<_> = there.map(|(name, value)| format!("{}: {}", key(name), flow(value))).collect();
            if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
        }
        Json::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Json::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn key(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && !["y", "n"].contains(&name);
    if plain && !["null", "true", "false"].contains(&name) { name.to_owned() } else { quoted(name) }
}

/// A text in quotes, in which nothing stands that YAML does not take.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        let printable = !letter.is_control()
            && !matches!(
                letter,
                '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}'
            );
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            _ if printable => out.push(letter),
            _ => _ = write!(out, "\\U{:08x}", u32::from(letter)),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_is_written_is_read_as_it_was() {
        let value =
            json!({ "body": "a \"b\" \\ c: # {x}\n\té👍\u{1b}\u{2028}\u{feff}\u{85}", "n": [1, true], "y": "no" });
        let read: Json = serde_yaml_of(&flow(&value));
        assert_eq!(read, value);
    }

    fn serde_yaml_of(text: &str) -> Json {
        let source = crate::diagnostic::Source::new("t.yaml", text);
        let document = crate::rules::yaml::parse(&source, &mut Vec::new()).unwrap();
        super::super::pattern::json(&document.root)
    }
}
