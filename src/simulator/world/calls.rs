//! Calls: everybody here is a daemon, and a daemon is always busy.

use tonic::Status;

use super::{
    Call, Caller, With, World,
    call::Outcome,
    command::{
        CallStartCustomCallRequest, CallStartCustomCallResponse, CallStartDiscussionCallRequest,
        CallStartDiscussionCallResponse,
    },
    data, invalid, next,
    views::display_name,
};
use crate::simulator::proto::{data::call_participant_id::Id, note};

impl World {
    pub(super) fn call_command(&mut self, caller: &Caller, call: &Call<'_>) -> Option<Outcome> {
        let me = caller.identity;
        Some(match call.name {
            "call_start_discussion_call" => call.one(|request: CallStartDiscussionCallRequest| {
                self.own(me)?.open_discussion(request.discussion_id)?;
                let peers =
                    self.recipients(me, request.discussion_id).into_iter().map(|(peer, _)| peer).collect::<Vec<_>>();
                let call_identifier = self.ring(me, Some(request.discussion_id), &peers)?;
                Ok(CallStartDiscussionCallResponse { call_identifier })
            }),
            "call_start_custom_call" => call.one(|request: CallStartCustomCallRequest| {
                if let Some(discussion) = request.discussion_id {
                    self.own(me)?.open_discussion(discussion)?;
                }
                let peers = request.contact_ids.iter().map(|id| Ok(self.contact(me, *id)?.peer));
                let peers = peers.collect::<Result<Vec<_>, Status>>()?;
                let call_identifier = self.ring(me, request.discussion_id, &peers)?;
                Ok(CallStartCustomCallResponse { call_identifier })
            }),
            _ => return None,
        })
    }

    /// Calls people, who are all busy, and so the call ends.
    fn ring(&mut self, me: u64, discussion: Option<u64>, peers: &[u64]) -> Result<String, Status> {
        if peers.is_empty() {
            return Err(invalid("there is nobody to call"));
        }
        let call_identifier = format!("00000000-0000-4000-8000-{:012}", next(&mut self.next));
        let ended = note::CallEndedNotification { call_identifier: call_identifier.clone() };
        for peer in peers {
            let own = self.own(*peer)?;
            let incoming = note::CallIncomingCallNotification {
                call_identifier: call_identifier.clone(),
                discussion_id: self.discussion_of_call(me, discussion, *peer),
                participant_id: own.contact_of(me).map(participant),
                caller_display_name: display_name(&self.own(me)?.details),
                participant_count: u32::try_from(peers.len()).unwrap_or(u32::MAX),
            };
            self.notify(*peer, "call_incoming_call", &incoming);
            let participant_id = self.own(me)?.contact_of(*peer).map(participant);
            let busy = note::CallBusyNotification { call_identifier: call_identifier.clone(), participant_id };
            self.notify(me, "call_busy", &busy);
            self.notify(*peer, "call_ended", &ended);
        }
        self.notify(me, "call_ended", &ended);
        Ok(call_identifier)
    }

    /// The discussion that a called one sees: the group's, else that with the caller.
    fn discussion_of_call(&self, me: u64, discussion: Option<u64>, peer: u64) -> u64 {
        let with = discussion.and_then(|id| Some(self.own(me).ok()?.discussions.get(&id)?.with));
        let Ok(own) = self.own(peer) else { return 0 };
        let found = match with {
            Some(With::Group(_, group)) => own.discussion_of(group),
            _ => own.discussion_with(me),
        };
        found.unwrap_or_default()
    }
}

fn participant(contact: u64) -> data::CallParticipantId {
    data::CallParticipantId { id: Some(Id::ContactId(contact)) }
}
