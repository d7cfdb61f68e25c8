//! `dev --record`: a chat on the stage that scenarios are played on, written down.
//!
//! Time is set by hand here too, so that what is recorded comes to the same when it is played: it stands still but while a
//! handler sleeps, who is woken when as much of the machine's time has passed.

use std::{fs::OpenOptions, io::Write as _, path::Path, time::Duration};

use tokio::{
    select,
    time::{Instant, interval, sleep},
};

use super::{
    super::{Dev, chat::Prompt, output},
    BETWEEN_LINES, GLANCE, show, sink,
};
use crate::{
    clock::Clock,
    diagnostic::counted,
    rules::RuleSet,
    scenario::{Given, Recorder, Stage},
    simulator::chat::{Chat, Entered},
};

pub(super) async fn chat(arguments: &Dev, rules: &RuleSet, file: &Path) -> Result<(), String> {
    // Now, and not after somebody has typed for an hour.
    let failed = |error: std::io::Error| format!("cannot write `{}`: {error}", file.display());
    let mut written = OpenOptions::new().write(true).create_new(true).open(file).map_err(failed)?;
    let now = Clock::system().now();
    let mut given = Given::default();
    given.clock = now - now % 1000;
    let prompt = Prompt::start(given.contacts.clone());
    let listener = sink(arguments, &prompt);
    // A file that is saved finds the same there as when it is played.
    let aside = tempfile::tempdir().map_err(|error| error.to_string())?;
    let saved = aside.path().canonicalize().map_err(|error| error.to_string())?;
    let stage = Stage::open(rules, &arguments.caps.caps(), &given, Some(saved), Some(listener)).await?;
    let recorder = Recorder::new(&stage);
    let mut recording = Recording { stage, recorder, prompt, since: Instant::now(), saved: Duration::ZERO };
    let folder = file.parent().unwrap_or(Path::new(""));
    let held = recording.hold(folder).await;
    let text = recording.recorder.file(&arguments.rules.paths, &given, folder);
    written.write_all(text.as_bytes()).map_err(failed)?;
    let steps = counted(recording.recorder.steps(), "step");
    output::tell(&format!("recorded {steps}; `olvid-rules test {}` plays them again\n", file.display()));
    recording.stage.close().await;
    held
}

struct Recording {
    stage: Stage,
    recorder: Recorder,
    prompt: Prompt,
    /// Since when somebody sleeps and no time was set.
    since: Instant,
    /// Of the machine's time that passed before that, and was not set.
    saved: Duration,
}

impl Recording {
    async fn hold(&mut self, folder: &Path) -> Result<(), String> {
        self.prompt.ask(self.stage.chat.prompt());
        let mut glance = interval(GLANCE);
        loop {
            let line = select! {
                line = self.prompt.next() => line,
                _ = glance.tick() => {
                    self.follow().await?;
                    continue;
                }
            };
            let Some(line) = line else { break };
            if !self.enter(&line, folder).await? {
                break;
            }
            if !self.prompt.is_terminal {
                self.wait(Some(BETWEEN_LINES)).await?;
            }
            self.prompt.ask(self.stage.chat.prompt());
        }
        if !self.prompt.is_terminal {
            self.wait(None).await?;
        }
        Ok(())
    }

    /// Does what a line says; false where that is to leave.
    async fn enter(&mut self, line: &str, folder: &Path) -> Result<bool, String> {
        let act = match Chat::meant(line) {
            Ok(act) => act,
            Err(mistake) => {
                (self.prompt.logged)(format!("{mistake}\n"));
                return Ok(true);
            }
        };
        let by = self.stage.chat.speaker().to_owned();
        let group = self.stage.chat.group().map(str::to_owned);
        if act.is_some() {
            // As when it is played.
            self.stage.tick().await?;
            self.took();
        }
        match self.stage.chat.enter(line) {
            Ok(Entered::Quit) => return Ok(false),
            Ok(Entered::Shown(lines)) => {
                show(&self.prompt.shown, &lines);
                if let Some(act) = &act {
                    self.recorder.did(&by, group.as_deref(), act, folder);
                }
            }
            Err(mistake) => (self.prompt.logged)(format!("{mistake}\n")),
        }
        self.stage.rest().await?;
        self.took();
        Ok(true)
    }

    fn took(&mut self) {
        self.recorder.take(&self.stage);
        show(&self.prompt.shown, &self.stage.chat.news());
    }

    /// Wakes whoever has slept for long enough.
    async fn follow(&mut self) -> Result<(), String> {
        self.stage.rest().await?;
        loop {
            let clock = &self.stage.clock;
            let Some(next) = clock.next().filter(|_| clock.rest().asleep > 0) else {
                (self.since, self.saved) = (Instant::now(), Duration::ZERO);
                break;
            };
            let passed = self.saved + self.since.elapsed();
            let needed = Duration::from_millis(next.saturating_sub(clock.now()));
            let Some(left) = passed.checked_sub(needed) else { break };
            (self.since, self.saved) = (Instant::now(), left);
            self.stage.pass(next).await?;
            self.recorder.passed(u64::try_from(needed.as_millis()).unwrap_or(u64::MAX));
            self.took();
        }
        self.took();
        Ok(())
    }

    /// Waits until nobody sleeps any more, or for so long.
    async fn wait(&mut self, at_most: Option<Duration>) -> Result<(), String> {
        let begun = Instant::now();
        self.follow().await?;
        while self.stage.clock.rest().asleep > 0 && at_most.is_none_or(|most| begun.elapsed() < most) {
            sleep(GLANCE).await;
            self.follow().await?;
        }
        Ok(())
    }
}
