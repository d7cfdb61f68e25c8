//! What a subscription may name: things that exist, and are of the kind it is about.

use tonic::Status;

use super::{Identity, MessageKey, World, data, delivery::OUTBOUND, invalid, not_found};
use crate::{
    schema::{
        Cardinality, Subscription,
        wire::{Reader, Value},
    },
    simulator::proto::data::message_location::LocationType,
};

impl World {
    /// Refuses a subscription that lists an id of nothing, or of something it cannot be about.
    pub(in crate::simulator) fn check_ids(
        &self,
        identity: u64,
        subscription: &Subscription,
        request: &[u8],
    ) -> Result<(), Status> {
        let own = self.own(identity)?;
        let plan = &subscription.method.input;
        let mut reader = Reader::new(plan, request);
        while let Some((index, value)) = reader.advance().map_err(|error| invalid(&error.to_string()))? {
            let field = &plan.fields[index];
            if field.cardinality == Cardinality::Repeated && self.check_ids {
                check_id(own, &subscription.name, &field.name, &value)?;
            }
        }
        Ok(())
    }
}

fn check_id(own: &Identity, subscription: &str, list: &str, value: &Value<'_>) -> Result<(), Status> {
    let number = if let Value::Unsigned(number) = value { *number } else { 0 };
    let exists = match list {
        "message_ids" => return check_message(own, subscription, typed_key(value)?),
        "attachment_ids" => return check_attachment(own, typed_key(value)?),
        "contact_ids" => own.contacts.contains_key(&number),
        "group_ids" => own.groups.contains_key(&number),
        "discussion_ids" => own.discussions.contains_key(&number),
        "invitation_ids" => own.invitations.contains_key(&number),
        _ => true,
    };
    if exists { Ok(()) } else { Err(not_found(list)) }
}

/// Ids of messages and attachments are encoded alike.
fn typed_key(value: &Value<'_>) -> Result<MessageKey, Status> {
    let Value::Message(bytes) = value else { return Ok((0, 0)) };
    let id: data::MessageId = prost::Message::decode(*bytes).map_err(|_| invalid("an id does not decode"))?;
    Ok((id.r#type, id.id))
}

fn check_message(own: &Identity, subscription: &str, key: MessageKey) -> Result<(), Status> {
    let outbound_only =
        matches!(subscription, "message_uploaded" | "message_delivered" | "message_read" | "attachment_uploaded");
    if outbound_only && key.0 != OUTBOUND {
        return Err(invalid("the subscription is about outbound messages"));
    }
    let letter = own.messages.get(&key).ok_or_else(|| not_found("Message"))?;
    let sharing_only = matches!(subscription, "message_location_sharing_update" | "message_location_sharing_end");
    let location = letter.message.message_location.as_ref();
    if sharing_only && location.is_none_or(|location| location.r#type() != LocationType::Sharing) {
        return Err(invalid("the message is no live location sharing"));
    }
    Ok(())
}

fn check_attachment(own: &Identity, key: MessageKey) -> Result<(), Status> {
    if key.0 != OUTBOUND {
        return Err(invalid("the subscription is about outbound attachments"));
    }
    own.attachments.get(&key).map(drop).ok_or_else(|| not_found("Attachment"))
}
