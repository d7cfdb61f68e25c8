//! Diagnostics as machines read them: a script's JSON, SARIF for code scanning, and annotations of a GitHub workflow.
//! Prints nothing.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::{Diagnostic, Place, Severity, render::safe};

/// One array of objects.
pub fn array(diagnostics: &[Diagnostic]) -> String {
    let rows: Vec<Row<'_>> = diagnostics.iter().map(Row::new).collect();
    pretty(&rows)
}

/// A log of SARIF 2.1.0: one run, its results in order, and each code as a rule.
pub fn sarif(diagnostics: &[Diagnostic]) -> String {
    let mut codes: BTreeMap<&str, usize> = diagnostics.iter().map(|diagnostic| (diagnostic.code, 0)).collect();
    for (at, index) in codes.values_mut().enumerate() {
        *index = at;
    }
    let results: Vec<_> = diagnostics.iter().map(|diagnostic| result(diagnostic, codes[diagnostic.code])).collect();
    let rules: Vec<_> = codes.keys().map(|code| json!({ "id": code })).collect();
    let driver = json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "rules": rules,
    });
    // Columns are counted as everywhere else in this program.
    let run = json!({ "tool": { "driver": driver }, "columnKind": "unicodeCodePoints", "results": results });
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    });
    pretty(&log)
}

/// A workflow command for each, which GitHub shows beside the line.
pub fn github(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        let mut properties = Vec::new();
        if let Some(place) = &diagnostic.place {
            let [line, column, end_line, end_column] = region(place);
            properties.push(format!("file={}", property(&place.source.name)));
            properties.push(format!("line={line},endLine={end_line}"));
            // Columns of several lines would be taken for those of one.
            if line == end_line {
                properties.push(format!("col={column},endColumn={end_column}"));
            }
        }
        properties.push(format!("title={}", property(diagnostic.code)));
        let (kind, properties) = (severity(diagnostic), properties.join(","));
        let message = data(&safe(&text(diagnostic)));
        // Writing to a string cannot fail.
        _ = writeln!(out, "::{kind} {properties}::{message}");
    }
    out
}

#[derive(Serialize)]
struct Row<'d> {
    severity: &'static str,
    code: &'static str,
    message: &'d str,
    file: Option<&'d str>,
    line: Option<usize>,
    column: Option<usize>,
    help: Option<String>,
}

impl<'d> Row<'d> {
    fn new(diagnostic: &'d Diagnostic) -> Self {
        let position = diagnostic.place.as_ref().map(|place| place.source.position(place.span.start));
        Self {
            severity: severity(diagnostic),
            code: diagnostic.code,
            message: &diagnostic.message,
            file: diagnostic.place.as_ref().map(|place| place.source.name.as_str()),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
            help: help(diagnostic),
        }
    }
}

fn severity(diagnostic: &Diagnostic) -> &'static str {
    match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// What is wrong, and the way out.
fn text(diagnostic: &Diagnostic) -> String {
    [Some(diagnostic.message.clone()), help(diagnostic)].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The way out, and what cannot be seen.
fn help(diagnostic: &Diagnostic) -> Option<String> {
    let all: Vec<_> = diagnostic.help.clone().into_iter().chain(diagnostic.remark()).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn result(diagnostic: &Diagnostic, rule: usize) -> Json {
    let mut result = json!({
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": severity(diagnostic),
        "message": { "text": text(diagnostic) },
    });
    if let Some(place) = &diagnostic.place {
        result["locations"] = json!([{ "physicalLocation": location(place) }]);
    }
    if !diagnostic.related.is_empty() {
        let related = diagnostic
            .related
            .iter()
            .map(|(place, caption)| json!({ "physicalLocation": location(place), "message": { "text": caption } }));
        result["relatedLocations"] = related.collect();
    }
    result
}

fn location(place: &Place) -> Json {
    let [line, column, end_line, end_column] = region(place);
    json!({
        "artifactLocation": { "uri": uri(&place.source.name) },
        "region": { "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column },
    })
}

/// First line and column, last line, and the column behind the end; all from 1.
fn region(place: &Place) -> [usize; 4] {
    let (line, column) = place.source.position(place.span.start);
    let (end_line, end_column) = place.source.position(place.span.end);
    [line, column, end_line, end_column]
}

/// A path as a reference that is relative where the path is.
fn uri(path: &str) -> String {
    let mut out = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => out.push(char::from(byte)),
            other => _ = write!(out, "%{other:02X}"),
        }
    }
    out
}

/// The part of a workflow command behind its `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn pretty(value: &impl Serialize) -> String {
    // Text and numbers always have a JSON form.
    serde_json::to_string_pretty(value).unwrap_or_else(|_| "[]".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    fn at(name: &str, text: &str, stretch: &str) -> Diagnostic {
        let source = Source::new(name, text);
        let start = text.find(stretch).unwrap();
        Diagnostic::error("some-code", "wrong").at(Place { source, span: start..start + stretch.len() })
    }

    fn read(text: &str) -> Json {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn columns_are_characters_and_what_is_not_there_is_null() {
        let rows = read(&array(&[at("r.yaml", "é😀: x", "x"), Diagnostic::warning("w", "no place")]));
        assert_eq!(rows[0]["column"], 5);
        assert_eq!((&rows[0]["line"], &rows[0]["file"]), (&1.into(), &"r.yaml".into()));
        assert!(rows[0]["help"].is_null() && rows[1]["file"].is_null() && rows[1]["severity"] == "warning");
    }

    #[test]
    fn sarif_names_rules_results_and_related_places() {
        let mut first = at("a b/é.yaml", "é: two\nnext", "two\nne").help("write 2");
        let related = at("other.yaml", "x", "x").place.unwrap();
        first = first.related(related, "the other one");
        let log = read(&sarif(&[first, Diagnostic::warning("a-code", "no place")]));
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"], json!([{ "id": "a-code" }, { "id": "some-code" }]));
        let [first, second] = [&run["results"][0], &run["results"][1]];
        assert_eq!(
            (&first["ruleIndex"], &second["ruleIndex"], &second["level"]),
            (&1.into(), &0.into(), &"warning".into())
        );
        let place = &first["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b/%C3%A9.yaml");
        let region = json!({ "startLine": 1, "startColumn": 4, "endLine": 2, "endColumn": 3 });
        assert_eq!((&place["region"], &first["message"]["text"]), (&region, &"wrong; write 2".into()));
        assert_eq!(first["relatedLocations"][0]["message"]["text"], "the other one");
        assert!(second["locations"].is_null());
        assert_eq!(read(&sarif(&[]))["runs"][0]["results"], json!([]), "none is a result, too");
    }

    #[test]
    fn nothing_in_a_file_ends_an_annotation_or_begins_another() {
        let mut told = at("a,b:c%.yaml", "x: y", "y");
        told.message = "100%\n::error::forged\r".to_owned();
        let shown = github(&[told, Diagnostic::warning("w", "no place").help("look")]);
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(
            lines,
            [
                "::error file=a%2Cb%3Ac%25.yaml,line=1,endLine=1,col=4,endColumn=5,title=some-code::100%25\\u{a}::error::forged\\u{d}",
                "::warning title=w::no place; look",
            ]
        );
    }
}
