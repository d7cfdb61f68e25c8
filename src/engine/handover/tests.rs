//! Two streams of one rule as sequences of notifications, read in any interleaving.

use std::collections::{BTreeSet, VecDeque};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRng, TestRunner},
};
use tokio::time::advance;

use super::*;

/// What a step does. A stream that is not read for a while is one that pauses.
#[derive(Debug, Clone)]
enum Step {
    /// Something happens that meets the old parameters, the new ones, or both.
    Happens {
        old: bool,
        new: bool,
    },
    /// One of the feeds reads so much.
    Old(usize),
    New(usize),
    /// The new stream is opened, or lost before it took over.
    Open,
    Lost,
    /// The old feed has waited long enough, or its stream is lost: with what it still had.
    Dry,
    Gone,
    /// The new feed lists what was left behind.
    List,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Happens { old: true, new: true }),
        1 => Just(Step::Happens { old: true, new: false }),
        1 => Just(Step::Happens { old: false, new: true }),
        4 => (1usize..5).prop_map(Step::Old),
        4 => (1usize..5).prop_map(Step::New),
        2 => Just(Step::Open),
        1 => Just(Step::Lost),
        1 => Just(Step::Dry),
        1 => Just(Step::Gone),
        1 => Just(Step::List),
        1 => (1u64..20).prop_map(Step::Wait),
    ]
}

/// The daemon, both feeds and the rule, without anything between them.
struct Bench {
    handover: Arc<Handover>,
    happened: Vec<(bool, bool)>,
    old: VecDeque<usize>,
    new: Option<VecDeque<usize>>,
    /// What may be missing: it was on a stream that was lost, or there was none, and the feed's own catch-up finds it.
    excused: BTreeSet<usize>,
    handled: Vec<usize>,
}

fn bytes(number: usize) -> Bytes {
    number.to_string().into()
}

fn number(bytes: &Bytes) -> usize {
    std::str::from_utf8(bytes).unwrap().parse().unwrap()
}

impl Bench {
    fn new() -> Self {
        Self {
            handover: Handover::new(Arc::default(), Arc::default()),
            happened: Vec::new(),
            old: VecDeque::new(),
            new: None,
            excused: BTreeSet::new(),
            handled: Vec::new(),
        }
    }

    fn happens(&mut self, old: bool, new: bool) {
        let number = self.happened.len();
        self.happened.push((old, new));
        if old && !self.handover.has_left() {
            self.old.push_back(number);
        }
        match &mut self.new {
            Some(stream) if new => stream.push_back(number),
            // Nobody listens to it.
            _ if self.handover.has_left() || !old => drop(self.excused.insert(number)),
            _ => {}
        }
    }

    fn read_old(&mut self, most: usize) {
        if self.handover.has_left() {
            return;
        }
        let batch: Vec<_> = self.old.drain(..most.min(self.old.len())).collect();
        let (now, done) = self.handover.leaving(&batch.iter().copied().map(bytes).collect::<Vec<_>>());
        self.handled.extend(&batch[..now]);
        if done {
            self.handover.leave();
            // What only the old parameters want from here on is none of the rule's any more.
            let rest = batch[now..].iter().chain(&self.old);
            self.excused.extend(rest.filter(|number| !self.happened[**number].1));
            self.old.clear();
        }
    }

    fn read_new(&mut self, most: usize) {
        let Some(stream) = &mut self.new else { return };
        let batch: Vec<_> = stream.drain(..most.min(stream.len())).collect();
        let is_empty = stream.is_empty();
        self.arrive(&batch);
        if is_empty {
            self.handover.emptied();
        }
    }

    fn arrive(&mut self, batch: &[usize]) {
        let batch: Vec<_> = batch.iter().copied().map(bytes).collect();
        self.handled.extend(self.handover.arriving(&batch).into_iter().flatten().map(|bytes| number(&bytes)));
    }

    fn leave_behind(&self) {
        self.handover.leave_behind(Behind { rest: None, gap: Some(Timestamp::UNIX_EPOCH) });
    }

    /// Lists what the old stream had, in place of what of it waits. What the new one brings later of it is left out.
    fn list(&mut self) {
        if self.new.is_none() || self.handover.take_behind(true).is_none() {
            return;
        }
        let rest: Vec<_> = self.old.drain(..).collect();
        self.handover.drop_waiting(|waiting| rest.contains(&number(waiting)));
        self.new.iter_mut().for_each(|stream| stream.retain(|number| !rest.contains(number)));
        self.arrive(&rest);
        self.handover.rested();
        self.arrive(&[]);
    }

