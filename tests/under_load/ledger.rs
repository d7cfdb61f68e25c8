//! What must hold of all that handlers told, once everything that was sent is handled.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{edits::BAD, rig::Entry, site::STRIDE, traffic::discussion};

/// Every number up to a bound was handled once by a rule, in order within its line. Returns the versions that did.
pub(crate) fn assert_complete<'e>(entries: &'e [Entry], rule: &str, sent: u64) -> BTreeSet<&'e str> {
    let own: Vec<_> = entries.iter().filter(|entry| &*entry.rule == rule).collect();
    let mut times = vec![0_u8; usize::try_from(sent).unwrap()];
    for entry in &own {
        times[usize::try_from(entry.number).unwrap()] += 1;
        assert_eq!(entry.discussion, discussion(entry.number), "{entry:?}");
    }
    let wrong: Vec<_> = times.iter().enumerate().filter(|(_, times)| **times != 1).collect();
    let around = |number: usize| {
        let near = |entry: &&&Entry| entry.number.abs_diff(number as u64) <= 2;
        own.iter().filter(near).copied().collect::<Vec<_>>()
    };
    assert!(
        wrong.is_empty(),
        "{rule}: of {sent}, {} lost and {} doubled, from {:?} to {:?}: {:#?}",
        wrong.iter().filter(|(_, times)| **times == 0).count(),
        wrong.iter().filter(|(_, times)| **times > 1).count(),
        wrong.first(),
        wrong.last(),
        wrong.first().map(|(number, _)| around(*number)),
    );
    assert_in_order(own.iter().copied());
    own.iter().map(|entry| &*entry.version).collect()
}

fn assert_in_order<'e>(entries: impl Iterator<Item = &'e Entry>) {
    let mut last = HashMap::new();
    for entry in entries {
        if let Some(before) = last.insert(entry.discussion, entry) {
            assert!(before.number < entry.number, "out of order: {before:?} before {entry:?}");
        }
    }
}

/// The script handed on what it counted: no run was started on the old code behind it, and none was forgotten.
pub(crate) fn assert_counted(entries: &[Entry], rule: &str) {
    let mut counts: Vec<_> = entries.iter().filter(|entry| &*entry.rule == rule).map(|entry| entry.count).collect();
    counts.sort_unstable();
    for (at, count) in (1..).zip(&counts) {
        assert_eq!(at, *count, "the script's own count");
    }
}

/// A rule that was there for a while has handled all that came meanwhile: its numbers have no gap and no double.
pub(crate) fn assert_guests(entries: &[Entry]) -> usize {
    let mut lives = BTreeMap::<_, Vec<&Entry>>::new();
    for entry in entries.iter().filter(|entry| entry.rule.starts_with("guest-")) {
        lives.entry((&entry.rule, &entry.version)).or_default().push(entry);
    }
    for (life, entries) in &lives {
        assert_in_order(entries.iter().copied());
        let numbers: BTreeSet<_> = entries.iter().map(|entry| entry.number).collect();
        assert_eq!(numbers.len(), entries.len(), "{life:?} has handled something twice");
        let (first, last) = (numbers.first().unwrap(), numbers.last().unwrap());
        let missing =
            (*first..=*last).step_by(usize::try_from(STRIDE).unwrap()).find(|number| !numbers.contains(number));
        assert_eq!(missing, None, "{life:?} was there from {first} to {last}");
    }
    lives.len()
}

/// Nothing was handled by code that was never accepted.
pub(crate) fn assert_good(entries: &[Entry]) {
    let bad = entries.iter().find(|entry| entry.version.contains(BAD));
    assert!(bad.is_none(), "{bad:?}");
}
