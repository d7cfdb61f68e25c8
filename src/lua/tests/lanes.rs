//! A lane against a model, over random interleavings: pushes, workers that come and go, look, finish and die.
//!
//! Workers are simulated here by what the lane asks of them: look when a mail comes. So nothing is lost because nobody
//! was told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};

use futures_util::FutureExt as _;
use proptest::{collection::vec, option, prelude::*};

use super::{
    super::{
        mailbox::{Mail, Mailbox},
        queue::{Ended, Next, RuleQueue},
    },
    bench::{Bench, PING, message},
    push_all,
};
use crate::rules::{Order, Rule};

const WORKERS: usize = 3;

/// Terms that a rule may be served on: each order, with these numbers of runs side by side.
const ORDERS: [Order; 3] = [Order::Discussion, Order::Rule, Order::None];
const CONCURRENCIES: [usize; 3] = [1, 2, 4];
const TERMS: usize = ORDERS.len() * CONCURRENCIES.len();

#[derive(Debug, Clone)]
enum Step {
    Push {
        discussion: usize,
    },
    /// The lane is given to this worker, which may have it already, on these of the terms, or as before.
    Attach(usize, Option<usize>),
    /// The worker reads its mail and starts what it may.
    Look(usize),
    /// One of the runs under way ends.
    Finish(usize),
    /// The runs of a worker's former generations are given up.
    Abandon(usize),
    Retire,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3usize).prop_map(|discussion| Step::Push { discussion }),
        2 => (0..WORKERS, option::of(0..TERMS)).prop_map(|(worker, terms)| Step::Attach(worker, terms)),
        4 => (0..WORKERS).prop_map(Step::Look),
        6 => (0..8usize).prop_map(Step::Finish),
        1 => (0..WORKERS).prop_map(Step::Abandon),
        1 => Just(Step::Retire),
    ]
}

struct Run {
    worker: usize,
    generation: u64,
    claim: u64,
    discussion: usize,
}

struct Model {
    /// The rule on each of the terms, and on present ones.
    terms: Vec<Arc<Rule>>,
    rule: Arc<Rule>,
    /// Whether it was ever served in no order.
    unordered: bool,
    queue: RuleQueue,
    mailboxes: Vec<Arc<Mailbox>>,
    /// The generation in which each worker last had the lane.
    seats: Vec<Option<u64>>,
    owner: Option<usize>,
    runs: Vec<Run>,
    /// Numbers that were accepted and started, by discussion.
    accepted: BTreeMap<usize, Vec<usize>>,
    started: BTreeMap<usize, Vec<usize>>,
    pushed: usize,
    retired: bool,
}

impl Model {
    fn new(terms: Vec<Arc<Rule>>, first: usize) -> Self {
        let rule = Arc::clone(&terms[first]);
        Self {
            unordered: rule.order == Order::None,
            terms,
            rule,
            queue: RuleQueue::new(),
            mailboxes: (0..WORKERS).map(|_| Arc::default()).collect(),
            seats: vec![None; WORKERS],
            owner: None,
            runs: Vec::new(),
            accepted: BTreeMap::new(),
            started: BTreeMap::new(),
            pushed: 0,
            retired: false,
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Push { discussion } => self.push(*discussion),
            Step::Attach(worker, terms) => {
                if let Some(terms) = terms {
                    self.rule = Arc::clone(&self.terms[*terms]);
                    self.unordered |= self.rule.order == Order::None;
                }
                self.queue.0.serve(&self.rule, &self.mailboxes[*worker]);
                self.owner = Some(*worker);
            }
            Step::Look(worker) => self.look(*worker),
            Step::Finish(at) => self.finish(*at),
            Step::Abandon(worker) => {
                if let Some(generation) = self.seats[*worker].filter(|_| self.owner != Some(*worker)) {
                    let given_up = self.queue.0.abandon(generation);
                    let before = self.runs.len();
                    self.runs.retain(|run| (run.worker, run.generation) != (*worker, generation));
                    assert_eq!(before - self.runs.len(), given_up);
                }
            }
            Step::Retire => {
                self.queue.retire();
                self.retired = true;
            }
        }
    }

