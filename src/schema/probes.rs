//! The commands by which it is found out why something does not work: whether the daemon is there, whether it knows a key,
//! which version it is of, and for whom a key acts.
//!
//! Found by options of the RPCs (`proto/olvid_rules/probes.proto`), so that no name of it stands in the program. All of
//! them take an empty request and change nothing.

use std::sync::Arc;

use prost_reflect::{MethodDescriptor, Value};

use super::{
    acts::option,
    catalog::{Command, SchemaError},
    json::from_wire,
    message::{Cardinality, Kind, Message},
};

/// One command for each question; none where no RPC answers it.
#[derive(Debug, Default)]
pub struct Probes {
    /// Whether the daemon is there: it needs no key.
    pub liveness: Option<Arc<Command>>,
    /// Whether a client key is good.
    pub key: Option<Arc<Command>>,
    /// Whether an administrator's key is good.
    pub admin_key: Option<Arc<Command>>,
    /// Which version the daemon is of.
    pub version: Option<Telling>,
    /// What the identity is called that a key acts for.
    pub identity: Option<Telling>,
}

/// A command whose answer holds a text.
#[derive(Debug)]
pub struct Telling {
    /// What is to be asked.
    pub command: Arc<Command>,
    way: Vec<String>,
}

impl Telling {
    /// Finds the text in an answer; none where it is absent, or the answer cannot be read.
    pub fn read(&self, answer: &[u8]) -> Option<String> {
        let answer = from_wire(&self.command.method.output, answer).ok()?;
        let found = self.way.iter().try_fold(&answer, |at, name| at.get(name))?;
        found.as_str().map(str::to_owned)
    }
}

impl Probes {
    /// Takes note of a command whose RPC has an option that says what it is good for.
    pub(super) fn note(&mut self, rpc: &MethodDescriptor, command: &Arc<Command>) -> Result<(), SchemaError> {
        let says = |name: &str| matches!(option(rpc, name), Some(Value::Bool(true)));
        let only = |name: &str| says(name).then(|| Arc::clone(command));
        let telling = |name: &str| -> Result<Option<Telling>, SchemaError> {
            let Some(Value::String(way)) = option(rpc, name) else { return Ok(None) };
            let way: Vec<_> = way.split('.').map(str::to_owned).collect();
            leads_to_text(&command.method.output, &way)
                .map_err(|what| SchemaError::Option(command.method.path.clone(), what))?;
            Ok(Some(Telling { command: Arc::clone(command), way }))
        };
        self.liveness = self.liveness.take().or_else(|| only("olvid_rules.liveness"));
        self.key = self.key.take().or_else(|| only("olvid_rules.tests_key"));
        self.admin_key = self.admin_key.take().or_else(|| only("olvid_rules.tests_admin_key"));
        self.version = self.version.take().or(telling("olvid_rules.version")?);
        self.identity = self.identity.take().or(telling("olvid_rules.identity")?);
        Ok(())
    }
}

/// Whether a way of names ends in a text of a message.
fn leads_to_text(plan: &Message, way: &[String]) -> Result<(), &'static str> {
    let Some((first, rest)) = way.split_first() else { return Err("a way of no names") };
    let field = plan.fields.iter().find(|field| field.name == *first).ok_or("there is no such field")?;
    match &field.kind {
        _ if field.cardinality == Cardinality::Repeated => Err("a way leads through a list"),
        Kind::Message(plan) => leads_to_text(plan, rest),
        Kind::String if rest.is_empty() => Ok(()),
        _ => Err("a way does not end in a text"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::super::{Catalog, encode};

    #[test]
    fn each_question_has_its_command() {
        let probes = Catalog::embedded().probes();
        let plain = [&probes.liveness, &probes.key, &probes.admin_key];
        let told = [&probes.version, &probes.identity].map(|told| &told.as_ref().unwrap().command);
        let names =
            plain.iter().map(|command| &command.as_ref().unwrap().name).chain(told.map(|command| &command.name));
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["ping", "authentication_test", "authentication_admin_test", "daemon_version", "identity_get"]
        );
    }

    #[test]
    fn a_text_is_found_where_it_is_and_missed_where_it_is_not() {
        let identity = Catalog::embedded().probes().identity.as_ref().unwrap();
        let bytes = |answer: &Json| encode::encode(&identity.command.method.output, &answer, None).unwrap();
        let found = |answer: &Json| identity.read(&bytes(answer));
        assert_eq!(found(&json!({ "identity": { "display_name": "bot" } })).as_deref(), Some("bot"));
        assert_eq!(found(&json!({})), None);
        assert_eq!(identity.read(&[0xff]), None);
    }
}
