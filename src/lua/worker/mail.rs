//! What a worker does with its mail: seats at lanes, and what the control plane asks for.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::Arc,
};

use super::Worker;
use crate::{
    lua::{mailbox::Mail, permits::Permit, queue::Lane, restraint, seat::Seat},
    rules::Rule,
};

impl Worker {
    /// Does what is asked for, in order.
    pub(super) fn receive_all(&mut self, mails: VecDeque<Mail>) {
        let mut taken = Vec::new();
        for mail in mails {
            if !matches!(mail, Mail::Seat { .. }) {
                self.begin(&mem::take(&mut taken));
            }
            match mail {
                Mail::Seat { lane, rule, generation } => taken.push(self.take_seat(lane, rule, generation)),
                Mail::Ready(lane) => self.start_ready(&lane),
                Mail::Save(reply) => {
                    self.paused = true;
                    // Who does not wait any more has put the end of the pause behind this mail.
                    let saved = if reply.is_closed() { Ok(None) } else { self.script.save() };
                    reply.send(saved).unwrap_or_default();
                }
                Mail::Restore { state, reply } => reply.send(self.script.restore(&state)).unwrap_or_default(),
                Mail::Resume => self.resume_all(),
                Mail::Stop { deadline } => {
                    self.stop_at = Some(self.stop_at.map_or(deadline, |earlier| earlier.min(deadline)));
                    self.resume_all();
                }
            }
        }
        self.begin(&taken);
    }

    fn take_seat(&mut self, lane: Arc<Lane>, rule: Arc<Rule>, generation: u64) -> Arc<Lane> {
        let counters = Arc::clone(&self.counters);
        let seat = Seat::new(&self.script, Arc::clone(&lane), generation, rule, counters);
        self.tell_later(restraint::inherited(&seat, &self.script.host));
        self.seats.insert(Arc::as_ptr(&lane), seat);
        lane
    }

    /// Begins with lanes, on what all rules together allow: found out once for many that come at the same time.
    fn begin(&mut self, lanes: &[Arc<Lane>]) {
        if !lanes.is_empty() {
            self.take_terms();
        }
        for lane in lanes {
            self.start_ready(lane);
        }
    }

    /// Finds out what all rules together allow. While there are none, what there was last holds.
    pub(super) fn take_terms(&mut self) {
        let present = || self.seats.values().filter(|seat| !seat.lane.is_over(seat.generation));
        let Some(memory) = present().map(|seat| seat.rule.limits.memory).max() else { return };
        let mut permits = BTreeMap::new();
        for seat in present() {
            let file = (&*seat.rule.file, Arc::as_ptr(&seat.rule.permissions));
            permits.entry(file).or_insert_with(|| Permit::of(&seat.rule));
        }
        self.memory = memory;
        self.script.host.permits.replace(permits.into_values().collect());
        self.script.host.buffers.limit(self.memory);
    }

    fn resume_all(&mut self) {
        self.paused = false;
        let lanes: Vec<_> = self.seats.values().map(|seat| Arc::clone(&seat.lane)).collect();
        for lane in &lanes {
            self.start_ready(lane);
        }
    }
}
