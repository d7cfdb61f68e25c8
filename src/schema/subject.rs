//! What a notification is about, in words, so that it can be found again: `message 17 (TYPE_INBOUND)`.
//!
//! Found by reflection: the name of the notification's first message with an `id`, and that id; else its first field
//! that is the id of something.

use std::borrow::Cow;

use super::{
    message::{Cardinality, Kind, Message},
    order::{below, last_value, submessage},
    wire::{Reader, Value},
};

/// What the name of a field that holds the id of something ends with.
const ID_OF: &str = "_id";

/// Where the id stands, and of what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    name: String,
    path: Vec<usize>,
}

impl Subject {
    /// Finds what the notifications of a type are about.
    pub fn of(message: &Message) -> Option<Self> {
        let is_single = |index: usize| message.fields[index].cardinality != Cardinality::Repeated;
        if let Some(path) = below(message, |_| true).filter(|path| path.first().is_some_and(|first| is_single(*first)))
        {
            return Some(Self { name: message.fields[*path.first()?].name.clone(), path });
        }
        let ids = message.fields.iter().enumerate().filter(|(index, _)| is_single(*index));
        let mut named = ids.filter_map(|(index, field)| Some((index, field.name.strip_suffix(ID_OF)?)));
        named.next().map(|(index, name)| Self { name: name.to_owned(), path: vec![index] })
    }

    /// Names what a notification is about; nothing where it has no id, or cannot be read.
    pub fn read(&self, message: &Message, bytes: &[u8]) -> Option<String> {
        let (last, steps) = self.path.split_last()?;
        let (mut plan, mut part) = (message, Cow::Borrowed(bytes));
        for step in steps {
            let Kind::Message(inner) = &plan.fields[*step].kind else { return None };
            part = Cow::Owned(submessage(plan, &part, *step).ok()??.into_owned());
            plan = inner;
        }
        let id = id(&plan.fields[*last].kind, last_value(plan, &part, *last).ok()??)?;
        Some(format!("{} {id}", self.name))
    }
}

/// A number; of a message its numbers and, behind them, its enums.
fn id(kind: &Kind, value: Value<'_>) -> Option<String> {
    match (kind, value) {
        (_, Value::Unsigned(id)) => Some(id.to_string()),
        (_, Value::Signed(id)) => Some(id.to_string()),
        (Kind::Message(plan), Value::Message(bytes)) => {
            let (mut numbers, mut names) = (Vec::new(), Vec::new());
            let mut reader = Reader::new(plan, bytes);
            while let Some((index, value)) = reader.advance().ok()? {
                match (&plan.fields[index].kind, value) {
                    (Kind::Enum(values), Value::Enum(number)) => {
                        let found = values.values.iter().find(|value| value.number == number);
                        names.push(found.map_or_else(|| number.to_string(), |value| value.name.clone()));
                    }
                    (kind @ (Kind::Uint64 | Kind::Int64 | Kind::Uint32 | Kind::Int32), value) => {
                        numbers.extend(id(kind, value));
                    }
                    _ => {}
                }
            }
            let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(" ")) };
            (!numbers.is_empty()).then(|| format!("{}{names}", numbers.join(" ")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::schema::{Catalog, encode};

    fn named(subscription: &str, notification: &Json) -> Option<String> {
        let output = &Catalog::embedded().subscription(subscription).unwrap().method.output;
        let bytes = encode::encode(output, &notification, None).unwrap();
        Subject::of(output)?.read(output, &bytes)
    }

    #[test]
    fn a_notification_is_named_by_what_it_is_about() {
        let message = json!({ "message": { "id": { "type": "TYPE_INBOUND", "id": 17 } } });
        assert_eq!(named("message_received", &message).unwrap(), "message 17 (TYPE_INBOUND)");
        let contact = json!({ "contact": { "id": u64::MAX } });
        assert_eq!(named("contact_new", &contact).unwrap(), "contact 18446744073709551615");
        assert_eq!(named("contact_new", &json!({})), None);
        assert_eq!(named("message_received", &json!({ "message": {} })), None);
    }

    #[test]
    fn all_but_one_subscription_is_about_something_with_an_id() {
        let catalog = Catalog::embedded();
        let without = catalog.subscriptions().iter().filter(|found| Subject::of(&found.method.output).is_none());
        let names: Vec<_> = without.map(|found| &*found.name).collect();
        assert_eq!(names, ["call_ended"]);
    }
}
