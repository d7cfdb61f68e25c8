//! `doctor`: goes the way of `run` a step at a time, and says the first thing that is wrong and what to do.
//!
//! Each step is the code that `run` goes by, so that what is said here is what a host meets. Nothing is handled, nothing
//! sent but questions. Whether a host is running is looked at whatever the rest comes to, and decides nothing.

mod page;
mod service;
mod way;

use std::{collections::BTreeSet, path::PathBuf};

use tokio::runtime;

use self::{
    page::{Finding, Look, Report, Wrong},
    service::Service,
    way::Way,
};
use super::{
    Doctor, Done, Form, check,
    environment::Inherited,
    exit, output,
    settings::{self, Found, Sources},
    status::around,
};
use crate::{
    diagnostic::{Severity, counted, is_refused, render},
    lua::ScriptSpec,
    report::log::escaped,
    rules::{Caps, RuleSet},
};

/// Mistakes of rules that are named; `check` has all of them.
const NAMED: usize = 3;

/// What is looked at, in this order.
const STEPS: [&str; 10] = [
    "rules",
    "settings",
    "key",
    "address",
    "connection",
    "TLS",
    "daemon",
    "authentication",
    "version",
    "subscriptions",
];

pub(super) fn run(mut arguments: Doctor, inherited: &Inherited) -> Done {
    let service = arguments.service.as_ref().map(|instance| Service::new(instance));
    if let Some(service) = &service {
        arguments.rules.paths = vec![service.folder.clone()];
        arguments.connection.client_key_file.get_or_insert_with(|| service.key());
        arguments.control.path.get_or_insert_with(|| service.control.clone());
    }
    let variables = service.as_ref().map_or_else(settings::dotenv_path, |service| Some(service.variables()));
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::failure(exit::IO, &error.to_string()),
    };
    let mut report = Report::new(&STEPS, arguments.format == Form::Json);
    let sources = Sources { flags: &arguments.connection, inherited };
    let done = runtime.block_on(async {
        let done = walk(&arguments, service.as_ref(), sources, variables, &mut report).await;
        report.rest();
        let host = around(&arguments.control.surroundings()).await;
        report.host(host.as_ref().map(Option::as_ref));
        done
    });
    // A resolver that hangs must not hold up the end.
    runtime.shutdown_background();
    report.end(done.err());
    done
}

async fn walk(
    arguments: &Doctor,
    service: Option<&Service>,
    sources: Sources<'_>,
    variables: Option<PathBuf>,
    report: &mut Report,
) -> Done {
    let rules = report.take(rules(arguments))?;
    let variables = variables.filter(|path| path.exists());
    let found = settings::find_with(sources, variables.clone());
    report.take(given(variables, found.as_ref().ok()))?;
    let found = report.take(key(found))?;
    let way = report.take(Way::new(found.settings).await)?;
    let reached = report.take(way.connection(service).await)?;
    report.take(way.tls(reached).await)?;
    report.take(way.daemon().await)?;
    report.take(way.authentication().await)?;
    report.take(way.version().await)?;
    report.take(way.subscriptions(&rules).await)
}

/// Whether the rules and their scripts load.
fn rules(arguments: &Doctor) -> Look<RuleSet> {
    let paths = &arguments.rules.paths;
    let (rules, diagnostics) = check::everything(paths, &Caps::default());
    let shown: Vec<_> = paths.iter().map(|path| escaped(&path.display().to_string())).collect();
    let told = render::summary(&diagnostics);
    let more = format!("`olvid-rules check {}` shows all of it", shown.join(" "));
    if is_refused(&diagnostics) {
        let mistakes = diagnostics.iter().filter(|found| found.severity == Severity::Error);
        let lines = mistakes.take(NAMED).map(|mistake| (false, escaped(&mistake.brief()))).collect();
        let text = told.unwrap_or_default();
        return Err(Wrong { lines, ..Wrong::new(exit::MISTAKE, text, more) });
    }
    if arguments.service.is_some()
        && let Some(path) = service::closed(&rules)
    {
        let path = escaped(&path.display().to_string());
        let text = format!("the service's user cannot read `{path}`");
        return Err(Wrong::new(exit::IO, text, format!("chmod o+rX {path}: there is no key in it")));
    }
    let files: BTreeSet<_> = rules.rules.iter().map(|rule| escaped(&rule.file)).collect();
    let (number, scripts) = (rules.rules.len(), ScriptSpec::group(&rules).len());
    let enabled = rules.subscriptions().len();
    let disabled = if enabled < number { format!(" ({} disabled)", number - enabled) } else { String::new() };
    let text = format!(
        "{}{disabled} and {} in {}",
        counted(number, "rule"),
        counted(scripts, "script"),
        some(&files.into_iter().collect::<Vec<_>>())
    );
    let notes = told.map(|told| format!("{told}; {more}")).into_iter().collect();
    Ok((rules, Finding { notes, ..Finding::new(text) }))
}

/// The first ones of many.
fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let first = names[..names.len() - more].join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}

/// What is set, and whether the files of TLS can be used. Where no key was found, nothing more is known than where the
/// variables are from.
fn given(variables: Option<PathBuf>, found: Option<&Found>) -> Look<()> {
    let text = variables.map_or_else(
        || "the environment; no file of variables, such as a .env here or in a folder above".to_owned(),
        |path| format!("the environment and `{}`", escaped(&path.display().to_string())),
    );
    let notes = found.map(|found| found.notices.iter().map(|notice| escaped(notice)).collect()).unwrap_or_default();
    if let Some(Err(error)) = found.map(|found| found.settings.tls.check()) {
        let help = "the flags and variables of TLS name PEM files that this user can read";
        return Err(Wrong::new(exit::USAGE, escaped(&error.message), help));
    }
    Ok(((), Finding { notes, ..Finding::new(text) }))
}

/// Where the key is from.
fn key(found: Result<Found, String>) -> Look<Found> {
    let help = "a key is one line of visible ASCII, given by OLVID_CLIENT_KEY, or in a file by OLVID_CLIENT_KEY_FILE";
    let found = found.map_err(|what| Wrong::new(exit::USAGE, escaped(&what), help))?;
    let text = found.origins.iter().map(|origin| escaped(origin)).collect::<Vec<_>>().join("; ");
    let notes = match &found.settings.client_key {
        Some(key) if key.is_quoted() => {
            vec!["the key stands in quotation marks, which are sent as part of it".to_owned()]
        }
        _ => Vec::new(),
    };
    Ok((found, Finding { notes, ..Finding::new(text) }))
}
