//! How groups begin and change: from a list of people and what they may do, and from a changed copy of a group.

use std::collections::BTreeMap;

use tonic::Status;

use super::{
    World,
    command::{
        GroupNewAdvancedGroupRequest, GroupNewAdvancedGroupResponse, GroupNewControlledGroupRequest,
        GroupNewControlledGroupResponse, GroupNewReadOnlyGroupRequest, GroupNewReadOnlyGroupResponse,
        GroupNewStandardGroupRequest, GroupNewStandardGroupResponse, GroupUpdateRequest, GroupUpdateResponse,
    },
    data::{
        self, GroupMemberPermissions as Permissions,
        group::{Type, advanced_configuration::RemoteDelete},
    },
    groups::{Group, Person},
    invalid, next, not_found,
};
use crate::simulator::proto::note;

/// What an admin may do where the group does not say otherwise.
const ADMIN: Permissions = Permissions {
    admin: true,
    remote_delete_anything: false,
    edit_or_remote_delete_own_messages: true,
    change_settings: true,
    send_message: true,
};

/// What a member of a controlled group may do.
const WRITER: Permissions = Permissions { admin: false, change_settings: false, ..ADMIN };

/// What a member of a read-only group may do.
const READER: Permissions = Permissions {
    admin: false,
    remote_delete_anything: false,
    edit_or_remote_delete_own_messages: false,
    change_settings: false,
    send_message: false,
};

/// A group to be.
struct Plan {
    name: Option<String>,
    description: Option<String>,
    kind: Type,
    configuration: Option<data::group::AdvancedConfiguration>,
    own: Permissions,
    people: Vec<(u64, Permissions)>,
}

impl World {
    pub(super) fn new_standard_group(
        &mut self,
        me: u64,
        request: GroupNewStandardGroupRequest,
    ) -> Result<GroupNewStandardGroupResponse, Status> {
        let people = request.admin_contact_ids.into_iter().map(|id| (id, ADMIN)).collect();
        let group = self.new_group(
            me,
            Plan {
                name: request.name,
                description: request.description,
                kind: Type::Standard,
                configuration: None,
                own: ADMIN,
                people,
            },
        )?;
        Ok(GroupNewStandardGroupResponse { group: Some(group) })
    }

    pub(super) fn new_controlled_group(
        &mut self,
        me: u64,
        request: GroupNewControlledGroupRequest,
    ) -> Result<GroupNewControlledGroupResponse, Status> {
        let people = admins_and(request.admin_contact_ids, request.contact_ids, WRITER);
        let group = self.new_group(
            me,
            Plan {
                name: request.name,
                description: request.description,
                kind: Type::Controlled,
                configuration: None,
                own: ADMIN,
                people,
            },
        )?;
        Ok(GroupNewControlledGroupResponse { group: Some(group) })
    }

    pub(super) fn new_read_only_group(
        &mut self,
        me: u64,
        request: GroupNewReadOnlyGroupRequest,
    ) -> Result<GroupNewReadOnlyGroupResponse, Status> {
        let people = admins_and(request.admin_contact_ids, request.contact_ids, READER);
        let group = self.new_group(
            me,
            Plan {
                name: request.name,
                description: request.description,
                kind: Type::ReadOnly,
                configuration: None,
                own: ADMIN,
                people,
            },
        )?;
        Ok(GroupNewReadOnlyGroupResponse { group: Some(group) })
    }

    pub(super) fn new_advanced_group(
        &mut self,
        me: u64,
        request: GroupNewAdvancedGroupRequest,
    ) -> Result<GroupNewAdvancedGroupResponse, Status> {
        let configuration = request.advanced_configuration.unwrap_or_default();
        let deletes = |admin: bool| match configuration.remote_delete() {
            RemoteDelete::Everyone => true,
            RemoteDelete::Admins => admin,
            RemoteDelete::Nobody | RemoteDelete::Unspecified => false,
        };
        let member = if configuration.read_only { READER } else { WRITER };
        let held = |given: Option<Permissions>| {
            let base = given.unwrap_or(member);
            Permissions { remote_delete_anything: base.remote_delete_anything || deletes(base.admin), ..base }
        };
        let people = request.members.iter().map(|member| (member.contact_id, held(member.permissions))).collect();
        let group = self.new_group(
            me,
            Plan {
                name: request.name,
                description: request.description,
                kind: Type::Advanced,
                configuration: Some(configuration),
                own: held(Some(ADMIN)),
                people,
            },
        )?;
        Ok(GroupNewAdvancedGroupResponse { group: Some(group) })
    }

