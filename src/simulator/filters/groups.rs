//! What the filters of groups, their members and permissions mean.

use tonic::Status;

use super::Test;
use crate::simulator::proto::data::{self, group_filter, group_permission_filter, pending_group_member_filter};

/// Compiles a filter of groups. Each filter of members must be met by at least one.
pub(in crate::simulator) fn group(filter: data::GroupFilter) -> Result<Test<data::Group>, Status> {
    let mut test = Test::<data::Group>::default();
    test.choice(filter.r#type, |group, kind| group.r#type == kind);
    test.choice(filter.empty, |group, choice| {
        let empty = group.members.is_empty() && group.pending_members.is_empty();
        empty == (choice == group_filter::Empty::Is as i32)
    });
    test.choice(filter.photo, |group, choice| group.has_a_photo == (choice == group_filter::Photo::Has as i32));
    test.choice(filter.keycloak, |group, choice| {
        group.keycloak_managed == (choice == group_filter::Keycloak::Is as i32)
    });
    if let Some(filter) = filter.own_permissions_filter {
        let own = permissions(filter);
        test.when(move |group| own.accepts(&group.own_permissions.unwrap_or_default()));
    }
    test.search(filter.name_search, |group| &group.name)?;
    test.search(filter.description_search, |group| &group.description)?;
    for filter in filter.member_filters {
        let one = member(filter);
        test.when(move |group| group.members.iter().any(|member| one.accepts(member)));
    }
    for filter in filter.pending_member_filters {
        let one = pending_member(filter)?;
        test.when(move |group| group.pending_members.iter().any(|member| one.accepts(member)));
    }
    Ok(test)
}

/// Compiles a filter of members.
pub(super) fn member(filter: data::GroupMemberFilter) -> Test<data::GroupMember> {
    let mut test = Test::<data::GroupMember>::default();
    test.given(filter.contact_id, |member, id| member.contact_id == *id);
    if let Some(filter) = filter.permissions {
        let wanted = permissions(filter);
        test.when(move |member| wanted.accepts(&member.permissions.unwrap_or_default()));
    }
    test
}

/// Compiles a filter of pending members.
pub(super) fn pending_member(filter: data::PendingGroupMemberFilter) -> Result<Test<data::PendingGroupMember>, Status> {
    use pending_group_member_filter::{Contact, Declined};

    let mut test = Test::<data::PendingGroupMember>::default();
    test.choice(filter.is_contact, |member, choice| (member.contact_id != 0) == (choice == Contact::Is as i32));
    test.choice(filter.has_declined, |member, choice| member.declined == (choice == Declined::Has as i32));
    test.given(filter.contact_id, |member, id| member.contact_id == *id);
    test.search(filter.display_name_search, |member| &member.display_name)?;
    if let Some(filter) = filter.permissions {
        let wanted = permissions(filter);
        test.when(move |member| wanted.accepts(&member.permissions.unwrap_or_default()));
    }
    Ok(test)
}

/// Compiles a filter of permissions. In each of its enums 1 stands for having the permission and 2 for not.
pub(super) fn permissions(filter: data::GroupPermissionFilter) -> Test<data::GroupMemberPermissions> {
    const HELD: i32 = group_permission_filter::Admin::Is as i32;

    let mut test = Test::<data::GroupMemberPermissions>::default();
    test.choice(filter.admin, |held, choice| held.admin == (choice == HELD));
    test.choice(filter.send_message, |held, choice| held.send_message == (choice == HELD));
    test.choice(filter.remote_delete_anything, |held, choice| held.remote_delete_anything == (choice == HELD));
    test.choice(filter.edit_or_remote_delete_own_messages, |held, choice| {
        held.edit_or_remote_delete_own_messages == (choice == HELD)
    });
    test.choice(filter.change_settings, |held, choice| held.change_settings == (choice == HELD));
    test
}
