//! What administrators do: identities, client keys, backups.

use tonic::Status;

use super::{
    Call, Caller, World,
    access::Key,
    call::Outcome,
    data,
    identities::named,
    invalid, next, not_found,
    views::{display_name, identity_bytes, invitation_link},
};
use crate::simulator::{
    filters,
    proto::admin::{
        BackupGetRequest, BackupGetResponse, BackupKeyGetRequest, BackupKeyGetResponse, BackupKeyRenewRequest,
        BackupKeyRenewResponse, BackupNowRequest, BackupNowResponse, BackupRestoreAdminBackupRequest,
        BackupRestoreAdminBackupResponse, BackupRestoreDaemonRequest, BackupRestoreDaemonResponse,
        BackupRestoreProfileSnapshotRequest, BackupRestoreProfileSnapshotResponse, ClientKeyDeleteRequest,
        ClientKeyDeleteResponse, ClientKeyGetRequest, ClientKeyGetResponse, ClientKeyListRequest,
        ClientKeyListResponse, ClientKeyNewRequest, ClientKeyNewResponse, IdentityAdminDownloadPhotoRequest,
        IdentityAdminDownloadPhotoResponse, IdentityAdminGetBytesIdentifierRequest,
        IdentityAdminGetBytesIdentifierResponse, IdentityAdminGetInvitationLinkRequest,
        IdentityAdminGetInvitationLinkResponse, IdentityAdminGetRequest, IdentityAdminGetResponse,
        IdentityDeleteRequest, IdentityDeleteResponse, IdentityKeycloakNewRequest, IdentityKeycloakNewResponse,
        IdentityListRequest, IdentityListResponse, IdentityNewRequest, IdentityNewResponse,
    },
};

/// The backup key, renewed so many times, and when the last backup was made.
#[derive(Debug, Default)]
pub(super) struct Backups {
    renewed: u64,
    last: u64,
}

impl Backups {
    fn key(&self) -> String {
        format!("SIMULATED-BACKUP-KEY-{:04}", self.renewed)
    }
}

impl World {
    pub(super) fn admin_command(&mut self, caller: &Caller, call: &Call<'_>) -> Option<Outcome> {
        self.identity_admin_command(call)
            .or_else(|| self.key_admin_command(caller, call))
            .or_else(|| self.backup_admin_command(call))
    }

    fn identity_admin_command(&mut self, call: &Call<'_>) -> Option<Outcome> {
        Some(match call.name {
            "admin_identity_list" => call.list(
                |request: IdentityListRequest| {
                    let test = filters::identity(request.filter.unwrap_or_default())?;
                    let all = self.identities.keys().map(|id| self.identity_view(*id));
                    let mut all = all.collect::<Result<Vec<_>, _>>()?;
                    all.retain(|identity| test.accepts(identity));
                    Ok(all)
                },
                |identities| IdentityListResponse { identities },
            ),
            "admin_identity_admin_get" => call.one(|request: IdentityAdminGetRequest| {
                Ok(IdentityAdminGetResponse { identity: Some(self.identity_view(request.identity_id)?) })
            }),
            "admin_identity_admin_get_bytes_identifier" => {
                call.one(|request: IdentityAdminGetBytesIdentifierRequest| {
                    self.own(request.identity_id)?;
                    let identifier = identity_bytes(request.identity_id);
                    Ok(IdentityAdminGetBytesIdentifierResponse { identifier })
                })
            }
            "admin_identity_admin_get_invitation_link" => call.one(|request: IdentityAdminGetInvitationLinkRequest| {
                self.own(request.identity_id)?;
                let invitation_link = invitation_link(request.identity_id);
                Ok(IdentityAdminGetInvitationLinkResponse { invitation_link })
            }),
            "admin_identity_admin_download_photo" => call.one(|request: IdentityAdminDownloadPhotoRequest| {
                let photo = self.own(request.identity_id)?.photo.clone().ok_or_else(|| not_found("Photo"))?;
                Ok(IdentityAdminDownloadPhotoResponse { photo: photo.to_vec() })
            }),
            "admin_identity_new" => call.one(|request: IdentityNewRequest| {
                let details = named(request.identity_details)?;
                let id = self.add_identity(display_name(&details), details);
                Ok(IdentityNewResponse { identity: Some(self.identity_view(id)?) })
            }),
            "admin_identity_keycloak_new" => {
                call.one(|_: IdentityKeycloakNewRequest| -> Result<IdentityKeycloakNewResponse, _> {
                    Err(invalid("bad configuration link"))
                })
            }
            "admin_identity_delete" => call.one(|request| self.identity_delete(&request)),
            _ => return None,
        })
    }

    /// Deletes an identity; asked to do so everywhere, it tells those who know it.
    fn identity_delete(&mut self, request: &IdentityDeleteRequest) -> Result<IdentityDeleteResponse, Status> {
        let id = request.identity_id;
        self.own(id)?;
        let groups: Vec<u64> =
            self.groups.iter().filter(|(_, group)| group.holds(id)).map(|(number, _)| *number).collect();
        for group in groups {
            self.withdraw_invitations(group, Some(id));
            self.depart(id, group);
        }
        if request.delete_everywhere.unwrap_or(false) {
            for (peer, _) in self.who_knows(id) {
                self.forget(peer, id);
            }
        }
        let under_way: Vec<u64> = self
            .protocols
            .iter()
            .filter(|(_, protocol)| protocol.sides().contains(&id))
            .map(|(number, _)| *number)
            .collect();
        for number in under_way {
            self.finish(number);
        }
        self.identities.remove(&id);
        self.keys.retain(|key| key.shown.identity_id != id);
        Ok(IdentityDeleteResponse {})
    }

