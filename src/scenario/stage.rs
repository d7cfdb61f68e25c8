//! The stage that a scenario is played on: a simulated daemon, the engine, and a clock that is set by hand.
//!
//! Nothing here waits for a fixed time. Whether everything has come to rest is asked of the engine, again and again.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    select,
    task::yield_now,
    time::{Instant, sleep},
};

use super::{BOT, Given};
use crate::{
    clock::Clock,
    daemon::{Daemon, Secret, Settings},
    diagnostic::messages,
    engine::Engine,
    report::{Event, Reporter, Sink},
    rules::{Caps, RuleSet},
    simulator::{Options, Recorded, Simulator, chat::Chat},
};

/// How long it may take, of the machine's time, until all is at rest: longer than any run is let go on.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long the streams may take to open.
const OPENING: Duration = Duration::from_secs(20);

/// How often it is asked whether all is at rest before it is asked at intervals.
const AT_ONCE: usize = 20;
const INTERVAL: Duration = Duration::from_millis(1);

/// What scripts may take to end when the scenario is over; runs that wait for a time that never comes are given up.
const GRACE: Duration = Duration::ZERO;

/// What anything takes that is done.
const TICK: u64 = 1;

/// Rules on a simulated daemon, with people who talk to the bot.
pub struct Stage {
    /// The world.
    pub simulator: Simulator,
    /// The rules that run.
    pub engine: Engine,
    /// What scripts and world take for the time.
    pub clock: Clock,
    /// The people.
    pub chat: Chat,
    heard: Arc<Mutex<Vec<Event>>>,
}

impl Stage {
    /// Makes the world as it is given, and lets the rules listen to it. What scripts save goes into the tree of `aside`.
    pub async fn open(
        rules: &RuleSet,
        caps: &Caps,
        given: &Given,
        aside: Option<PathBuf>,
        listener: Option<Sink>,
    ) -> Result<Self, String> {
        let clock = Clock::manual(given.clock);
        let identities = [BOT].into_iter().chain(given.contacts.iter().map(String::as_str));
        let identities = identities.map(|name| (name.to_owned(), name.to_owned())).collect();
        let options = Options { identities, clock: clock.clone(), ..Options::default() };
        let simulator = Simulator::start(options).await.map_err(|error| error.to_string())?;
        let listens_to = rules.subscriptions();
        let mut chat = Chat::new(&simulator, BOT, &given.contacts, &listens_to)?;
        let bot_decides = listens_to.contains(&crate::simulator::chat::INVITATIONS);
        chat.found_groups(given.groups.iter().map(String::as_str), bot_decides)?;
        for message in &given.messages {
            let said = chat.write(&message.by, &message.within, &message.text);
            said.map_err(|cause| format!("{}: {cause}", message.place.display()))?;
        }
        chat.turn_to(&given.contacts[0], None)?;
        let heard = Arc::<Mutex<Vec<Event>>>::default();
        let ear = Arc::clone(&heard);
        let hear: Sink = Box::new(move |event: &Event| {
            if is_worth_hearing(event) {
                ear.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
            }
        });
        let reporter = Reporter::new([hear].into_iter().chain(listener).collect());
        let settings = Settings::new(simulator.url(), Secret::new(BOT).map_err(|error| error.to_string())?);
        let daemon = Daemon::new(settings).map_err(|error| error.message)?;
        let engine = Engine::new(&daemon, &reporter).within(caps.clone()).aside(clock.clone(), aside);
        let engine = engine.begin(rules).await.map_err(|mistakes| messages(&mistakes))?;
        let mut stage = Self { simulator, engine, clock, chat, heard };
        stage.opened().await?;
        stage.rest().await?;
        stage.chat.news();
        Ok(stage)
    }

    /// Waits until the streams are open; one that is refused never is.
    async fn opened(&self) -> Result<(), String> {
        let deadline = Instant::now() + OPENING;
        while self.simulator.opened(BOT) < self.engine.feeds() as u64 {
            let refused = |event: &Event| match event {
                Event::FeedRefused { feeds, cause, .. } => {
                    let feed = feeds.first()?;
                    Some(format!("{}: the daemon refuses {}: {cause}", feed.place, feed.subscription))
                }
                _ => None,
            };
            if let Some(cause) = self.lock().iter().find_map(refused) {
                return Err(cause);
            }
            if Instant::now() > deadline {
                return Err(format!("the streams did not open within {OPENING:?}"));
            }
            sleep(INTERVAL).await;
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Event>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was told since the last time.
    pub fn heard(&self) -> Vec<Event> {
        std::mem::take(&mut *self.lock())
    }

    /// The commands that the bot has sent since the last time.
    pub fn sent(&self) -> Vec<Recorded> {
        let sent = self.simulator.recorded();
        self.simulator.clear_recorded();
        sent
    }

    /// Whether nothing happens before time passes or somebody does something.
    pub fn is_idle(&self) -> bool {
        self.engine.is_idle(|| self.simulator.sent(BOT))
    }

    /// Waits until everything has come to rest. An error says what does not.
    pub async fn rest(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        for asked in 0_usize.. {
            if self.is_idle() {
                break;
            }
            if Instant::now() > deadline {
                let running = self.engine.running_rules().join(", ");
                return Err(format!("it does not come to rest within {PATIENCE:?}: {running}"));
            }
            let failed = select! {
                () = self.engine.script_failed() => true,
                () = async { if asked < AT_ONCE { yield_now().await } else { sleep(INTERVAL).await } } => false,
            };
            if failed {
                self.engine.revive().await;
            }
        }
        Ok(())
    }

    /// Lets the time pass that everything takes that somebody does: no two things are done at the same.
    pub async fn tick(&mut self) -> Result<(), String> {
        self.pass(self.clock.now() + TICK).await
    }

    /// Lets time pass: whoever sleeps until then goes on, one after another, each at its time.
    pub async fn pass(&mut self, until: u64) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        self.rest().await?;
        while let Some(next) = self.clock.next().filter(|next| *next <= until) {
            self.clock.set(next.max(self.clock.now()));
            self.rest().await?;
            if Instant::now() > deadline {
                let running = self.engine.running_rules().join(", ");
                return Err(format!("so much happens that time does not pass within {PATIENCE:?}: {running}"));
            }
        }
        self.clock.set(until);
        self.rest().await
    }

    /// Ends it.
    pub async fn close(self) {
        self.engine.stop(GRACE).await;
        self.simulator.stop().await;
    }
}

fn is_worth_hearing(event: &Event) -> bool {
    matches!(
        event,
        Event::Said { .. }
            | Event::RunFailed(_)
            | Event::ScriptFailed { .. }
            | Event::FeedRefused { .. }
            | Event::FeedLost { .. }
            | Event::Restrained(..)
    )
}
