//! What the filters of contacts, identities, discussions, invitations, keys and stored elements mean.

use tonic::Status;

use super::{Test, details};
use crate::simulator::proto::data::{
    self, client_key_filter::Identity as KeyOf, contact_filter, discussion, discussion_filter, identity_filter,
    invitation::Status as Step, invitation_filter,
};

/// Compiles a filter of contacts.
pub(in crate::simulator) fn contact(filter: data::ContactFilter) -> Result<Test<data::Contact>, Status> {
    let mut test = Test::<data::Contact>::default();
    test.choice(filter.one_to_one, |contact, choice| {
        contact.has_one_to_one_discussion == (choice == contact_filter::OneToOne::Is as i32)
    });
    test.choice(filter.photo, |contact, choice| contact.has_a_photo == (choice == contact_filter::Photo::Has as i32));
    test.choice(filter.keycloak, |contact, choice| {
        contact.keycloak_managed == (choice == contact_filter::Keycloak::Managed as i32)
    });
    test.search(filter.display_name_search, |contact| &contact.display_name)?;
    details(&mut test, filter.details_search, |contact| contact.details.as_ref())?;
    Ok(test)
}

/// Compiles a filter of identities.
pub(in crate::simulator) fn identity(filter: data::IdentityFilter) -> Result<Test<data::Identity>, Status> {
    let mut test = Test::<data::Identity>::default();
    test.choice(filter.keycloak, |identity, choice| {
        identity.keycloak_managed == (choice == identity_filter::Keycloak::Is as i32)
    });
    test.choice(filter.photo, |identity, choice| {
        identity.has_a_photo == (choice == identity_filter::Photo::Has as i32)
    });
    test.choice(filter.api_key, |identity, choice| {
        identity.api_key.is_some() == (choice == identity_filter::ApiKey::Has as i32)
    });
    test.search(filter.display_name_search, |identity| &identity.display_name)?;
    details(&mut test, filter.details_search, |identity| identity.details.as_ref())?;
    Ok(test)
}

/// Compiles a filter of discussions.
pub(in crate::simulator) fn discussion(filter: data::DiscussionFilter) -> Result<Test<data::Discussion>, Status> {
    use discussion::Identifier as Of;
    use discussion_filter::Identifier as Wanted;

    let mut test = Test::<data::Discussion>::default();
    test.choice(filter.r#type, |discussion, choice| {
        matches!(discussion.identifier, Some(Of::GroupId(_))) == (choice == discussion_filter::Type::Group as i32)
    });
    match filter.identifier {
        Some(Wanted::ContactId(id)) => test.when(move |discussion| discussion.identifier == Some(Of::ContactId(id))),
        Some(Wanted::GroupId(id)) => test.when(move |discussion| discussion.identifier == Some(Of::GroupId(id))),
        None => {}
    }
    test.search(filter.title_search, |discussion| &discussion.title)?;
    Ok(test)
}

/// Compiles a filter of invitations.
pub(in crate::simulator) fn invitation(filter: data::InvitationFilter) -> Result<Test<data::Invitation>, Status> {
    let mut test = Test::<data::Invitation>::default();
    test.choice(filter.status, |invitation, status| invitation.status == status);
    test.choice(filter.r#type, |invitation, kind| kind_of(invitation.status()) as i32 == kind);
    test.search(filter.display_name_search, |invitation| &invitation.display_name)?;
    test.given(filter.min_timestamp, |invitation, bound| invitation.timestamp >= *bound);
    test.given(filter.max_timestamp, |invitation, bound| invitation.timestamp <= *bound);
    Ok(test)
}

fn kind_of(status: Step) -> invitation_filter::Type {
    use invitation_filter::Type;
    match status {
        Step::Unspecified => Type::Unspecified,
        Step::InvitationWaitYouToAccept
        | Step::InvitationWaitItToAccept
        | Step::InvitationStatusInProgress
        | Step::InvitationWaitYouForSasExchange
        | Step::InvitationWaitItForSasExchange => Type::Invitation,
        Step::IntroductionWaitItToAccept | Step::IntroductionWaitYouToAccept => Type::Introduction,
        Step::OneToOneInvitationWaitItToAccept | Step::OneToOneInvitationWaitYouToAccept => Type::OneToOne,
        Step::GroupInvitationWaitYouToAccept => Type::Group,
    }
}

/// Compiles a filter of client keys.
pub(in crate::simulator) fn client_key(filter: data::ClientKeyFilter) -> Result<Test<data::ClientKey>, Status> {
    let mut test = Test::<data::ClientKey>::default();
    match filter.identity {
        Some(KeyOf::AdminKey(admin)) => test.when(move |key| (key.identity_id == 0) == admin),
        Some(KeyOf::IdentityId(id)) => test.when(move |key| key.identity_id == id),
        None => {}
    }
    test.search(filter.name_search, |key| &key.name)?;
    test.given(filter.key, |key, wanted| key.key == *wanted);
    Ok(test)
}

/// Compiles a filter of stored elements.
pub(in crate::simulator) fn storage_element(
    filter: data::StorageElementFilter,
) -> Result<Test<data::StorageElement>, Status> {
    let mut test = Test::<data::StorageElement>::default();
    test.search(filter.key_search, |element| &element.key)?;
    test.search(filter.value_search, |element| &element.value)?;
    Ok(test)
}
