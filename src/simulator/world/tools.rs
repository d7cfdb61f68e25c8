//! The commands about the daemon itself.

use super::{
    Call, Caller, World,
    call::Outcome,
    command::{AuthenticationAdminTestResponse, AuthenticationTestResponse, DaemonVersionResponse, PingResponse},
};
use crate::simulator::proto::command;

impl World {
    pub(super) fn tool_command(&mut self, _: &Caller, call: &Call<'_>) -> Option<Outcome> {
        Some(match call.name {
            "ping" => call.one(|_: command::PingRequest| Ok(PingResponse {})),
            "daemon_version" => {
                call.one(|_: command::DaemonVersionRequest| Ok(DaemonVersionResponse { version: self.version.clone() }))
            }
            // Whoever gets here has passed.
            "authentication_test" => {
                call.one(|_: command::AuthenticationTestRequest| Ok(AuthenticationTestResponse {}))
            }
            "authentication_admin_test" => {
                call.one(|_: command::AuthenticationAdminTestRequest| Ok(AuthenticationAdminTestResponse {}))
            }
            _ => return None,
        })
    }
}
