//! What a script keeps when it is replaced by its next version: `save` of the old one makes a value, `restore` of the new
//! one gets it.

use mlua::{Function, Value};
use serde_json::Value as Json;

use super::{
    failure, json,
    load::Loaded,
    script::{LOADING, SAVING},
};
use crate::diagnostic::Diagnostic;

/// The code of what goes wrong while a script saves.
pub(super) const SAVE_FAILED: &str = "script-save";

impl Loaded {
    /// Whether the table that the script returned has a `save`.
    pub(super) fn keeps_state(&self) -> bool {
        self.own("save").is_some()
    }

    /// Calls `save` of the table that the script returned, where there is one.
    pub(super) fn save(&self) -> Result<Option<Json>, Vec<Diagnostic>> {
        let Some(save) = self.own("save") else { return Ok(None) };
        let value = self.run(&save, Value::Nil, SAVING, SAVE_FAILED, "saves its state")?;
        json::encode(&self.host.converter, &value).map(Some).map_err(|error| {
            let words = failure::innermost(&error);
            let cause = words.strip_prefix("json.encode: ").unwrap_or(&words);
            let message = format!("what `save` of `{}` returns cannot be kept: {cause}", self.host.script);
            vec![Diagnostic::error(SAVE_FAILED, message).help("return texts, numbers, booleans and tables of them")]
        })
    }

    /// Calls `restore` of the table that the script returned, where there is one.
    pub(super) fn restore(&self, state: &Json) -> Result<(), Vec<Diagnostic>> {
        let Some(restore) = self.own("restore") else { return Ok(()) };
        let value = match state {
            Json::Null => Ok(Value::Nil),
            state => json::from_json(&self.lua, &self.host.converter, state),
        };
        let value = value.map_err(|error| {
            let message = format!("the state of `{}` cannot be handed over: {error}", self.host.script);
            vec![Diagnostic::error("script-failed", message)]
        })?;
        self.run(&restore, value, LOADING, "script-failed", "restores its state").map(drop)
    }

    fn own(&self, name: &str) -> Option<Function> {
        self.function(name)
    }
}
