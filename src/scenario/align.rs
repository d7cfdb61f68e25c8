//! What was sent beside what is expected: which belongs to which, and what is left on either side.

use serde_json::Value as Json;

use super::{Finding, Sending, pattern};
use crate::{diagnostic::Place, schema::Command};

/// A command that was sent.
pub(super) struct Sent {
    pub(super) command: std::sync::Arc<Command>,
    /// The request: of an upload, without the files' content.
    pub(super) request: Json,
    /// The discussion that it is about, where it says.
    pub(super) discussion: u64,
}

/// What is expected, with the discussion that it is to be in.
pub(super) struct Wanted<'t> {
    pub(super) sending: &'t Sending,
    pub(super) discussion: Option<u64>,
}

impl Wanted<'_> {
    fn fits(&self, sent: &Sent) -> bool {
        self.sending.command.name == sent.command.name && self.differences(sent).is_empty()
    }

    fn differences(&self, sent: &Sent) -> Vec<String> {
        let mut lines = self.sending.fields.differences(&sent.request);
        if let (Some(wanted), Some(within)) = (self.discussion, &self.sending.within)
            && wanted != sent.discussion
        {
            lines.insert(
                0,
                format!("in: expected {within} (discussion {wanted}), found discussion {}", sent.discussion),
            );
        }
        lines
    }

    fn shown(&self) -> String {
        let within = self.sending.within.as_ref().map_or_else(String::new, |within| format!(" in {within}"));
        format!("{} {}{within}", self.sending.command.name, self.sending.fields.shown())
    }
}

impl Sent {
    fn shown(&self) -> String {
        format!("{} {}", self.command.name, pattern::shown(&self.request))
    }
}

/// A line of the two lists beside each other, by their indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Both(usize),
    Wanted(usize),
    Sent(usize),
    /// The same command with other fields.
    Differs(usize, usize),
}

