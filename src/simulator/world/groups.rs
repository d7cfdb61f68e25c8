//! Groups: who is in them, how they look to each member, how they begin and end. Changes are next door.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tonic::Status;

use super::{
    Call, Caller, With, World,
    call::Outcome,
    command::{
        GroupDisbandRequest, GroupDisbandResponse, GroupDownloadPhotoRequest, GroupDownloadPhotoResponse,
        GroupGetBytesIdentifierRequest, GroupGetBytesIdentifierResponse, GroupGetRequest, GroupGetResponse,
        GroupLeaveRequest, GroupLeaveResponse, GroupListRequest, GroupListResponse,
    },
    data, invalid, next, not_found,
    views::display_name,
};
use crate::simulator::{filters, proto::note};

/// A group, as everybody in it shares it.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) kind: i32,
    pub(super) configuration: Option<data::group::AdvancedConfiguration>,
    pub(super) photo: Option<Bytes>,
    /// Members and invited ones, by identity.
    pub(super) people: BTreeMap<u64, Person>,
}

/// Somebody's part in a group.
#[derive(Debug, Default)]
pub(super) struct Person {
    pub(super) permissions: data::GroupMemberPermissions,
    pub(super) joined: bool,
    pub(super) declined: bool,
}

/// What one member knows of a group.
#[derive(Debug)]
pub(super) struct Membership {
    /// The group's number.
    pub(super) group: u64,
    /// Who is known to have joined. Everybody else still looks pending.
    pub(super) known: BTreeSet<u64>,
}

impl Group {
    /// Tells whether an identity is in it or invited.
    pub(super) fn holds(&self, identity: u64) -> bool {
        self.people.contains_key(&identity)
    }

    /// Tells whether somebody other than one identity could go on administering it.
    pub(super) fn has_other_admin(&self, identity: u64) -> bool {
        self.people.iter().any(|(other, person)| *other != identity && person.permissions.admin)
    }
}

/// Bytes that name a group on all sides.
pub(super) fn group_bytes(group: u64) -> Vec<u8> {
    [b"simulated-group:".as_slice(), &group.to_be_bytes()].concat()
}

impl World {
    pub(super) fn group_command(&mut self, caller: &Caller, call: &Call<'_>) -> Option<Outcome> {
        let me = caller.identity;
        Some(match call.name {
            "group_list" => call.list(
                |request: GroupListRequest| {
                    let test = filters::group(request.filter.unwrap_or_default())?;
                    let ids: Vec<u64> = self.own(me)?.groups.keys().copied().collect();
                    let mut groups =
                        ids.into_iter().map(|id| self.group_view(me, id)).collect::<Result<Vec<_>, _>>()?;
                    groups.retain(|group| test.accepts(group));
                    Ok(groups)
                },
                |groups| GroupListResponse { groups },
            ),
            "group_get" => call.one(|request: GroupGetRequest| {
                Ok(GroupGetResponse { group: Some(self.group_view(me, request.group_id)?) })
            }),
            "group_get_bytes_identifier" => call.one(|request: GroupGetBytesIdentifierRequest| {
                let identifier = group_bytes(self.membership(me, request.group_id)?.group);
                Ok(GroupGetBytesIdentifierResponse { identifier })
            }),
            "group_new_standard_group" => call.one(|request| self.new_standard_group(me, request)),
            "group_new_controlled_group" => call.one(|request| self.new_controlled_group(me, request)),
            "group_new_read_only_group" => call.one(|request| self.new_read_only_group(me, request)),
            "group_new_advanced_group" => call.one(|request| self.new_advanced_group(me, request)),
            "group_disband" => call.one(|request| self.group_disband(me, request)),
            "group_leave" => call.one(|request| self.group_leave(me, request)),
            "group_update" => call.one(|request| self.group_update(me, request)),
            "group_set_photo" => call.upload(|frames| self.group_set_photo(me, frames)),
            "group_unset_photo" => call.one(|request| self.group_unset_photo(me, request)),
            "group_download_photo" => call.one(|request: GroupDownloadPhotoRequest| {
                let number = self.membership(me, request.group_id)?.group;
                Ok(GroupDownloadPhotoResponse { photo: self.group_photo(number)?.to_vec() })
            }),
            _ => return None,
        })
    }