    async fn play(&mut self, step: Step) {
        match step {
            Step::Happens { old, new } => self.happens(old, new),
            Step::Old(most) => self.read_old(most),
            // What was left behind is listed before the stream is read on.
            Step::New(most) => {
                self.list();
                self.read_new(most);
            }
            Step::Open if self.new.is_none() => {
                self.new = Some(VecDeque::new());
                self.handover.opened();
                self.list();
            }
            Step::Lost => {
                if let Some(stream) = self.new.take() {
                    let has_left = self.handover.has_left();
                    // Where the old one still has the rule it brings them, those of the new parameters alone aside.
                    let excused = stream.into_iter().filter(|number| has_left || !self.old.contains(number));
                    self.excused.extend(excused);
                    self.handover.lost();
                }
            }
            Step::Dry if self.handover.patience().is_some() => self.leave_behind(),
            Step::Gone => self.leave_behind(),
            Step::List => self.list(),
            Step::Wait(seconds) => advance(Duration::from_secs(seconds)).await,
            Step::Open | Step::Dry => {}
        }
    }

    /// All were handed over once and, those of each kind, in order; or it was said that they may not have been.
    async fn check(&mut self) {
        self.play(Step::Gone).await;
        self.play(Step::Open).await;
        self.play(Step::New(usize::MAX)).await;
        let all: BTreeSet<_> = self.handled.iter().copied().collect();
        assert_eq!(all.len(), self.handled.len(), "twice: {:?}", self.handled);
        let owed = (0..self.happened.len()).filter(|number| !self.excused.contains(number));
        let missing: Vec<_> = owed.filter(|number| !all.contains(number)).collect();
        assert!(missing.is_empty(), "{missing:?} of {:?}", self.handled);
        for kind in [(true, true), (true, false), (false, true)] {
            let of: Vec<_> = self.handled.iter().filter(|number| self.happened[**number] == kind).collect();
            assert!(of.is_sorted(), "{kind:?}: {of:?}");
        }
    }
}

#[test]
fn over_any_interleaving_all_is_handed_over_once_and_in_order_or_said_to_be_left_behind() {
    let config = Config { cases: 1000, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&prop::collection::vec(step(), 1..60), |steps| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut bench = Bench::new();
            for step in steps {
                bench.play(step).await;
            }
            bench.check().await;
        });
        Ok(())
    });
    outcome.unwrap();
}

/// A rule that has gone to its new stream, the old one having handed over this.
fn gone(handed: &[usize]) -> Arc<Handover> {
    let handover = Handover::new(Arc::default(), Arc::default());
    handover.opened();
    assert_eq!(handover.leaving(&handed.iter().copied().map(bytes).collect::<Vec<_>>()), (handed.len(), false));
    handover.leave();
    handover
}

#[tokio::test(start_paused = true)]
async fn what_happens_later_and_is_equal_is_handed_over() {
    let handover = gone(&[1, 2]);
    assert_eq!(handover.arriving(&[bytes(1)]).unwrap(), Vec::<Bytes>::new());
    advance(Duration::from_hours(1)).await;
    // The stream was quiet until then.
    handover.emptied();
    assert_eq!(handover.arriving(&[bytes(2)]).unwrap(), [bytes(2)]);
    assert!(handover.is_over());
}

#[tokio::test(start_paused = true)]
async fn a_new_stream_that_could_not_be_read_for_long_still_brings_nothing_twice() {
    let handover = gone(&[1, 2]);
    advance(Duration::from_hours(1)).await;
    assert_eq!(handover.arriving(&[bytes(1), bytes(2), bytes(3)]).unwrap(), [bytes(3)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_on_record_is_bounded() {
    let handover = Handover::new(Arc::default(), Arc::default());
    // The new stream cannot be opened, for hours.
    for second in 0..10_000 {
        advance(Duration::from_secs(1)).await;
        handover.leaving(&[bytes(second)]);
    }
    assert!(handover.inner().handed.entries.len() <= 11, "{}", handover.inner().handed.entries.len());
    handover.opened();
    for number in 0..HANDED {
        handover.leaving(&[bytes(1_000_000 + number)]);
    }
    assert!(handover.has_handed_enough());
    handover.lost();
    for number in 0..4 * WAITING {
        if handover.is_full() {
            assert_eq!(number, WAITING);
            return;
        }
        handover.opened();
        handover.arriving(&[bytes(number)]);
        handover.lost();
    }
    panic!("it takes any number");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_stream_that_has_let_the_rule_go() {
    let handover = gone(&[1]);
    advance(Duration::from_mins(1)).await;
    assert_eq!(handover.patience(), None);
}
