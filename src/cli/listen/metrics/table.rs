//! The table of metrics.

use std::fmt;

use prometheus_client::metrics::MetricType::{self, Counter, Gauge, Histogram, Info};

use super::{Metric, Number, Samples, Scrape, Section, Values, seconds};
use crate::{
    engine::{RuleFigures, StreamFigures},
    lua::{CREDITS, Measured},
    report::ReloadResult,
};

/// How the page about them begins.
pub(super) const PREFACE: &str = "\
# Metrics

<!-- Written by `UPDATE_DOCS=1 cargo test --test docs`: change its sources, not this file. -->

`olvid-rules run --listen 127.0.0.1:9464` answers over HTTP: `/metrics`, `/healthz`, `/readyz` and `/status`. So does a Unix
socket, `--listen unix:/run/olvid-rules/http`, which the host's user and group may use; the flag may be given twice.

`/metrics` is OpenMetrics 1.0 for who accepts it, as Prometheus does, and Prometheus' text format 0.0.4 for others.
`packaging/prometheus/alerts.yaml` has alerts, `packaging/grafana/olvid-rules.json` a dashboard.

```yaml
scrape_configs:
  - job_name: olvid-rules
    static_configs: [{ targets: [\"127.0.0.1:9464\"] }]
rule_files: [alerts.yaml]
```

Counts begin at 0 when the host starts. A rule's survive reloads, of its script too; they begin anew when its
subscription changes, and end with the rule. Labels hold names from rule files, of subscriptions, commands and codes, and
paths of files: nothing that others write, or that a script makes up.
";

/// How it ends.
pub(super) const BEHIND: &str = "
## Health

- `/healthz`: 200 `ok` while every script makes progress. 503, and a line for each that does not: its thread does not come
  back within what its rules' limits allow. The scripts are asked every 5 s.
- `/readyz`: 200 `ok` once the rules run and every stream is open, or has delivered its `count`. 503, and a line for each
  that is not, with the cause and when it is tried again; 503 too while the rules are first loaded, and while the host is
  stopping.
- `/status`: what `olvid-rules status --json` prints.
";

/// The labels of all that is a rule's.
const RULE: &[&str] = &["rule", "subscription"];

/// The states that a stream may be in.
const STATES: [&str; 4] = ["opening", "open", "completed", "refused"];

