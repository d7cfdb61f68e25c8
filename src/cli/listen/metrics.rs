//! What is measured, as OpenMetrics: one table of all metrics, from which the answers and `docs/metrics.md` follow.
//!
//! Labels have values that the operator chose (names of rules and scripts, files), or that the catalog and gRPC have.
//! Nothing that a stranger writes, or that a script makes up, is one. A series ends with what it is about.

use std::{fmt, fmt::Write as _, time::Duration};

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text, text as openmetrics},
    metrics::MetricType,
    registry::{Registry, Unit},
};

mod table;

use super::process::{self, Usage};
use crate::{
    engine::{Board, Figures, RuleFigures, Stalled, StreamFigures},
    lua::{BOUNDS, Measured},
};

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own text format, for who does not know the other.
    Prometheus,
}

impl Form {
    /// What a client prefers by its `Accept` headers.
    pub(super) fn of<'h>(headers: impl Iterator<Item = &'h str>) -> Self {
        let (mut open, mut plain) = (0.0_f32, 0.0_f32);
        for range in headers.flat_map(|header| header.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            match kind {
                "application/openmetrics-text" => open = open.max(weight),
                "text/plain" => plain = plain.max(weight),
                _ => {}
            }
        }
        if open > 0.0 && open >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// All that is written at one time.
#[derive(Debug)]
pub(super) struct Scrape {
    figures: Figures,
    stalled: Vec<Stalled>,
    /// CPU of each script of the figures, where the system shows it.
    cpu: Vec<Option<Duration>>,
    usage: Option<Usage>,
    is_ready: bool,
    started: Timestamp,
}

impl Scrape {
    /// Looks at all that is measured.
    pub(super) fn of(board: &Board, stalled: Vec<Stalled>, is_ready: bool, started: Timestamp) -> Self {
        let figures = board.figures();
        let cpu = figures.scripts.iter().map(|script| process::cpu_of(&script.account)).collect();
        Self { figures, stalled, cpu, usage: Usage::now(), is_ready, started }
    }

    /// Writes it down.
    pub(super) fn text(self, form: Form) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut out = String::new();
        match form {
            Form::OpenMetrics => openmetrics::encode(&mut out, &registry)?,
            Form::Prometheus => prometheus_text::encode(&mut out, &registry)?,
        }
        Ok(out)
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in table::SECTIONS.iter().flat_map(|section| section.metrics) {
            let unit = metric.unit.map(Base::unit);
            let encoder = encoder.encode_descriptor(metric.name, metric.help, unit.as_ref(), metric.kind)?;
            let mut out = Samples { encoder, metric };
            let rules = &self.figures.rules;
            match metric.values {
                Values::Rules(value) => rules.iter().try_for_each(|rule| {
                    let value = value(rule);
                    out.number(&[&rule.rule, &rule.subscription], value.into())
                }),
                Values::Durations(value) => rules.iter().try_for_each(|rule| {
                    let value = value(rule);
                    out.durations(&[&rule.rule, &rule.subscription], value)
                }),
                Values::Streams(value) => self.figures.streams.iter().try_for_each(|stream| {
                    let value = value(stream);
                    out.number(&[&stream.subscription], value.into())
                }),
                Values::One(value) => value(self).map_or(Ok(()), |value| out.number(&[], value)),
                Values::Any(write) => write(self, &mut out),
            }?;
        }
        Ok(())
    }
}

/// What belongs together, under a heading.
struct Section {
    title: &'static str,
    about: &'static str,
    metrics: &'static [Metric],
}

/// One metric: what it is called, and where its values come from.
struct Metric {
    kind: MetricType,
    /// Without its unit, and without what its kind adds.
    name: &'static str,
    help: &'static str,
    unit: Option<Base>,
    labels: &'static [&'static str],
    values: Values,
}

/// Base units that are measured in.
#[derive(Clone, Copy)]
enum Base {
    Bytes,
    Seconds,
}

