//! Address books: who knows whom, and with whom there is a one-to-one discussion.

use tonic::Status;

use super::{
    Call, Caller, Contact, Discussion, With, World,
    call::Outcome,
    command::{
        ContactDeleteRequest, ContactDeleteResponse, ContactDowngradeOneToOneDiscussionRequest,
        ContactDowngradeOneToOneDiscussionResponse, ContactGetBytesIdentifierRequest,
        ContactGetBytesIdentifierResponse, ContactGetInvitationLinkRequest, ContactGetInvitationLinkResponse,
        ContactGetRequest, ContactGetResponse, ContactListRequest, ContactListResponse, ContactRecreateChannelsRequest,
        ContactRecreateChannelsResponse,
    },
    data, invalid, next, not_found,
    views::{display_name, identity_bytes, invitation_link},
};
use crate::simulator::{filters, proto::note};

impl World {
    pub(super) fn contact_command(&mut self, caller: &Caller, call: &Call<'_>) -> Option<Outcome> {
        let me = caller.identity;
        Some(match call.name {
            "contact_list" => call.list(
                |request: ContactListRequest| {
                    let test = filters::contact(request.filter.unwrap_or_default())?;
                    let contacts = self.own(me)?.contacts.iter().map(|(id, contact)| contact.view(*id));
                    Ok(contacts.filter(|contact| test.accepts(contact)).collect())
                },
                |contacts| ContactListResponse { contacts },
            ),
            "contact_get" => call.one(|request: ContactGetRequest| {
                Ok(ContactGetResponse { contact: Some(self.contact_view(me, request.contact_id)?) })
            }),
            "contact_get_bytes_identifier" => call.one(|request: ContactGetBytesIdentifierRequest| {
                let peer = self.contact(me, request.contact_id)?.peer;
                Ok(ContactGetBytesIdentifierResponse { identifier: identity_bytes(peer) })
            }),
            "contact_get_invitation_link" => call.one(|request: ContactGetInvitationLinkRequest| {
                let peer = self.contact(me, request.contact_id)?.peer;
                Ok(ContactGetInvitationLinkResponse { invitation_link: invitation_link(peer) })
            }),
            "contact_delete" => call.one(|request| self.contact_delete(me, request)),
            "contact_downgrade_one_to_one_discussion" => call.one(|request| self.contact_downgrade(me, request)),
            "contact_recreate_channels" => call.one(|request: ContactRecreateChannelsRequest| {
                self.contact(me, request.contact_id)?;
                Ok(ContactRecreateChannelsResponse {})
            }),
            "contact_introduction" => call.one(|request| self.contact_introduction(me, request)),
            "contact_invite_to_one_to_one_discussion" => call.one(|request| self.contact_invite(me, request)),
            "contact_download_photo" => call.one(|request| self.contact_download_photo(me, request)),
            _ => return None,
        })
    }

    pub(super) fn contact(&self, me: u64, id: u64) -> Result<&Contact, Status> {
        self.own(me)?.contacts.get(&id).ok_or_else(|| not_found("Contact"))
    }

    /// Makes two identities contacts of each other with a one-to-one discussion, whatever of it there was already.
    /// Which of the two is announced first depends on how they met.
    pub(super) fn befriend(&mut self, one: u64, other: u64, contact_first: bool) {
        for (identity, peer) in [(one, other), (other, one)] {
            let Some((contact, new)) = self.meet(identity, peer) else { continue };
            let Some(entry) = self.own_mut(identity).ok().and_then(|own| own.contacts.get_mut(&contact)) else {
                continue;
            };
            entry.one_to_one = true;
            let title = display_name(&entry.details);
            if contact_first {
                self.announce(identity, contact, new);
            }
            self.open_discussion(identity, With::Contact(contact, peer), title);
            if !contact_first {
                self.announce(identity, contact, new);
            }
        }
    }