    /// Makes a group, announces it to its maker and invites everybody else. Nobody has joined in what is returned.
    fn new_group(&mut self, me: u64, plan: Plan) -> Result<data::Group, Status> {
        let mut people = BTreeMap::new();
        for (contact, permissions) in plan.people {
            let peer = self.contact(me, contact)?.peer;
            if people.insert(peer, Person { permissions, ..Default::default() }).is_some() {
                return Err(invalid("a contact is named twice"));
            }
        }
        let invited: Vec<u64> = people.keys().copied().collect();
        people.insert(me, Person { permissions: plan.own, joined: true, declined: false });
        let number = next(&mut self.next);
        let group = Group {
            name: plan.name.unwrap_or_default(),
            description: plan.description.unwrap_or_default(),
            kind: plan.kind as i32,
            configuration: plan.configuration,
            photo: None,
            people,
        };
        self.groups.insert(number, group);
        self.enter(me, number);
        let id = self.own(me)?.group_of(number).unwrap_or_default();
        let view = self.group_view(me, id)?;
        for peer in invited {
            self.invite_to_group(peer, number);
        }
        Ok(view)
    }

    /// Makes a group what a changed copy of it says: its texts, who is in it, what they may do.
    pub(super) fn group_update(&mut self, me: u64, request: GroupUpdateRequest) -> Result<GroupUpdateResponse, Status> {
        let wanted = request.group.unwrap_or_default();
        let number = self.administered(me, wanted.id)?;
        let people = self.wanted_people(me, number, &wanted)?;
        let own = wanted.own_permissions.unwrap_or(self.permissions(number, me));
        if !own.admin && !people.values().any(|permissions| permissions.admin) {
            return Err(invalid("the group would have no admin"));
        }
        self.rename(number, &wanted.name);
        self.describe(number, &wanted.description);
        if let (Some(group), Some(configuration)) = (self.groups.get_mut(&number), wanted.advanced_configuration) {
            group.configuration = Some(configuration);
        }
        let present = |world: &Self| -> Vec<u64> {
            let group = world.groups.get(&number).into_iter().flat_map(|group| group.people.keys().copied());
            group.filter(|identity| *identity != me).collect()
        };
        let before = present(self);
        for (peer, permissions) in people.iter().filter(|(peer, _)| !before.contains(peer)) {
            self.add_pending(*peer, number, *permissions);
        }
        for peer in before.iter().filter(|peer| !people.contains_key(peer)) {
            self.expel(*peer, number);
        }
        for (peer, permissions) in people.iter().chain([(&me, &own)]) {
            self.permit(*peer, number, *permissions);
        }
        Ok(GroupUpdateResponse { group: Some(self.group_view(me, wanted.id)?) })
    }

    /// Everybody else whom a changed copy of a group names, as identities.
    fn wanted_people(&self, me: u64, number: u64, wanted: &data::Group) -> Result<BTreeMap<u64, Permissions>, Status> {
        let pending_base = self.own(me)?.ids.pending_member;
        let mut people = BTreeMap::new();
        let mut add = |peer: u64, permissions: Option<Permissions>| {
            let known = self.groups.get(&number).and_then(|group| group.people.get(&peer));
            let held = permissions.or(known.map(|person| person.permissions)).unwrap_or(WRITER);
            match people.insert(peer, held) {
                Some(_) => Err(invalid("a contact is named twice")),
                None => Ok(()),
            }
        };
        for member in &wanted.members {
            add(self.contact(me, member.contact_id)?.peer, member.permissions)?;
        }
        for pending in &wanted.pending_members {
            let peer = match pending.contact_id {
                0 => pending.pending_member_id.checked_sub(pending_base).ok_or_else(|| not_found("Pending member"))?,
                contact => self.contact(me, contact)?.peer,
            };
            add(peer, pending.permissions)?;
        }
        Ok(people)
    }

