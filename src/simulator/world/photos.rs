//! Pictures of identities and groups.

use bytes::{Bytes, BytesMut};
use tonic::Status;

use super::{
    Contact, With, World,
    command::{
        ContactDownloadPhotoRequest, ContactDownloadPhotoResponse, GroupSetPhotoRequest, GroupSetPhotoResponse,
        GroupUnsetPhotoRequest, GroupUnsetPhotoResponse, IdentitySetPhotoRequest, IdentitySetPhotoResponse,
        group_set_photo_request as group, identity_set_photo_request as identity,
    },
    invalid, not_found,
};
use crate::simulator::proto::note;

impl World {
    pub(super) fn identity_set_photo(
        &mut self,
        me: u64,
        frames: Vec<IdentitySetPhotoRequest>,
    ) -> Result<IdentitySetPhotoResponse, Status> {
        let mut frames = frames.into_iter().map(|frame| frame.request);
        let Some(Some(identity::Request::Metadata(metadata))) = frames.next() else {
            return Err(invalid("the first message must be the metadata"));
        };
        let pieces = frames.map(|frame| match frame {
            Some(identity::Request::Payload(piece)) => Some(piece),
            _ => None,
        });
        let photo = whole(metadata.file_size, pieces)?;
        self.change_photo(me, Some(&photo))?;
        Ok(IdentitySetPhotoResponse {})
    }

    /// Gives an identity another picture, or none; its contacts see it.
    pub(super) fn change_photo(&mut self, me: u64, photo: Option<&Bytes>) -> Result<(), Status> {
        self.own_mut(me)?.photo = photo.cloned();
        for (peer, id) in self.who_knows(me) {
            let Some(contact) = self.own_mut(peer)?.contacts.get_mut(&id) else { continue };
            contact.photo = photo.cloned();
            let contact = Some(contact.view(id));
            self.notify(peer, "contact_photo_updated", &note::ContactPhotoUpdatedNotification { contact });
        }
        Ok(())
    }

    /// Everybody who has an identity as a contact, with the contact's id.
    pub(super) fn who_knows(&self, identity: u64) -> Vec<(u64, u64)> {
        let all = self.identities.iter();
        all.filter_map(|(peer, own)| Some((*peer, own.contact_of(identity)?))).collect()
    }

    pub(super) fn contact_download_photo(
        &mut self,
        me: u64,
        request: ContactDownloadPhotoRequest,
    ) -> Result<ContactDownloadPhotoResponse, Status> {
        let photo = self.contact(me, request.contact_id)?.photo_bytes()?;
        Ok(ContactDownloadPhotoResponse { photo: photo.to_vec() })
    }

    pub(super) fn discussion_photo(&self, me: u64, discussion: u64) -> Result<Bytes, Status> {
        match self.own(me)?.open_discussion(discussion)?.with {
            With::Contact(contact, _) => self.contact(me, contact)?.photo_bytes(),
            With::Group(_, group) => self.group_photo(group),
        }
    }

    pub(super) fn group_photo(&self, group: u64) -> Result<Bytes, Status> {
        let photo = self.groups.get(&group).and_then(|group| group.photo.clone());
        photo.ok_or_else(|| not_found("Photo"))
    }

    pub(super) fn group_set_photo(
        &mut self,
        me: u64,
        frames: Vec<GroupSetPhotoRequest>,
    ) -> Result<GroupSetPhotoResponse, Status> {
        let mut frames = frames.into_iter().map(|frame| frame.request);
        let Some(Some(group::Request::Metadata(metadata))) = frames.next() else {
            return Err(invalid("the first message must be the metadata"));
        };
        let pieces = frames.map(|frame| match frame {
            Some(group::Request::Payload(piece)) => Some(piece),
            _ => None,
        });
        let photo = whole(metadata.file_size, pieces)?;
        self.change_group_photo(me, metadata.group_id, Some(photo))?;
        Ok(GroupSetPhotoResponse { group: Some(self.group_view(me, metadata.group_id)?) })
    }

    pub(super) fn group_unset_photo(
        &mut self,
        me: u64,
        request: GroupUnsetPhotoRequest,
    ) -> Result<GroupUnsetPhotoResponse, Status> {
        self.administered(me, request.group_id)?;
        let number = self.membership(me, request.group_id)?.group;
        if self.group_photo(number).is_err() {
            return Err(invalid("the group has no photo"));
        }
        self.change_group_photo(me, request.group_id, None)?;
        Ok(GroupUnsetPhotoResponse { group: Some(self.group_view(me, request.group_id)?) })
    }

    fn change_group_photo(&mut self, me: u64, id: u64, photo: Option<Bytes>) -> Result<(), Status> {
        let number = self.administered(me, id)?;
        if let Some(group) = self.groups.get_mut(&number) {
            group.photo = photo;
        }
        for (identity, view) in self.group_views(number) {
            let notification = note::GroupPhotoUpdatedNotification { group: Some(view) };
            self.notify(identity, "group_photo_updated", &notification);
        }
        Ok(())
    }
}

impl Contact {
    fn photo_bytes(&self) -> Result<Bytes, Status> {
        self.photo.clone().ok_or_else(|| not_found("Photo"))
    }
}

/// Puts the pieces of one file together.
fn whole(announced: u64, pieces: impl Iterator<Item = Option<Vec<u8>>>) -> Result<Bytes, Status> {
    let mut content = BytesMut::new();
    for piece in pieces {
        content.extend_from_slice(&piece.ok_or_else(|| invalid("the metadata must come once"))?);
    }
    if content.is_empty() || content.len() as u64 != announced {
        return Err(invalid(&format!("{} bytes came, {announced} were announced", content.len())));
    }
    Ok(content.freeze())
}
