//! What was played as JUnit's XML: a suite for each scenario file, a case for each scenario.

use std::{path::PathBuf, time::Duration};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Played, findings};
use crate::diagnostic::{Diagnostic, is_refused, render};

pub(super) fn report(all: &[Played], mistakes: &[(Option<PathBuf>, Vec<Diagnostic>)], took: Duration) -> String {
    let mut report = Report::new("olvid-rules test");
    report.set_time(took);
    for (file, told) in mistakes.iter().filter(|(_, told)| is_refused(told)) {
        let name = file.as_ref().map_or_else(|| "scenarios".to_owned(), |file| file.display().to_string());
        let message = told.iter().map(|diagnostic| diagnostic.message.as_str()).next().unwrap_or_default();
        let text = render::human(told, false, render::WIDTH);
        let mut suite = TestSuite::new(name);
        suite.add_test_case(case("is read", NonSuccessKind::Error, Some((message, &text))));
        report.add_test_suite(suite);
    }
    let mut suites: Vec<(&PathBuf, TestSuite)> = Vec::new();
    for Played { file, name, outcome } in all {
        if suites.last().is_none_or(|(last, _)| *last != file) {
            suites.push((file, TestSuite::new(file.display().to_string())));
        }
        let message = outcome.findings.first().map(|finding| finding.diagnostic.message.as_str());
        let text = findings(outcome, false);
        let mut case = case(name, NonSuccessKind::Failure, message.map(|message| (message, text.as_str())));
        case.set_classname(file.display().to_string());
        case.set_time(outcome.took);
        if let Some((_, suite)) = suites.last_mut() {
            suite.add_test_case(case);
        }
    }
    report.add_test_suites(suites.into_iter().map(|(_, suite)| suite));
    report.to_string().unwrap_or_default()
}

fn case(name: &str, kind: NonSuccessKind, wrong: Option<(&str, &str)>) -> TestCase {
    let Some((message, text)) = wrong else { return TestCase::new(name, TestCaseStatus::success()) };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message).set_description(text);
    TestCase::new(name, status)
}
