//! Sending, listing, reacting to, editing and deleting messages.

use tonic::Status;

use super::{
    Call, Caller, MessageKey, With, World,
    call::Outcome,
    command::{
        MessageDeleteRequest, MessageDeleteResponse, MessageGetRequest, MessageGetResponse, MessageListRequest,
        MessageListResponse, MessageReactRequest, MessageReactResponse, MessageRefreshRequest, MessageRefreshResponse,
        MessageSendRequest, MessageSendResponse, MessageUpdateBodyRequest, MessageUpdateBodyResponse,
    },
    data,
    delivery::{Draft, OUTBOUND},
    invalid, message_key, named_message,
};
use crate::simulator::{filters, proto::note};

impl World {
    pub(super) fn message_command(&mut self, caller: &Caller, call: &Call<'_>) -> Option<Outcome> {
        let me = caller.identity;
        Some(match call.name {
            "message_send" => call.one(|request| self.message_send(me, request)),
            "message_send_with_attachments" => call.upload(|frames| self.message_send_with_attachments(me, frames)),
            "message_list" => {
                call.list(|request| self.message_list(me, request), |messages| MessageListResponse { messages })
            }
            "message_get" => call.one(|request: MessageGetRequest| {
                let message = self.letter(me, message_key(request.message_id))?.message.clone();
                Ok(MessageGetResponse { message: Some(message) })
            }),
            "message_react" => call.one(|request| self.message_react(me, request)),
            "message_update_body" => call.one(|request| self.message_update_body(me, &request)),
            "message_delete" => call.one(|request| self.message_delete(me, request)),
            // Everything arrives at once: there is never anything to fetch.
            "message_refresh" => call.one(|_: MessageRefreshRequest| Ok(MessageRefreshResponse {})),
            _ => return None,
        })
    }

    fn message_send(&mut self, me: u64, request: MessageSendRequest) -> Result<MessageSendResponse, Status> {
        let draft = Draft {
            discussion: request.discussion_id,
            body: request.body,
            reply: named_message(request.reply_id),
            ..Default::default()
        };
        let key = self.post(me, &draft)?;
        Ok(MessageSendResponse { message: Some(self.letter(me, key)?.message.clone()) })
    }

    /// Oldest first. What is listed is no longer unread, whatever it was listed for.
    fn message_list(&mut self, me: u64, request: MessageListRequest) -> Result<Vec<data::Message>, Status> {
        let test = filters::message(request.filter.unwrap_or_default())?;
        let unread_only = request.unread.unwrap_or(false);
        let mut listed = Vec::new();
        for letter in self.own_mut(me)?.messages.values_mut() {
            if (letter.unread || !unread_only) && test.accepts(&letter.message) {
                letter.unread = false;
                listed.push(letter.message.clone());
            }
        }
        listed.sort_by(|one, other| one.sort_index.total_cmp(&other.sort_index));
        Ok(listed)
    }

    fn message_react(&mut self, me: u64, request: MessageReactRequest) -> Result<MessageReactResponse, Status> {
        let key = message_key(request.message_id);
        let discussion = self.letter(me, key)?.message.discussion_id;
        self.own(me)?.open_discussion(discussion)?;
        let (text, timestamp) = (request.reaction.unwrap_or_default(), self.now());
        for (identity, copy) in self.copies(me, key)? {
            let contact_id = if identity == me { 0 } else { self.own(identity)?.contact_of(me).unwrap_or_default() };
            let new = data::MessageReaction { contact_id, reaction: text.clone(), timestamp };
            self.react(identity, copy, new)?;
        }
        Ok(MessageReactResponse {})
    }

