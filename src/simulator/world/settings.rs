//! Settings of identities, which act at once, and of discussions, which all sides share.

use tonic::Status;

use super::{
    Call, Caller, MessageKey, With, World,
    call::Outcome,
    command::{
        SettingsDiscussionGetRequest, SettingsDiscussionGetResponse, SettingsDiscussionSetRequest,
        SettingsDiscussionSetResponse, SettingsIdentityGetRequest, SettingsIdentityGetResponse,
        SettingsIdentitySetRequest, SettingsIdentitySetResponse,
    },
    data, invalid,
};
use crate::simulator::proto::{
    data::{identity_settings::MessageRetention, message_location::LocationType},
    note,
};

impl World {
    pub(super) fn settings_command(&mut self, caller: &Caller, call: &Call<'_>) -> Option<Outcome> {
        let me = caller.identity;
        Some(match call.name {
            "settings_identity_get" => call.one(|_: SettingsIdentityGetRequest| {
                Ok(SettingsIdentityGetResponse { identity_settings: Some(self.own(me)?.settings) })
            }),
            "settings_identity_set" => call.one(|request| self.settings_identity_set(me, request)),
            "settings_discussion_get" => call.one(|request: SettingsDiscussionGetRequest| {
                let discussion_settings = Some(self.own(me)?.open_discussion(request.discussion_id)?.settings);
                Ok(SettingsDiscussionGetResponse { discussion_settings })
            }),
            "settings_discussion_set" => call.one(|request| self.settings_discussion_set(me, request)),
            _ => return None,
        })
    }

    /// Takes new settings: what waits to be accepted by itself is accepted, what is kept too long is deleted.
    fn settings_identity_set(
        &mut self,
        me: u64,
        request: SettingsIdentitySetRequest,
    ) -> Result<SettingsIdentitySetResponse, Status> {
        let settings = request.identity_settings.unwrap_or_default();
        if settings.keycloak.is_some_and(|keycloak| keycloak.auto_invite_new_members) {
            return Err(invalid("the identity is not managed by keycloak"));
        }
        let own = self.own_mut(me)?;
        own.settings = settings;
        let waiting: Vec<u64> = own.invitations.keys().copied().collect();
        for id in waiting {
            self.accept_by_settings(me, id);
        }
        for key in self.expired(me, &settings.message_retention.unwrap_or_default())? {
            self.remove_message(me, key)?;
        }
        Ok(SettingsIdentitySetResponse { identity_settings: Some(settings) })
    }

    /// The messages that a retention does not keep, oldest first. 0 is no limit.
    fn expired(&self, me: u64, retention: &MessageRetention) -> Result<Vec<MessageKey>, Status> {
        let own = self.own(me)?;
        let oldest = match retention.existence_duration {
            0 => 0,
            seconds => self.now().saturating_sub(seconds.saturating_mul(1000)),
        };
        let kept_anyway = |message: &data::Message| {
            let locked = own.discussions.get(&message.discussion_id).is_some_and(|discussion| discussion.locked);
            let location = message.message_location.as_ref();
            let sharing = location.is_some_and(|location| location.r#type() == LocationType::Sharing);
            (locked && !retention.clean_locked_discussions)
                || (sharing && retention.preserve_is_sharing_location_messages)
        };
        let mut letters: Vec<_> = own.messages.iter().filter(|(_, letter)| !kept_anyway(&letter.message)).collect();
        letters.sort_by(|(_, one), (_, other)| other.message.sort_index.total_cmp(&one.message.sort_index));
        let mut by_discussion = std::collections::HashMap::<u64, u64>::new();
        let mut expired = Vec::new();
        for (at, (key, letter)) in (0u64..).zip(letters) {
            let newer = by_discussion.entry(letter.message.discussion_id).or_default();
            let beyond = |limit: u64, newer: u64| limit != 0 && newer >= limit;
            if letter.message.timestamp < oldest
                || beyond(retention.discussion_count, *newer)
                || beyond(retention.global_count, at)
            {
                expired.push(*key);
            }
            *newer += 1;
        }
        expired.reverse();
        Ok(expired)
    }

    /// Replaces all settings of a discussion, on all sides.
    fn settings_discussion_set(
        &mut self,
        me: u64,
        request: SettingsDiscussionSetRequest,
    ) -> Result<SettingsDiscussionSetResponse, Status> {
        let wanted = request.discussion_settings.unwrap_or_default();
        let id = wanted.discussion_id;
        if let With::Group(_, group) = self.own(me)?.open_discussion(id)?.with
            && !self.permissions(group, me).change_settings
        {
            return Err(Status::permission_denied("you may not change the settings of this group"));
        }
        let mut sides = vec![(me, id)];
        sides.extend(self.recipients(me, id));
        for (identity, discussion_id) in sides {
            let new = data::DiscussionSettings { discussion_id, ..wanted };
            let Some(discussion) = self.own_mut(identity)?.discussions.get_mut(&discussion_id) else { continue };
            let previous = std::mem::replace(&mut discussion.settings, new);
            if previous == new {
                continue;
            }
            let notification = note::DiscussionSettingsUpdatedNotification {
                discussion: Some(discussion.view(discussion_id)),
                new_settings: Some(new),
                previous_settings: Some(previous),
            };
            self.notify(identity, "discussion_settings_updated", &notification);
        }
        Ok(SettingsDiscussionSetResponse { discussion_settings: Some(wanted) })
    }
}