    pub(super) fn membership(&self, me: u64, id: u64) -> Result<&Membership, Status> {
        self.own(me)?.groups.get(&id).ok_or_else(|| not_found("Group"))
    }

    /// The number of a group that an identity administers.
    pub(super) fn administered(&self, me: u64, id: u64) -> Result<u64, Status> {
        let number = self.membership(me, id)?.group;
        let admin = self.permissions(number, me).admin;
        if admin { Ok(number) } else { Err(Status::permission_denied("you are no admin of this group")) }
    }

    /// What an identity may do in a group; nothing where it is not in it.
    pub(super) fn permissions(&self, group: u64, identity: u64) -> data::GroupMemberPermissions {
        let person = self.groups.get(&group).and_then(|group| group.people.get(&identity));
        person.map(|person| person.permissions).unwrap_or_default()
    }

    /// Everybody who has joined a group, an identity left out.
    pub(super) fn joined(&self, group: u64, but: u64) -> Vec<u64> {
        let people = self.groups.get(&group).into_iter().flat_map(|group| &group.people);
        people.filter(|(identity, person)| person.joined && **identity != but).map(|(identity, _)| *identity).collect()
    }

    /// A group as one of its members sees it.
    pub(super) fn group_view(&self, identity: u64, id: u64) -> Result<data::Group, Status> {
        let own = self.own(identity)?;
        let membership = self.membership(identity, id)?;
        let group = self.groups.get(&membership.group).ok_or_else(|| not_found("Group"))?;
        let mut view = data::Group {
            id,
            r#type: group.kind,
            advanced_configuration: group.configuration,
            own_permissions: group.people.get(&identity).map(|person| person.permissions),
            name: group.name.clone(),
            description: group.description.clone(),
            has_a_photo: group.photo.is_some(),
            ..Default::default()
        };
        for (peer, person) in group.people.iter().filter(|(peer, _)| **peer != identity) {
            let contact = own.contact_of(*peer).filter(|_| membership.known.contains(peer));
            match contact {
                Some(contact_id) => {
                    view.members.push(data::GroupMember { contact_id, permissions: Some(person.permissions) });
                }
                None => view.pending_members.extend(self.pending_view(identity, *peer, person)),
            }
        }
        Ok(view)
    }

    /// Somebody who is invited, as a member sees them.
    pub(super) fn pending_view(&self, identity: u64, peer: u64, person: &Person) -> Option<data::PendingGroupMember> {
        let own = self.identities.get(&identity)?;
        Some(data::PendingGroupMember {
            pending_member_id: own.ids.pending_member + peer,
            contact_id: own.contact_of(peer).unwrap_or_default(),
            display_name: self.identities.get(&peer).map(|peer| display_name(&peer.details)).unwrap_or_default(),
            declined: person.declined,
            permissions: Some(person.permissions),
        })
    }

    /// A group as each of its members sees it.
    pub(super) fn group_views(&self, group: u64) -> Vec<(u64, data::Group)> {
        let view = |identity: u64| {
            Some((identity, self.group_view(identity, self.own(identity).ok()?.group_of(group)?).ok()?))
        };
        self.joined(group, 0).into_iter().filter_map(view).collect()
    }

    /// What the discussion of a group is called: its name, or who is in it.
    pub(super) fn group_title(&self, group: u64) -> String {
        let Some(group) = self.groups.get(&group) else { return String::new() };
        if !group.name.trim().is_empty() {
            return group.name.clone();
        }
        let names = group.people.keys().filter_map(|identity| self.identities.get(identity));
        names.map(|identity| display_name(&identity.details)).collect::<Vec<_>>().join(", ")
    }

    /// Puts a group into a member's tables and announces it with its discussion.
    pub(super) fn enter(&mut self, identity: u64, group: u64) {
        let title = self.group_title(group);
        let Ok(own) = self.own_mut(identity) else { return };
        let id = next(&mut own.ids.group);
        own.groups.insert(id, Membership { group, known: BTreeSet::new() });
        if let Ok(view) = self.group_view(identity, id) {
            self.notify(identity, "group_new", &note::GroupNewNotification { group: Some(view) });
        }
        self.open_discussion(identity, With::Group(id, group), title);
    }