    /// Makes two identities contacts, without a discussion where there is none: members of one group.
    pub(super) fn acquaint(&mut self, one: u64, other: u64) {
        for (identity, peer) in [(one, other), (other, one)] {
            if let Some((contact, new)) = self.meet(identity, peer) {
                self.announce(identity, contact, new);
            }
        }
    }

    fn announce(&mut self, identity: u64, contact: u64, new: bool) {
        if let (true, Ok(view)) = (new, self.contact_view(identity, contact)) {
            self.notify(identity, "contact_new", &note::ContactNewNotification { contact: Some(view) });
        }
    }

    /// The contact that an identity has for a peer, and whether it is new.
    fn meet(&mut self, identity: u64, peer: u64) -> Option<(u64, bool)> {
        let known = self.identities.get(&peer)?;
        let (details, photo) = (known.details.clone(), known.photo.clone());
        let own = self.identities.get_mut(&identity)?;
        if let Some(id) = own.contact_of(peer) {
            return Some((id, false));
        }
        let id = next(&mut own.ids.contact);
        own.contacts.insert(id, Contact { peer, details, photo, one_to_one: false });
        Some((id, true))
    }

    /// Opens a discussion, or an old one again, and announces it.
    pub(super) fn open_discussion(&mut self, identity: u64, with: With, title: String) {
        let Ok(own) = self.own_mut(identity) else { return };
        let old = match with {
            With::Contact(_, peer) => own.discussion_with(peer),
            With::Group(_, group) => own.discussion_of(group),
        };
        let id = old.unwrap_or_else(|| next(&mut own.ids.discussion));
        let settings = data::DiscussionSettings { discussion_id: id, ..Default::default() };
        let discussion = own.discussions.entry(id).or_insert(Discussion { with, title, locked: false, settings });
        if old.is_some() && !discussion.locked {
            return;
        }
        (discussion.locked, discussion.with) = (false, with);
        let view = discussion.view(id);
        self.notify(identity, "discussion_new", &note::DiscussionNewNotification { discussion: Some(view) });
    }

    fn contact_delete(&mut self, me: u64, request: ContactDeleteRequest) -> Result<ContactDeleteResponse, Status> {
        let peer = self.contact(me, request.contact_id)?.peer;
        if self.groups.values().any(|group| group.holds(me) && group.holds(peer)) {
            return Err(invalid("the contact is in a group with you"));
        }
        self.forget(me, peer);
        self.forget(peer, me);
        Ok(ContactDeleteResponse {})
    }

    /// Removes a contact and locks the discussion with it.
    pub(super) fn forget(&mut self, identity: u64, peer: u64) {
        self.lock_with(identity, peer);
        let Ok(own) = self.own_mut(identity) else { return };
        let Some(id) = own.contact_of(peer) else { return };
        let Some(mut contact) = own.contacts.remove(&id) else { return };
        contact.one_to_one = false;
        let contact = Some(contact.view(id));
        self.notify(identity, "contact_deleted", &note::ContactDeletedNotification { contact });
    }

    fn contact_downgrade(
        &mut self,
        me: u64,
        request: ContactDowngradeOneToOneDiscussionRequest,
    ) -> Result<ContactDowngradeOneToOneDiscussionResponse, Status> {
        let contact = self.contact(me, request.contact_id)?;
        if !contact.one_to_one {
            return Err(invalid("there is no one-to-one discussion with this contact"));
        }
        let peer = contact.peer;
        self.lock_with(me, peer);
        self.lock_with(peer, me);
        Ok(ContactDowngradeOneToOneDiscussionResponse {})
    }

    /// Ends being one-to-one with a peer.
    fn lock_with(&mut self, identity: u64, peer: u64) {
        let Ok(own) = self.own_mut(identity) else { return };
        if let Some(contact) = own.contact_of(peer).and_then(|id| own.contacts.get_mut(&id)) {
            contact.one_to_one = false;
        }
        if let Some(discussion) = own.discussion_with(peer) {
            self.lock_discussion(identity, discussion);
        }
    }
}
