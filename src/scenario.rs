//! Scenarios: what people do, and what the bot is to do about it. Read from files, played on a simulated daemon.
//!
//! A file `NAME.test.yaml` stands beside the rules that it is about; [`FORMAT`] says how it is written.

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
pub mod json_schema;
mod keys;
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

/// How scenarios are written, by an example and what else there is to say. The tests play it.
pub const FORMAT: &str = concat!(include_str!("scenario/example.test.yaml"), "\n", include_str!("scenario/format.txt"));

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
