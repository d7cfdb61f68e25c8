//! What the dashboard and the alerts ask for.

use std::{collections::BTreeSet, fs, path::Path};

use fancy_regex::Regex;
use olvid_rules::cli::listen::metrics;
use serde_json::Value as Json;

/// Labels that Prometheus adds, and the one of histograms.
const ADDED: [&str; 3] = ["job", "instance", "le"];

/// A question to Prometheus, and the texts that are filled in from the labels of its answer.
pub(crate) struct Query {
    pub(crate) expression: String,
    texts: String,
}

pub(crate) fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

/// All questions of the dashboard.
pub(crate) fn dashboard() -> Vec<Query> {
    fn collect(value: &Json, found: &mut Vec<Query>) {
        match value {
            Json::Array(values) => values.iter().for_each(|value| collect(value, found)),
            Json::Object(fields) => {
                let expression = fields.get("expr").or_else(|| fields.get("query").filter(|query| query.is_string()));
                if let Some(expression) = expression.and_then(Json::as_str).filter(|text| *text != "prometheus") {
                    let texts = fields.get("legendFormat").and_then(Json::as_str).unwrap_or_default();
                    found.push(Query { expression: expression.to_owned(), texts: texts.to_owned() });
                }
                fields.values().for_each(|value| collect(value, found));
            }
            _ => {}
        }
    }
    let board: Json = serde_json::from_str(&fs::read_to_string(path("grafana/olvid-rules.json")).unwrap()).unwrap();
    let mut found = Vec::new();
    collect(&board, &mut found);
    found
}

/// All questions of the alerts.
pub(crate) fn alerts() -> Vec<Query> {
    let alerts: Json = serde_yaml::from_str(&fs::read_to_string(path("prometheus/alerts.yaml")).unwrap()).unwrap();
    let rules = alerts["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
    let query = |rule: &Json| {
        let texts = rule["annotations"].to_string();
        Query { expression: rule["expr"].as_str().unwrap().to_owned(), texts }
    };
    rules.map(query).collect()
}

impl Query {
    /// As a server reads it: with values for the dashboard's variables; none for a question about labels.
    pub(crate) fn filled_in(&self) -> Option<String> {
        let text = self.expression.replace("$__rate_interval", "5m");
        let text = ["$job", "$instance", "$rule"].iter().fold(text, |text, name| text.replace(name, ".*"));
        (!text.starts_with("label_values(")).then_some(text)
    }

    /// The metrics that it asks for. All of them, and the labels that it speaks of, must be there.
    pub(crate) fn metrics(&self) -> BTreeSet<String> {
        let found = |pattern: &str, text: &str| -> Vec<String> {
            let all = Regex::new(pattern).unwrap();
            all.captures_iter(text).map(|found| found.unwrap().get(1).unwrap().as_str().to_owned()).collect()
        };
        let text = &self.expression;
        let (mut names, mut labels) = (BTreeSet::new(), BTreeSet::from(ADDED.map(str::to_owned)));
        for asked in found(r"\b((?:olvid_rules|process)_[a-z0-9_]+)", text) {
            let is_asked = |name: &str| {
                let rest = asked.strip_prefix(name);
                rest.is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
            };
            let (name, its) = metrics::names().find(|(name, _)| is_asked(name)).unwrap_or_else(|| panic!("no {asked}"));
            names.insert(name);
            labels.extend(its.iter().map(|label| (*label).to_owned()));
        }
        let mut spoken = found(r"(\w+)\s*(?:=~|!=|!~|=)\s*\x22", text);
        for list in found(r"(?:by|on|group_left|without|ignoring)\s*\(([^)]*)\)", text) {
            spoken.extend(list.split(',').map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()));
        }
        spoken.extend(found(r"label_values\(.*, (\w+)\)", text));
        spoken.extend(found(r"\{\{(?: \$labels\.)?(\w+) ?\}\}", &self.texts));
        for label in spoken {
            assert!(labels.contains(&label), "no label {label} in {text} {}", self.texts);
        }
        names
    }
}
