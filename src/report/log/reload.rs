//! The wording of what became of a reload.

use serde_json::Value as Json;

use super::{Level, Record};
use crate::{
    diagnostic::render,
    report::{Reload, ReloadResult},
};

pub(super) fn applied(reload: &Reload) -> Record {
    let Reload { generation, added, removed, changed, kept, scripts, .. } = reload;
    let message = if reload.result == ReloadResult::Unchanged {
        format!("nothing has changed; generation {generation} goes on")
    } else {
        let replaced = if scripts.len() == 1 { "script replaced" } else { "scripts replaced" };
        let all = [("added", added), ("removed", removed), ("changed", changed), (replaced, scripts)];
        let some = all.into_iter().filter(|(_, names)| !names.is_empty());
        let mut parts: Vec<_> = some.map(|(what, names)| format!("{what}: {}", listed(names))).collect();
        match kept {
            0 => {}
            1 => parts.push("1 rule as before".to_owned()),
            kept => parts.push(format!("{kept} rules as before")),
        }
        let took = reload.took.as_millis();
        format!("reloaded in {took} ms, generation {generation}: {}", parts.join("; "))
    };
    Record::new(Level::Info, "reloaded", message, fields(reload))
}

pub(super) fn rejected(reload: &Reload) -> Record {
    let summary = render::summary(&reload.diagnostics).unwrap_or_default();
    let message = format!("the changes are rejected ({summary}); generation {} goes on as it was", reload.generation);
    let mut record = Record::new(Level::Error, "reload_rejected", message, fields(reload));
    record.fields.push(("kind", "load".into()));
    record
}

fn fields(reload: &Reload) -> Vec<(&'static str, Json)> {
    let mut fields: Vec<(&'static str, Json)> = vec![
        ("generation", reload.generation.into()),
        ("trigger", reload.trigger.name().into()),
        ("result", reload.result.name().into()),
        ("took", reload.took.as_secs_f64().into()),
    ];
    let lists = [
        ("added", &reload.added),
        ("removed", &reload.removed),
        ("changed", &reload.changed),
        ("scripts", &reload.scripts),
    ];
    fields.extend(lists.map(|(name, names)| (name, Json::from(names.clone()))));
    fields.push(("kept", reload.kept.into()));
    fields
}

/// Names of one line; where there are many, some of them.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<_> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = names.len() - shown.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &rest
}
