//! Plays a scenario and says what was not as expected.

use std::{path::PathBuf, sync::Arc, time::Instant};

use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::{
    Doing, Finding, Outcome, Scenario, Sending, Telling, Turn, When,
    align::{self, Sent, Wanted},
    expect::{PLACE, request},
    pattern,
    stage::Stage,
};
use crate::{
    diagnostic::Place,
    report::{Event, Failure, Origin},
    rules::{Caps, RuleSet},
    schema::{
        Command, Shape,
        json::from_wire,
        order::OrderKey,
        wire::{Reader, Value},
    },
    simulator::Recorded,
};

/// Plays a scenario from the beginning, with scripts of its own. What they save goes into the tree of `aside`.
pub async fn play(rules: &RuleSet, caps: &Caps, scenario: &Scenario, aside: Option<PathBuf>) -> Outcome {
    let begun = Instant::now();
    let findings = match Stage::open(rules, caps, &scenario.given, aside, None).await {
        Ok(stage) => perform(stage, scenario).await,
        Err(cause) => vec![Finding::new("not-started", format!("the scenario cannot begin: {cause}"), &scenario.place)],
    };
    Outcome { findings, took: begun.elapsed() }
}

async fn perform(mut stage: Stage, scenario: &Scenario) -> Vec<Finding> {
    let mut findings = Vec::new();
    for turn in &scenario.turns {
        for when in &turn.whens {
            if let Err(cause) = act(&mut stage, when).await {
                findings.push(Finding::new("not-done", cause, &when.place));
            }
        }
        match stage.rest().await {
            Ok(()) => findings.extend(judge(&stage, turn)),
            Err(cause) => findings.push(Finding::new("no-rest", cause, &turn.place)),
        }
        // What comes after something went wrong says little.
        if !findings.is_empty() {
            break;
        }
    }
    if findings.is_empty() {
        findings.extend(unmet(&stage, scenario));
    }
    stage.close().await;
    findings
}

async fn act(stage: &mut Stage, when: &When) -> Result<(), String> {
    match &when.doing {
        Doing::Wait(time) => {
            let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            stage.pass(stage.clock.now().saturating_add(time)).await
        }
        Doing::Refuse { command, reply, times } | Doing::Answer { command, reply, times } => {
            stage.simulator.script(&command.name, reply.clone(), *times);
            Ok(())
        }
        Doing::Act { by, group, act } => {
            stage.tick().await?;
            stage.chat.news();
            stage.chat.turn_to(by, group.as_deref())?;
            stage.chat.act(act).map(drop)
        }
    }
}

/// Refusals that no command came for.
fn unmet(stage: &Stage, scenario: &Scenario) -> Option<Finding> {
    let unplayed = stage.simulator.unplayed();
    let whens = scenario.turns.iter().flat_map(|turn| &turn.whens);
    let mut refusals = whens.filter_map(|when| match &when.doing {
        Doing::Refuse { command, .. } => Some((command, &when.place)),
        _ => None,
    });
    let (command, place) = refusals.rfind(|(command, _)| unplayed.contains(&command.name))?;
    let message = format!("`{}` was not sent as often as it was to be refused", command.name);
    Some(Finding::new("unmet-refusal", message, place))
}

/// Compares what came of a turn with what is expected of it.
fn judge(stage: &Stage, turn: &Turn) -> Vec<Finding> {
    let mut findings = Vec::new();
    let batches = turn.commands.iter().map(|batch| batch.iter().map(|sending| wanted(stage, sending)).collect());
    let batches = batches.collect::<Result<Vec<Vec<_>>, Box<Finding>>>();
    let expected = |name: &str| turn.commands.iter().flatten().any(|sending| sending.command.name == name);
    let sent = stage.sent().into_iter().filter(|sent| !sent.command.reads || expected(&sent.command.name));
    let sent: Vec<Sent> = sent.map(sent_of).collect();
    match batches {
        Ok(batches) => findings.extend(align::compare(&batches, &sent, &turn.place)),
        Err(finding) => findings.push(*finding),
    }
    let heard = stage.heard();
    findings.extend(logs(&turn.logs, &heard));
    findings.extend(failures(&turn.failures, &heard, &turn.place));
    findings
}

/// What is expected, with the discussion that it is to be in.
fn wanted<'t>(stage: &Stage, sending: &'t Sending) -> Result<Wanted<'t>, Box<Finding>> {
    let Some(within) = &sending.within else { return Ok(Wanted { sending, discussion: None }) };
    let discussion = stage.chat.place_of_bot(within).ok().flatten();
    if discussion.is_some() {
        return Ok(Wanted { sending, discussion });
    }
    let message = format!("the bot has no discussion `{within}`");
    Err(Box::new(Finding::new("no-discussion", message, &sending.place)))
}

