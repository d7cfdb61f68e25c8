//! What is written reaches everybody in the discussion at once: a copy for each, with the ids of their side.

use bytes::Bytes;
use tonic::Status;

use super::{Letter, MessageKey, With, World, attachments::File, data, invalid, message_id, next, not_found};
use crate::simulator::proto::{
    data::{message_id::Type, message_location::LocationType},
    note,
};

/// A message to be sent.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) discussion: u64,
    pub(super) body: String,
    pub(super) reply: Option<MessageKey>,
    pub(super) files: Vec<(String, Bytes)>,
    pub(super) location: Option<data::MessageLocation>,
}

pub(super) const INBOUND: i32 = Type::Inbound as i32;
pub(super) const OUTBOUND: i32 = Type::Outbound as i32;

impl World {
    /// Sends a message and returns the sender's copy.
    pub(super) fn post(&mut self, me: u64, draft: &Draft) -> Result<MessageKey, Status> {
        self.may_post(me, draft)?;
        let post = next(&mut self.next);
        let blank = data::Message {
            body: draft.body.clone(),
            sort_index: self.sort_index(),
            timestamp: self.now(),
            attachments_count: draft.files.len() as u64,
            message_location: draft.location.clone(),
            ..Default::default()
        };
        let key = self.post_own(me, draft, post, blank.clone())?;
        let recipients = self.recipients(me, draft.discussion);
        for (peer, discussion) in &recipients {
            self.deliver(me, *peer, *discussion, draft, post, blank.clone())?;
        }
        if !recipients.is_empty() {
            let message = self.letter(me, key)?.message.clone();
            self.notify(
                me,
                "message_delivered",
                &note::MessageDeliveredNotification { message: Some(message.clone()) },
            );
            self.notify(me, "message_read", &note::MessageReadNotification { message: Some(message) });
        }
        Ok(key)
    }

    fn may_post(&self, me: u64, draft: &Draft) -> Result<(), Status> {
        let own = self.own(me)?;
        let discussion = own.open_discussion(draft.discussion)?;
        if draft.body.trim().is_empty() && draft.files.is_empty() {
            return Err(invalid("the message is empty"));
        }
        if let Some(reply) = draft.reply {
            let replied = own.messages.get(&reply);
            replied
                .filter(|replied| replied.message.discussion_id == draft.discussion)
                .ok_or_else(|| not_found("Replied message"))?;
        }
        match discussion.with {
            With::Group(_, group) if !self.permissions(group, me).send_message => {
                Err(Status::permission_denied("you may not write in this group"))
            }
            _ => Ok(()),
        }
    }

    /// Puts the sender's copy in place; uploading is over before anybody else hears of it.
    fn post_own(&mut self, me: u64, draft: &Draft, post: u64, blank: data::Message) -> Result<MessageKey, Status> {
        let own = self.own_mut(me)?;
        let key = (OUTBOUND, next(&mut own.ids.outbound));
        let message = data::Message {
            id: Some(message_id(key)),
            discussion_id: draft.discussion,
            replied_message_id: draft.reply.map(message_id),
            ..blank
        };
        let letter = Letter { post, message: message.clone(), unread: false };
        own.copies.insert(post, key);
        own.messages.insert(key, letter);
        let attachments = own.attach(key, draft.discussion, &draft.files);
        self.notify(me, "message_sent", &note::MessageSentNotification { message: Some(message.clone()) });
        self.notify_location(me, &message, false);
        for attachment in attachments {
            self.notify(
                me,
                "attachment_uploaded",
                &note::AttachmentUploadedNotification { attachment: Some(attachment) },
            );
        }
        self.notify(me, "message_uploaded", &note::MessageUploadedNotification { message: Some(message) });
        Ok(key)
    }

