//! What a service manager shows of us: one line, of which the first words say what is wrong, if anything is.

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    diagnostic::{Diagnostic, Severity, counted},
    engine::{Glance, Stalled},
    report::{
        Reload, ReloadResult, Trigger,
        text::{clipped, escaped},
    },
};

/// Bytes of a text that is not ours. systemd takes no more than 4 KiB for all.
const LONGEST: usize = 400;

/// What runs, and how it does.
pub(super) fn running(glance: &Glance, stalled: &[Stalled]) -> String {
    let rejected = glance.reload.as_deref().filter(|reload| reload.result == ReloadResult::Rejected);
    let rules = counted(glance.rules, "rule");
    let mut parts: Vec<_> = stalled.first().map(|first| stands_still(first, stalled.len())).into_iter().collect();
    match rejected {
        Some(reload) => {
            let what = mistakes(&reload.diagnostics);
            parts.push(format!("reload failed {}: {what}", moment(reload.at)));
            parts.push(format!("{rules} of before run on, {}", streams(glance)));
        }
        None if glance.open == glance.streams => parts.push(format!("{rules}, {}", streams(glance))),
        None => parts.extend([streams(glance), rules]),
    }
    let mut sentence = parts.join("; ");
    if let Some(reload) = glance.reload.as_deref().filter(|reload| is_news(reload)) {
        sentence = format!("{sentence}, reloaded {}", moment(reload.at));
    }
    sentence
}

/// Why it does not start.
pub(super) fn rejected(diagnostics: &[Diagnostic]) -> String {
    format!("not started: {}", mistakes(diagnostics))
}

/// The same, for a cause that is no mistake in rules.
pub(super) fn failed(cause: &str) -> String {
    format!("not started: {}", foreign(cause))
}

/// A text that is not ours: one line, and not too long.
fn foreign(text: &str) -> String {
    escaped(&clipped(text.as_bytes(), LONGEST))
}

fn is_news(reload: &Reload) -> bool {
    reload.trigger != Trigger::Start && reload.result != ReloadResult::Rejected
}

fn stands_still(stalled: &Stalled, scripts: usize) -> String {
    let others = if scripts > 1 { format!(" and {} more", scripts - 1) } else { String::new() };
    format!("no progress of `{}`{others} for {} s", foreign(&stalled.script), stalled.silent.as_secs())
}

fn streams(glance: &Glance) -> String {
    let Glance { streams, open, cause, is_refused, next_try, .. } = glance;
    let open_of = format!("{open} of {} open", counted(*streams, "stream"));
    if open == streams {
        return open_of;
    }
    let Some(cause) = cause else { return format!("{open_of}: connecting to the daemon") };
    let refused = if *is_refused { ", the daemon refuses" } else { "" };
    let next = next_try.map(|next| format!(", next try {} UTC", utc(next, "%H:%M:%S"))).unwrap_or_default();
    format!("{open_of}{refused}: {}{next}", foreign(cause))
}

/// The first mistake, with its place, and how many more there are.
fn mistakes(diagnostics: &[Diagnostic]) -> String {
    let mut errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    let Some(first) = errors.next() else { return "no cause is known".to_owned() };
    let more = match errors.count() {
        0 => String::new(),
        more => format!(" (and {})", counted(more, "more mistake")),
    };
    format!("{}{more}", foreign(&first.brief()))
}

/// To the minute, in UTC as everywhere in the log.
fn moment(at: Timestamp) -> String {
    format!("{} UTC", utc(at, "%Y-%m-%d %H:%M"))
}

