//! Scenarios: what people do, and what the bot is to do about it. Read from files, played on a simulated daemon.
//!
//! A file `NAME.test.yaml` stands beside the rules that it is about. The shortest says who says what, and what is sent:
//!
//! ```yaml
//! scenarios:
//!   - name: ping is answered
//!     when: "!ping"
//!     expect:
//!       message_send: { body: pong }
//! ```
//!
//! Everything that there is:
//!
//! ```yaml
//! rules: rules.yaml               # or a list; else NAME.yaml or rules.yaml beside the file, or ../rules.yaml
//! given: { contacts: [alice] }    # for all scenarios that do not say otherwise
//! scenarios:
//!   - name: a reminder comes when it is due
//!     given:                      # what there is before the rules listen
//!       clock: 2026-03-01T08:00:00Z   # time stands still from here on; in UTC, as `os.date` tells it
//!       contacts: [alice, bob]    # of the bot and of each other; these two where nothing is said
//!       groups: [Team]            # each with everybody in it
//!       messages:                 # said before, by anybody
//!         - hello                 # by the first contact, to the bot
//!         - { say: hi, by: bot, in: bob }
//!     steps:                      # or `when` and `expect` here, where there is one of each
//!       - when: { say: "!remind 1h tea", by: bob, in: Team }   # `in` a group; to the bot where there is none
//!         expect:                 # in this order
//!           - message_send: { body: { matches: "(?i)^i shall" } }   # these fields, whatever the others are
//!             in: Team            # that discussion: of a group, or with somebody
//!           - log: { level: info, text: noted, fields: { who: bob } }
//!       - when: { wait: 59m }     # sleeping handlers go on when their time has come
//!         expect: nothing         # the same as no `expect`
//!       - when:                   # several things at once
//!           - refuse: { command: message_send, code: UNAVAILABLE, message: try later, times: 1 }
//!           - wait: 1m
//!         expect:
//!           - message_send: {}
//!           - failure: { rule: remind, kind: error, message: { matches: UNAVAILABLE } }
//!       - when: { emit: { contact_new: { contact: { id: 7, display_name: Carol } } } }   # any notification
//!         expect:
//!           unordered:            # in any order
//!             - message_send: { body: "hello, Carol" }
//!             - discussion_storage_set: { key: carol }
//! ```
//!
//! Beside `say` there are `reply` and `react` (to the newest message of somebody else), `edit` (of one's own), `delete:
//! last`, `file: PATH` (with `text`), `group: NAME` (made with everybody), `do: { COMMAND: { … } }` for any command of the
//! daemon. `answer: { command: …, with: { … }, times: … }` answers a command instead of the world. All are done `by` somebody. The bot's ids of its contacts are 1, 2, …, those of its discussions with them 101,
//! 102, …, those of groups 201, …, and the groups' discussions follow those with contacts. Others have their own.
//!
//! What is sent is every command that does not only read; what only reads may be expected. A command or failure that
//! is not expected, and whatever is expected and does not come, fails the scenario. Logs are told apart by what is written
//! of them; those that nobody expects do not matter.
//!
//! Time stands still but for `wait`, and for a millisecond before each other `when`. A handler's `timeout`, the rule's
//! `command_rate` and `loop_limit` go by that time, so that no scenario depends on how fast it is played; a run that does
//! not end by itself is ended by the machine's time, too.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    diagnostic::{Diagnostic, Place},
    schema::Command,
    simulator::{Reply, chat::Act},
};

mod align;
mod expect;
mod find;
mod given;
mod pattern;
mod play;
mod read;
mod reader;
mod record;
mod stage;
mod when;

pub use find::{find, is_scenario_file};
pub use play::play;
pub use read::read;
pub use record::Recorder;
pub use stage::Stage;

use pattern::Pattern;

/// The bot's name in the simulated world.
pub const BOT: &str = "bot";

/// A scenario file, as meant.
#[derive(Debug)]
pub struct Suite {
    /// As the user named it.
    pub file: PathBuf,
    /// The rule files that it is about.
    pub rules: Vec<PathBuf>,
    /// Where it names them; none where it does not.
    pub named: Option<Place>,
    /// In the order of the file.
    pub scenarios: Vec<Scenario>,
}

/// One story.
#[derive(Debug)]
pub struct Scenario {
    /// Unique in its file.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// What there is before it begins.
    pub given: Given,
    turns: Vec<Turn>,
}

/// What there is before the rules listen.
#[derive(Debug, Clone)]
pub struct Given {
    /// Milliseconds since 1970.
    pub clock: u64,
    /// Names, at least one.
    pub contacts: Vec<String>,
    /// Names.
    pub groups: Vec<String>,
    messages: Vec<Earlier>,
}

/// A message that was said before.
#[derive(Debug, Clone)]
struct Earlier {
    by: String,
    within: String,
    text: String,
    place: Place,
}

/// What is done at a stretch, and what is to come of it.
#[derive(Debug)]
struct Turn {
    place: Place,
    whens: Vec<When>,
    /// In this order; those of one batch in any.
    commands: Vec<Vec<Sending>>,
    logs: Vec<Telling>,
    failures: Vec<Telling>,
}

/// Something that is done.
#[derive(Debug)]
struct When {
    place: Place,
    doing: Doing,
}

#[derive(Debug)]
enum Doing {
    /// By somebody, in a group or in the discussion with the bot.
    Act {
        by: String,
        group: Option<String>,
        act: Act,
    },
    Wait(Duration),
    Refuse {
        command: Arc<Command>,
        reply: Reply,
        times: usize,
    },
    /// The command is answered so, instead of by the world.
    Answer {
        command: Arc<Command>,
        reply: Reply,
        times: usize,
    },
}

/// A command that is expected.
#[derive(Debug)]
struct Sending {
    place: Place,
    command: Arc<Command>,
    fields: Pattern,
    /// The discussion: with somebody, or of a group.
    within: Option<String>,
}

/// A line of the log, or a failure, that is expected.
#[derive(Debug)]
struct Telling {
    place: Place,
    fields: Pattern,
}

/// What became of a scenario.
#[derive(Debug)]
pub struct Outcome {
    /// Nothing where it passed.
    pub findings: Vec<Finding>,
    /// Of the machine's time.
    pub took: Duration,
}

/// Something that is not as expected.
#[derive(Debug)]
pub struct Finding {
    /// What, and where in the scenario file.
    pub diagnostic: Diagnostic,
    /// Lines that show more of it: what was expected (`-`) and what came (`+`).
    pub lines: Vec<String>,
}

impl Finding {
    fn new(code: &'static str, message: impl Into<String>, place: &Place) -> Self {
        Self { diagnostic: Diagnostic::error(code, message).at(place.clone()), lines: Vec::new() }
    }
}
