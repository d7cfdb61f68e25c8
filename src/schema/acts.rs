//! Who did what a notification tells, which commands others notice, and which only read.
//!
//! Read from options of the RPCs (`proto/olvid_rules/acts.proto`), so that no name of it stands in the program. What
//! follows from it (leaving out one's own acts, stopping loops) is the scripts' floor's.

use std::sync::Arc;

use prost_reflect::{MethodDescriptor, Value};

use super::{
    catalog::{Method, SchemaError},
    message::Message,
    order::key,
    recovery::path,
    wire::WireError,
};

const AUTHOR: &str = "olvid_rules.author";
const IDEMPOTENCY: &str = "idempotency_level";
const NO_SIDE_EFFECTS: i32 = 1;
const SPEAKS: &str = "olvid_rules.speaks";

/// Where a notification says who did what it tells.
#[derive(Debug)]
pub struct AuthorPath {
    notification: Arc<Message>,
    path: Vec<usize>,
}

impl AuthorPath {
    /// The author that is this identity itself.
    pub const SELF: u64 = 0;

    /// Reads the option of a subscription's RPC, where it has one.
    pub(super) fn of(rpc: &MethodDescriptor, method: &Method) -> Result<Option<Self>, SchemaError> {
        let Some(Value::String(names)) = option(rpc, AUTHOR) else { return Ok(None) };
        let notification = Arc::clone(&method.output);
        let path = path(&notification, &names).map_err(|what| SchemaError::Option(method.path.clone(), what))?;
        Ok(Some(Self { notification, path }))
    }

    /// Reads the number of who did it.
    pub fn read(&self, notification: &[u8]) -> Result<u64, WireError> {
        key(&self.path, &self.notification, notification)
    }
}

/// Whether others notice what a command does.
pub(super) fn speaks(rpc: &MethodDescriptor) -> bool {
    matches!(option(rpc, SPEAKS), Some(Value::Bool(true)))
}

/// Whether a command changes nothing: protobuf's own option says so.
pub(super) fn reads(rpc: &MethodDescriptor) -> bool {
    let options = rpc.options();
    let level = options.get_field_by_name(IDEMPOTENCY);
    matches!(level.as_deref(), Some(Value::EnumNumber(NO_SIDE_EFFECTS)))
}

/// Reads an option of ours, where an RPC has it.
pub(super) fn option(rpc: &MethodDescriptor, name: &str) -> Option<Value> {
    let option = rpc.parent_pool().get_extension_by_name(name)?;
    let options = rpc.options();
    options.has_extension(&option).then(|| options.get_extension(&option).into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::super::{Catalog, encode};

    fn author(subscription: &str, notification: &Json) -> Option<u64> {
        let found = Catalog::embedded().subscription(subscription).unwrap();
        let bytes = encode::encode(&found.method.output, &notification, None).unwrap();
        found.author.as_ref().map(|author| author.read(&bytes).unwrap())
    }

    #[test]
    fn these_subscriptions_say_who_did_it() {
        let known = Catalog::embedded().subscriptions().iter().filter(|entry| entry.author.is_some());
        assert_eq!(
            known.map(|entry| entry.name.as_str()).collect::<Vec<_>>(),
            [
                "message_received",
                "message_sent",
                "message_body_updated",
                "message_location_received",
                "message_location_sent",
                "message_location_sharing_start",
                "message_location_sharing_update",
                "message_location_sharing_end",
                "message_reaction_added",
                "message_reaction_updated",
                "message_reaction_removed",
            ]
        );
    }

    #[test]
    fn a_messages_author_is_its_sender_and_a_reactions_who_reacted() {
        let message = json!({ "sender_id": 7 });
        assert_eq!(author("message_received", &json!({ "message": message })), Some(7));
        assert_eq!(author("message_sent", &json!({ "message": { "body": "mine" } })), Some(0));
        let reaction = |contact: u64| json!({ "message": message, "reaction": { "contact_id": contact } });
        assert_eq!(author("message_reaction_added", &reaction(9)), Some(9));
        assert_eq!(author("message_reaction_removed", &reaction(0)), Some(0));
        assert_eq!(author("contact_new", &json!({})), None);
    }

    #[test]
    fn what_is_written_or_changed_speaks_and_what_is_read_or_stored_does_not() {
        let speaks = |name: &str| Catalog::embedded().command(name).unwrap().speaks;
        for name in ["message_send", "message_send_with_attachments", "message_react", "group_update"] {
            assert!(speaks(name), "{name}");
        }
        let reads = |name: &str| Catalog::embedded().command(name).unwrap().reads;
        for name in ["message_list", "attachment_download", "ping", "settings_identity_get", "keycloak_user_list"] {
            assert!(reads(name), "{name}");
        }
        for name in ["message_delete", "invitation_accept", "storage_set", "group_leave", "message_refresh"] {
            assert!(!reads(name), "{name}");
        }
        assert!(!Catalog::embedded().commands().iter().any(|command| command.speaks && command.reads));
        for name in ["message_list", "attachment_download", "storage_set", "message_delete", "admin_identity_list"] {
            assert!(!speaks(name), "{name}");
        }
    }
}