    fn push(&mut self, discussion: usize) {
        let number = self.pushed;
        // A queue without credits would wait, here for ever.
        if let Some(accepted) = push_all(&self.queue, &[message(discussion, &number.to_string())], false).now_or_never()
        {
            assert_eq!(accepted, !self.retired);
            if accepted {
                self.pushed += 1;
                self.accepted.entry(discussion).or_default().push(number);
            }
        }
    }

    fn look(&mut self, worker: usize) {
        let Some(mails) = self.mailboxes[worker].take().now_or_never() else { return };
        for mail in mails {
            if let Mail::Seat { generation, .. } = mail {
                self.seats[worker] = Some(generation);
            }
            while let Some(generation) = self.seats[worker] {
                match self.queue.0.next(generation) {
                    Next::Start(work) => self.start(worker, generation, work.claim, &work.bytes),
                    Next::Nothing | Next::Gone => break,
                }
            }
        }
    }

    fn start(&mut self, worker: usize, generation: u64, claim: u64, bytes: &[u8]) {
        let (discussion, number) = (0..3)
            .flat_map(|discussion| (0..self.pushed).map(move |number| (discussion, number)))
            .find(|(discussion, number)| message(*discussion, &number.to_string()) == bytes)
            .unwrap();
        let side_by_side = self.runs.iter().map(|run| run.discussion).collect::<Vec<_>>();
        match self.rule.order {
            Order::Discussion => assert!(!side_by_side.contains(&discussion), "two runs of one discussion"),
            Order::Rule => assert!(side_by_side.is_empty(), "two runs of one rule"),
            Order::None => {}
        }
        assert!(side_by_side.len() < self.rule.concurrency);
        assert_eq!(self.owner, Some(worker), "only who has the lane starts anything");
        self.started.entry(discussion).or_default().push(number);
        self.runs.push(Run { worker, generation, claim, discussion });
    }

    fn finish(&mut self, at: usize) {
        if self.runs.is_empty() {
            return;
        }
        let run = self.runs.remove(at % self.runs.len());
        assert!(self.queue.0.release(run.generation, run.claim, Ended::Well, None));
        self.queue.0.give_back(1);
        // As a worker does: it looks at the lane that a run has ended in, where it has it.
        if self.seats[run.worker] == Some(run.generation) {
            self.mailboxes[run.worker].put(Mail::Ready(Arc::clone(&self.queue.0)));
        }
    }

    /// Lets everybody work until nothing happens any more: then all that was accepted must have been handled, in order.
    fn settle(&mut self) {
        let waiting = |model: &Self| {
            let count = |numbers: &BTreeMap<usize, Vec<usize>>| numbers.values().map(Vec::len).sum::<usize>();
            count(&model.accepted) - count(&model.started)
        };
        self.take(&Step::Attach(0, None));
        loop {
            let before = (self.runs.len(), waiting(self));
            (0..WORKERS).for_each(|worker| self.look(worker));
            self.finish(0);
            if before == (0, 0) || before == (self.runs.len(), waiting(self)) {
                break;
            }
        }
        let orders = if self.unordered { BTreeSet::new() } else { self.accepted.keys().collect() };
        assert_eq!((self.runs.len(), waiting(self)), (0, 0));
        for discussion in orders {
            assert_eq!(self.accepted.get(discussion), self.started.get(discussion));
        }
        let counters = self.queue.counters();
        assert_eq!(counters.queued.load(Ordering::Acquire), self.pushed as u64);
        assert_eq!(counters.settled.load(Ordering::Acquire), self.pushed as u64);
        assert_eq!(counters.running.load(Ordering::Acquire), 0);
    }
}

#[test]
fn whatever_happens_each_line_is_in_order_and_each_notification_handled_once() {
    let bench = Bench::new(&[("rules.yaml", PING), ("ping.lua", "return print")]);
    let steps = vec(step(), 0..120);
    let rule = |(order, concurrency)| {
        let rule = Arc::clone(&bench.rules().rules[0]);
        let rule = Arc::into_inner(rule).unwrap();
        Arc::new(Rule { concurrency, order, ..rule })
    };
    let terms = ORDERS.into_iter().flat_map(|order| CONCURRENCIES.map(|concurrency| (order, concurrency)));
    let terms: Vec<_> = terms.map(rule).collect();
    let config = ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in steps, first in 0..TERMS)| {
        let mut model = Model::new(terms.clone(), first);
        for step in &steps {
            model.take(step);
        }
        model.settle();
    });
}
