//! How people come to know each other: invitations by link, introductions, one-to-one requests, groups. The steps, and
//! the invitations that show them on each side; the commands are next door.

use std::collections::BTreeSet;

use tonic::Status;

use super::{World, data, invalid, next, not_found, views::display_name};
use crate::simulator::proto::{data::invitation::Status as Step, note};

/// Something under way between identities.
#[derive(Debug, Clone)]
pub(super) enum Protocol {
    /// One invited the other by link; who has entered the other's code is remembered.
    Link { from: u64, to: u64, entered: BTreeSet<u64> },
    /// One asked the other for a discussion.
    OneToOne { from: u64, to: u64 },
    /// A third introduced two; who agreed is remembered.
    Introduction { pair: [u64; 2], agreed: BTreeSet<u64> },
    /// Somebody is invited to a group.
    Group { group: u64, to: u64 },
}

/// One side's view of a protocol.
#[derive(Debug, Clone)]
pub(super) struct Invitation {
    pub(super) protocol: u64,
    pub(super) shown: data::Invitation,
}

impl Protocol {
    /// Everybody who sees an invitation of it.
    pub(super) fn sides(&self) -> Vec<u64> {
        match self {
            Self::Link { from, to, .. } | Self::OneToOne { from, to } => vec![*from, *to],
            Self::Introduction { pair, .. } => pair.to_vec(),
            Self::Group { to, .. } => vec![*to],
        }
    }

    fn other(&self, identity: u64) -> u64 {
        self.sides().into_iter().find(|side| *side != identity).unwrap_or_default()
    }
}

/// The code that a side reads to the other: four digits, different for both.
fn code(protocol: u64, identity: u64) -> String {
    format!("{:04}", (protocol * 7919 + identity * 1049) % 10_000)
}

impl World {
    /// Starts a protocol and returns its number.
    pub(super) fn start(&mut self, protocol: Protocol) -> u64 {
        let number = next(&mut self.next);
        self.protocols.insert(number, protocol);
        number
    }

    /// Shows one side an invitation, and returns it. What arrives may be accepted at once, by settings.
    pub(super) fn show(
        &mut self,
        identity: u64,
        protocol: u64,
        status: Step,
        display_name: String,
        mediator_id: Option<u64>,
    ) -> Result<data::Invitation, Status> {
        let timestamp = self.now();
        let own = self.own_mut(identity)?;
        let id = next(&mut own.ids.invitation);
        let shown = data::Invitation { id, status: status as i32, display_name, timestamp, sas: None, mediator_id };
        own.invitations.insert(id, Invitation { protocol, shown: shown.clone() });
        let invitation = Some(shown.clone());
        if matches!(status, Step::InvitationWaitItToAccept | Step::OneToOneInvitationWaitItToAccept) {
            self.notify(identity, "invitation_sent", &note::InvitationSentNotification { invitation });
        } else {
            self.notify(identity, "invitation_received", &note::InvitationReceivedNotification { invitation });
        }
        Ok(shown)
    }

    /// Accepts an invitation for an identity whose settings say so.
    pub(super) fn accept_by_settings(&mut self, identity: u64, id: u64) {
        let Ok(own) = self.own(identity) else { return };
        let auto = own.settings.invitation.unwrap_or_default();
        let accepts = match own.invitations.get(&id).map(|invitation| invitation.shown.status()) {
            Some(Step::InvitationWaitYouToAccept) => auto.auto_accept_invitation,
            Some(Step::IntroductionWaitYouToAccept) => auto.auto_accept_introduction,
            Some(Step::OneToOneInvitationWaitYouToAccept) => auto.auto_accept_one_to_one,
            Some(Step::GroupInvitationWaitYouToAccept) => auto.auto_accept_group,
            _ => false,
        };
        if accepts {
            // It waits to be accepted, so this cannot fail; were it to, the invitation would just stay.
            let _ = self.accept(identity, id);
        }
    }

    /// Invites somebody to a group they were put into.
    pub(super) fn invite_to_group(&mut self, peer: u64, group: u64) {
        let name = self.group_title(group);
        let protocol = self.start(Protocol::Group { group, to: peer });
        if let Ok(shown) = self.show(peer, protocol, Step::GroupInvitationWaitYouToAccept, name, None) {
            self.accept_by_settings(peer, shown.id);
        }
    }

    /// Takes back the invitations to a group, of one identity or of all.
    pub(super) fn withdraw_invitations(&mut self, group: u64, of: Option<u64>) {
        let concerned = |protocol: &Protocol| match protocol {
            Protocol::Group { group: number, to } => *number == group && of.is_none_or(|of| of == *to),
            _ => false,
        };
        let numbers: Vec<u64> =
            self.protocols.iter().filter(|(_, protocol)| concerned(protocol)).map(|(number, _)| *number).collect();
        for number in numbers {
            self.finish(number);
        }
    }

