//! What clients keep: text by key, for themselves or for a discussion.

use std::collections::BTreeMap;

use tonic::Status;

use super::{
    Call, Caller, World,
    call::Outcome,
    command::{
        DiscussionStorageGetRequest, DiscussionStorageGetResponse, DiscussionStorageListRequest,
        DiscussionStorageListResponse, DiscussionStorageSetRequest, DiscussionStorageSetResponse,
        DiscussionStorageUnsetRequest, DiscussionStorageUnsetResponse, StorageGetRequest, StorageGetResponse,
        StorageListRequest, StorageListResponse, StorageSetRequest, StorageSetResponse, StorageUnsetRequest,
        StorageUnsetResponse,
    },
    data, invalid, not_found,
};
use crate::simulator::filters;

/// Everything kept, by client key and discussion (0 for none).
#[derive(Debug, Default)]
pub(super) struct Storage(BTreeMap<(String, u64), BTreeMap<String, String>>);

impl Storage {
    /// How many elements a client key keeps.
    pub(super) fn count(&self, key: &str) -> u64 {
        self.0.iter().filter(|((owner, _), _)| owner == key).map(|(_, elements)| elements.len() as u64).sum()
    }

    fn get(&self, place: &(String, u64), key: &str) -> String {
        self.0.get(place).and_then(|elements| elements.get(key)).cloned().unwrap_or_default()
    }

    fn set(&mut self, place: (String, u64), key: String, value: String) -> String {
        self.0.entry(place).or_default().insert(key, value).unwrap_or_default()
    }

    fn unset(&mut self, place: &(String, u64), key: &str) -> String {
        self.0.get_mut(place).and_then(|elements| elements.remove(key)).unwrap_or_default()
    }

    fn list(
        &self,
        place: &(String, u64),
        filter: Option<data::StorageElementFilter>,
    ) -> Result<Vec<data::StorageElement>, Status> {
        let test = filters::storage_element(filter.unwrap_or_default())?;
        let elements = self.0.get(place).into_iter().flatten();
        let elements = elements.map(|(key, value)| data::StorageElement { key: key.clone(), value: value.clone() });
        Ok(elements.filter(|element| test.accepts(element)).collect())
    }
}

impl World {
    pub(super) fn storage_command(&mut self, caller: &Caller, call: &Call<'_>) -> Option<Outcome> {
        let place = (caller.key.clone(), 0);
        Some(match call.name {
            "storage_list" => call.list(
                |request: StorageListRequest| self.storage.list(&place, request.filter),
                |elements| StorageListResponse { elements },
            ),
            "storage_get" => call.one(|request: StorageGetRequest| {
                Ok(StorageGetResponse { value: self.storage.get(&place, &request.key) })
            }),
            "storage_set" => call.one(|request: StorageSetRequest| {
                Ok(StorageSetResponse { previous_value: self.storage.set(place, request.key, request.value) })
            }),
            "storage_unset" => call.one(|request: StorageUnsetRequest| {
                Ok(StorageUnsetResponse { previous_value: self.storage.unset(&place, &request.key) })
            }),
            "discussion_storage_list" => call.list(
                |request: DiscussionStorageListRequest| {
                    self.storage.list(&self.place(caller, request.discussion_id)?, request.filter)
                },
                |elements| DiscussionStorageListResponse { elements },
            ),
            "discussion_storage_get" => call.one(|request: DiscussionStorageGetRequest| {
                let place = self.place(caller, request.discussion_id)?;
                Ok(DiscussionStorageGetResponse { value: self.storage.get(&place, &request.key) })
            }),
            "discussion_storage_set" => call.one(|request: DiscussionStorageSetRequest| {
                let place = self.place(caller, request.discussion_id)?;
                let previous_value = self.storage.set(place, request.key, request.value);
                Ok(DiscussionStorageSetResponse { previous_value })
            }),
            "discussion_storage_unset" => call.one(|request: DiscussionStorageUnsetRequest| {
                let place = self.place(caller, request.discussion_id)?;
                Ok(DiscussionStorageUnsetResponse { previous_value: self.storage.unset(&place, &request.key) })
            }),
            _ => return None,
        })
    }

    /// Where what is kept for a discussion belongs.
    fn place(&self, caller: &Caller, discussion: u64) -> Result<(String, u64), Status> {
        if caller.admin {
            return Err(invalid("an admin client key has no discussions"));
        }
        let known = self.own(caller.identity)?.discussions.contains_key(&discussion);
        if known { Ok((caller.key.clone(), discussion)) } else { Err(not_found("Discussion")) }
    }
}
