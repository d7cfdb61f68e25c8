//! The conditions of a subscription, and the filters of lists: compiled once, so that a bad pattern is refused at once.
//!
//! Which part of a notification a parameter speaks about is found by name: `filter` is about the notification's first
//! message, `reaction_filter` about its `reaction`, `previous_name_search` about its `previous_name`, `message_ids`
//! about the id of its `message`, else about a `message_id` in it. What a filter means is in the files below.

use bytes::Bytes;
use fancy_regex::Regex;
use prost::Message as _;
use tonic::Status;

use super::proto::data;
use crate::schema::{
    Cardinality, Kind, Message, Method,
    wire::{Reader, Value, WireError},
};

mod groups;
mod messages;
mod people;

pub(super) use groups::group;
pub(super) use messages::{attachment, message};
pub(super) use people::{client_key, contact, discussion, identity, invitation, storage_element};

/// What a value must meet, all of it.
pub(super) struct Test<T>(Vec<Condition<T>>);

/// A condition on a part of a notification, given its bytes.
type BytesTest = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

type Condition<T> = Box<dyn Fn(&T) -> bool + Send + Sync>;

impl<T> Default for Test<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Test<T> {
    /// Tells whether a value meets every condition.
    pub(super) fn accepts(&self, value: &T) -> bool {
        self.0.iter().all(|condition| condition(value))
    }

    fn when(&mut self, condition: impl Fn(&T) -> bool + Send + Sync + 'static) {
        self.0.push(Box::new(condition));
    }

    /// Adds a condition where a parameter is given.
    fn given<P: Send + Sync + 'static>(
        &mut self,
        parameter: Option<P>,
        condition: impl Fn(&T, &P) -> bool + Send + Sync + 'static,
    ) {
        if let Some(parameter) = parameter {
            self.when(move |value| condition(value, &parameter));
        }
    }

    /// Adds a search where a pattern is given: found anywhere, case-sensitive.
    fn search(
        &mut self,
        pattern: Option<String>,
        text: impl Fn(&T) -> &str + Send + Sync + 'static,
    ) -> Result<(), Status> {
        let Some(pattern) = pattern else { return Ok(()) };
        let pattern = compiled(&pattern)?;
        self.when(move |value| found(&pattern, text(value)));
        Ok(())
    }

    /// Adds a choice of an enum where it is given; its value 0 is no condition.
    fn choice(&mut self, chosen: Option<i32>, holds: impl Fn(&T, i32) -> bool + Send + Sync + 'static) {
        if let Some(chosen) = chosen.filter(|chosen| *chosen != 0) {
            self.when(move |value| holds(value, chosen));
        }
    }
}

fn compiled(pattern: &str) -> Result<Regex, Status> {
    Regex::new(pattern).map_err(|error| Status::invalid_argument(format!("invalid pattern `{pattern}`: {error}")))
}

/// A search that gives up, which a pattern with back-references can be made to do, has found nothing.
fn found(pattern: &Regex, text: &str) -> bool {
    pattern.is_match(text).unwrap_or(false)
}

/// `details_search`: each field that is set is a pattern for the field of that name.
fn details<T: 'static>(
    test: &mut Test<T>,
    search: Option<data::IdentityDetails>,
    of: fn(&T) -> Option<&data::IdentityDetails>,
) -> Result<(), Status> {
    let search = search.unwrap_or_default();
    test.search(search.first_name, move |value| of(value).map_or("", data::IdentityDetails::first_name))?;
    test.search(search.last_name, move |value| of(value).map_or("", data::IdentityDetails::last_name))?;
    test.search(search.company, move |value| of(value).map_or("", data::IdentityDetails::company))?;
    test.search(search.position, move |value| of(value).map_or("", data::IdentityDetails::position))
}

/// All conditions of one subscription.
#[derive(Default)]
pub(super) struct Conditions {
    plan: Option<std::sync::Arc<Message>>,
    tests: Vec<Part>,
}

/// A condition on one part of a notification.
struct Part {
    /// The way to the part, as field indices.
    path: Vec<usize>,
    test: BytesTest,
}

impl std::fmt::Debug for Conditions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conditions").field("tests", &self.tests.len()).finish_non_exhaustive()
    }
}

impl Conditions {
    /// Compiles the parameters of a subscription.
    pub(super) fn of(method: &Method, request: &[u8]) -> Result<Self, Status> {
        let broken = |error: WireError| Status::invalid_argument(error.to_string());
        let mut reader = Reader::new(&method.input, request);
        let mut tests = Vec::new();
        let mut ids: Vec<(usize, Vec<Vec<u8>>)> = Vec::new();
        while let Some((index, value)) = reader.advance().map_err(broken)? {
            let field = &method.input.fields[index];
            if field.cardinality == Cardinality::Repeated {
                let id = normal(identifier(&value));
                match ids.iter_mut().find(|(known, _)| *known == index) {
                    Some((_, list)) => list.push(id),
                    None => ids.push((index, vec![id])),
                }
                continue;
            }
            let Some(path) = part_of(&method.output, &field.name) else { continue };
            match (value, &field.kind) {
                (Value::Text(pattern), _) => {
                    let pattern = compiled(pattern)?;
                    let test = move |text: &[u8]| found(&pattern, &String::from_utf8_lossy(text));
                    tests.push(Part { path, test: Box::new(test) });
                }
                (Value::Message(filter), Kind::Message(plan)) => {
                    tests.push(Part { path, test: typed(&plan.name, filter)? });
                }
                _ => {}
            }
        }
        for (index, list) in ids {
            if let Some(path) = part_with_id(&method.output, &method.input.fields[index].name) {
                tests.push(Part { path, test: Box::new(move |id| list.contains(&normal(id.to_vec()))) });
            }
        }
        Ok(Self { plan: Some(std::sync::Arc::clone(&method.output)), tests })
    }

