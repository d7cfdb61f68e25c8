//! Discussions: open ones, and locked ones that can only be read and deleted.

use tonic::Status;

use super::{
    Call, Caller, MessageKey, With, World,
    call::Outcome,
    command::{
        DiscussionDownloadPhotoRequest, DiscussionDownloadPhotoResponse, DiscussionEmptyRequest,
        DiscussionEmptyResponse, DiscussionGetByContactRequest, DiscussionGetByContactResponse,
        DiscussionGetByGroupRequest, DiscussionGetByGroupResponse, DiscussionGetBytesIdentifierRequest,
        DiscussionGetBytesIdentifierResponse, DiscussionGetRequest, DiscussionGetResponse, DiscussionListRequest,
        DiscussionListResponse, DiscussionLockedDeleteRequest, DiscussionLockedDeleteResponse,
        DiscussionLockedListRequest, DiscussionLockedListResponse,
    },
    data, not_found,
    views::identity_bytes,
};
use crate::simulator::{filters, proto::note};

impl World {
    pub(super) fn discussion_command(&mut self, caller: &Caller, call: &Call<'_>) -> Option<Outcome> {
        let me = caller.identity;
        Some(match call.name {
            "discussion_list" => call.list(
                |request: DiscussionListRequest| {
                    let test = filters::discussion(request.filter.unwrap_or_default())?;
                    let mut open = self.discussions(me, false)?;
                    open.retain(|discussion| test.accepts(discussion));
                    Ok(open)
                },
                |discussions| DiscussionListResponse { discussions },
            ),
            "discussion_locked_list" => call.list(
                |_: DiscussionLockedListRequest| self.discussions(me, true),
                |discussions| DiscussionLockedListResponse { discussions },
            ),
            "discussion_get" => call.one(|request: DiscussionGetRequest| {
                self.own(me)?.open_discussion(request.discussion_id)?;
                let discussion = Some(self.discussion_view(me, request.discussion_id)?);
                Ok(DiscussionGetResponse { discussion })
            }),
            "discussion_get_by_contact" => call.one(|request: DiscussionGetByContactRequest| {
                let peer = self.contact(me, request.contact_id)?.peer;
                let discussion = Some(self.open_view(me, self.own(me)?.discussion_with(peer))?);
                Ok(DiscussionGetByContactResponse { discussion })
            }),
            "discussion_get_by_group" => call.one(|request: DiscussionGetByGroupRequest| {
                let group = self.membership(me, request.group_id)?.group;
                let discussion = Some(self.open_view(me, self.own(me)?.discussion_of(group))?);
                Ok(DiscussionGetByGroupResponse { discussion })
            }),
            "discussion_get_bytes_identifier" => call.one(|request: DiscussionGetBytesIdentifierRequest| {
                let identifier = self.discussion_bytes(me, request.discussion_id)?;
                Ok(DiscussionGetBytesIdentifierResponse { identifier })
            }),
            "discussion_empty" => call.one(|request| self.discussion_empty(me, request)),
            "discussion_locked_delete" => call.one(|request| self.discussion_locked_delete(me, request)),
            "discussion_download_photo" => call.one(|request: DiscussionDownloadPhotoRequest| {
                let photo = self.discussion_photo(me, request.discussion_id)?;
                Ok(DiscussionDownloadPhotoResponse { photo: photo.to_vec() })
            }),
            _ => return None,
        })
    }

    fn discussions(&self, me: u64, locked: bool) -> Result<Vec<data::Discussion>, Status> {
        let all = self.own(me)?.discussions.iter().filter(|(_, discussion)| discussion.locked == locked);
        Ok(all.map(|(id, discussion)| discussion.view(*id)).collect())
    }

    fn open_view(&self, me: u64, id: Option<u64>) -> Result<data::Discussion, Status> {
        let id = id.ok_or_else(|| not_found("Discussion"))?;
        Ok(self.own(me)?.open_discussion(id)?.view(id))
    }

    /// Bytes that name a discussion on all sides.
    fn discussion_bytes(&self, me: u64, id: u64) -> Result<Vec<u8>, Status> {
        Ok(match self.own(me)?.open_discussion(id)?.with {
            With::Contact(_, peer) => [identity_bytes(me.min(peer)), identity_bytes(me.max(peer))].concat(),
            With::Group(_, group) => super::groups::group_bytes(group),
        })
    }

    /// Removes every message from one's own side.
    fn discussion_empty(
        &mut self,
        me: u64,
        request: DiscussionEmptyRequest,
    ) -> Result<DiscussionEmptyResponse, Status> {
        self.own(me)?.open_discussion(request.discussion_id)?;
        for key in self.messages_of(me, request.discussion_id)? {
            self.remove_message(me, key)?;
        }
        Ok(DiscussionEmptyResponse {})
    }

    fn discussion_locked_delete(
        &mut self,
        me: u64,
        request: DiscussionLockedDeleteRequest,
    ) -> Result<DiscussionLockedDeleteResponse, Status> {
        let id = request.discussion_id;
        let locked = self.own(me)?.discussions.get(&id).filter(|discussion| discussion.locked);
        locked.ok_or_else(|| not_found("Discussion"))?;
        for key in self.messages_of(me, id)? {
            self.remove_message(me, key)?;
        }
        self.own_mut(me)?.discussions.remove(&id);
        Ok(DiscussionLockedDeleteResponse {})
    }

    /// The messages of a discussion, oldest first.
    pub(super) fn messages_of(&self, me: u64, discussion: u64) -> Result<Vec<MessageKey>, Status> {
        let all = self.own(me)?.messages.iter().filter(|(_, letter)| letter.message.discussion_id == discussion);
        let mut sorted: Vec<_> = all.map(|(key, letter)| (letter.message.sort_index, *key)).collect();
        sorted.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        Ok(sorted.into_iter().map(|(_, key)| key).collect())
    }

    /// Locks a discussion and says so, where it is not locked yet.
    pub(super) fn lock_discussion(&mut self, identity: u64, id: u64) {
        let Ok(own) = self.own_mut(identity) else { return };
        let Some(discussion) = own.discussions.get_mut(&id).filter(|discussion| !discussion.locked) else { return };
        discussion.locked = true;
        let discussion = Some(discussion.view(id));
        self.notify(identity, "discussion_locked", &note::DiscussionLockedNotification { discussion });
    }

    /// Gives a discussion another title and says so.
    pub(super) fn retitle(&mut self, identity: u64, id: u64, title: String) {
        let Ok(own) = self.own_mut(identity) else { return };
        let Some(discussion) = own.discussions.get_mut(&id).filter(|discussion| !discussion.locked) else { return };
        if discussion.title == title {
            return;
        }
        let previous_title = std::mem::replace(&mut discussion.title, title);
        let discussion = Some(discussion.view(id));
        let notification = note::DiscussionTitleUpdatedNotification { discussion, previous_title };
        self.notify(identity, "discussion_title_updated", &notification);
    }
}