    /// Replaces, adds or (where the text is empty) removes one reaction on one copy.
    fn react(&mut self, identity: u64, key: MessageKey, new: data::MessageReaction) -> Result<(), Status> {
        let Some(letter) = self.own_mut(identity)?.messages.get_mut(&key) else { return Ok(()) };
        let reactions = &mut letter.message.reactions;
        let at = reactions.iter().position(|reaction| reaction.contact_id == new.contact_id);
        let previous = at.map(|at| reactions.remove(at));
        if previous.as_ref().is_some_and(|previous| previous.reaction == new.reaction) {
            // The same again changes nothing.
            reactions.extend(previous);
            return Ok(());
        }
        if !new.reaction.is_empty() {
            reactions.push(new.clone());
        }
        let message = Some(letter.message.clone());
        match previous {
            None if new.reaction.is_empty() => {}
            None => self.notify(
                identity,
                "message_reaction_added",
                &note::MessageReactionAddedNotification { message, reaction: Some(new) },
            ),
            Some(previous) if new.reaction.is_empty() => self.notify(
                identity,
                "message_reaction_removed",
                &note::MessageReactionRemovedNotification { message, reaction: Some(previous) },
            ),
            Some(previous) => self.notify(
                identity,
                "message_reaction_updated",
                &note::MessageReactionUpdatedNotification {
                    message,
                    reaction: Some(new),
                    previous_reaction: Some(previous),
                },
            ),
        }
        Ok(())
    }

    fn message_update_body(
        &mut self,
        me: u64,
        request: &MessageUpdateBodyRequest,
    ) -> Result<MessageUpdateBodyResponse, Status> {
        let key = message_key(request.message_id);
        let message = &self.letter(me, key)?.message;
        if key.0 != OUTBOUND {
            return Err(invalid("only the sender may edit a message"));
        }
        if request.updated_body.trim().is_empty() {
            return Err(invalid("the new body is empty"));
        }
        let previous_body = message.body.clone();
        if let With::Group(_, group) = self.own(me)?.open_discussion(message.discussion_id)?.with
            && !self.permissions(group, me).edit_or_remote_delete_own_messages
        {
            return Err(invalid("you may not edit messages in this group"));
        }
        let changed = self.change(me, key, |message| {
            message.body.clone_from(&request.updated_body);
            message.edited_body = true;
        })?;
        for (identity, message) in changed {
            self.notify(
                identity,
                "message_body_updated",
                &note::MessageBodyUpdatedNotification { message: Some(message), previous_body: previous_body.clone() },
            );
        }
        Ok(MessageUpdateBodyResponse {})
    }

    fn message_delete(&mut self, me: u64, request: MessageDeleteRequest) -> Result<MessageDeleteResponse, Status> {
        let key = message_key(request.message_id);
        self.letter(me, key)?;
        let copies = if request.delete_everywhere.unwrap_or(false) {
            self.may_delete_everywhere(me, key)?;
            self.copies(me, key)?
        } else {
            vec![(me, key)]
        };
        for (identity, key) in copies {
            self.remove_message(identity, key)?;
        }
        Ok(MessageDeleteResponse {})
    }

    fn may_delete_everywhere(&self, me: u64, key: MessageKey) -> Result<(), Status> {
        let own_message = key.0 == OUTBOUND;
        let discussion = self.letter(me, key)?.message.discussion_id;
        let allowed = match self.own(me)?.open_discussion(discussion)?.with {
            With::Contact(..) => own_message,
            With::Group(_, group) => {
                let held = self.permissions(group, me);
                held.remote_delete_anything || (own_message && held.edit_or_remote_delete_own_messages)
            }
        };
        if allowed { Ok(()) } else { Err(invalid("you may not delete this message for everyone")) }
    }

    /// Removes one copy with its attachments.
    pub(super) fn remove_message(&mut self, identity: u64, key: MessageKey) -> Result<(), Status> {
        let own = self.own_mut(identity)?;
        let Some(letter) = own.messages.remove(&key) else { return Ok(()) };
        own.copies.remove(&letter.post);
        own.attachments.retain(|_, file| message_key(file.shown.message_id) != key);
        self.notify(identity, "message_deleted", &note::MessageDeletedNotification { message: Some(letter.message) });
        Ok(())
    }
}
