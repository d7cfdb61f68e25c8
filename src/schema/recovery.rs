//! How what a subscription missed is found out: which command lists it, and where id and time of an element stand.
//!
//! Read from an option of the subscription's RPC (`proto/olvid_rules/recovery.proto`), so that no name of it stands in
//! the program. Asking the command and remembering what was seen are the engine's.

use std::sync::Arc;

use bytes::Bytes;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value as Reflected};

use super::{
    catalog::{Command, Method, SchemaError, Shape},
    encode,
    message::{Cardinality, Field, Kind, Message},
    order::{key, last_value, submessage},
    wire::{Reader, Value, WireError},
};

/// The option's full name.
const OPTION: &str = "olvid_rules.recovery";

/// The command that lists what the notifications of a subscription were about.
#[derive(Debug)]
pub struct Recovery {
    /// Lists elements, the oldest first.
    pub command: Arc<Command>,
    /// The subscription's request, its filter in it, and the same filter in the command's request by number.
    parameters: Arc<Message>,
    parameter: usize,
    conditions: u32,
    /// The filter's type and what is added to it.
    filter: Arc<Message>,
    lower_bound: usize,
    constant: usize,
    constant_value: i32,
    unread: u32,
    listed: usize,
    /// The notification, its field for an element, and the ways from it to the element's id and time.
    notification: Arc<Message>,
    subject: usize,
    id: Vec<usize>,
    time: Vec<usize>,
}

/// What is to be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All from a time on, in milliseconds since 1970.
    Since(u64),
    /// What no client has seen.
    Unread,
}

/// What tells an element from all others, and when it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Unique among the elements that are listed.
    pub id: u64,
    /// In milliseconds since 1970.
    pub time: u64,
}

impl Recovery {
    /// Reads the option of a subscription's RPC, where it has one.
    pub(super) fn of(
        rpc: &MethodDescriptor,
        method: &Method,
        commands: &[Arc<Command>],
    ) -> Result<Option<Self>, SchemaError> {
        let Some(option) = rpc.parent_pool().get_extension_by_name(OPTION) else { return Ok(None) };
        let options = rpc.options();
        if !options.has_extension(&option) {
            return Ok(None);
        }
        let value = options.get_extension(&option);
        let read =
            value.as_message().ok_or("it is no message").and_then(|named| Self::resolve(named, method, commands));
        read.map(Some).map_err(|what| SchemaError::Option(method.path.clone(), what))
    }

    fn resolve(named: &DynamicMessage, method: &Method, commands: &[Arc<Command>]) -> Result<Self, &'static str> {
        let name = |field: &str| match named.get_field_by_name(field).as_deref() {
            Some(Reflected::String(text)) => text.clone(),
            _ => String::new(),
        };
        let wanted = name("list_command");
        let command = commands.iter().find(|command| command.name == wanted).ok_or("there is no such command")?;
        let Shape::List(listed) = command.shape else { return Err("the command lists nothing") };
        let request = &command.method.input;
        let (parameter, own) = field(&method.input, &name("conditions"))?;
        let (_, conditions) = field(request, &name("conditions"))?;
        let filter = message(own)?;
        if message(conditions)?.full_name != filter.full_name {
            return Err("the filters are of different types");
        }
        let (constant, fixed) = field(filter, &name("constant"))?;
        let Kind::Enum(values) = &fixed.kind else { return Err("the constant is of no enum") };
        let constant_value = values.parse(&name("constant_value")).ok_or("there is no such constant")?;
        let (subject, element) = field(&method.output, &name("subject"))?;
        let list = &command.method.output.fields[listed];
        if list.name != name("listed") || message(list)?.full_name != message(element)?.full_name {
            return Err("what is listed is not what is notified");
        }
        let path = |names: &str| -> Result<Vec<usize>, &'static str> {
            Ok([vec![subject], path(message(element)?, names)?].concat())
        };
        Ok(Self {
            parameters: Arc::clone(&method.input),
            parameter,
            conditions: conditions.number,
            lower_bound: number(filter, &name("lower_bound"))?,
            filter: Arc::clone(filter),
            constant,
            constant_value,
            unread: flag(request, &name("unread_flag"))?,
            listed,
            notification: Arc::clone(&method.output),
            subject,
            id: path(&name("id_path"))?,
            time: path(&name("time_path"))?,
            command: Arc::clone(command),
        })
    }

    /// Writes the command's request for a subscription's parameters; none where nothing can ever meet them.
    pub fn request(&self, parameters: &[u8], wanted: Wanted) -> Result<Option<Bytes>, WireError> {
        let own = submessage(&self.parameters, parameters, self.parameter)?.unwrap_or_default();
        let mut filter = own.to_vec();
        // Of a field that occurs twice the last value is the one that counts.
        let fields = &self.filter.fields;
        match last_value(&self.filter, &own, self.constant)? {
            Some(Value::Enum(value)) if value != 0 && value != self.constant_value => return Ok(None),
            _ => encode::put_number(fields[self.constant].number, unsigned(self.constant_value), &mut filter),
        }
        if let Wanted::Since(since) = wanted {
            let later = matches!(last_value(&self.filter, &own, self.lower_bound)?,
                Some(Value::Unsigned(bound)) if bound > since);
            if !later {
                encode::put_number(fields[self.lower_bound].number, since, &mut filter);
            }
        }
        let mut request = Vec::with_capacity(filter.len() + 8);
        encode::put_bytes(self.conditions, &filter, &mut request);
        if wanted == Wanted::Unread {
            encode::put_number(self.unread, 1, &mut request);
        }
        Ok(Some(request.into()))
    }

    /// Makes notifications of one page of the command's answer.
    pub fn notifications(&self, page: &[u8]) -> Result<Vec<Bytes>, WireError> {
        let mut reader = Reader::new(&self.command.method.output, page);
        let mut found = Vec::new();
        while let Some((index, value)) = reader.advance()? {
            if let (true, Value::Message(element)) = (index == self.listed, value) {
                let mut notification = Vec::with_capacity(element.len() + 8);
                encode::put_bytes(self.notification.fields[self.subject].number, element, &mut notification);
                found.push(notification.into());
            }
        }
        Ok(found)
    }

    /// Reads id and time of what a notification is about; none where it is about nothing.
    pub fn mark(&self, notification: &[u8]) -> Result<Option<Mark>, WireError> {
        let id = key(&self.id, &self.notification, notification)?;
        let time = key(&self.time, &self.notification, notification)?;
        Ok((id != 0).then_some(Mark { id, time }))
    }
}

