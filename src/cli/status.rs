//! `status` and `reload`: what a running host says of itself, and having it load its rules again.
//!
//! What was asked for goes to standard output, why it could not be had and a rejected reload to standard error.

mod client;
mod page;

use serde_json::{Value as Json, json};
use tokio::runtime;

use super::{Done, Form, Reload, Status, exit, output};

use super::control::Surroundings;

use self::client::{Host, PATIENCE};

pub(super) use self::client::Refusal;

/// Shows the status of the running host.
pub(super) fn show(arguments: &Status) -> Done {
    let host = on_runtime(client::find(&arguments.control.surroundings()))?;
    let status = host.status();
    let text = if arguments.json { pretty(status) } else { page::status(status).map_err(|error| foreign(&error))? };
    output::answer(&text);
    Ok(())
}

/// Asks the running host for a reload.
pub(super) fn reload(arguments: &Reload) -> Done {
    let answer = on_runtime(async {
        let host = client::find(&arguments.control.surroundings()).await?;
        asked(&host, arguments.wait).await
    })?;
    match (arguments.format, arguments.wait) {
        (Form::Json, _) => output::answer(&pretty(&answer)),
        (Form::Human, false) => output::answer("asked for a reload\n"),
        (Form::Human, true) => {
            let outcome = page::outcome(&answer).map_err(|error| foreign(&error))?;
            output::tell(&outcome.mistakes);
            if outcome.rejected { output::tell(&outcome.summary) } else { output::answer(&outcome.summary) }
        }
    }
    if page::is_rejected(&answer) { Err(exit::MISTAKE) } else { Ok(()) }
}

/// Finds the host that is meant, for who does not need it: none where none is running.
pub(super) async fn around(surroundings: &Surroundings) -> Result<Option<Json>, Refusal> {
    match client::find(surroundings).await {
        Ok(host) => Ok(Some(host.status().clone())),
        Err(refusal) if refusal.absent => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// A status in short, with what is wrong.
pub(super) fn brief(status: &Json) -> String {
    page::brief(status).unwrap_or_else(|error| format!("its answer is of another version ({error})"))
}

async fn asked(host: &Host, wait: bool) -> Result<Json, Refusal> {
    // An outcome takes as long as the scripts take to load; the host has just answered, and its end is noticed.
    let patience = (!wait).then_some(PATIENCE);
    host.ask(&json!({ "command": "reload", "wait": wait }), patience).await
}

/// Does what needs a runtime; why there is no answer is told.
fn on_runtime<T>(work: impl Future<Output = Result<T, Refusal>>) -> Result<T, u8> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| told(exit::IO, &error.to_string()))?;
    runtime.block_on(work).map_err(|refusal| told(refusal.code, &refusal.text))
}

fn foreign(error: &serde_json::Error) -> u8 {
    told(exit::UNAVAILABLE, &format!("the host's answer is of another version ({error}); it can be had as JSON"))
}

fn told(code: u8, text: &str) -> u8 {
    output::tell(&format!("olvid-rules: {text}\n"));
    code
}

fn pretty(answer: &Json) -> String {
    format!("{answer:#}\n")
}
