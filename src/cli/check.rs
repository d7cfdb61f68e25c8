//! `check`: everything that can be known of rules and scripts without a daemon, all of it at once.

use std::{path::PathBuf, sync::Arc};

use super::{Check, Done, Told, exit, output};
use crate::{
    diagnostic::{Diagnostic, counted, is_refused, machine, render},
    lua::ScriptSpec,
    report::log,
    rules::{Caps, RuleSet},
    schema::Catalog,
};

/// Reads rules and loads their scripts aside.
pub(super) fn everything(paths: &[PathBuf], caps: &Caps) -> (RuleSet, Vec<Diagnostic>) {
    let (rules, mut diagnostics) = RuleSet::load_within(paths, Catalog::embedded(), caps);
    diagnostics.extend(ScriptSpec::check_all(&rules));
    (rules, diagnostics)
}

pub(super) fn run(arguments: &Check) -> Done {
    let (rules, diagnostics) = everything(&arguments.rules.paths, &arguments.caps.caps());
    match arguments.format {
        Told::Json => output::answer(&(machine::array(&diagnostics) + "\n")),
        Told::Sarif => output::answer(&(machine::sarif(&diagnostics) + "\n")),
        Told::Github => output::answer(&machine::github(&diagnostics)),
        Told::Human => {
            output::tell(&render::human(&diagnostics, log::colour(), render::WIDTH));
            match render::summary(&diagnostics) {
                Some(summary) => output::tell(&format!("\n{summary}\n")),
                None => output::answer(&praise(&rules)),
            }
        }
    }
    if is_refused(&diagnostics) { Err(exit::MISTAKE) } else { Ok(()) }
}

fn praise(rules: &RuleSet) -> String {
    let enabled: Vec<_> = rules.rules.iter().filter(|rule| rule.enabled).map(Arc::clone).collect();
    let disabled = rules.rules.len() - enabled.len();
    let scripts = ScriptSpec::group(rules).len();
    let aside = if disabled > 0 { format!(", {disabled} disabled") } else { String::new() };
    format!("no mistakes: {}{aside}, {}\n", counted(enabled.len(), "rule"), counted(scripts, "script"))
}
