//! What was told of a rule, and what is owed: lines that were left out, failures that were counted.
//!
//! Belongs to the rule, over all scripts that serve it. Whoever makes it owe something takes it upon itself to tell it
//! ([`Owing`]): the worker wakes up for it, and only for it, and tells the rest when it ends.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    bucket::Bucket,
    repeats::{Heard, Repeats},
};
use crate::report::{Event, Failure, Level, Omitted, Origin, Reporter};

/// How long a number of lines that were left out may be owed.
const OWED: Duration = Duration::from_secs(5);

/// How long after such a number the next one is told: in a flood, lines that pass are few and far between.
const PAUSE: Duration = Duration::from_secs(1);

/// One rule's.
#[derive(Default)]
pub(super) struct Told(Mutex<State>);

#[derive(Default)]
struct State {
    /// Those that are mostly not shown must not crowd out the others.
    debug: Lines,
    lines: Lines,
    /// A flood of lines must not, either, what went wrong in it.
    broken: Lines,
    failures: Repeats,
    /// The generation of the lane that failed last.
    generation: u64,
    /// Lines and failures that were left out so far.
    omitted: u64,
}

/// Lines on their way into the log.
#[derive(Default)]
struct Lines {
    bucket: Bucket,
    /// Boxed: most rules never owe any.
    left_out: Option<Box<LeftOut>>,
    told_at: Option<Instant>,
}

struct LeftOut {
    count: u64,
    origin: Origin,
    what: Omitted,
    rate: u32,
    due: Instant,
}

/// Whether a line may be told.
pub(super) enum Passage {
    /// It may, after this.
    Open(Option<Event>),
    /// It may not, which is to be told by then.
    Shut(Instant),
}

impl Told {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a line through, at most so many a second.
    pub(super) fn line(&self, level: Level, rate: u32, now: Instant, origin: impl FnOnce() -> Origin) -> Passage {
        let mut state = self.state();
        let lines = if level == Level::Debug { &mut state.debug } else { &mut state.lines };
        let passage = lines.pass(Omitted::Lines(level), rate, now, origin);
        state.omitted += u64::from(matches!(passage, Passage::Shut(_)));
        passage
    }

    /// Lines and failures that were left out so far.
    pub(super) fn left_out(&self) -> u64 {
        self.state().omitted
    }

    /// Takes a failure of a generation, and tells it or counts it: one that repeats another, or that is one too many of
    /// a second, as a line would be. Returns when something of it is to be told.
    pub(super) fn failure(
        &self,
        generation: u64,
        failure: Failure,
        rate: u32,
        now: Instant,
        reporter: &Reporter,
    ) -> Option<Instant> {
        let mut state = self.state();
        // Who has just changed the script wants to see whether it still fails.
        let is_new = generation > state.generation;
        state.generation = generation.max(state.generation);
        let mut told = if is_new { state.failures.rest() } else { Vec::new() };
        let mut due = match state.failures.hear(failure, now) {
            Heard::Now(failures) => {
                told.extend(failures);
                None
            }
            Heard::Counted(due) => Some(due),
        };
        let mut events = Vec::new();
        for failure in told {
            let origin = || Origin { place: None, ..failure.origin.clone() };
            match state.broken.pass(Omitted::Failures, rate, now, origin) {
                Passage::Open(before) => events.extend(before.into_iter().chain([Event::RunFailed(failure)])),
                Passage::Shut(at) => {
                    state.omitted += 1;
                    due = Some(due.map_or(at, |due| due.min(at)));
                }
            }
        }
        drop(state);
        for event in events {
            reporter.emit(&event);
        }
        due
    }

    /// What is owed by now, and when the next is.
    fn due(&self, now: Instant) -> (Vec<Event>, Option<Instant>) {
        let mut state = self.state();
        let State { debug, lines, broken, failures, .. } = &mut *state;
        let mut events: Vec<_> = failures.due(now).into_iter().map(Event::RunFailed).collect();
        for lines in [&mut *debug, &mut *lines, &mut *broken] {
            let is_due = lines.left_out.as_ref().is_some_and(|left_out| left_out.due <= now);
            events.extend(if is_due { lines.tell(now) } else { None });
        }
        let next = [debug, lines, broken].into_iter().filter_map(|lines| Some(lines.left_out.as_ref()?.due));
        (events, next.chain(failures.next()).min())
    }

    /// All that is owed.
    fn rest(&self, now: Instant) -> Vec<Event> {
        let mut state = self.state();
        let left_out = [state.debug.tell(now), state.lines.tell(now), state.broken.tell(now)];
        let left_out: Vec<_> = left_out.into_iter().flatten().collect();
        state.failures.rest().into_iter().map(Event::RunFailed).chain(left_out).collect()
    }
}

impl Lines {
    fn pass(&mut self, what: Omitted, rate: u32, now: Instant, origin: impl FnOnce() -> Origin) -> Passage {
        if self.bucket.take(now, rate) {
            let may_tell = self.told_at.is_none_or(|at| now >= at + PAUSE);
            return Passage::Open(if may_tell { self.tell(now) } else { None });
        }
        let first = || Box::new(LeftOut { count: 0, origin: origin(), what, rate, due: now + OWED });
        let left_out = self.left_out.get_or_insert_with(first);
        left_out.count += 1;
        Passage::Shut(left_out.due)
    }

    fn tell(&mut self, now: Instant) -> Option<Event> {
        let LeftOut { count, origin, what, rate, .. } = *self.left_out.take()?;
        self.told_at = Some(now);
        Some(Event::LinesLeftOut { origin, what, count, rate })
    }
}