pub(super) const SECTIONS: &[Section] = &[
    Section {
        title: "Notifications",
        about: "Each for a rule: what several rules get counts for each of them.",
        metrics: &[
            of_rules(
                Counter,
                "olvid_rules_notifications_received",
                "Notifications that came in for the rule.",
                |rule| rule.received,
            ),
            of_rules(
                Counter,
                "olvid_rules_notifications_handled",
                "Of these, the ones that are dealt with: their handlers ended, however, or were not called.",
                |rule| rule.handled,
            ),
            any(
                Counter,
                "olvid_rules_notifications_failed",
                &["rule", "subscription", "kind"],
                "Of the handled ones, those whose handler failed, by what ended it: `error`, a limit (`timeout`, `cpu`, \
                 `memory`, `output`), `denied`, or `given_up` with the script's thread.",
                failed,
            ),
            of_rules(
                Counter,
                "olvid_rules_notifications_left_out",
                "Of the handled ones, those that no handler was called for: the rule ignores them, or they were part of a \
                 loop.",
                |rule| rule.left_out,
            ),
            any(
                Gauge,
                "olvid_rules_last_notification_timestamp",
                RULE,
                "When the rule's stream last brought something, in seconds since 1970.",
                last_notification,
            )
            .in_seconds(),
            of_rules(Gauge, "olvid_rules_queue_waiting", "Notifications that wait for their handler.", |rule| {
                rule.waiting
            }),
            of_rules(Gauge, "olvid_rules_queue_running", "Handlers under way.", |rule| rule.running),
            one(
                Gauge,
                "olvid_rules_queue_limit",
                "How many notifications of a rule may wait or run before its stream is not read.",
                |_| Some(CREDITS.into()),
            ),
            durations("olvid_rules_wait", "From when a notification came in until its handler was called.", |rule| {
                &rule.waited
            }),
            durations("olvid_rules_run", "How long handlers took, waiting for the daemon included.", |rule| &rule.ran),
        ],
    },
    Section {
        title: "Streams",
        about: "Rules with the same subscription and parameters share one.",
        metrics: &[
            any(
                Gauge,
                "olvid_rules_streams",
                &["subscription", "state"],
                "Streams by their state: `opening`, `open`, `completed` (its `count` was delivered), `refused`.",
                streams,
            ),
            of_rules(
                Gauge,
                "olvid_rules_rule_stream_open",
                "1 where the rule's stream is open or completed, else 0.",
                |rule| rule.is_open.into(),
            ),
            of_streams(
                "olvid_rules_stream_notifications",
                "Notifications that streams brought, each once for all rules that it is for.",
                |stream| stream.received,
            ),
            of_streams(
                "olvid_rules_stream_caught_up_notifications",
                "Of these, the ones that streams had missed, and that were listed when they were open again.",
                |stream| stream.caught_up,
            ),
            of_streams(
                "olvid_rules_stream_reconnects",
                "How often streams were opened that had been open before.",
                |stream| stream.reopened,
            ),
            any(
                Counter,
                "olvid_rules_stream_failures",
                &["subscription", "code"],
                "How often streams ended or could not be opened, by gRPC's code.",
                stream_failures,
            ),
        ],
    },
    Section {
        title: "Scripts",
        about: "Named as rules name them; a handler in a rule file by that file and its rule.",
        metrics: &[
            any(
                Gauge,
                "olvid_rules_script_memory",
                &["script"],
                "What its VM held when it last waited for something.",
                |all, out| {
                    let mut scripts = all.figures.scripts.iter();
                    scripts.try_for_each(|script| out.number(&[&script.script], script.memory.into()))
                },
            )
            .in_bytes(),
            any(
                Gauge,
                "olvid_rules_script_memory_limit",
                &["script"],
                "What it may hold: the largest `memory` of its rules.",
                |all, out| {
                    let mut scripts = all.figures.scripts.iter();
                    scripts.try_for_each(|script| out.number(&[&script.script], script.most.into()))
                },
            )
            .in_bytes(),
            any(Counter, "olvid_rules_script_cpu", &["script"], "CPU of its threads, over all its VMs.", script_cpu)
                .in_seconds(),
            any(
                Gauge,
                "olvid_rules_script_generation",
                &["script"],
                "The generation of the rules in which it was last loaded.",
                |all, out| {
                    let mut scripts = all.figures.scripts.iter();
                    scripts.try_for_each(|script| out.number(&[&script.script], script.generation.into()))
                },
            ),
            any(
                Gauge,
                "olvid_rules_script_stalled",
                &["script"],
                "1 where it makes no progress, as `/healthz` says, else 0.",
                |all, out| {
                    all.figures.scripts.iter().try_for_each(|script| {
                        let is_stalled = all.stalled.iter().any(|stalled| stalled.rules == script.rules);
                        out.number(&[&script.script], is_stalled.into())
                    })
                },
            ),
            any(
                Counter,
                "olvid_rules_script_failures",
                &["script", "fate"],
                "How often it could only go on in another VM: its thread `died` or was `lost`, or its memory was `spent`; \
                 `abandoned` is lost and not replaced.",
                fates,
            ),
            one(
                Gauge,
                "olvid_rules_threads_lost",
                "Threads of scripts that were given up and have not come back.",
                |all| Some(all.figures.lost.into()),
            ),
        ],
    },
    Section {
        title: "Commands",
        about: "That handlers sent to the daemon. Of a list the first page counts; what is refused before it is sent does not.",
        metrics: &[
            any(
                Counter,
                "olvid_rules_commands",
                &["command", "code"],
                "Commands by gRPC's code of the answer; `CANCELLED` where the run ended first.",
                commands,
            ),
            any(Histogram, "olvid_rules_command", &["command"], "How long the answers took.", |all, out| {
                all.figures.calls.iter().try_for_each(|call| out.durations(&[&call.command], &call.took))
            })
            .in_seconds(),
        ],
    },
    Section {
        title: "Restraint",
        about: "What keeps a rule from running away: `loop_limit`, `command_rate`, `log_rate`.",
        metrics: &[
            of_rules(Counter, "olvid_rules_loops_stopped", "Loops that were stopped.", |rule| rule.loops),
            of_rules(
                Gauge,
                "olvid_rules_loops_silent",
                "Senders, each in a discussion, that the rule is silent for now.",
                |rule| rule.silences as u64,
            ),
            of_rules(Counter, "olvid_rules_commands_held_back", "Commands that had to wait for their turn.", |rule| {
                rule.held_back
            }),
            of_rules(
                Counter,
                "olvid_rules_log_lines_left_out",
                "Lines of the rule, failures among them, that were left out of the log.",
                |rule| rule.lines_left_out,
            ),
        ],
    },
    Section {
        title: "Rules and reloads",
        about: "What is loaded, and what became of loading it.",
        metrics: &[
            any(Gauge, "olvid_rules_rules", &["state"], "Rules that are `running`, or `disabled`.", |all, out| {
                out.number(&["running"], all.figures.rules.len().into())?;
                out.number(&["disabled"], all.figures.disabled.into())
            }),
            one(Gauge, "olvid_rules_ready", "1 where `/readyz` says so, else 0.", |all| Some(all.is_ready.into())),
            one(Gauge, "olvid_rules_generation", "How often what runs was changed, the start included.", |all| {
                Some(all.figures.reload.map_or(0, |reload| reload.generation).into())
            }),
            any(
                Counter,
                "olvid_rules_reloads",
                &["result"],
                "Attempts to load, by what came of each: `started`, `applied`, `unchanged`, `rejected`.",
                |all, out| {
                    let mut reloads = all.figures.reloads.iter();
                    reloads.try_for_each(|(result, count)| out.number(&[result.name()], (*count).into()))
                },
            ),
            one(
                Gauge,
                "olvid_rules_last_reload_success",
                "0 where the last attempt to load was rejected, else 1.",
                |all| all.figures.reload.map(|reload| (reload.result != ReloadResult::Rejected).into()),
            ),
            one(
                Gauge,
                "olvid_rules_last_reload_timestamp",
                "When the last attempt to load was done, in seconds since 1970.",
                |all| all.figures.reload.map(|reload| seconds(reload.at).into()),
            )
            .in_seconds(),
            one(Gauge, "olvid_rules_last_reload_duration", "How long it took.", |all| {
                all.figures.reload.map(|reload| reload.took.as_secs_f64().into())
            })
            .in_seconds(),
            any(
                Info,
                "olvid_rules_file",
                &["path", "sha256"],
                "A file that was loaded, and what was in it, as `sha256sum` prints it; of very many, the first 500.",
                |all, out| all.figures.files.iter().try_for_each(|file| out.info(&[&file.path, &file.sha256])),
            ),
            one(Gauge, "olvid_rules_files", "How many files were loaded.", |all| Some(all.figures.all_files.into())),
        ],
    },
    Section {
        title: "The process",
        about: "By the names that these have everywhere. What the system does not show is not there.",
        metrics: &[
            any(Info, "olvid_rules_build", &["version"], "Which version runs.", |_, out| {
                out.info(&[env!("CARGO_PKG_VERSION")])
            }),
            one(Gauge, "process_start_time", "When the host was started, in seconds since 1970.", |all| {
                Some(seconds(all.started).into())
            })
            .in_seconds(),
            one(Counter, "process_cpu", "CPU of the process.", |all| Some(all.usage?.cpu.as_secs_f64().into()))
                .in_seconds(),
            one(Gauge, "process_resident_memory", "Its memory.", |all| Some(all.usage?.resident.into())).in_bytes(),
            one(
                Gauge,
                "olvid_rules_heap",
                "Memory that it uses, with what glibc keeps for each thread (up to 200 KiB); what else lies free is left out.",
                |all| Some(all.usage?.heap?.into()),
            )
            .in_bytes(),
            one(Gauge, "process_virtual_memory", "Its addresses.", |all| Some(all.usage?.virtual_size.into()))
                .in_bytes(),
            one(Gauge, "process_threads", "Its threads.", |all| Some(all.usage?.threads.into())),
            one(Gauge, "process_open_fds", "Its open files and sockets.", |all| Some(all.usage?.open_files?.into())),
            one(Gauge, "process_max_fds", "How many it may have.", |all| Some(all.usage?.most_files?.into())),
        ],
    },
];

