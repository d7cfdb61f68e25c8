//! Places: sent once, or shared and kept up to date.

use bytes::Bytes;
use tonic::Status;

use super::{
    Call, Caller, MessageKey, World,
    call::Outcome,
    command::{
        MessageEndLocationSharingRequest, MessageEndLocationSharingResponse, MessageSendLocationRequest,
        MessageSendLocationResponse, MessageStartLocationSharingRequest, MessageStartLocationSharingResponse,
        MessageUpdateLocationSharingRequest, MessageUpdateLocationSharingResponse,
    },
    data,
    delivery::{Draft, OUTBOUND},
    invalid, message_key,
};
use crate::simulator::proto::{data::message_location::LocationType, note};

impl World {
    pub(super) fn location_command(&mut self, caller: &Caller, call: &Call<'_>) -> Option<Outcome> {
        let me = caller.identity;
        Some(match call.name {
            "message_send_location" => call.one(|request| self.send_location(me, request)),
            "message_start_location_sharing" => call.one(|request| self.start_sharing(me, &request)),
            "message_update_location_sharing" => call.one(|request| self.update_sharing(me, request)),
            "message_end_location_sharing" => call.one(|request| self.end_sharing(me, request)),
            _ => return None,
        })
    }

    fn send_location(
        &mut self,
        me: u64,
        request: MessageSendLocationRequest,
    ) -> Result<MessageSendLocationResponse, Status> {
        let files = match (
            // The published client sends empty ones where it means none.
            request.preview_filename.filter(|name| !name.is_empty()),
            request.preview_payload.filter(|content| !content.is_empty()),
        ) {
            (Some(name), Some(content)) => vec![(name, Bytes::from(content))],
            (None, None) => Vec::new(),
            _ => return Err(invalid("a preview needs both a file name and a content")),
        };
        let location = data::MessageLocation {
            r#type: LocationType::Send as i32,
            timestamp: self.now(),
            latitude: request.latitude,
            longitude: request.longitude,
            altitude: request.altitude,
            precision: request.precision,
            address: request.address,
        };
        let message = Some(self.post_location(me, request.discussion_id, location, files)?);
        Ok(MessageSendLocationResponse { message })
    }

    fn start_sharing(
        &mut self,
        me: u64,
        request: &MessageStartLocationSharingRequest,
    ) -> Result<MessageStartLocationSharingResponse, Status> {
        let location = data::MessageLocation {
            r#type: LocationType::Sharing as i32,
            timestamp: self.now(),
            latitude: request.latitude,
            longitude: request.longitude,
            altitude: request.altitude,
            precision: request.precision,
            address: None,
        };
        let message = Some(self.post_location(me, request.discussion_id, location, Vec::new())?);
        Ok(MessageStartLocationSharingResponse { message })
    }

    fn post_location(
        &mut self,
        me: u64,
        discussion: u64,
        location: data::MessageLocation,
        files: Vec<(String, Bytes)>,
    ) -> Result<data::Message, Status> {
        let body = place(location.latitude, location.longitude)?;
        let key = self.post(me, &Draft { discussion, body, reply: None, files, location: Some(location) })?;
        Ok(self.letter(me, key)?.message.clone())
    }

    fn update_sharing(
        &mut self,
        me: u64,
        request: MessageUpdateLocationSharingRequest,
    ) -> Result<MessageUpdateLocationSharingResponse, Status> {
        let key = message_key(request.message_id);
        let previous_location = self.shared_by_me(me, key)?;
        let body = place(request.latitude, request.longitude)?;
        let location = data::MessageLocation {
            timestamp: self.now(),
            latitude: request.latitude,
            longitude: request.longitude,
            altitude: request.altitude,
            precision: request.precision,
            ..previous_location.clone()
        };
        let changed = self.change(me, key, |message| {
            message.body.clone_from(&body);
            message.message_location = Some(location.clone());
        })?;
        for (identity, message) in changed {
            let notification = note::MessageLocationSharingUpdateNotification {
                message: Some(message),
                previous_location: Some(previous_location.clone()),
            };
            self.notify(identity, "message_location_sharing_update", &notification);
        }
        Ok(MessageUpdateLocationSharingResponse { message: Some(self.letter(me, key)?.message.clone()) })
    }

    fn end_sharing(
        &mut self,
        me: u64,
        request: MessageEndLocationSharingRequest,
    ) -> Result<MessageEndLocationSharingResponse, Status> {
        let key = message_key(request.message_id);
        let location = self.shared_by_me(me, key)?;
        let location = data::MessageLocation { r#type: LocationType::SharingFinished as i32, ..location };
        let changed = self.change(me, key, |message| message.message_location = Some(location.clone()))?;
        for (identity, message) in changed {
            let notification = note::MessageLocationSharingEndNotification { message: Some(message) };
            self.notify(identity, "message_location_sharing_end", &notification);
        }
        Ok(MessageEndLocationSharingResponse { message: Some(self.letter(me, key)?.message.clone()) })
    }

    /// The location of a sharing that is active and the identity's own.
    fn shared_by_me(&self, me: u64, key: MessageKey) -> Result<data::MessageLocation, Status> {
        let letter = self.letter(me, key)?;
        let location = letter.message.message_location.clone();
        let active = location.filter(|location| location.r#type() == LocationType::Sharing && key.0 == OUTBOUND);
        active.ok_or_else(|| invalid("the message is not an active location sharing of yours"))
    }
}

/// The body of a message with a location. Nobody is at 0, 0: who says so has no position.
fn place(latitude: f64, longitude: f64) -> Result<String, Status> {
    if latitude == 0.0 && longitude == 0.0 {
        return Err(invalid("the location is missing"));
    }
    Ok(format!("https://maps.google.com/?q={latitude:.5}+{longitude:.5}"))
}
