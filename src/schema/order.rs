//! Which notifications belong in one line: the key by which `order: discussion` keeps them in order.
//!
//! A noun names the thing that orders. Its key is found by reflection: the nearest field `<noun>_id`, else the `id` of a
//! message field of that name, else the `id` of the notification's first message (a group, a contact, an invitation), so
//! that what happens to one object is handled in order. A notification with none of these has one line for all.

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::{
    message::{Cardinality, Kind, Message},
    wire::{self, Reader, Value, WireError},
};

/// Where the key of a message stands, found once for each message type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderKey(Vec<usize>);

impl OrderKey {
    /// Finds the key of a message for a noun.
    pub fn of(message: &Message, noun: &str) -> Self {
        let own = format!("{noun}_id");
        let path = nearest(message, &own)
            .or_else(|| below(message, |field| field == noun))
            .or_else(|| below(message, |_| true))
            .unwrap_or_default();
        Self(path)
    }

    /// Names what the key is of: `discussion`, `group`; nothing where there is no key.
    pub fn thing<'m>(&self, message: &'m Message) -> &'m str {
        let (mut plan, mut thing) = (message, "");
        for step in &self.0 {
            let field = &plan.fields[*step];
            thing = field.name.strip_suffix("_id").unwrap_or(if field.name == "id" { thing } else { &field.name });
            if let Kind::Message(inner) = &field.kind {
                plan = inner;
            }
        }
        thing
    }

    /// Reads the key; 0 when the notification has none.
    pub fn read(&self, message: &Message, bytes: &[u8]) -> Result<u64, WireError> {
        key(&self.0, message, bytes)
    }
}

/// Reads the number at the end of a path of field indices, a hash where a message ends it; 0 where there is none.
pub(super) fn key(path: &[usize], plan: &Message, bytes: &[u8]) -> Result<u64, WireError> {
    match path {
        [] => Ok(0),
        [last] => Ok(match last_value(plan, bytes, *last)? {
            Some(Value::Unsigned(id)) => id,
            Some(Value::Message(id)) => {
                let mut hasher = DefaultHasher::new();
                id.hash(&mut hasher);
                hasher.finish()
            }
            _ => 0,
        }),
        [step, rest @ ..] => {
            let Kind::Message(inner) = &plan.fields[*step].kind else { return Ok(0) };
            submessage(plan, bytes, *step)?.map_or(Ok(0), |found| key(rest, inner, &found))
        }
    }
}

/// Breadth first, so that a notification's own id beats that of something it mentions.
fn nearest(message: &Message, name: &str) -> Option<Vec<usize>> {
    let mut level: Vec<(Vec<usize>, &Message)> = vec![(Vec::new(), message)];
    while !level.is_empty() {
        let mut deeper = Vec::new();
        for (path, plan) in level {
            if let Some(index) = plan.index_of(name) {
                return Some([path, vec![index]].concat());
            }
            for (index, field) in plan.fields.iter().enumerate() {
                if let (Kind::Message(inner), true) = (&field.kind, field.cardinality != Cardinality::Repeated) {
                    deeper.push(([path.clone(), vec![index]].concat(), &**inner));
                }
            }
        }
        level = deeper;
    }
    None
}

pub(super) fn below(message: &Message, wanted: impl Fn(&str) -> bool) -> Option<Vec<usize>> {
    message.fields.iter().enumerate().find_map(|(index, field)| match &field.kind {
        Kind::Message(inner) if wanted(&field.name) => Some(vec![index, inner.index_of("id")?]),
        _ => None,
    })
}

/// A message field's bytes: borrowed, unless it occurs more than once and has to be merged.
pub(super) fn submessage<'b>(
    plan: &Message,
    bytes: &'b [u8],
    index: usize,
) -> Result<Option<Cow<'b, [u8]>>, WireError> {
    let mut reader = Reader::new(plan, bytes);
    let mut first = None;
    while let Some(value) = reader.seek(index)? {
        match value {
            Value::Message(_) if first.is_some() => {
                return wire::merged(plan, bytes, index).map(|all| Some(Cow::Owned(all)));
            }
            Value::Message(part) => first = Some(part),
            _ => {}
        }
    }
    Ok(first.map(Cow::Borrowed))
}

/// The value that counts of a singular field.
pub(super) fn last_value<'b>(plan: &Message, bytes: &'b [u8], index: usize) -> Result<Option<Value<'b>>, WireError> {
    let mut reader = Reader::new(plan, bytes);
    let mut last = None;
    while let Some(value) = reader.seek(index)? {
        last = Some(value);
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::super::Catalog;
    use super::*;

    fn path(subscription: &str) -> Vec<String> {
        let Some(found) = Catalog::embedded().subscription(subscription) else { panic!("no {subscription}") };
        let mut plan = &*found.method.output;
        let mut names = Vec::new();
        for step in OrderKey::of(plan, "discussion").0 {
            names.push(plan.fields[step].name.clone());
            if let Kind::Message(inner) = &plan.fields[step].kind {
                plan = inner;
            }
        }
        names
    }

    #[test]
    fn what_orders_has_a_name() {
        let thing = |subscription: &str| {
            let output = &Catalog::embedded().subscription(subscription).unwrap().method.output;
            OrderKey::of(output, "discussion").thing(output)
        };
        assert_eq!(thing("message_received"), "discussion");
        assert_eq!(thing("discussion_new"), "discussion");
        assert_eq!(thing("group_member_joined"), "group");
        assert_eq!(thing("call_ended"), "");
    }

    #[test]
    fn each_kind_of_notification_finds_the_thing_it_is_about() {
        assert_eq!(path("message_received"), ["message", "discussion_id"]);
        assert_eq!(path("discussion_new"), ["discussion", "id"]);
        assert_eq!(path("call_incoming_call"), ["discussion_id"]);
        assert_eq!(path("group_member_joined"), ["group", "id"]);
        assert_eq!(path("contact_new"), ["contact", "id"]);
        assert_eq!(path("call_ended"), [] as [&str; 0]);
    }
}