/// What one worker has to tell later. At most one entry for each rule that it has served.
#[derive(Default)]
pub(super) struct Owing(Vec<(Arc<Told>, Instant)>);

impl Owing {
    /// Takes it upon itself to tell what is owed.
    pub(super) fn add(&mut self, told: &Arc<Told>, due: Instant) {
        match self.0.iter_mut().find(|(known, _)| Arc::ptr_eq(known, told)) {
            Some((_, at)) => *at = due.min(*at),
            None => self.0.push((Arc::clone(told), due)),
        }
    }

    /// When there is something to tell.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().map(|(_, due)| *due).min()
    }

    /// Tells what is due.
    pub(super) fn tell(&mut self, now: Instant, reporter: &Reporter) {
        self.0.retain_mut(|(told, due)| {
            if *due > now {
                return true;
            }
            let (events, next) = told.due(now);
            for event in &events {
                reporter.emit(event);
            }
            next.inspect(|next| *due = *next).is_some()
        });
    }

    /// Tells all, before its time.
    pub(super) fn tell_all(&mut self, now: Instant, reporter: &Reporter) {
        for (told, _) in mem::take(&mut self.0) {
            for event in told.rest(now) {
                reporter.emit(&event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::FailureKind;

    fn origin() -> Origin {
        Origin { rule: None, subscription: None, script: "a.lua".into(), place: None }
    }

    fn failure(message: &str) -> Failure {
        let (origin, kind, message) = (origin(), FailureKind::Error, message.to_owned());
        Failure { origin, kind, message, notification: None, traceback: Vec::new(), repeats: 0 }
    }

    /// What a reporter was told, each as a number: lines that were left out, or repeats.
    fn listening() -> (Reporter, Arc<Mutex<Vec<u64>>>) {
        let told = Arc::<Mutex<Vec<u64>>>::default();
        let heard = Arc::clone(&told);
        let sink = move |event: &Event| match event {
            Event::LinesLeftOut { count, .. } => heard.lock().unwrap().push(*count),
            Event::RunFailed(failure) => heard.lock().unwrap().push(failure.repeats),
            other => panic!("{other:?}"),
        };
        (Reporter::new(vec![Box::new(sink)]), told)
    }

    /// Lets lines come at a rate of one a second; returns the numbers that were told before one that passed.
    fn lines(told: &Told, owing: Option<(&mut Owing, &Arc<Told>)>, times: usize, now: Instant) -> Vec<u64> {
        let (mut counts, mut due) = (Vec::new(), None);
        for _ in 0..times {
            match told.line(Level::Info, 1, now, origin) {
                Passage::Open(Some(Event::LinesLeftOut { count, .. })) => counts.push(count),
                Passage::Open(_) => {}
                Passage::Shut(at) => due = Some(at),
            }
        }
        if let (Some((owing, told)), Some(due)) = (owing, due) {
            owing.add(told, due);
        }
        counts
    }

    #[test]
    fn a_flood_is_told_when_a_line_passes_again_but_not_with_each() {
        let (told, start) = (Told::default(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        assert!(lines(&told, None, 15, start).is_empty());
        assert_eq!(lines(&told, None, 3, after(1000)), [5]);
        assert_eq!(lines(&told, None, 3, after(1500)), [0; 0], "no line passes");
        assert_eq!(lines(&told, None, 3, after(2000)), [5]);
    }

    #[test]
    fn what_is_owed_is_told_after_a_while_and_then_nobody_wakes_up() {
        let (told, start, mut owing) = (Arc::<Told>::default(), Instant::now(), Owing::default());
        let (reporter, heard) = listening();
        lines(&told, Some((&mut owing, &told)), 15, start);
        lines(&told, Some((&mut owing, &told)), 2, start + Duration::from_millis(10));
        assert_eq!(owing.next(), Some(start + OWED));
        owing.tell(start + OWED - Duration::from_millis(1), &reporter);
        assert!(heard.lock().unwrap().is_empty());
        owing.tell(start + OWED, &reporter);
        assert_eq!((&*heard.lock().unwrap(), owing.next()), (&vec![7], None));
        for _ in 0..3 {
            let due = told.failure(1, failure("no"), 0, start, &reporter);
            if let Some(due) = due {
                owing.add(&told, due);
            }
        }
        lines(&told, Some((&mut owing, &told)), 20, start);
        owing.tell_all(start, &reporter);
        assert_eq!((&heard.lock().unwrap()[1..], owing.next()), (&[0, 2, 20][..], None));
    }

    #[test]
    fn a_script_that_was_changed_fails_in_full_again() {
        let (told, now) = (Told::default(), Instant::now());
        let (reporter, heard) = listening();
        for generation in [1, 1, 2, 1, 2] {
            told.failure(generation, failure("no"), 0, now, &reporter);
        }
        assert_eq!(*heard.lock().unwrap(), [0, 1, 0]);
    }

    #[test]
    fn failures_that_are_all_different_are_told_at_the_rate_of_lines_and_the_rest_counted() {
        let (told, start, mut owing) = (Arc::<Told>::default(), Instant::now(), Owing::default());
        let (reporter, heard) = listening();
        for number in 0..40 {
            let due = told.failure(1, failure(&number.to_string()), 1, start, &reporter);
            if let Some(due) = due {
                owing.add(&told, due);
            }
        }
        assert_eq!(*heard.lock().unwrap(), [0; 10], "ten seconds' worth at once");
        owing.tell(start + OWED, &reporter);
        assert_eq!(heard.lock().unwrap()[10..], [30]);
    }
}
