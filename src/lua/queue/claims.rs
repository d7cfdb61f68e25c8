//! Runs of one rule that are under way, over all workers, and which line each is of.
//!
//! At most as many as there are credits, and mostly few: they are looked through, not looked up.

use bytes::Bytes;

/// All of them.
#[derive(Default)]
pub(super) struct Claims {
    all: Vec<Claimed>,
    next: u64,
}

struct Claimed {
    id: u64,
    /// In which generation it was started.
    generation: u64,
    line: Line,
}

/// Which line a run is of: the discussion that its notification is about.
pub(super) enum Line {
    /// It was started under another order, and may be of any.
    Any,
    /// Nobody has asked yet, so nothing is known to wait behind it: most runs end before another one might have to.
    Unread(Bytes),
    Of(u64),
}

impl Claims {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A run begins. Returns its number.
    pub(super) fn begin(&mut self, generation: u64, line: Line) -> u64 {
        let id = self.next;
        self.next += 1;
        self.all.push(Claimed { id, generation, line });
        id
    }

    /// A run ends, if it is one of these; says so, and which discussion has no run any more that somebody may wait for.
    pub(super) fn end(&mut self, id: u64, freed: impl FnOnce(u64)) -> bool {
        let Some(at) = self.all.iter().rposition(|claimed| claimed.id == id) else { return false };
        if let Line::Of(key) = self.all.swap_remove(at).line
            && !self.is_busy(key)
        {
            freed(key);
        }
        true
    }

    /// The runs of a generation.
    pub(super) fn of(&self, generation: u64) -> impl Iterator<Item = u64> {
        self.all.iter().filter(move |claimed| claimed.generation == generation).map(|claimed| claimed.id)
    }

    /// Finds out which line each is of; false where that cannot be told of one.
    pub(super) fn read(&mut self, read: impl Fn(&Bytes) -> u64) -> bool {
        self.all.iter_mut().all(|claimed| {
            if let Line::Unread(bytes) = &claimed.line {
                claimed.line = Line::Of(read(bytes));
            }
            !matches!(claimed.line, Line::Any)
        })
    }

    /// Whether a run of a discussion is known to be under way.
    pub(super) fn is_busy(&self, key: u64) -> bool {
        self.all.iter().any(|claimed| matches!(claimed.line, Line::Of(line) if line == key))
    }
}