fn field<'m>(plan: &'m Message, name: &str) -> Result<(usize, &'m Field), &'static str> {
    let index = plan.index_of(name).ok_or("there is no such field")?;
    Ok((index, &plan.fields[index]))
}

fn message(field: &Field) -> Result<&Arc<Message>, &'static str> {
    if let Kind::Message(plan) = &field.kind { Ok(plan) } else { Err("a field is no message") }
}

fn number(plan: &Message, name: &str) -> Result<usize, &'static str> {
    match field(plan, name)? {
        (index, found) if matches!(found.kind, Kind::Uint64) => Ok(index),
        _ => Err("a field is no number"),
    }
}

fn flag(plan: &Message, name: &str) -> Result<u32, &'static str> {
    match field(plan, name)? {
        (_, found) if matches!(found.kind, Kind::Bool) => Ok(found.number),
        _ => Err("a field is no flag"),
    }
}

/// The indices of a path of names that ends in a number.
pub(super) fn path(plan: &Message, names: &str) -> Result<Vec<usize>, &'static str> {
    let Some((first, rest)) = names.split_once('.') else { return Ok(vec![number(plan, names)?]) };
    let (index, step) = field(plan, first)?;
    if step.cardinality == Cardinality::Repeated {
        return Err("a path leads through a list");
    }
    Ok([vec![index], path(message(step)?, rest)?].concat())
}

/// As an enum's number stands on the wire.
#[expect(clippy::cast_sign_loss, reason = "protobuf writes enums as the two's complement of 64 bits")]
fn unsigned(number: i32) -> u64 {
    i64::from(number) as u64
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::super::{Catalog, Subscription, json::from_wire};
    use super::*;

    fn subject() -> &'static Arc<Subscription> {
        let found = Catalog::embedded().subscriptions().iter().find(|entry| entry.recovery.is_some());
        found.unwrap_or_else(|| panic!("nothing can be recovered"))
    }

    fn recovery() -> &'static Recovery {
        subject().recovery.as_ref().unwrap()
    }

    fn bytes(plan: &Message, value: &Json) -> Vec<u8> {
        encode::encode(plan, &value, None).unwrap()
    }

    /// The list's request for a rule's filter.
    fn asked(filter: &Json, wanted: Wanted) -> Option<Json> {
        let parameters = bytes(&subject().method.input, &json!({ "count": 3, "filter": filter }));
        let request = recovery().request(&parameters, wanted).unwrap()?;
        Some(from_wire(&recovery().command.method.input, &request).unwrap())
    }

    #[test]
    fn received_messages_alone_are_recovered_and_by_the_command_that_lists_them() {
        let names = Catalog::embedded().subscriptions().iter().filter(|entry| entry.recovery.is_some());
        assert_eq!(names.map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["message_received"]);
        assert_eq!(recovery().command.name, "message_list");
    }

    #[test]
    fn a_rules_own_conditions_hold_and_of_two_lower_bounds_the_later() {
        let filter = |wanted| asked(&json!({ "body_search": "x", "min_timestamp": 50 }), wanted).unwrap();
        let all = filter(Wanted::Since(70));
        assert_eq!(all["filter"]["body_search"], "x");
        assert_eq!(all["filter"]["type"], "TYPE_INBOUND");
        assert_eq!(all["filter"]["min_timestamp"], 70);
        assert_eq!(all.get("unread"), None);
        assert_eq!(filter(Wanted::Since(40))["filter"]["min_timestamp"], 50);
        let unread = filter(Wanted::Unread);
        assert_eq!((&unread["unread"], &unread["filter"]["min_timestamp"]), (&json!(true), &json!(50)));
    }

    #[test]
    fn conditions_that_nothing_can_meet_ask_for_nothing() {
        assert_eq!(asked(&json!({ "type": "outbound" }), Wanted::Unread), None);
        assert!(asked(&json!({ "type": "unspecified" }), Wanted::Unread).is_some());
    }

    #[test]
    fn what_is_listed_becomes_notifications_with_id_and_time() {
        let page = json!({ "messages": [
            { "id": { "type": "inbound", "id": 7 }, "timestamp": 12, "body": "one" },
            { "body": "without an id" },
        ] });
        let found = recovery().notifications(&bytes(&recovery().command.method.output, &page)).unwrap();
        let shown = from_wire(&subject().method.output, &found[0]).unwrap();
        assert_eq!(shown["message"]["body"], "one");
        let marks: Vec<_> = found.iter().map(|each| recovery().mark(each).unwrap()).collect();
        assert_eq!(marks, [Some(Mark { id: 7, time: 12 }), None]);
    }
}