/// Where the values of a metric come from.
enum Values {
    Rules(fn(&RuleFigures) -> u64),
    Durations(fn(&RuleFigures) -> &Measured),
    Streams(fn(&StreamFigures) -> u64),
    /// None where it is not known.
    One(fn(&Scrape) -> Option<Number>),
    Any(fn(&Scrape, &mut Samples<'_>) -> fmt::Result),
}

/// A value: whole ones stay so.
enum Number {
    Whole(u64),
    Real(f64),
}

impl Base {
    fn unit(self) -> Unit {
        match self {
            Self::Bytes => Unit::Bytes,
            Self::Seconds => Unit::Seconds,
        }
    }
}

impl Metric {
    const fn in_seconds(mut self) -> Self {
        self.unit = Some(Base::Seconds);
        self
    }

    const fn in_bytes(mut self) -> Self {
        self.unit = Some(Base::Bytes);
        self
    }

    /// As it is asked for; a histogram without the endings of its parts.
    fn full_name(&self) -> String {
        let unit = self.unit.map_or_else(String::new, |unit| format!("_{}", unit.unit().as_str()));
        let kind = match self.kind {
            MetricType::Counter => "_total",
            MetricType::Info => "_info",
            _ => "",
        };
        format!("{}{unit}{kind}", self.name)
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<usize> for Number {
    fn from(number: usize) -> Self {
        Self::Whole(number as u64)
    }
}

impl From<bool> for Number {
    fn from(is_so: bool) -> Self {
        Self::Whole(is_so.into())
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

/// Where the values of one metric are written, with values for its labels in their order.
struct Samples<'e> {
    encoder: MetricEncoder<'e>,
    metric: &'static Metric,
}

impl Samples<'_> {
    fn labelled<'v>(&self, values: &[&'v str]) -> Vec<(&'static str, &'v str)> {
        self.metric.labels.iter().copied().zip(values.iter().copied()).collect()
    }

    fn number(&mut self, values: &[&str], number: Number) -> fmt::Result {
        let (labels, kind) = (self.labelled(values), &self.metric.kind);
        let mut encoder = self.encoder.encode_family(&labels)?;
        match (kind, number) {
            (MetricType::Counter, Number::Whole(number)) => encoder.encode_counter::<NoLabelSet, _, u64>(&number, None),
            (MetricType::Counter, Number::Real(number)) => encoder.encode_counter::<NoLabelSet, _, u64>(&number, None),
            (_, Number::Whole(number)) => encoder.encode_gauge(&number),
            (_, Number::Real(number)) => encoder.encode_gauge(&number),
        }
    }

    fn durations(&mut self, values: &[&str], measured: &Measured) -> fmt::Result {
        let labels = self.labelled(values);
        let bounds = BOUNDS.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(measured.classes).collect();
        let mut encoder = self.encoder.encode_family(&labels)?;
        encoder.encode_histogram::<NoLabelSet>(measured.seconds, measured.count(), &buckets, None)
    }

    fn info(&mut self, values: &[&str]) -> fmt::Result {
        let labels = self.labelled(values);
        self.encoder.encode_info(&labels)
    }
}

/// Seconds since 1970.
fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

/// The page about all metrics: `docs/metrics.md`.
pub fn reference() -> String {
    let mut out = String::from(table::PREFACE);
    for Section { title, about, metrics } in table::SECTIONS {
        // Writing to a String does not fail.
        let _ = write!(out, "\n## {title}\n\n{about}\n\n| metric | kind | labels | meaning |\n|---|---|---|---|\n");
        for metric in *metrics {
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let (name, kind, help) = (metric.full_name(), metric.kind.as_str(), metric.help);
            let _ = writeln!(out, "| `{name}` | {kind} | {} | {help} |", labels.join(", "));
        }
    }
    let bounds: Vec<_> = BOUNDS.iter().map(|bound| format!("{bound:?}")).collect();
    let _ = writeln!(out, "\nThe histograms have buckets up to {}, and one for what takes longer.", bounds.join(", "));
    out + table::BEHIND
}

/// The name of every metric and its labels, for who checks that what asks for them asks for what there is.
pub fn names() -> impl Iterator<Item = (String, &'static [&'static str])> {
    table::SECTIONS.iter().flat_map(|section| section.metrics).map(|metric| (metric.full_name(), metric.labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preferred(accept: &[&str]) -> Form {
        Form::of(accept.iter().copied())
    }

    #[test]
    fn a_client_gets_the_form_that_it_prefers() {
        let server = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(preferred(&[server]), Form::OpenMetrics);
        assert_eq!(preferred(&[]), Form::Prometheus);
        assert_eq!(preferred(&["*/*"]), Form::Prometheus);
        assert_eq!(preferred(&["text/plain", "application/openmetrics-text; q=0.5"]), Form::Prometheus);
        assert_eq!(preferred(&["application/openmetrics-text; q=0"]), Form::Prometheus);
        assert_eq!(preferred(&["text/html, application/openmetrics-text"]), Form::OpenMetrics);
    }

    #[test]
    fn no_two_metrics_have_one_name_and_each_says_what_it_is() {
        let mut names: Vec<_> = names().map(|(name, _)| name).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
        for metric in table::SECTIONS.iter().flat_map(|section| section.metrics) {
            assert!(metric.help.ends_with('.') && !metric.help.contains(['|', '\n']), "{}", metric.name);
            assert!(!["_total", "_info", "_seconds", "_bytes"].iter().any(|end| metric.name.ends_with(end)));
        }
    }

    #[test]
    fn a_name_that_is_made_to_look_like_a_series_is_none() {
        let none = Measured { classes: [0; BOUNDS.len() + 1], seconds: 0.0 };
        let rule = RuleFigures {
            rule: "x\"} 1\nforged{a=\"\\".to_owned(),
            subscription: "any".to_owned(),
            received: 1,
            handled: 0,
            left_out: 0,
            failures: Vec::new(),
            given_up: 0,
            waiting: 1,
            running: 0,
            waited: none,
            ran: none,
            is_open: false,
            last: None,
            loops: 0,
            silences: 0,
            held_back: 0,
            lines_left_out: 0,
        };
        let figures = Figures { rules: vec![rule], ..Figures::default() };
        for form in [Form::OpenMetrics, Form::Prometheus] {
            let (figures, started) = (figures.clone(), Timestamp::UNIX_EPOCH);
            let scrape = Scrape { figures, stalled: vec![], cpu: vec![], usage: None, is_ready: true, started };
            let text = scrape.text(form).unwrap();
            assert!(text.contains(r#"{rule="x\"} 1\nforged{a=\"\\",subscription="any"} 1"#), "{text}");
            let is_ours = |line: &str| ["# ", "olvid_rules_", "process_"].iter().any(|start| line.starts_with(start));
            assert!(text.lines().all(is_ours), "{text}");
            assert_eq!(text.ends_with("\n# EOF\n"), form == Form::OpenMetrics);
        }
    }
}