    /// Somebody accepted: they get the group, then hear of each member, and each member of them.
    pub(super) fn join(&mut self, identity: u64, group: u64) {
        let Some(person) = self.groups.get_mut(&group).and_then(|group| group.people.get_mut(&identity)) else {
            return;
        };
        (person.joined, person.declined) = (true, false);
        self.enter(identity, group);
        for member in self.joined(group, identity) {
            self.acquaint(identity, member);
            self.acknowledge(identity, member, group);
            self.acknowledge(member, identity, group);
        }
    }

    /// One member learns that another has joined.
    fn acknowledge(&mut self, identity: u64, peer: u64, group: u64) {
        let Some(id) = self.identities.get(&identity).and_then(|own| own.group_of(group)) else { return };
        let person = self.groups.get(&group).and_then(|group| group.people.get(&peer));
        let Some(person) = person else { return };
        let (pending_member, permissions) = (self.pending_view(identity, peer, person), Some(person.permissions));
        let Some(own) = self.identities.get_mut(&identity) else { return };
        let contact_id = own.contact_of(peer).unwrap_or_default();
        if let Some(membership) = own.groups.get_mut(&id) {
            membership.known.insert(peer);
        }
        let group = self.group_view(identity, id).ok();
        let removed = note::GroupPendingMemberRemovedNotification { group: group.clone(), pending_member };
        self.notify(identity, "group_pending_member_removed", &removed);
        let member = Some(data::GroupMember { contact_id, permissions });
        let joined = note::GroupMemberJoinedNotification { group, member };
        self.notify(identity, "group_member_joined", &joined);
    }

    /// Takes a group out of a member's tables, says so and locks its discussion. What it looked like last is told.
    pub(super) fn exit(&mut self, identity: u64, group: u64) {
        let Some(id) = self.identities.get(&identity).and_then(|own| own.group_of(group)) else { return };
        let view = self.group_view(identity, id).ok();
        let Some(own) = self.identities.get_mut(&identity) else { return };
        own.groups.remove(&id);
        let discussion = own.discussion_of(group);
        self.notify(identity, "group_deleted", &note::GroupDeletedNotification { group: view });
        if let Some(discussion) = discussion {
            self.lock_discussion(identity, discussion);
        }
    }

    fn group_disband(&mut self, me: u64, request: GroupDisbandRequest) -> Result<GroupDisbandResponse, Status> {
        let number = self.administered(me, request.group_id)?;
        let view = self.group_view(me, request.group_id)?;
        self.exit(me, number);
        for member in self.joined(number, me) {
            self.exit(member, number);
        }
        self.withdraw_invitations(number, None);
        self.groups.remove(&number);
        Ok(GroupDisbandResponse { group: Some(view) })
    }

    fn group_leave(&mut self, me: u64, request: GroupLeaveRequest) -> Result<GroupLeaveResponse, Status> {
        let number = self.membership(me, request.group_id)?.group;
        let others = self.groups.get(&number).is_some_and(|group| group.people.len() > 1);
        let last_admin = !self.groups.get(&number).is_some_and(|group| group.has_other_admin(me));
        if others && last_admin && self.permissions(number, me).admin {
            return Err(invalid("the last admin cannot leave the group"));
        }
        let view = self.group_view(me, request.group_id)?;
        self.depart(me, number);
        Ok(GroupLeaveResponse { group: Some(view) })
    }

    /// Somebody who had joined is no longer in a group: they lose it, the others are told.
    pub(super) fn depart(&mut self, identity: u64, group: u64) {
        self.exit(identity, group);
        let Some(person) = self.groups.get_mut(&group).and_then(|group| group.people.remove(&identity)) else { return };
        for (member, view) in self.group_views(group) {
            let Some(own) = self.identities.get_mut(&member) else { continue };
            if let Some(membership) = own.groups.get_mut(&view.id) {
                membership.known.remove(&identity);
            }
            let contact_id = own.contact_of(identity).unwrap_or_default();
            let left = data::GroupMember { contact_id, permissions: Some(person.permissions) };
            let notification = note::GroupMemberLeftNotification { group: Some(view), member: Some(left) };
            self.notify(member, "group_member_left", &notification);
        }
    }
}
