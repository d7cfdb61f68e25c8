//! `dev`: the simulated daemon, the rules and a chat, in one process on the real wire.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    runtime, select,
    sync::mpsc,
    time::{interval, sleep, timeout},
};

use super::{
    Dev, Done, Form,
    chat::{Printer, Prompt},
    check, exit,
    host::Host,
    output,
};
mod recording;

use crate::{
    daemon::{Daemon, Secret, Settings},
    diagnostic::{is_refused, messages},
    engine::Engine,
    lua::Counters,
    report::{Event, Level, Reporter, Sink, log},
    rules::RuleSet,
    simulator::{
        Options, Simulator,
        chat::{Chat, Entered},
    },
};

const BOT: &str = "bot";

/// How long the streams may take to open; one that the simulated daemon refuses never does.
const OPENING: Duration = Duration::from_secs(3);

/// From standard input the next line waits for the handlers of the last one, but not for one that waits longer itself.
const BETWEEN_LINES: Duration = Duration::from_secs(2);

/// How often what happened is looked at.
const GLANCE: Duration = Duration::from_millis(5);

const GRACE: Duration = Duration::from_secs(2);

pub(super) fn run(arguments: &Dev) -> Done {
    let (rules, diagnostics) = check::everything(&arguments.rules.paths, &arguments.caps.caps());
    if !diagnostics.is_empty() {
        let rejected = is_refused(&diagnostics);
        let reporter = Reporter::new(vec![log::to_stderr(arguments.logging.format(), Level::Info)]);
        reporter.emit(&Event::Checked { diagnostics: diagnostics.into(), rejected });
        if rejected {
            return Err(exit::MISTAKE);
        }
    }
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::failure(exit::IO, &error.to_string()),
    };
    let done = match &arguments.record {
        Some(file) => runtime.block_on(recording::chat(arguments, &rules, file)),
        None => runtime.block_on(chat(arguments, &rules)),
    };
    runtime.shutdown_background();
    done.or_else(|mistake| output::failure(exit::IO, &mistake))
}

async fn chat(arguments: &Dev, rules: &RuleSet) -> Result<(), String> {
    let options = Options::default();
    let people: Vec<_> = options.identities.iter().map(|(name, _)| name.clone()).filter(|name| name != BOT).collect();
    let simulator = Simulator::start(options).await.map_err(|error| error.to_string())?;
    let mut chat = Chat::new(&simulator, BOT, &people, &rules.subscriptions())?;
    let prompt = Prompt::start(people);
    let reporter = Reporter::new(vec![sink(arguments, &prompt)]);
    let settings = Settings::new(simulator.url(), Secret::new(BOT).map_err(|error| error.to_string())?);
    let daemon = Daemon::new(settings).map_err(|error| error.message)?;
    let engine = Engine::start(rules, &daemon, &reporter).await;
    let engine = engine.map_err(|mistakes| messages(&mistakes))?;
    let engine = engine.within(arguments.caps.caps());
    // A stream that is refused has been told of; the others need not wait for it.
    drop(timeout(OPENING, simulator.subscribers(BOT, engine.feeds())).await);
    chat.news();
    let counters = Arc::clone(engine.counters());
    let conversation = Conversation { chat, prompt, simulator: simulator.clone(), counters };
    // Nobody asks over a socket here, and a terminal that is closed means the end: files are what changes.
    let mut host = Host::new(engine, &arguments.rules.paths, &reporter);
    let (_nobody, mut requests) = mpsc::channel(1);
    select! {
        () = conversation.hold(rules) => {}
        () = host.follow(&mut requests, None) => {}
    }
    host.engine.stop(GRACE).await;
    simulator.stop().await;
    Ok(())
}

/// The chat with everything that it needs to know when it is quiet.
struct Conversation {
    chat: Chat,
    prompt: Prompt,
    simulator: Simulator,
    counters: Arc<Counters>,
}

impl Conversation {
    async fn hold(mut self, rules: &RuleSet) {
        if self.prompt.is_terminal {
            let enabled = rules.rules.iter().filter(|rule| rule.enabled).count();
            let welcome = format!("{enabled} rules are running on a simulated daemon. You are alice; /help helps.\n");
            (self.prompt.shown)(welcome);
        }
        self.prompt.ask(self.chat.prompt());
        let mut glance = interval(GLANCE);
        loop {
            let line = select! {
                line = self.prompt.next() => line,
                _ = glance.tick() => { self.show_news(); continue }
            };
            let Some(line) = line else { break };
            match self.chat.enter(&line) {
                Ok(Entered::Quit) => break,
                Ok(Entered::Shown(lines)) => show(&self.prompt.shown, &lines),
                Err(mistake) => (self.prompt.logged)(format!("{mistake}\n")),
            }
            if !self.prompt.is_terminal {
                drop(timeout(BETWEEN_LINES, self.quiet()).await);
            }
            self.show_news();
            self.prompt.ask(self.chat.prompt());
        }
        if !self.prompt.is_terminal {
            self.quiet().await;
            self.show_news();
        }
    }

    fn show_news(&mut self) {
        show(&self.prompt.shown, &self.chat.news());
    }

    /// Waits until every notification that the bot was sent has come in and every handler has ended. A handler's own
    /// doings are on the streams before its command is answered, so nothing can be under way unseen.
    async fn quiet(&mut self) {
        loop {
            let settled = self.counters.settled.load(Ordering::Acquire);
            let queued = self.counters.queued.load(Ordering::Acquire);
            let received = self.counters.received.load(Ordering::Acquire);
            if settled == queued && received == self.simulator.sent(BOT) {
                return;
            }
            self.show_news();
            sleep(GLANCE).await;
        }
    }
}

fn show(printer: &Printer, lines: &[String]) {
    for line in lines {
        printer(format!("{line}\n"));
    }
}

/// The log of `dev`: what scripts say and what goes wrong, without the host's own comings and goings.
fn sink(arguments: &Dev, prompt: &Prompt) -> Sink {
    if arguments.logging.log_format == Form::Json {
        return log::to_stderr(log::Format::Json, arguments.logging.least());
    }
    let (print, least, colour) = (Arc::clone(&prompt.logged), arguments.logging.least(), log::colour());
    Box::new(move |event| {
        let routine = matches!(
            event,
            Event::Started { .. } | Event::FeedOpened { .. } | Event::Stopping { .. } | Event::Stopped { .. }
        );
        let mut text = String::new();
        if !routine {
            log::write(event, log::Format::Human, least, colour, &mut text);
        }
        if !text.is_empty() {
            print(text);
        }
    })
}