    /// Accepts an invitation.
    pub(super) fn accept(&mut self, me: u64, id: u64) -> Result<(), Status> {
        let (number, status) = self.invitation(me, id)?;
        let protocol = self.protocols.get(&number).cloned().ok_or_else(|| not_found("Invitation"))?;
        match (status, protocol) {
            (Step::InvitationWaitYouToAccept, Protocol::Link { from, to, .. }) => {
                for side in [to, from] {
                    self.advance(side, number, Step::InvitationWaitYouForSasExchange, Some(code(number, side)));
                }
            }
            (Step::OneToOneInvitationWaitYouToAccept, Protocol::OneToOne { from, to }) => {
                self.finish(number);
                self.befriend(to, from, false);
            }
            (Step::IntroductionWaitYouToAccept, Protocol::Introduction { pair, mut agreed }) => {
                agreed.insert(me);
                if agreed.len() == pair.len() {
                    self.finish(number);
                    self.befriend(pair[0], pair[1], true);
                } else {
                    self.protocols.insert(number, Protocol::Introduction { pair, agreed });
                    self.advance(me, number, Step::IntroductionWaitItToAccept, None);
                }
            }
            (Step::GroupInvitationWaitYouToAccept, Protocol::Group { group, to }) => {
                self.finish(number);
                self.join(to, group);
            }
            _ => return Err(invalid("the invitation does not wait for you to accept it")),
        }
        Ok(())
    }

    /// Declines an invitation; whoever else sees it loses it too.
    pub(super) fn decline(&mut self, me: u64, id: u64) -> Result<(), Status> {
        let (number, status) = self.invitation(me, id)?;
        let waits = matches!(
            status,
            Step::InvitationWaitYouToAccept
                | Step::IntroductionWaitYouToAccept
                | Step::OneToOneInvitationWaitYouToAccept
                | Step::GroupInvitationWaitYouToAccept
        );
        if !waits {
            return Err(invalid("the invitation does not wait for you to accept it"));
        }
        self.abort(me, number);
        Ok(())
    }

    /// Ends a protocol without success. A declined group keeps who declined it, marked so.
    pub(super) fn abort(&mut self, me: u64, number: u64) {
        let group = match self.protocols.get(&number) {
            Some(Protocol::Group { group, .. }) => Some(*group),
            _ => None,
        };
        self.finish(number);
        let Some(group) = group else { return };
        let person = self.groups.get_mut(&group).and_then(|group| group.people.get_mut(&me));
        if let Some(person) = person {
            person.declined = true;
        }
        self.tell_pending(me, group, |group, pending_member| {
            ("group_pending_member_removed", note::GroupPendingMemberRemovedNotification { group, pending_member })
        });
    }

    /// Enters the code that the other side has read out.
    pub(super) fn enter_code(&mut self, me: u64, id: u64, entered_code: &str) -> Result<(), Status> {
        let (number, status) = self.invitation(me, id)?;
        let Some(Protocol::Link { from, to, entered }) = self.protocols.get_mut(&number) else {
            return Err(invalid("the invitation has no code"));
        };
        if status != Step::InvitationWaitYouForSasExchange {
            return Err(invalid("the invitation does not wait for a code"));
        }
        let (from, to) = (*from, *to);
        let other = if me == from { to } else { from };
        if entered_code != code(number, other) {
            return Err(invalid("the code is wrong"));
        }
        entered.insert(me);
        if entered.len() < 2 {
            self.advance(me, number, Step::InvitationWaitItForSasExchange, Some(code(number, me)));
        } else {
            self.finish(number);
            self.befriend(from, to, false);
        }
        Ok(())
    }

    /// The protocol and the status of one side's invitation.
    pub(super) fn invitation(&self, me: u64, id: u64) -> Result<(u64, Step), Status> {
        let found = self.own(me)?.invitations.get(&id).ok_or_else(|| not_found("Invitation"))?;
        Ok((found.protocol, found.shown.status()))
    }

    /// The name of the other side of a protocol.
    pub(super) fn name_across(&self, protocol: u64, identity: u64) -> String {
        let other = self.protocols.get(&protocol).map(|protocol| protocol.other(identity)).unwrap_or_default();
        self.identities.get(&other).map(|other| display_name(&other.details)).unwrap_or_default()
    }

    /// Gives one side's invitation another status.
    fn advance(&mut self, identity: u64, protocol: u64, status: Step, sas: Option<String>) {
        let Ok(own) = self.own_mut(identity) else { return };
        let found = own.invitations.values_mut().find(|invitation| invitation.protocol == protocol);
        let Some(invitation) = found else { return };
        let previous_invitation_status = std::mem::replace(&mut invitation.shown.status, status as i32);
        invitation.shown.sas = sas;
        let invitation = Some(invitation.shown.clone());
        let notification = note::InvitationUpdatedNotification { invitation, previous_invitation_status };
        self.notify(identity, "invitation_updated", &notification);
    }

    /// Ends a protocol: every side's invitation goes.
    pub(super) fn finish(&mut self, number: u64) {
        let Some(protocol) = self.protocols.remove(&number) else { return };
        for side in protocol.sides() {
            let Ok(own) = self.own_mut(side) else { continue };
            let id = own.invitations.iter().find(|(_, invitation)| invitation.protocol == number).map(|(id, _)| *id);
            if let Some(invitation) = id.and_then(|id| own.invitations.remove(&id)) {
                let invitation = Some(invitation.shown);
                self.notify(side, "invitation_deleted", &note::InvitationDeletedNotification { invitation });
            }
        }
    }
}
