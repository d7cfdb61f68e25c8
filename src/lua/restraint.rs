//! What keeps a rule from running away: its own acts that it leaves out, the pace of its commands, loops that are stopped.
//!
//! Owns what is known of a rule for that, over all scripts that serve it. The worker asks before it starts a run and before
//! it sends a command; what it is told to tell later it does as one of the futures it waits for.

use std::{
    future::Future,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use self::{
    likeness::Texts,
    loops::{Exchange, Loops, Party, Resumed},
    pace::{Pace, Slowness, Turn},
};
use super::{
    buffers::Held,
    call::{Outcome, Pending},
    calls::Calls,
    host::Host,
    queue::Lane,
    seat::{Claim, Seat},
};
use crate::{
    clock::Clock,
    daemon::{CallError, Daemon, Disposition},
    report::{Event, Loop, Origin, Reporter, Restrained},
    rules::Rule,
    schema::{AuthorPath, Command},
};

mod likeness;
mod loops;
mod pace;

/// What is known of a rule.
#[derive(Default)]
pub(super) struct Restraint {
    state: Mutex<State>,
    /// Whether a loop was ever stopped: until then, nothing is asked about a notification.
    has_stopped: AtomicBool,
}

#[derive(Default)]
struct State {
    pace: Pace,
    loops: Loops,
    /// So far.
    loops_stopped: u64,
    commands_held_back: u64,
}

/// A part of a discussion in which a rule is silent for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// The discussion, or what else orders the rule's notifications.
    pub discussion: u64,
    /// Who is not answered; 0 also where notifications do not say.
    pub author: u64,
    /// For how long still.
    pub remaining: Duration,
    /// Notifications that were left out so far.
    pub left_out: u64,
}

/// How a command may leave.
pub(super) enum Leave {
    /// At once, or at that moment.
    At(Option<Instant>),
    /// Not at all: it would go on with a loop.
    Never,
}

impl Restraint {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loops that were stopped, and commands that were held back, so far.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.loops_stopped, state.commands_held_back)
    }

    /// Where the rule is silent now.
    pub(super) fn silences(&self, now: Instant) -> Vec<Silence> {
        let stopped = self.state().loops.stopped(now);
        let shown = |(party, remaining, left_out): (Party, Duration, u64)| {
            let Party { discussion, author } = party;
            Silence { discussion, author, remaining, left_out }
        };
        stopped.into_iter().map(shown).collect()
    }
}

/// Whether a notification is left out: this identity did it and the rule ignores that, or it is part of a loop.
///
/// Here and not where it is queued: the feed does not read what it hands over, and what waits when a rule changes is
/// handled as the changed rule says.
pub(super) fn leaves_out(claim: &Claim) -> bool {
    let Claim { seat, bytes, .. } = claim;
    let left_out = (seat.rule.ignore_self && is_own(&seat.rule, bytes)) || is_of_loop(seat, bytes);
    if left_out {
        seat.lane.counters.left_out.fetch_add(1, Ordering::Relaxed);
    }
    left_out
}

fn is_own(rule: &Rule, notification: &[u8]) -> bool {
    let author = rule.subscription.author.as_ref().map(|author| author.read(notification));
    // What cannot be read is told when it is handled.
    author == Some(Ok(AuthorPath::SELF))
}

fn is_of_loop(seat: &Seat, notification: &[u8]) -> bool {
    let restraint = &seat.lane.restraint;
    restraint.has_stopped.load(Ordering::Relaxed)
        && restraint.state().loops.leaves_out(party(seat, notification), seat.lane.now())
}

fn party(seat: &Seat, notification: &[u8]) -> Party {
    let author = seat.rule.subscription.author.as_ref().map(|author| author.read(notification).unwrap_or_default());
    let discussion = seat.discussion.read(&seat.rule.subscription.method.output, notification).unwrap_or_default();
    Party { discussion, author: author.unwrap_or_default() }
}

/// Asks whether and when what a run waits for may begin, and what there is to tell of that later.
pub(super) fn asks(
    claim: &mut Claim,
    host: &Host,
    pending: &Pending,
    deadline: Instant,
) -> (Leave, Option<impl Future<Output = ()> + use<>>) {
    let Some(command) = pending.begins() else { return (Leave::At(None), None) };
    let now = host.clock.instant();
    if command.speaks
        && let Err(until) = goes_on(claim, host, pending, command, now)
    {
        return (Leave::Never, until.map(|until| tell(&claim.seat, host, until)));
    }
    let seat = &claim.seat;
    let rate = seat.rule.limits.command_rate;
    let mut state = seat.lane.restraint.state();
    let Turn::At { at, first } = state.pace.turn(rate, now, deadline) else { return (Leave::At(None), None) };
    state.commands_held_back += 1;
    drop(state);
    if first {
        let origin = seat.origin(&host.script, None);
        host.reporter.emit(&Event::Restrained(origin, Restrained::Slowed { rate }));
    }
    (Leave::At(Some(at)), first.then(|| tell(seat, host, now)))
}

