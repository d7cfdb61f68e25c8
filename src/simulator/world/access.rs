//! Client keys: who asks, and whether they may.

use tonic::Status;

use super::World;
use crate::simulator::proto::data;

/// What a call asks of the one who makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum Access {
    /// Nothing.
    Open,
    /// Any key; without one it is `PERMISSION_DENIED` rather than `UNAUTHENTICATED`.
    Test,
    /// An administrator's key; the same.
    AdminTest,
    /// A key of the identity, or an administrator's that names it.
    User,
    /// A key that keeps things: an identity's, or an administrator's that is stored.
    Storage,
    /// An administrator's key.
    Admin,
}

/// Who asks.
#[derive(Debug, Clone, Default)]
pub(in crate::simulator) struct Caller {
    /// The identity that acts; 0 for none.
    pub(in crate::simulator) identity: u64,
    /// The key, which stored elements belong to.
    pub(super) key: String,
    /// Whether it is an administrator's.
    pub(super) admin: bool,
}

/// A client key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) shown: data::ClientKey,
    /// Given by the environment: gone with it, and keeps nothing.
    pub(super) temporary: bool,
}

impl Access {
    /// What a command asks for.
    pub(in crate::simulator) fn of(command: &str, admin: bool) -> Self {
        match command {
            "ping" | "daemon_version" => Self::Open,
            "authentication_test" => Self::Test,
            "authentication_admin_test" => Self::AdminTest,
            _ if admin => Self::Admin,
            _ if command.starts_with("storage_") => Self::Storage,
            _ => Self::User,
        }
    }
}

impl Key {
    pub(super) fn of(identity_id: u64, name: String, key: String) -> Self {
        Self { shown: data::ClientKey { name, key, identity_id }, temporary: false }
    }

    pub(super) fn temporary_admin(key: String) -> Self {
        let shown = data::ClientKey { name: "temporary".to_owned(), key, identity_id: 0 };
        Self { shown, temporary: true }
    }
}

impl World {
    /// Finds out who asks, or refuses. An open call has nobody who asks.
    pub(in crate::simulator) fn admit(
        &self,
        access: Access,
        key: Option<&str>,
        identity: Option<&str>,
    ) -> Result<Option<Caller>, Status> {
        if access == Access::Open {
            return Ok(None);
        }
        let refused = |why: &str| match access {
            Access::Test | Access::AdminTest => Status::permission_denied(why),
            _ => Status::unauthenticated(why),
        };
        let key = self.keys.iter().find(|known| Some(known.shown.key.as_str()) == key);
        let key = key.ok_or_else(|| refused("Invalid client key"))?;
        let admin = key.shown.identity_id == 0;
        if !admin && matches!(access, Access::Admin | Access::AdminTest) {
            return Err(Status::permission_denied("an admin client key is needed"));
        }
        let acts_for = if admin { identity.and_then(|id| id.parse().ok()).unwrap_or(0) } else { key.shown.identity_id };
        let known = self.identities.contains_key(&acts_for);
        match access {
            Access::User if !known => return Err(refused("this admin client key does not name an identity")),
            Access::Storage if key.temporary => return Err(refused("a temporary client key keeps nothing")),
            _ => {}
        }
        let identity = if known { acts_for } else { 0 };
        Ok(Some(Caller { identity, key: key.shown.key.clone(), admin }))
    }

    /// An identity as the one who asks, with its first key.
    pub(in crate::simulator) fn caller_named(&self, name: &str) -> Option<Caller> {
        let identity = self.identity_named(name)?;
        let key = self.keys.iter().find(|key| key.shown.identity_id == identity);
        Some(Caller { identity, key: key.map(|key| key.shown.key.clone()).unwrap_or_default(), admin: false })
    }
}