    fn rename(&mut self, number: u64, name: &str) {
        let Some(group) = self.groups.get_mut(&number).filter(|group| group.name != name) else { return };
        let previous_name = std::mem::replace(&mut group.name, name.to_owned());
        let title = self.group_title(number);
        for (identity, view) in self.group_views(number) {
            let notification =
                note::GroupNameUpdatedNotification { group: Some(view), previous_name: previous_name.clone() };
            self.notify(identity, "group_name_updated", &notification);
            let discussion = self.identities.get(&identity).and_then(|own| own.discussion_of(number));
            if let Some(discussion) = discussion {
                self.retitle(identity, discussion, title.clone());
            }
        }
    }

    fn describe(&mut self, number: u64, description: &str) {
        let Some(group) = self.groups.get_mut(&number).filter(|group| group.description != description) else {
            return;
        };
        let previous_description = std::mem::replace(&mut group.description, description.to_owned());
        for (identity, view) in self.group_views(number) {
            let notification = note::GroupDescriptionUpdatedNotification {
                group: Some(view),
                previous_description: previous_description.clone(),
            };
            self.notify(identity, "group_description_updated", &notification);
        }
    }

    fn add_pending(&mut self, peer: u64, number: u64, permissions: Permissions) {
        if !self.identities.contains_key(&peer) {
            return;
        }
        let Some(group) = self.groups.get_mut(&number) else { return };
        group.people.insert(peer, Person { permissions, ..Default::default() });
        self.tell_pending(peer, number, |group, pending_member| {
            ("group_pending_member_added", note::GroupPendingMemberAddedNotification { group, pending_member })
        });
        self.invite_to_group(peer, number);
    }

    /// Tells all members something about somebody who is invited.
    pub(super) fn tell_pending<N: prost::Message>(
        &mut self,
        peer: u64,
        number: u64,
        notification: impl Fn(Option<data::Group>, Option<data::PendingGroupMember>) -> (&'static str, N),
    ) {
        for (identity, view) in self.group_views(number) {
            let person = self.groups.get(&number).and_then(|group| group.people.get(&peer));
            let pending = person.and_then(|person| self.pending_view(identity, peer, person));
            let (name, notification) = notification(Some(view), pending);
            self.notify(identity, name, &notification);
        }
    }

    /// Removes somebody who joined or was invited.
    fn expel(&mut self, peer: u64, number: u64) {
        let joined = self.joined(number, 0).contains(&peer);
        if joined {
            return self.depart(peer, number);
        }
        self.withdraw_invitations(number, Some(peer));
        let views = self.group_views(number);
        let Some(person) = self.groups.get_mut(&number).and_then(|group| group.people.remove(&peer)) else { return };
        for (identity, view) in views {
            let notification = note::GroupPendingMemberRemovedNotification {
                group: self.group_view(identity, view.id).ok(),
                pending_member: self.pending_view(identity, peer, &person),
            };
            self.notify(identity, "group_pending_member_removed", &notification);
        }
    }

    /// Gives somebody other permissions and tells them and the others, once they have joined.
    fn permit(&mut self, peer: u64, number: u64, permissions: Permissions) {
        let person = self.groups.get_mut(&number).and_then(|group| group.people.get_mut(&peer));
        let Some(person) = person.filter(|person| person.permissions != permissions) else { return };
        let previous = Some(std::mem::replace(&mut person.permissions, permissions));
        if !person.joined {
            return;
        }
        for (identity, view) in self.group_views(number) {
            let (group, permissions) = (Some(view), Some(permissions));
            if identity == peer {
                let notification =
                    note::GroupOwnPermissionsUpdatedNotification { group, permissions, previous_permissions: previous };
                self.notify(identity, "group_own_permissions_updated", &notification);
                continue;
            }
            let contact_id = self.own(identity).ok().and_then(|own| own.contact_of(peer)).unwrap_or_default();
            let notification = note::GroupMemberPermissionsUpdatedNotification {
                group,
                member: Some(data::GroupMember { contact_id, permissions }),
                previous_permissions: previous,
            };
            self.notify(identity, "group_member_permissions_updated", &notification);
        }
    }
}

fn admins_and(admins: Vec<u64>, members: Vec<u64>, permissions: Permissions) -> Vec<(u64, Permissions)> {
    let admins = admins.into_iter().map(|id| (id, ADMIN));
    admins.chain(members.into_iter().map(|id| (id, permissions))).collect()
}