fn utc(at: Timestamp, form: &str) -> String {
    at.to_zoned(TimeZone::UTC).strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::diagnostic::Source;

    fn reload(result: ReloadResult, trigger: Trigger, diagnostics: Vec<Diagnostic>) -> Arc<Reload> {
        Arc::new(Reload {
            generation: 1,
            result,
            trigger,
            at: "2026-11-29T14:03:20Z".parse().unwrap(),
            took: Duration::ZERO,
            added: vec![],
            removed: vec![],
            changed: vec![],
            kept: 0,
            scripts: vec![],
            diagnostics: diagnostics.into(),
        })
    }

    fn well() -> Glance {
        let reload = reload(ReloadResult::Started, Trigger::Start, vec![]);
        Glance { rules: 12, streams: 46, open: 46, reload: Some(reload), ..Glance::default() }
    }

    fn mistake() -> Diagnostic {
        let source = Source::new("rules.yaml", "rules:\n  - nmae: a\n");
        Diagnostic::error("unknown-key", "unknown key `nmae`").at(source.line(2))
    }

    #[test]
    fn all_is_well() {
        assert_eq!(running(&well(), &[]), "12 rules, 46 of 46 streams open");
        let one = Glance { rules: 1, streams: 1, open: 1, ..well() };
        assert_eq!(running(&one, &[]), "1 rule, 1 of 1 stream open");
        let again = Glance { reload: Some(reload(ReloadResult::Applied, Trigger::Files, vec![])), ..well() };
        assert_eq!(running(&again, &[]), "12 rules, 46 of 46 streams open, reloaded 2026-11-29 14:03 UTC");
    }

    #[test]
    fn streams_that_are_not_open_come_first() {
        let connecting = Glance { open: 0, ..well() };
        assert_eq!(running(&connecting, &[]), "0 of 46 streams open: connecting to the daemon; 12 rules");
        let next_try = Some("2026-11-29T14:04:05.9Z".parse().unwrap());
        let lost = Glance { open: 3, cause: Some("UNAVAILABLE: connection refused".to_owned()), next_try, ..well() };
        assert_eq!(
            running(&lost, &[]),
            "3 of 46 streams open: UNAVAILABLE: connection refused, next try 14:04:05 UTC; 12 rules"
        );
        let cause = Some("UNAUTHENTICATED: Invalid client key".to_owned());
        let refused = Glance { open: 0, cause, is_refused: true, next_try: None, ..well() };
        assert_eq!(
            running(&refused, &[]),
            "0 of 46 streams open, the daemon refuses: UNAUTHENTICATED: Invalid client key; 12 rules"
        );
    }

    #[test]
    fn a_reload_that_failed_says_where_and_that_the_former_rules_go_on() {
        let broken = reload(ReloadResult::Rejected, Trigger::Signal, vec![mistake(), mistake(), mistake()]);
        let glance = Glance { reload: Some(broken), ..well() };
        assert_eq!(
            running(&glance, &[]),
            "reload failed 2026-11-29 14:03 UTC: rules.yaml:2:3: unknown key `nmae` (and 2 more mistakes); 12 rules of \
             before run on, 46 of 46 streams open"
        );
        assert_eq!(rejected(&[mistake()]), "not started: rules.yaml:2:3: unknown key `nmae`");
    }

    #[test]
    fn what_stands_still_comes_before_all_else() {
        let stalled = |script: &str| Stalled {
            script: script.to_owned(),
            rules: vec!["a".to_owned()],
            silent: Duration::from_millis(45_600),
        };
        assert_eq!(
            running(&well(), &[stalled("echo.lua")]),
            "no progress of `echo.lua` for 45 s; 12 rules, 46 of 46 streams open"
        );
        let two = [stalled("echo.lua"), stalled("ping.lua")];
        assert!(running(&well(), &two).starts_with("no progress of `echo.lua` and 1 more for 45 s; "));
    }

    #[test]
    fn what_a_stranger_wrote_is_one_line_and_not_too_long() {
        let cause = Some(format!("x\nREADY=1\u{1b}[31m{}", "é".repeat(4000)));
        let said = running(&Glance { open: 0, cause, ..well() }, &[]);
        assert!(said.starts_with("0 of 46 streams open: x\\nREADY=1\\u{1b}[31mé"), "{said}");
        assert!(!said.contains(char::is_control) && said.len() < 600, "{}", said.len());
        let said = failed(&"y\n".repeat(4000));
        assert!(!said.contains('\n') && said.len() < 600);
    }
}