/// Compares what was sent with what is expected, batch after batch. `place` is for what nobody expects.
pub(super) fn compare(batches: &[Vec<Wanted<'_>>], sent: &[Sent], place: &Place) -> Vec<Finding> {
    if is_as_expected(batches, sent) {
        return Vec::new();
    }
    let wanted: Vec<(&Wanted<'_>, bool)> =
        batches.iter().flat_map(|batch| batch.iter().map(|wanted| (wanted, batch.len() > 1))).collect();
    let rows = rows(&wanted, sent);
    let mut findings: Vec<Finding> = Vec::new();
    for row in &rows {
        findings.extend(match *row {
            Row::Both(_) => None,
            Row::Wanted(at) => {
                let (Wanted { sending, .. }, name) = (wanted[at].0, &wanted[at].0.sending.command.name);
                let elsewhere =
                    rows.iter().any(|row| matches!(row, Row::Sent(sent_at) if wanted[at].0.fits(&sent[*sent_at])));
                Some(if elsewhere {
                    let help = "`unordered: [...]` takes them in any order";
                    let mut finding =
                        Finding::new("wrong-order", format!("`{name}` was sent in another order"), &sending.place);
                    finding.diagnostic.help = Some(help.to_owned());
                    finding
                } else {
                    Finding::new("missing-command", format!("`{name}` was expected and not sent"), &sending.place)
                })
            }
            Row::Differs(at, _) => {
                let sending = wanted[at].0.sending;
                let message = format!("`{}` was sent with other fields", sending.command.name);
                Some(Finding::new("wrong-fields", message, &sending.place))
            }
            Row::Sent(at) => {
                let out_of_order =
                    rows.iter().any(|row| matches!(row, Row::Wanted(other) if wanted[*other].0.fits(&sent[at])));
                let message = format!("`{}` was sent and not expected", sent[at].command.name);
                (!out_of_order).then(|| Finding::new("unexpected-command", message, place))
            }
        });
    }
    if let Some(last) = findings.last_mut() {
        last.lines = shown(&rows, &wanted, sent);
    }
    findings
}

fn shown(rows: &[Row], wanted: &[(&Wanted<'_>, bool)], sent: &[Sent]) -> Vec<String> {
    let mut lines = vec!["- expected, + sent:".to_owned()];
    for row in rows {
        match *row {
            Row::Both(at) => lines.push(format!("  {}", sent[at].shown())),
            Row::Wanted(at) => lines.push(format!("- {}", wanted[at].0.shown())),
            Row::Sent(at) => lines.push(format!("+ {}", sent[at].shown())),
            Row::Differs(at, found) => {
                lines.push(format!("- {}", wanted[at].0.shown()));
                lines.push(format!("+ {}", sent[found].shown()));
                lines.extend(wanted[at].0.differences(&sent[found]).into_iter().map(|line| format!("    {line}")));
            }
        }
    }
    lines
}

/// Whether all is as expected. What only reads is passed over where it is not expected.
fn is_as_expected(batches: &[Vec<Wanted<'_>>], sent: &[Sent]) -> bool {
    let mut at = 0;
    for batch in batches {
        let mut window = Vec::new();
        while window.len() < batch.len() {
            let Some(next) = sent.get(at) else { return false };
            at += 1;
            if batch.iter().any(|wanted| wanted.fits(next)) {
                window.push(next);
            } else if !next.command.reads {
                return false;
            }
        }
        if !is_assigned(batch, &window) {
            return false;
        }
    }
    sent[at..].iter().all(|rest| rest.command.reads)
}

/// Whether each of a batch can have one of the commands for itself.
fn is_assigned(batch: &[Wanted<'_>], window: &[&Sent]) -> bool {
    let fits: Vec<Vec<usize>> =
        batch.iter().map(|wanted| (0..window.len()).filter(|at| wanted.fits(window[*at])).collect()).collect();
    let mut taken: Vec<Option<usize>> = vec![None; window.len()];
    (0..batch.len()).all(|one| finds_place(one, &fits, &mut taken, &mut vec![false; window.len()]))
}

/// Gives one a command, moving others where that helps.
fn finds_place(one: usize, fits: &[Vec<usize>], taken: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    for at in &fits[one] {
        if std::mem::replace(&mut tried[*at], true) {
            continue;
        }
        if taken[*at].is_none_or(|other| finds_place(other, fits, taken, tried)) {
            taken[*at] = Some(one);
            return true;
        }
    }
    false
}

/// Puts both lists beside each other: what fits in order, then those of batches wherever they are, then what differs in its
/// fields only.
fn rows(wanted: &[(&Wanted<'_>, bool)], sent: &[Sent]) -> Vec<Row> {
    let mut pair = in_order(wanted, sent);
    for (at, (one, in_batch)) in wanted.iter().enumerate() {
        if *in_batch && pair[at].is_none() {
            pair[at] = (0..sent.len()).find(|found| !pair.contains(&Some(*found)) && one.fits(&sent[*found]));
        }
    }
    let mut rows = Vec::new();
    let (mut next, mut open): (usize, Vec<usize>) = (0, Vec::new());
    for found in 0..=sent.len() {
        // What is expected before this one and did not come.
        let upto = if found == sent.len() {
            wanted.len()
        } else {
            pair.iter().rposition(|paired| *paired == Some(found)).map_or(next, |at| at.max(next))
        };
        open.extend((next..upto).filter(|at| pair[*at].is_none()));
        next = upto;
        if found == sent.len() {
            break;
        }
        if pair.contains(&Some(found)) {
            rows.extend(open.drain(..).map(Row::Wanted));
            rows.push(Row::Both(found));
        } else if !sent[found].command.reads {
            rows.push(Row::Sent(found));
        }
    }
    rows.extend(open.into_iter().map(Row::Wanted));
    joined(rows, wanted, sent)
}

/// Joins what was sent and what is expected of the same command, between two that fit, unless they fit elsewhere.
fn joined(mut rows: Vec<Row>, wanted: &[(&Wanted<'_>, bool)], sent: &[Sent]) -> Vec<Row> {
    let fits_somewhere = |at: usize| sent.iter().any(|sent| wanted[at].0.fits(sent));
    let mut begin = 0;
    while begin < rows.len() {
        let end = (begin..rows.len()).find(|at| matches!(rows[*at], Row::Both(_))).unwrap_or(rows.len());
        for at in begin..end {
            let Row::Wanted(one) = rows[at] else { continue };
            let same = |row: &Row| matches!(row, Row::Sent(found) if sent[*found].command.name == wanted[one].0.sending.command.name);
            if let Some(other) = (begin..end).find(|other| same(&rows[*other])).filter(|_| !fits_somewhere(one))
                && let Row::Sent(found) = rows[other]
            {
                rows[at] = Row::Differs(one, found);
                rows[other] = Row::Differs(usize::MAX, found);
            }
        }
        begin = end + 1;
    }
    rows.retain(|row| !matches!(row, Row::Differs(usize::MAX, _)));
    rows
}

/// The longest part of both lists that fits in order.
fn in_order(wanted: &[(&Wanted<'_>, bool)], sent: &[Sent]) -> Vec<Option<usize>> {
    let (rows, columns) = (wanted.len(), sent.len());
    let mut longest = vec![vec![0usize; columns + 1]; rows + 1];
    for one in (0..rows).rev() {
        for other in (0..columns).rev() {
            longest[one][other] = if wanted[one].0.fits(&sent[other]) {
                longest[one + 1][other + 1] + 1
            } else {
                longest[one + 1][other].max(longest[one][other + 1])
            };
        }
    }
    let (mut pairs, mut one, mut other) = (vec![None; rows], 0, 0);
    while one < rows && other < columns {
        if wanted[one].0.fits(&sent[other]) {
            pairs[one] = Some(other);
            (one, other) = (one + 1, other + 1);
        } else if longest[one + 1][other] >= longest[one][other + 1] {
            one += 1;
        } else {
            other += 1;
        }
    }
    pairs
}
