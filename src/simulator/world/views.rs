//! How the world's things look to a client of one identity.

use tonic::Status;

use super::{Contact, Discussion, Identity, With, World, not_found};
use crate::simulator::proto::data::{self, discussion::Identifier};

/// `First Last (Position @ Company)`, as much of it as there is.
pub(super) fn display_name(details: &data::IdentityDetails) -> String {
    let joined = |parts: [&str; 2], between: &str| {
        let given: Vec<&str> = parts.into_iter().filter(|part| !part.trim().is_empty()).collect();
        given.join(between)
    };
    let name = joined([details.first_name(), details.last_name()], " ");
    let work = joined([details.position(), details.company()], " @ ");
    if work.is_empty() { name } else { format!("{name} ({work})") }
}

/// Bytes that name an identity everywhere and for ever.
pub(super) fn identity_bytes(identity: u64) -> Vec<u8> {
    [b"simulated-identity:".as_slice(), &identity.to_be_bytes()].concat()
}

/// The link that invites somebody to an identity.
pub(super) fn invitation_link(identity: u64) -> String {
    format!("{INVITATION_LINK}{identity}")
}

/// What an invitation link starts with.
pub(super) const INVITATION_LINK: &str = "https://invitation.olvid.io/#simulated-";

impl World {
    /// An identity as it and administrators see it.
    pub(super) fn identity_view(&self, id: u64) -> Result<data::Identity, Status> {
        let own = self.own(id)?;
        Ok(data::Identity {
            id,
            display_name: display_name(&own.details),
            details: Some(own.details.clone()),
            keycloak_managed: false,
            has_a_photo: own.photo.is_some(),
            api_key: Some(data::identity::ApiKey {
                permission: Some(data::identity::api_key::Permission { call: true, multi_device: false }),
                expiration_timestamp: 0,
            }),
        })
    }

    /// A contact as an identity sees it.
    pub(super) fn contact_view(&self, identity: u64, id: u64) -> Result<data::Contact, Status> {
        self.own(identity)?.contact_view(id)
    }

    /// A discussion as an identity sees it, locked or not.
    pub(super) fn discussion_view(&self, identity: u64, id: u64) -> Result<data::Discussion, Status> {
        self.own(identity)?.discussion_view(id)
    }
}

impl Identity {
    pub(super) fn contact_view(&self, id: u64) -> Result<data::Contact, Status> {
        let contact = self.contacts.get(&id).ok_or_else(|| not_found("Contact"))?;
        Ok(contact.view(id))
    }

    pub(super) fn discussion_view(&self, id: u64) -> Result<data::Discussion, Status> {
        let discussion = self.discussions.get(&id).ok_or_else(|| not_found("Discussion"))?;
        Ok(discussion.view(id))
    }
}

impl Contact {
    pub(super) fn view(&self, id: u64) -> data::Contact {
        data::Contact {
            id,
            display_name: display_name(&self.details),
            details: Some(self.details.clone()),
            established_channel_count: 1,
            device_count: 1,
            has_one_to_one_discussion: self.one_to_one,
            has_a_photo: self.photo.is_some(),
            keycloak_managed: false,
        }
    }
}

impl Discussion {
    pub(super) fn view(&self, id: u64) -> data::Discussion {
        let identifier = match self.with {
            With::Contact(contact, _) => Identifier::ContactId(contact),
            With::Group(group, _) => Identifier::GroupId(group),
        };
        data::Discussion { id, title: self.title.clone(), identifier: Some(identifier) }
    }
}