    fn key_admin_command(&mut self, caller: &Caller, call: &Call<'_>) -> Option<Outcome> {
        Some(match call.name {
            "admin_client_key_list" => call.list(
                |request: ClientKeyListRequest| {
                    let test = filters::client_key(request.filter.unwrap_or_default())?;
                    Ok(self.stored_keys().filter(|key| test.accepts(key)).cloned().collect())
                },
                |client_keys| ClientKeyListResponse { client_keys },
            ),
            "admin_client_key_get" => call.one(|request: ClientKeyGetRequest| {
                let found = self.stored_keys().find(|key| key.key == request.client_key).cloned();
                Ok(ClientKeyGetResponse { client_key: Some(found.ok_or_else(|| not_found("Client key"))?) })
            }),
            "admin_client_key_new" => call.one(|request: ClientKeyNewRequest| {
                if request.identity_id != 0 {
                    self.own(request.identity_id)?;
                }
                let key = format!("5e1f0000-0000-4000-8000-{:012}", next(&mut self.next));
                let key = Key::of(request.identity_id, request.name, key);
                let client_key = Some(key.shown.clone());
                self.keys.push(key);
                Ok(ClientKeyNewResponse { client_key })
            }),
            "admin_client_key_delete" => call.one(|request: ClientKeyDeleteRequest| {
                if request.client_key == caller.key {
                    return Err(invalid("this is the client key that asks"));
                }
                let stored = |key: &Key| !key.temporary && key.shown.key == request.client_key;
                if !self.keys.iter().any(stored) {
                    return Err(not_found("Client key"));
                }
                self.keys.retain(|key| !stored(key));
                Ok(ClientKeyDeleteResponse {})
            }),
            _ => return None,
        })
    }

    /// The keys that the daemon keeps, those of its environment left out.
    fn stored_keys(&self) -> impl Iterator<Item = &data::ClientKey> {
        self.keys.iter().filter(|key| !key.temporary).map(|key| &key.shown)
    }

    fn backup_admin_command(&mut self, call: &Call<'_>) -> Option<Outcome> {
        Some(match call.name {
            "admin_backup_key_get" => {
                call.one(|_: BackupKeyGetRequest| Ok(BackupKeyGetResponse { backup_key: self.backup.key() }))
            }
            "admin_backup_key_renew" => call.one(|_: BackupKeyRenewRequest| {
                self.backup.renewed += 1;
                Ok(BackupKeyRenewResponse { backup_key: self.backup.key() })
            }),
            "admin_backup_now" => call.one(|_: BackupNowRequest| {
                self.backup.last = self.now();
                Ok(BackupNowResponse {})
            }),
            "admin_backup_get" => call.one(|request: BackupGetRequest| {
                self.check_backup_key(&request.backup_key)?;
                Ok(BackupGetResponse { backup: Some(self.backup_view()) })
            }),
            "admin_backup_restore_daemon" => {
                call.one(|request: BackupRestoreDaemonRequest| -> Result<BackupRestoreDaemonResponse, _> {
                    self.check_backup_key(&request.backup_key)?;
                    Err(invalid("the daemon is not empty"))
                })
            }
            "admin_backup_restore_admin_backup" => call.one(|request: BackupRestoreAdminBackupRequest| {
                self.check_backup_key(&request.backup_key)?;
                // They are all here: the backup is of this daemon.
                let restored = self.stored_keys().filter(|key| key.identity_id == 0).cloned().collect();
                Ok(BackupRestoreAdminBackupResponse { restored_admin_client_keys: restored })
            }),
            "admin_backup_restore_profile_snapshot" => call.one(
                |request: BackupRestoreProfileSnapshotRequest| -> Result<BackupRestoreProfileSnapshotResponse, _> {
                    self.check_backup_key(&request.backup_key)?;
                    let all = self.backup_view().profile_backups;
                    let known = all.iter().flat_map(|profile| &profile.snapshots).any(|one| one.id == request.id);
                    Err(if known { invalid("the profile exists already") } else { not_found("Snapshot") })
                },
            ),
            _ => return None,
        })
    }

    fn check_backup_key(&self, key: &str) -> Result<(), Status> {
        if key == self.backup.key() { Ok(()) } else { Err(not_found("Backup")) }
    }

    /// What is backed up: one snapshot of each profile, as of the last backup.
    fn backup_view(&self) -> data::Backup {
        let admin_keys: Vec<_> = self.stored_keys().filter(|key| key.identity_id == 0).collect();
        let stored = |key: &data::ClientKey| self.storage.count(&key.key);
        let profile_backups = self.identities.iter().map(|(id, own)| {
            let keys: Vec<_> = self.stored_keys().filter(|key| key.identity_id == *id).collect();
            let snapshot = data::backup::profile_backup::Snapshot {
                id: format!("snapshot-{id}"),
                timestamp: self.backup.last,
                from_device_name: "simulator".to_owned(),
                contact_count: own.contacts.len() as u64,
                group_count: own.groups.len() as u64,
                client_key_count: keys.len() as u64,
                storage_elements_count: keys.into_iter().map(stored).sum(),
                identity_settings: Some(own.settings),
            };
            data::backup::ProfileBackup {
                profile_display_name: display_name(&own.details),
                already_exists_locally: true,
                keycloak_managed: false,
                snapshots: vec![snapshot],
            }
        });
        data::Backup {
            admin_backup: Some(data::backup::AdminBackup {
                admin_client_key_count: admin_keys.len() as u64,
                storage_elements_count: admin_keys.into_iter().map(stored).sum(),
            }),
            profile_backups: profile_backups.collect(),
        }
    }
}