/// A number for each rule.
const fn of_rules(kind: MetricType, name: &'static str, help: &'static str, value: fn(&RuleFigures) -> u64) -> Metric {
    Metric { kind, name, help, unit: None, labels: RULE, values: Values::Rules(value) }
}

/// Durations of each rule.
const fn durations(name: &'static str, help: &'static str, value: fn(&RuleFigures) -> &Measured) -> Metric {
    Metric { kind: Histogram, name, help, unit: None, labels: RULE, values: Values::Durations(value) }.in_seconds()
}

/// A count for each subscription.
const fn of_streams(name: &'static str, help: &'static str, value: fn(&StreamFigures) -> u64) -> Metric {
    Metric { kind: Counter, name, help, unit: None, labels: &["subscription"], values: Values::Streams(value) }
}

/// A number of the host's, where there is one.
const fn one(kind: MetricType, name: &'static str, help: &'static str, value: fn(&Scrape) -> Option<Number>) -> Metric {
    Metric { kind, name, help, unit: None, labels: &[], values: Values::One(value) }
}

const fn any(
    kind: MetricType,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    write: fn(&Scrape, &mut Samples<'_>) -> fmt::Result,
) -> Metric {
    Metric { kind, name, help, unit: None, labels, values: Values::Any(write) }
}

fn failed(all: &Scrape, out: &mut Samples<'_>) -> fmt::Result {
    all.figures.rules.iter().try_for_each(|rule| {
        let kinds = rule.failures.iter().map(|(kind, count)| (kind.name(), *count));
        let mut kinds = kinds.chain([("given_up", rule.given_up)]);
        kinds.try_for_each(|(kind, count)| out.number(&[&rule.rule, &rule.subscription, kind], count.into()))
    })
}

fn last_notification(all: &Scrape, out: &mut Samples<'_>) -> fmt::Result {
    all.figures.rules.iter().try_for_each(|rule| match rule.last {
        Some(last) => out.number(&[&rule.rule, &rule.subscription], seconds(last).into()),
        None => Ok(()),
    })
}

fn streams(all: &Scrape, out: &mut Samples<'_>) -> fmt::Result {
    let states = &all.figures.states;
    let mut names: Vec<_> = states.iter().map(|(subscription, ..)| subscription).collect();
    names.sort();
    names.dedup();
    // The ones that are 0 too, so that there is always something to compare.
    names.into_iter().try_for_each(|name| {
        STATES.into_iter().try_for_each(|state| {
            let found = states.iter().find(|(of, its, _)| of == name && *its == state);
            out.number(&[name, state], found.map_or(0, |(.., count)| *count).into())
        })
    })
}

fn stream_failures(all: &Scrape, out: &mut Samples<'_>) -> fmt::Result {
    all.figures.streams.iter().try_for_each(|stream| {
        let mut codes = stream.failures.iter();
        codes.try_for_each(|(code, count)| out.number(&[&stream.subscription, code], (*count).into()))
    })
}

fn script_cpu(all: &Scrape, out: &mut Samples<'_>) -> fmt::Result {
    all.figures.scripts.iter().zip(&all.cpu).try_for_each(|(script, cpu)| match cpu {
        Some(cpu) => out.number(&[&script.script], cpu.as_secs_f64().into()),
        None => Ok(()),
    })
}

fn fates(all: &Scrape, out: &mut Samples<'_>) -> fmt::Result {
    all.figures.scripts.iter().try_for_each(|script| {
        let mut fates = script.account.fates().into_iter();
        fates.try_for_each(|(fate, count)| out.number(&[&script.script, fate.name()], count.into()))
    })
}

fn commands(all: &Scrape, out: &mut Samples<'_>) -> fmt::Result {
    all.figures.calls.iter().try_for_each(|call| {
        let mut codes = call.codes.iter();
        codes.try_for_each(|(code, count)| out.number(&[&call.command, code], (*count).into()))
    })
}
