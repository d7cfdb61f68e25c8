//! Two streams of one history, read with any lags and in any batches, and a rule that goes from one to the other.

use proptest::prelude::*;
use tokio::time::advance;

use super::*;

/// Which of the two requests a notification matches.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Matches {
    Old,
    New,
    Both,
}

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    Emit(Vec<Matches>),
    /// The daemon opens the new stream, which is known here only later.
    Subscribe,
    Known,
    /// So many of a stream are there and are read.
    ReadOld(usize),
    ReadNew(usize),
    /// Nothing has come for long enough, if all was read.
    Dry,
    /// The new stream ends.
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![1 => Just(Matches::Old), 1 => Just(Matches::New), 2 => Just(Matches::Both)];
    prop_oneof![
        4 => prop::collection::vec(kind, 1..90).prop_map(Step::Emit),
        2 => Just(Step::Subscribe),
        2 => Just(Step::Known),
        4 => (1_usize..65).prop_map(Step::ReadOld),
        4 => (1_usize..65).prop_map(Step::ReadNew),
        1 => Just(Step::Dry),
        1 => Just(Step::Lose),
    ]
}

/// A daemon with two streams, and a rule between them.
struct Bench {
    handover: Arc<Handover>,
    history: Vec<Matches>,
    /// How far each stream was read; the new one's begins where it was opened.
    old: usize,
    new: Option<usize>,
    known: bool,
    handled: Vec<usize>,
}

fn bytes(at: usize) -> Bytes {
    at.to_be_bytes().to_vec().into()
}

impl Bench {
    fn new() -> Self {
        let handover = Handover::new(Arc::default(), Arc::default());
        Self { handover, history: Vec::new(), old: 0, new: None, known: false, handled: Vec::new() }
    }

    /// The next of a stream, and how far it is read with them.
    fn next(&self, from: usize, most: usize, not: Matches) -> (Vec<usize>, usize) {
        let all = (from..self.history.len()).filter(|at| self.history[*at] != not);
        let batch: Vec<_> = all.take(most).collect();
        let to = if batch.len() < most { self.history.len() } else { batch.last().map_or(from, |last| last + 1) };
        (batch, to)
    }

    fn read_old(&mut self, most: usize) {
        if self.handover.has_left() {
            return;
        }
        let (batch, to) = self.next(self.old, most, Matches::New);
        self.old = to;
        let (some, done) = self.handover.leaving(&batch.iter().copied().map(bytes).collect::<Vec<_>>());
        self.handled.extend(&batch[..some]);
        if done {
            self.leave();
        }
    }

    fn read_new(&mut self, most: usize) {
        let Some(from) = self.new.filter(|_| self.known && !self.handover.is_full()) else { return };
        let (batch, to) = self.next(from, most, Matches::Old);
        self.new = Some(to);
        self.arrive(&batch);
    }

    fn leave(&mut self) {
        self.handover.leave();
        self.arrive(&[]);
    }

    fn arrive(&mut self, batch: &[usize]) {
        let batch: Vec<_> = batch.iter().copied().map(bytes).collect();
        let all = self.handover.arriving(&batch).unwrap_or_default();
        self.handled.extend(all.iter().map(|bytes| usize::from_be_bytes(bytes[..].try_into().unwrap())));
    }