pub(super) fn sent_of(recorded: Recorded) -> Sent {
    let Recorded { command, request: bytes, .. } = recorded;
    let plan = request(&command);
    let bytes = match &command.shape {
        Shape::Upload(upload, _) => metadata(&command, upload.metadata, &bytes).unwrap_or_default(),
        _ => bytes,
    };
    let key = OrderKey::of(plan, PLACE);
    let discussion = (key.thing(plan) == PLACE).then(|| key.read(plan, &bytes).unwrap_or_default());
    let request = from_wire(plan, &bytes).unwrap_or_default();
    Sent { command: Arc::clone(&command), request, discussion: discussion.unwrap_or_default() }
}

/// The parameters in the first message of an upload.
fn metadata(command: &Command, field: usize, bytes: &[u8]) -> Option<Bytes> {
    let mut reader = Reader::new(&command.method.input, bytes);
    while let Ok(Some((found, value))) = reader.advance() {
        if let (true, Value::Message(bytes)) = (found == field, value) {
            return Some(Bytes::copy_from_slice(bytes));
        }
    }
    None
}

fn logs(wanted: &[Telling], heard: &[Event]) -> Vec<Finding> {
    let said: Vec<Json> = heard.iter().filter_map(line_of).collect();
    let (mut findings, mut at) = (Vec::new(), 0);
    for telling in wanted {
        // In order: what is expected next comes behind.
        if let Some(found) = said[at..].iter().position(|said| telling.fields.fits(said)) {
            at += found + 1;
            continue;
        }
        let mut finding = Finding::new("missing-log", "this was expected in the log and did not come", &telling.place);
        finding.lines = beside(telling, "log", &said);
        findings.push(finding);
    }
    findings
}

fn failures(wanted: &[Telling], heard: &[Event], place: &Place) -> Vec<Finding> {
    let mut failed: Vec<(Json, &Failure)> = heard
        .iter()
        .filter_map(|event| match event {
            Event::RunFailed(failure) => Some((failure_of(event)?, failure)),
            _ => None,
        })
        .collect();
    let mut findings = Vec::new();
    for telling in wanted {
        if let Some(found) = failed.iter().position(|(failed, _)| telling.fields.fits(failed)) {
            failed.remove(found);
            continue;
        }
        let mut finding = Finding::new("missing-failure", "this failure was expected and did not come", &telling.place);
        let all: Vec<Json> = failed.iter().map(|(failed, _)| failed.clone()).collect();
        finding.lines = beside(telling, "failure", &all);
        findings.push(finding);
    }
    findings.extend(failed.iter().map(|(_, failure)| failed_run(failure, place)));
    let others = heard.iter().filter_map(|event| match event {
        Event::ScriptFailed { script, fate } => Some(format!("`{script}`{}", fate.words())),
        Event::FeedRefused { feeds, cause, .. } | Event::FeedLost { feeds, cause, .. } => {
            let feed = feeds.first()?;
            Some(format!("the stream of {} ({}) is not open: {cause}", feed.subscription, feed.place))
        }
        _ => None,
    });
    findings.extend(others.map(|message| Finding::new("run-failed", message, place)));
    findings
}

/// A line of the log as scenarios know it.
pub(super) fn line_of(event: &Event) -> Option<Json> {
    let Event::Said { origin, level, text, fields } = event else { return None };
    Some(json!({ "level": level.name(), "text": text, "fields": fields, "rule": rule(origin) }))
}

/// A failure as scenarios know it.
pub(super) fn failure_of(event: &Event) -> Option<Json> {
    let Event::RunFailed(Failure { origin, kind, message, .. }) = event else { return None };
    Some(json!({ "rule": rule(origin), "kind": kind.name(), "message": message }))
}

fn failed_run(failure: &Failure, place: &Place) -> Finding {
    let Failure { origin, kind, message, traceback, notification, .. } = failure;
    let about = notification.as_ref().map_or_else(String::new, |about| format!(" for {about}"));
    let told = format!("the rule `{}` failed{about} ({}): {message}", rule(origin), kind.name());
    let mut finding = Finding::new("run-failed", told, place);
    let at = origin.place.iter().map(|place| format!("at {place}"));
    finding.lines = at.chain(traceback.iter().map(|frame| format!("  {frame}"))).collect();
    finding
}

/// What is expected, and all that came of its kind.
fn beside(telling: &Telling, what: &str, came: &[Json]) -> Vec<String> {
    let expected = format!("- {what} {}", telling.fields.shown());
    let head = if came.is_empty() {
        format!("- expected, and nothing came as {what}:")
    } else {
        "- expected, + came:".to_owned()
    };
    let came = came.iter().map(|came| format!("+ {what} {}", pattern::shown(came)));
    [head, expected].into_iter().chain(came).collect()
}

fn rule(origin: &Origin) -> &str {
    origin.rule.as_deref().unwrap_or_default()
}
