//! The keys of scenario files, with what each says: the reader knows these and no others, and editors are told of them.

/// A key of a table.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What it says, for editors.
    pub(super) doc: &'static str,
}

/// What can be done, one in a table.
pub(super) struct Doing {
    pub(super) key: Key,
    /// The keys that may stand beside it.
    pub(super) beside: &'static [&'static str],
}

pub(super) const RULES: &str = "rules";
pub(super) const GIVEN: &str = "given";
pub(super) const SCENARIOS: &str = "scenarios";
pub(super) const NAME: &str = "name";
pub(super) const STEPS: &str = "steps";
pub(super) const WHEN: &str = "when";
pub(super) const EXPECT: &str = "expect";
pub(super) const CLOCK: &str = "clock";
pub(super) const CONTACTS: &str = "contacts";
pub(super) const GROUPS: &str = "groups";
pub(super) const MESSAGES: &str = "messages";
pub(super) const SAY: &str = "say";
pub(super) const BY: &str = "by";
pub(super) const IN: &str = "in";
pub(super) const TEXT: &str = "text";
pub(super) const COMMAND: &str = "command";
pub(super) const CODE: &str = "code";
pub(super) const SAID: &str = "message";
pub(super) const TIMES: &str = "times";
pub(super) const WITH: &str = "with";
pub(super) const LEVEL: &str = "level";
pub(super) const KIND: &str = "kind";
pub(super) const UNORDERED: &str = "unordered";
pub(super) const LOG: &str = "log";
pub(super) const FAILURE: &str = "failure";

/// All that is expected, where it is nothing.
pub(super) const NOTHING: &str = "nothing";

/// All that can be deleted.
pub(super) const LAST: &str = "last";

const BY_DOC: &str = "Who does it: a contact; the first one where nothing is said.";
const IN_DOC: &str = "In which group; to the bot alone where nothing is said.";

pub(super) static FILE: [Key; 3] = [
    key(RULES, "The rule files that it is about: a path, or a list. Else NAME.yaml or rules.yaml beside it, or above."),
    key(GIVEN, "What there is before each scenario begins, unless it says otherwise."),
    key(SCENARIOS, "The scenarios, each with a world of its own."),
];

pub(super) static GIVEN_KEYS: [Key; 4] = [
    key(CLOCK, "The time when it begins, with its offset: `2026-11-28T12:00:00Z`."),
    key(CONTACTS, "The names of the bot's contacts; alice and bob where nothing is said."),
    key(GROUPS, "The names of groups, with everybody in them."),
    key(MESSAGES, "What was said before: texts, or `{ say: hello, by: alice, in: Team }`."),
];

pub(super) static SCENARIO: [Key; 5] = [
    key(NAME, "What is to hold; no other scenario of the file has this name."),
    key(GIVEN, "What there is before it begins."),
    key(STEPS, "Several times something is done and something expected, one after the other."),
    key(WHEN, "What is done: a text that is said to the bot, one thing in a table, or a list of such."),
    key(EXPECT, "What comes of it: `nothing`, one thing in a table, or a list of such, in their order."),
];

/// Those of a scenario that a step has too.
pub(super) const STEP: [&str; 2] = [WHEN, EXPECT];

pub(super) static EARLIER: [Key; 3] = [
    key(SAY, "What was said."),
    key(BY, "Who said it: a contact, or `bot`; the first contact where nothing is said."),
    key(IN, "In which discussion: a group's, or that with somebody."),
];

pub(super) static DOINGS: [Doing; 12] = [
    doing(SAY, "A message.", &[BY, IN]),
    doing("reply", "A reply to the newest message of somebody else.", &[BY, IN]),
    doing("react", "A reaction to the newest message of somebody else; \"\" takes it back.", &[BY, IN]),
    doing("edit", "A new text for one's own newest message.", &[BY, IN]),
    doing("delete", "`last`: one's own newest message.", &[BY, IN]),
    doing("file", "A file that is sent; the path starts at the scenario file's directory.", &[BY, IN, TEXT]),
    doing("group", "A group is made, with everybody in it: its name.", &[BY]),
    doing("emit", "Any notification, to the bot: `{ message_received: { ... } }`.", &[]),
    doing("do", "Any command of the daemon, done by somebody who is not the bot.", &[BY]),
    doing("wait", "Time passes: `30s`, `500ms`; a number alone counts seconds.", &[]),
    doing("refuse", "The next calls of a command are refused; once, where `times` is not said.", &[]),
    doing("answer", "A command is answered so, instead of by the world; from here on, always.", &[]),
];

pub(super) static BESIDE: [Key; 3] =
    [key(BY, BY_DOC), key(IN, IN_DOC), key(TEXT, "The message that the file comes with.")];

pub(super) static REFUSE: [Key; 4] = [
    key(COMMAND, "Which command."),
    key(CODE, "The status, as gRPC calls it: `UNAVAILABLE`."),
    key(SAID, "What is said of it."),
    key(TIMES, "How often; once where nothing is said."),
];

pub(super) static ANSWER: [Key; 3] = [
    key(COMMAND, "Which command."),
    key(WITH, "The answer, with its documented fields."),
    key(TIMES, "How often; from here on always, where nothing is said."),
];

/// What is expected beside commands.
pub(super) static EXPECTED: [Key; 4] = [
    key(UNORDERED, "Commands in any order."),
    key(LOG, "A line that a script logs."),
    key(FAILURE, "A run that fails."),
    key(IN, "In which discussion a command is to act: a contact's or a group's, by name."),
];

pub(super) static LOG_KEYS: [Key; 4] = [
    key(LEVEL, "How much it matters."),
    key(TEXT, "What the line says."),
    key("fields", "The fields that were logged with it."),
    key("rule", "Which rule's run logged it."),
];

pub(super) static FAILURE_KEYS: [Key; 3] = [
    key("rule", "Which rule's run failed."),
    key(KIND, "How: as the log says it."),
    key(SAID, "What the log says of it."),
];

const fn key(name: &'static str, doc: &'static str) -> Key {
    Key { name, doc }
}

const fn doing(name: &'static str, doc: &'static str, beside: &'static [&'static str]) -> Doing {
    Doing { key: key(name, doc), beside }
}

/// The names of keys, in their order.
pub(super) fn names(keys: &[Key]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}
