//! The commands on invitations, and those that start one.

use std::collections::BTreeSet;

use tonic::Status;

use super::{
    Call, Caller, World,
    call::Outcome,
    command::{
        ContactIntroductionRequest, ContactIntroductionResponse, ContactInviteToOneToOneDiscussionRequest,
        ContactInviteToOneToOneDiscussionResponse, InvitationAcceptRequest, InvitationAcceptResponse,
        InvitationDeclineRequest, InvitationDeclineResponse, InvitationDeleteRequest, InvitationDeleteResponse,
        InvitationGetRequest, InvitationGetResponse, InvitationListRequest, InvitationListResponse,
        InvitationNewRequest, InvitationNewResponse, InvitationSasRequest, InvitationSasResponse,
    },
    data, invalid, not_found,
    protocols::Protocol,
    views::INVITATION_LINK,
};
use crate::simulator::{filters, proto::data::invitation::Status as Step};

impl World {
    pub(super) fn invitation_command(&mut self, caller: &Caller, call: &Call<'_>) -> Option<Outcome> {
        let me = caller.identity;
        Some(match call.name {
            "invitation_list" => call.list(
                |request: InvitationListRequest| {
                    let test = filters::invitation(request.filter.unwrap_or_default())?;
                    let all = self.own(me)?.invitations.values().map(|invitation| invitation.shown.clone());
                    Ok(all.filter(|invitation| test.accepts(invitation)).collect())
                },
                |invitations| InvitationListResponse { invitations },
            ),
            "invitation_get" => call.one(|request: InvitationGetRequest| {
                let found = self.own(me)?.invitations.get(&request.invitation_id);
                let invitation = Some(found.ok_or_else(|| not_found("Invitation"))?.shown.clone());
                Ok(InvitationGetResponse { invitation })
            }),
            "invitation_new" => call.one(|request| self.invitation_new(me, &request)),
            "invitation_accept" => call.one(|request: InvitationAcceptRequest| {
                self.accept(me, request.invitation_id).map(|()| InvitationAcceptResponse {})
            }),
            "invitation_decline" => call.one(|request: InvitationDeclineRequest| {
                self.decline(me, request.invitation_id).map(|()| InvitationDeclineResponse {})
            }),
            "invitation_sas" => call.one(|request: InvitationSasRequest| {
                self.enter_code(me, request.invitation_id, &request.sas).map(|()| InvitationSasResponse {})
            }),
            "invitation_delete" => call.one(|request: InvitationDeleteRequest| {
                // One that is gone already is what was asked for.
                if let Ok((number, _)) = self.invitation(me, request.invitation_id) {
                    self.abort(me, number);
                }
                Ok(InvitationDeleteResponse {})
            }),
            _ => return None,
        })
    }

    fn invitation_new(&mut self, me: u64, request: &InvitationNewRequest) -> Result<InvitationNewResponse, Status> {
        let to = request.invitation_url.strip_prefix(INVITATION_LINK).and_then(|id| id.parse().ok());
        let to: u64 = to.filter(|to| self.identities.contains_key(to)).ok_or_else(|| invalid("bad invitation link"))?;
        if to == me {
            return Err(invalid("this is your own invitation link"));
        }
        let protocol = self.start(Protocol::Link { from: me, to, entered: BTreeSet::new() });
        let (sent, received) = (Step::InvitationWaitItToAccept, Step::InvitationWaitYouToAccept);
        let invitation = Some(self.show_both(protocol, me, to, sent, received)?);
        Ok(InvitationNewResponse { invitation })
    }

    pub(super) fn contact_invite(
        &mut self,
        me: u64,
        request: ContactInviteToOneToOneDiscussionRequest,
    ) -> Result<ContactInviteToOneToOneDiscussionResponse, Status> {
        let contact = self.contact(me, request.contact_id)?;
        let to = contact.peer;
        if contact.one_to_one {
            return Err(invalid("there is a one-to-one discussion with this contact already"));
        }
        let protocol = self.start(Protocol::OneToOne { from: me, to });
        let (sent, received) = (Step::OneToOneInvitationWaitItToAccept, Step::OneToOneInvitationWaitYouToAccept);
        let invitation = Some(self.show_both(protocol, me, to, sent, received)?);
        Ok(ContactInviteToOneToOneDiscussionResponse { invitation })
    }

    /// Shows both sides their invitation and returns the sender's.
    fn show_both(
        &mut self,
        protocol: u64,
        from: u64,
        to: u64,
        sent: Step,
        received: Step,
    ) -> Result<data::Invitation, Status> {
        let invitation = self.show(from, protocol, sent, self.name_across(protocol, from), None)?;
        let shown = self.show(to, protocol, received, self.name_across(protocol, to), None)?;
        self.accept_by_settings(to, shown.id);
        Ok(invitation)
    }

    pub(super) fn contact_introduction(
        &mut self,
        me: u64,
        request: ContactIntroductionRequest,
    ) -> Result<ContactIntroductionResponse, Status> {
        let first = self.contact(me, request.first_contact_id)?.peer;
        let second = self.contact(me, request.second_contact_id)?.peer;
        if first == second {
            return Err(invalid("a contact cannot be introduced to itself"));
        }
        let protocol = self.start(Protocol::Introduction { pair: [first, second], agreed: BTreeSet::new() });
        let mut shown = Vec::new();
        for side in [first, second] {
            let mediator = self.own(side)?.contact_of(me);
            let name = self.name_across(protocol, side);
            shown.push((side, self.show(side, protocol, Step::IntroductionWaitYouToAccept, name, mediator)?.id));
        }
        for (side, id) in shown {
            self.accept_by_settings(side, id);
        }
        Ok(ContactIntroductionResponse {})
    }
}