    /// Tells whether a notification meets all conditions.
    pub(super) fn accept(&self, notification: &Bytes) -> bool {
        let Some(plan) = &self.plan else { return true };
        self.tests.iter().all(|part| (part.test)(&at(plan, &part.path, notification)))
    }
}

/// Compiles a filter of one of the types that subscriptions have, for the bytes of what it is about.
fn typed(filter: &str, bytes: &[u8]) -> Result<BytesTest, Status> {
    fn over<T: prost::Message + Default + 'static>(test: Test<T>) -> BytesTest {
        Box::new(move |bytes| T::decode(bytes).is_ok_and(|value| test.accepts(&value)))
    }
    fn read<F: prost::Message + Default>(bytes: &[u8]) -> Result<F, Status> {
        F::decode(bytes).map_err(|error| Status::invalid_argument(error.to_string()))
    }
    Ok(match filter {
        "MessageFilter" => over(message(read(bytes)?)?),
        "ReactionFilter" => over(messages::reaction(read(bytes)?)),
        "AttachmentFilter" => over(attachment(read(bytes)?)?),
        "ContactFilter" => over(contact(read(bytes)?)?),
        "DiscussionFilter" => over(discussion(read(bytes)?)?),
        "InvitationFilter" => over(invitation(read(bytes)?)?),
        "GroupFilter" => over(group(read(bytes)?)?),
        "GroupMemberFilter" => over(groups::member(read(bytes)?)),
        "PendingGroupMemberFilter" => over(groups::pending_member(read(bytes)?)?),
        "GroupPermissionFilter" => over(groups::permissions(read(bytes)?)),
        other => return Err(Status::internal(format!("no meaning is known of a {other}"))),
    })
}

/// Finds what a filter or a search is about.
fn part_of(notification: &Message, parameter: &str) -> Option<Vec<usize>> {
    let noun = parameter.strip_suffix("_filter").or_else(|| parameter.strip_suffix("_search"));
    let Some(noun) = noun else {
        let first = notification.fields.iter().position(|field| matches!(field.kind, Kind::Message(_)));
        return first.filter(|_| parameter == "filter").map(|index| vec![index]);
    };
    let index = notification.index_of(noun).or_else(|| notification.index_of(&format!("{noun}s")))?;
    Some(vec![index])
}

/// Finds the id that a list of ids is about.
fn part_with_id(notification: &Message, parameter: &str) -> Option<Vec<usize>> {
    let noun = parameter.strip_suffix("_ids")?;
    let inner = |index: usize, name: &str| match &notification.fields[index].kind {
        Kind::Message(plan) => Some(vec![index, plan.index_of(name)?]),
        _ => None,
    };
    let own = notification.index_of(noun).and_then(|index| inner(index, "id"));
    own.or_else(|| (0..notification.fields.len()).find_map(|index| inner(index, &format!("{noun}_id"))))
}

/// Reads a part of a message as bytes: of a number its own mark and form.
fn at(plan: &Message, path: &[usize], bytes: &[u8]) -> Vec<u8> {
    let Some((step, deeper)) = path.split_first() else { return bytes.to_vec() };
    let mut reader = Reader::new(plan, bytes);
    let mut last = None;
    // Broken bytes end the reading: what was found before counts.
    while let Ok(Some((index, value))) = reader.advance() {
        if index == *step {
            last = Some(value);
        }
    }
    match (&plan.fields[*step].kind, last) {
        (Kind::Message(inner), Some(Value::Message(bytes))) if !deeper.is_empty() => at(inner, deeper, bytes),
        (_, Some(value)) => identifier(&value),
        _ => Vec::new(),
    }
}

/// Ids that are messages, of a type and a number, written the one way that this program writes them. A number,
/// marked by a zero byte that no message starts with, stays as it is.
fn normal(id: Vec<u8>) -> Vec<u8> {
    data::MessageId::decode(&id[..]).map_or(id, |id| id.encode_to_vec())
}

/// Bytes that are equal when two ids are.
fn identifier(value: &Value<'_>) -> Vec<u8> {
    match value {
        Value::Unsigned(number) => [&[0], &number.to_le_bytes()[..]].concat(),
        Value::Text(text) => text.as_bytes().to_vec(),
        Value::Message(bytes) | Value::Bytes(bytes) => bytes.to_vec(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
