//! The commands on a company directory, as a daemon answers them whose identities no directory manages.

use super::{
    Call, Caller, World,
    call::Outcome,
    command::{
        KeycloakAddUserAsContactRequest, KeycloakAddUserAsContactResponse, KeycloakBindIdentityRequest,
        KeycloakBindIdentityResponse, KeycloakUnbindIdentityRequest, KeycloakUnbindIdentityResponse,
        KeycloakUserListRequest, KeycloakUserListResponse,
    },
    invalid, not_found,
};

impl World {
    pub(super) fn keycloak_command(&mut self, _: &Caller, call: &Call<'_>) -> Option<Outcome> {
        Some(match call.name {
            "keycloak_bind_identity" => {
                call.one(|_: KeycloakBindIdentityRequest| -> Result<KeycloakBindIdentityResponse, _> {
                    Err(invalid("bad configuration link"))
                })
            }
            "keycloak_unbind_identity" => {
                call.one(|_: KeycloakUnbindIdentityRequest| -> Result<KeycloakUnbindIdentityResponse, _> {
                    Err(invalid("the identity is not managed by keycloak"))
                })
            }
            "keycloak_add_user_as_contact" => {
                call.one(|_: KeycloakAddUserAsContactRequest| -> Result<KeycloakAddUserAsContactResponse, _> {
                    Err(not_found("Keycloak user"))
                })
            }
            // Nobody is in the directory: one page says so, with the time to ask from next.
            "keycloak_user_list" => call.one(|_: KeycloakUserListRequest| {
                Ok(KeycloakUserListResponse { users: Vec::new(), last_list_timestamp: self.now() })
            }),
            _ => return None,
        })
    }
}