    fn dry(&mut self) {
        if self.known && self.old == self.history.len() && !self.handover.has_left() {
            assert_eq!(self.handover.patience(), Some(DRY));
            self.leave();
        }
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Emit(more) => self.history.extend(more),
            Step::Subscribe if self.new.is_none() => self.new = Some(self.history.len()),
            Step::Known if self.new.is_some() && !self.known => {
                self.known = true;
                self.handover.opened();
            }
            Step::ReadOld(most) => self.read_old(most),
            Step::ReadNew(most) => self.read_new(most),
            Step::Dry => self.dry(),
            Step::Lose if !self.handover.has_left() => {
                (self.new, self.known) = (None, false);
                self.handover.lost();
            }
            Step::Subscribe | Step::Known | Step::Lose => {}
        }
    }

    /// Everything arrives.
    fn finish(&mut self) {
        self.play(Step::Subscribe);
        self.play(Step::Known);
        self.read_old(usize::MAX);
        self.dry();
        assert!(self.handover.has_left());
        while self.new.unwrap() < self.history.len() {
            self.read_new(64);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_the_streams_lag_nothing_is_lost_or_doubled(steps in prop::collection::vec(step(), 0..60)) {
        let mut bench = Bench::new();
        let mut opened = None;
        for step in steps {
            bench.play(step);
            // The one that it went over to.
            opened = bench.new.map(|at| opened.unwrap_or(at));
        }
        bench.finish();
        let opened = opened.unwrap_or(bench.history.len());
        let mut times = vec![0; bench.history.len()];
        bench.handled.iter().for_each(|at| times[*at] += 1);
        for (at, (matches, times)) in bench.history.iter().zip(times).enumerate() {
            let owed = match matches {
                Matches::Both => true,
                // As long as the old one had the rule, or from when the new one was there.
                Matches::Old => at < opened,
                Matches::New => at >= opened,
            };
            prop_assert!(times == 1 || (times == 0 && !owed), "{at} {matches:?}: {times} times");
        }
        let both: Vec<_> = bench.handled.iter().filter(|at| bench.history[**at] == Matches::Both).collect();
        prop_assert!(both.is_sorted(), "{both:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_stream_that_shares_nothing_with_the_new_one_does_not_keep_the_rule_for_ever() {
    let handover = Handover::new(Arc::default(), Arc::default());
    assert_eq!(handover.patience(), None, "there is nowhere to go");
    handover.opened();
    let mut patience = Vec::new();
    for _ in 0..15 {
        patience.push(handover.patience().unwrap().as_millis());
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(patience, [500, 500, 500, 500, 500, 500, 250, 125, 62, 31, 15, 7, 0, 0, 0]);
    handover.lost();
    assert_eq!(handover.patience(), None);
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_over_long_before_the_new_stream_is_not_remembered() {
    let handover = Handover::new(Arc::default(), Arc::default());
    for at in 0..100_000 {
        handover.leaving(&[bytes(at)]);
        advance(Duration::from_millis(1)).await;
    }
    assert!(handover.inner().before.len() <= 5001, "{}", handover.inner().before.len());
    handover.opened();
    handover.leave();
    let brought = [bytes(1), bytes(99_999), bytes(100_000)];
    assert_eq!(handover.arriving(&brought).unwrap(), [bytes(1), bytes(100_000)], "an old one came once more");
}

#[tokio::test(start_paused = true)]
async fn a_notification_that_equals_an_earlier_one_is_another_one_after_a_moment() {
    let handover = Handover::new(Arc::default(), Arc::default());
    handover.opened();
    assert_eq!(handover.leaving(&[bytes(1), bytes(1), bytes(2)]), (3, false));
    handover.leave();
    assert_eq!(handover.leaving(&[bytes(3)]), (0, false), "it is gone");
    assert_eq!(handover.arriving(&[bytes(1)]).unwrap(), [] as [Bytes; 0]);
    advance(LAG + Duration::from_millis(1)).await;
    assert_eq!(handover.arriving(&[bytes(1), bytes(2)]).unwrap(), [bytes(1), bytes(2)]);
}

#[tokio::test]
async fn the_new_stream_is_read_on_only_as_far_as_it_may_wait() {
    let handover = Handover::new(Arc::default(), Arc::default());
    handover.opened();
    let many: Vec<_> = (0..WAITING).map(bytes).collect();
    assert!(handover.arriving(&many[1..]).is_none() && !handover.is_full());
    assert!(handover.arriving(&many[..1]).is_none() && handover.is_full());
    handover.leave();
    handover.done().await;
    assert!(!handover.is_full());
    assert_eq!(handover.arriving(&[]).unwrap().len(), WAITING);
    assert_eq!(handover.arriving(&many[..1]).unwrap().len(), 1, "it stays with the new one");
}
