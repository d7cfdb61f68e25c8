//! What an identity says of itself.

use tonic::Status;

use super::{
    Call, Caller, World,
    call::Outcome,
    command::{
        IdentityDownloadPhotoRequest, IdentityDownloadPhotoResponse, IdentityGetApiKeyStatusRequest,
        IdentityGetApiKeyStatusResponse, IdentityGetBytesIdentifierRequest, IdentityGetBytesIdentifierResponse,
        IdentityGetInvitationLinkRequest, IdentityGetInvitationLinkResponse, IdentityGetRequest, IdentityGetResponse,
        IdentityRemovePhotoRequest, IdentityRemovePhotoResponse, IdentitySetApiKeyRequest, IdentitySetApiKeyResponse,
        IdentitySetConfigurationLinkRequest, IdentitySetConfigurationLinkResponse, IdentityUpdateDetailsRequest,
        IdentityUpdateDetailsResponse,
    },
    data, invalid, not_found,
    views::{display_name, identity_bytes, invitation_link},
};
use crate::simulator::proto::note;

/// What a configuration link starts with.
const CONFIGURATION_LINK: &str = "https://configuration.olvid.io/#";

impl World {
    pub(super) fn identity_command(&mut self, caller: &Caller, call: &Call<'_>) -> Option<Outcome> {
        let me = caller.identity;
        Some(match call.name {
            "identity_get" => {
                call.one(|_: IdentityGetRequest| Ok(IdentityGetResponse { identity: Some(self.identity_view(me)?) }))
            }
            "identity_get_bytes_identifier" => call.one(|_: IdentityGetBytesIdentifierRequest| {
                Ok(IdentityGetBytesIdentifierResponse { identifier: identity_bytes(me) })
            }),
            "identity_get_invitation_link" => call.one(|_: IdentityGetInvitationLinkRequest| {
                Ok(IdentityGetInvitationLinkResponse { invitation_link: invitation_link(me) })
            }),
            "identity_update_details" => call.one(|request| self.identity_update_details(me, request)),
            "identity_set_photo" => call.upload(|frames| self.identity_set_photo(me, frames)),
            "identity_download_photo" => call.one(|_: IdentityDownloadPhotoRequest| {
                let photo = self.own(me)?.photo.clone().ok_or_else(|| not_found("Photo"))?;
                Ok(IdentityDownloadPhotoResponse { photo: photo.to_vec() })
            }),
            "identity_remove_photo" => call.one(|_: IdentityRemovePhotoRequest| {
                self.change_photo(me, None)?;
                Ok(IdentityRemovePhotoResponse {})
            }),
            "identity_get_api_key_status" => call.one(|_: IdentityGetApiKeyStatusRequest| {
                Ok(IdentityGetApiKeyStatusResponse { api_key: self.identity_view(me)?.api_key })
            }),
            "identity_set_api_key" => call.one(|request: IdentitySetApiKeyRequest| {
                if request.api_key.trim().is_empty() {
                    return Err(invalid("bad api key"));
                }
                Ok(IdentitySetApiKeyResponse { api_key: self.identity_view(me)?.api_key })
            }),
            "identity_set_configuration_link" => call.one(|request: IdentitySetConfigurationLinkRequest| {
                if !request.configuration_link.starts_with(CONFIGURATION_LINK) {
                    return Err(invalid("bad configuration link"));
                }
                Ok(IdentitySetConfigurationLinkResponse { api_key: self.identity_view(me)?.api_key })
            }),
            _ => return None,
        })
    }

    /// Takes new details; its contacts see them, and their discussions are called by them.
    fn identity_update_details(
        &mut self,
        me: u64,
        request: IdentityUpdateDetailsRequest,
    ) -> Result<IdentityUpdateDetailsResponse, Status> {
        let details = named(request.new_details)?;
        let previous = std::mem::replace(&mut self.own_mut(me)?.details, details.clone());
        if previous == details {
            return Ok(IdentityUpdateDetailsResponse {});
        }
        for (peer, id) in self.who_knows(me) {
            let own = self.own_mut(peer)?;
            let discussion = own.discussion_with(me);
            let Some(contact) = own.contacts.get_mut(&id) else { continue };
            contact.details.clone_from(&details);
            let contact = Some(contact.view(id));
            let notification =
                note::ContactDetailsUpdatedNotification { contact, previous_details: Some(previous.clone()) };
            self.notify(peer, "contact_details_updated", &notification);
            if let Some(discussion) = discussion {
                self.retitle(peer, discussion, display_name(&details));
            }
        }
        Ok(IdentityUpdateDetailsResponse {})
    }
}

/// Details with a name in them.
pub(super) fn named(details: Option<data::IdentityDetails>) -> Result<data::IdentityDetails, Status> {
    let details = details.unwrap_or_default();
    let blank = details.first_name().trim().is_empty() && details.last_name().trim().is_empty();
    if blank { Err(invalid("an identity needs a first or a last name")) } else { Ok(details) }
}