impl Leave {
    /// Whether it has to wait.
    pub(super) fn is_held_back(&self) -> bool {
        matches!(self, Self::At(Some(_)))
    }

    /// Waits for its turn, then carries out what waits for it.
    pub(super) async fn carry_out(
        self,
        pending: Pending,
        daemon: Option<Daemon>,
        held: &Held,
        clock: &Clock,
        calls: &Calls,
    ) -> Result<Outcome, CallError> {
        match self {
            Self::At(None) => {}
            Self::At(Some(at)) => clock.sleep_until(at).await,
            Self::Never => {
                let message = "the exchange goes round in circles: the rule is silent there for now";
                let refusal = CallError::new("RESOURCE_EXHAUSTED", message, Disposition::Slower);
                return Ok(Outcome::Refused(refusal));
            }
        }
        pending.carry_out(daemon, held, clock, calls).await
    }
}

/// Whether a command that others notice may go on: not where it is part of a loop, with the end of the pause where that
/// began just now.
fn goes_on(
    claim: &mut Claim,
    host: &Host,
    pending: &Pending,
    command: &Command,
    now: Instant,
) -> Result<(), Option<Instant>> {
    // Only what it sent first counts: that makes the exchange.
    let Claim { seat, bytes, arrived, is_answered, .. } = claim;
    let (restraint, limit) = (&seat.lane.restraint, seat.rule.limits.loop_limit);
    if limit == 0 {
        return Ok(());
    }
    let party = party(seat, bytes);
    if restraint.state().loops.is_stopped(party, now) {
        return Err(None);
    }
    if mem::replace(is_answered, true) {
        return Ok(());
    }
    let texts = texts(seat, bytes, pending, command);
    let exchange = Exchange { party, arrived: *arrived, exact: texts.exact(), alike: texts.alike() };
    let mut state = restraint.state();
    let Some(stopped) = state.loops.count(&exchange, limit, now) else { return Ok(()) };
    state.loops_stopped += 1;
    drop(state);
    restraint.has_stopped.store(true, Ordering::Relaxed);
    let what = Restrained::LoopStopped(Loop {
        thing: thing(seat),
        id: party.discussion,
        author: seat.rule.subscription.author.is_some().then_some(party.author),
        count: stopped.count,
        sample: texts.sample,
        pause: stopped.pause,
    });
    host.reporter.emit(&Event::Restrained(seat.origin(&host.script, None), what));
    Err(Some(stopped.until))
}

/// What is said on both sides.
fn texts(seat: &Seat, notification: &[u8], pending: &Pending, command: &Command) -> Texts {
    let mut texts = Texts::default();
    if let Some((plan, request)) = pending.request() {
        texts.add(plan, request);
    }
    texts.part();
    texts.add(&seat.rule.subscription.method.output, notification);
    texts.done_by(&command.name);
    texts
}

fn thing(seat: &Seat) -> Arc<str> {
    seat.discussion.thing(&seat.rule.subscription.method.output).into()
}

/// What a worker is to tell of a lane that comes to it: the end of what began before. Another limit than the one that was
/// exceeded begins anew.
pub(super) fn inherited(seat: &Seat, host: &Host) -> Vec<impl Future<Output = ()> + use<>> {
    let now = host.clock.instant();
    let mut state = seat.lane.restraint.state();
    if !state.loops.has_stops() && !state.pace.is_slowed() {
        return Vec::new();
    }
    state.loops.limit(seat.rule.limits.loop_limit, now);
    let mut moments = vec![now];
    moments.extend(state.loops.stopped(now).into_iter().map(|(_, remaining, _)| now + remaining));
    drop(state);
    moments.into_iter().map(|at| tell(seat, host, at)).collect()
}

/// Tells what is over from a moment on. Several may wait for the same: the first one tells it.
fn tell(seat: &Seat, host: &Host, from: Instant) -> impl Future<Output = ()> + use<> {
    let (lane, reporter) = (Arc::clone(&seat.lane), host.reporter.clone());
    let (origin, thing, clock) = (seat.origin(&host.script, None), thing(seat), host.clock.clone());
    async move {
        let mut next = Some(from);
        while let Some(at) = next {
            clock.alarm(at).await;
            next = tell_now(&lane, &reporter, &origin, &thing);
        }
    }
}

/// Tells what is over by now; returns when to look again.
fn tell_now(lane: &Lane, reporter: &Reporter, origin: &Origin, thing: &Arc<str>) -> Option<Instant> {
    if lane.is_retired() {
        return None;
    }
    let now = lane.now();
    let mut state = lane.restraint.state();
    let (resumed, slowness) = (state.loops.resumed(now), state.pace.slowness(now));
    drop(state);
    let tell = |what| reporter.emit(&Event::Restrained(origin.clone(), what));
    for Resumed { party, left_out } in resumed {
        tell(Restrained::LoopResumed { thing: Arc::clone(thing), id: party.discussion, left_out });
    }
    match slowness {
        Slowness::None => return None,
        Slowness::Until(at) => return Some(at),
        Slowness::Over(calls) => tell(Restrained::AtPace { calls }),
    }
    None
}