    /// Puts a recipient's copy in place.
    fn deliver(
        &mut self,
        me: u64,
        peer: u64,
        discussion: u64,
        draft: &Draft,
        post: u64,
        blank: data::Message,
    ) -> Result<(), Status> {
        let replied = draft.reply.and_then(|reply| Some(self.letter(me, reply).ok()?.post));
        let own = self.own_mut(peer)?;
        let key = (INBOUND, next(&mut own.ids.inbound));
        let message = data::Message {
            id: Some(message_id(key)),
            discussion_id: discussion,
            sender_id: own.contact_of(me).unwrap_or_default(),
            replied_message_id: replied.and_then(|post| own.copies.get(&post)).copied().map(message_id),
            ..blank
        };
        own.copies.insert(post, key);
        own.messages.insert(key, Letter { post, message: message.clone(), unread: true });
        let attachments = own.attach(key, discussion, &draft.files);
        self.notify(peer, "message_received", &note::MessageReceivedNotification { message: Some(message.clone()) });
        if let Some(event) = self.events.last_mut() {
            event.reads = Some(key);
        }
        self.notify_location(peer, &message, true);
        for attachment in attachments {
            self.notify(
                peer,
                "attachment_received",
                &note::AttachmentReceivedNotification { attachment: Some(attachment) },
            );
        }
        Ok(())
    }

    /// A message with a location is announced as such as well.
    fn notify_location(&mut self, identity: u64, message: &data::Message, received: bool) {
        let Some(location) = &message.message_location else { return };
        let message = Some(message.clone());
        match (location.r#type(), received) {
            (LocationType::Send, true) => self.notify(
                identity,
                "message_location_received",
                &note::MessageLocationReceivedNotification { message },
            ),
            (LocationType::Send, false) => {
                self.notify(identity, "message_location_sent", &note::MessageLocationSentNotification { message });
            }
            (LocationType::Sharing, _) => self.notify(
                identity,
                "message_location_sharing_start",
                &note::MessageLocationSharingStartNotification { message },
            ),
            _ => {}
        }
    }

    /// Everybody else in a discussion, each with the id it has for them. Who has locked it is not reached.
    pub(super) fn recipients(&self, me: u64, discussion: u64) -> Vec<(u64, u64)> {
        let Some(with) = self.own(me).ok().and_then(|own| own.discussions.get(&discussion)).map(|one| one.with) else {
            return Vec::new();
        };
        let peers = match with {
            With::Contact(_, peer) => vec![peer],
            With::Group(_, group) => self.joined(group, me),
        };
        let side = |peer: u64| {
            let own = self.own(peer).ok()?;
            let discussion = match with {
                With::Contact(..) => own.discussion_with(me),
                With::Group(_, group) => own.discussion_of(group),
            }?;
            own.open_discussion(discussion).is_ok().then_some((peer, discussion))
        };
        peers.into_iter().filter_map(side).collect()
    }

    /// An identity's copy of a message.
    pub(super) fn letter(&self, identity: u64, key: MessageKey) -> Result<&Letter, Status> {
        self.own(identity)?.messages.get(&key).ok_or_else(|| not_found("Message"))
    }

    /// All copies of a message that its discussion still connects, the asking identity's first.
    pub(super) fn copies(&self, me: u64, key: MessageKey) -> Result<Vec<(u64, MessageKey)>, Status> {
        let letter = self.letter(me, key)?;
        let mut copies = vec![(me, key)];
        for (peer, _) in self.recipients(me, letter.message.discussion_id) {
            copies.extend(self.own(peer)?.copies.get(&letter.post).map(|key| (peer, *key)));
        }
        Ok(copies)
    }

    /// Changes a message wherever it is, and returns each changed copy with its owner.
    pub(super) fn change(
        &mut self,
        me: u64,
        key: MessageKey,
        change: impl Fn(&mut data::Message),
    ) -> Result<Vec<(u64, data::Message)>, Status> {
        let mut changed = Vec::new();
        for (identity, key) in self.copies(me, key)? {
            if let Some(letter) = self.own_mut(identity)?.messages.get_mut(&key) {
                change(&mut letter.message);
                changed.push((identity, letter.message.clone()));
            }
        }
        Ok(changed)
    }
}

impl super::Identity {
    /// Stores the files of a message and returns how they look.
    fn attach(&mut self, key: MessageKey, discussion: u64, files: &[(String, Bytes)]) -> Vec<data::Attachment> {
        let mut attachments = Vec::new();
        for (name, content) in files {
            let counter = match key.0 {
                INBOUND => &mut self.ids.inbound_attachment,
                _ => &mut self.ids.outbound_attachment,
            };
            let id = (key.0, next(counter));
            let file = File::new(id, key, discussion, name, content.clone());
            attachments.push(file.shown.clone());
            self.attachments.insert(id, file);
        }
        attachments
    }
}
