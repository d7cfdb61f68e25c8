//! The simulated world: identities that reach each other, each with its own view of what they share.
//!
//! Every identity has tables of its own with ids of its own, as every daemon has; what belongs together across
//! identities carries a number of the world's (a post, a group, a protocol). An action changes all tables it concerns and
//! leaves behind, in order, the notifications that follow. Nothing here sends or waits: the floor above publishes.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use tonic::Status;

use super::{
    Clock, Options,
    proto::{command, data},
};

mod access;
mod admin;
mod attachments;
mod call;
mod calls;
mod contacts;
mod delivery;
mod discussions;
mod groups;
mod groups_update;
mod identities;
mod invitations;
mod keycloak;
mod locations;
mod messages;
mod photos;
mod protocols;
mod settings;
mod storage;
mod subscriptions;
mod tools;
mod views;

use call::Call;
use groups::Group;
use protocols::Protocol;

pub(super) use access::{Access, Caller};
pub(super) use call::Reply;

/// All there is.
#[derive(Debug)]
pub(super) struct World {
    clock: Clock,
    version: String,
    check_ids: bool,
    identities: BTreeMap<u64, Identity>,
    keys: Vec<access::Key>,
    groups: BTreeMap<u64, Group>,
    protocols: BTreeMap<u64, Protocol>,
    storage: storage::Storage,
    backup: admin::Backups,
    /// Counts posts, groups, protocols and calls: numbers that no client sees as such.
    next: u64,
    next_identity: u64,
    last_sort_index: f64,
    events: Vec<Event>,
}

/// Something that an identity is to be notified of.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) identity: u64,
    pub(super) subscription: &'static str,
    pub(super) notification: Bytes,
    /// The message that a client has read when it gets this.
    reads: Option<MessageKey>,
}

/// One identity with everything it has.
#[derive(Debug, Default)]
struct Identity {
    name: String,
    details: data::IdentityDetails,
    photo: Option<Bytes>,
    settings: data::IdentitySettings,
    contacts: BTreeMap<u64, Contact>,
    discussions: BTreeMap<u64, Discussion>,
    /// The ids of groups to their numbers and what is known of them.
    groups: BTreeMap<u64, groups::Membership>,
    invitations: BTreeMap<u64, protocols::Invitation>,
    messages: BTreeMap<MessageKey, Letter>,
    /// Posts to this identity's copies of them.
    copies: HashMap<u64, MessageKey>,
    attachments: BTreeMap<MessageKey, attachments::File>,
    ids: Ids,
}

/// A type and a number: of messages and of attachments.
type MessageKey = (i32, u64);

/// Somebody in an identity's address book, with what is known of them.
#[derive(Debug, Clone)]
struct Contact {
    peer: u64,
    details: data::IdentityDetails,
    photo: Option<Bytes>,
    one_to_one: bool,
}

/// An identity's side of a conversation.
#[derive(Debug, Clone)]
struct Discussion {
    with: With,
    title: String,
    locked: bool,
    settings: data::DiscussionSettings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum With {
    /// A contact, by the id it has here, and the identity that it is.
    Contact(u64, u64),
    /// A group, by the id it has here, and its number.
    Group(u64, u64),
}

/// One identity's copy of a post.
#[derive(Debug, Clone)]
struct Letter {
    post: u64,
    message: data::Message,
    unread: bool,
}

/// The last ids given out. Each identity starts elsewhere, and so does each kind of thing, so that an id used on the
/// wrong side or for the wrong thing finds nothing.
#[derive(Debug, Default, Clone)]
struct Ids {
    contact: u64,
    discussion: u64,
    group: u64,
    invitation: u64,
    pending_member: u64,
    inbound: u64,
    outbound: u64,
    inbound_attachment: u64,
    outbound_attachment: u64,
}

impl Ids {
    fn of(identity: u64) -> Self {
        let base = (identity - 1) * 1000;
        Self {
            contact: base,
            discussion: base + 100,
            group: base + 200,
            invitation: base + 300,
            pending_member: base + 400,
            inbound: base,
            outbound: base,
            inbound_attachment: base + 500,
            outbound_attachment: base + 500,
        }
    }
}

/// Counts up and returns the new number.
fn next(counter: &mut u64) -> u64 {
    *counter += 1;
    *counter
}

/// What is said of an id that nothing has.
fn not_found(what: &str) -> Status {
    Status::not_found(format!("{what} not found"))
}

/// What is said of an argument that makes no sense.
fn invalid(why: &str) -> Status {
    Status::invalid_argument(why)
}

impl World {
    pub(super) fn new(options: Options) -> Self {
        let mut world = Self {
            clock: options.clock,
            version: options.version,
            check_ids: options.check_ids,
            identities: BTreeMap::new(),
            keys: Vec::new(),
            groups: BTreeMap::new(),
            protocols: BTreeMap::new(),
            storage: storage::Storage::default(),
            backup: admin::Backups::default(),
            next: 0,
            next_identity: 0,
            last_sort_index: 0.0,
            events: Vec::new(),
        };
        world.keys.extend(options.admin_keys.into_iter().map(access::Key::temporary_admin));
        for (name, key) in options.identities {
            let details = data::IdentityDetails { first_name: Some(name.clone()), ..Default::default() };
            let identity = world.add_identity(name.clone(), details);
            world.keys.push(access::Key::of(identity, name, key));
        }
        let all: Vec<u64> = world.identities.keys().copied().collect();
        for (at, one) in all.iter().enumerate() {
            for other in &all[..at] {
                world.befriend(*one, *other, false);
            }
        }
        // What came before anybody could listen is not news.
        world.events.clear();
        world
    }

    /// Does a command. Events are left behind even where it fails half-way, as what happened has happened.
    pub(super) fn call(&mut self, caller: &Caller, name: &str, frames: &[Bytes]) -> Result<Reply, Status> {
        let call = Call { name, frames };
        let areas = [
            Self::tool_command,
            Self::message_command,
            Self::location_command,
            Self::attachment_command,
            Self::discussion_command,
            Self::contact_command,
            Self::group_command,
            Self::invitation_command,
            Self::identity_command,
            Self::settings_command,
            Self::storage_command,
            Self::call_command,
            Self::keycloak_command,
            Self::admin_command,
        ];
        let outcome = areas.into_iter().find_map(|area| area(self, caller, &call));
        outcome.unwrap_or_else(|| Err(Status::unimplemented(format!("{name} is not simulated"))))
    }

    /// What the last command left behind, in order.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Learns how many streams an event reached: a message that a client was sent is no longer unread.
    pub(super) fn published(&mut self, event: &Event, reached: usize) {
        let Some(key) = event.reads.filter(|_| reached > 0) else { return };
        if let Some(letter) = self.identities.get_mut(&event.identity).and_then(|own| own.messages.get_mut(&key)) {
            letter.unread = false;
        }
    }

    /// Milliseconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Finds an identity by its name.
    pub(super) fn identity_named(&self, name: &str) -> Option<u64> {
        self.identities.iter().find(|(_, identity)| identity.name == name).map(|(id, _)| *id)
    }

    /// Tells whether there is an identity.
    pub(super) fn has(&self, identity: u64) -> bool {
        self.identities.contains_key(&identity)
    }

    /// The name of an identity; empty where there is none.
    pub(super) fn name_of(&self, identity: u64) -> String {
        self.identities.get(&identity).map(|identity| identity.name.clone()).unwrap_or_default()
    }

    fn notify(&mut self, identity: u64, subscription: &'static str, notification: &impl prost::Message) {
        let notification = notification.encode_to_vec().into();
        self.events.push(Event { identity, subscription, notification, reads: None });
    }

    fn own(&self, identity: u64) -> Result<&Identity, Status> {
        self.identities.get(&identity).ok_or_else(|| not_found("Identity"))
    }

    fn own_mut(&mut self, identity: u64) -> Result<&mut Identity, Status> {
        self.identities.get_mut(&identity).ok_or_else(|| not_found("Identity"))
    }

    fn add_identity(&mut self, name: String, details: data::IdentityDetails) -> u64 {
        let id = next(&mut self.next_identity);
        let identity = Identity { name, details, ids: Ids::of(id), ..Default::default() };
        self.identities.insert(id, identity);
        id
    }

    /// A number that sorts behind all before it and is a time stamp as long as time goes on.
    fn sort_index(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "time stamps have far less than 53 bits")]
        let now = self.now() as f64;
        // A sixteenth of a millisecond is exact at this size.
        self.last_sort_index = now.max(self.last_sort_index + 0.0625);
        self.last_sort_index
    }
}

impl Identity {
    fn contact_of(&self, peer: u64) -> Option<u64> {
        self.contacts.iter().find(|(_, contact)| contact.peer == peer).map(|(id, _)| *id)
    }

    /// The discussion with an identity that is a contact, locked or not.
    fn discussion_with(&self, peer: u64) -> Option<u64> {
        let with_peer = |with: With| matches!(with, With::Contact(_, identity) if identity == peer);
        self.discussions.iter().find(|(_, discussion)| with_peer(discussion.with)).map(|(id, _)| *id)
    }

    /// The discussion of a group, by its number, locked or not.
    fn discussion_of(&self, group: u64) -> Option<u64> {
        let of_group = |with: With| matches!(with, With::Group(_, number) if number == group);
        self.discussions.iter().find(|(_, discussion)| of_group(discussion.with)).map(|(id, _)| *id)
    }

    /// The id that a group has here, by its number.
    fn group_of(&self, group: u64) -> Option<u64> {
        self.groups.iter().find(|(_, membership)| membership.group == group).map(|(id, _)| *id)
    }

    /// A discussion that may be used.
    fn open_discussion(&self, id: u64) -> Result<&Discussion, Status> {
        let found = self.discussions.get(&id).filter(|discussion| !discussion.locked);
        found.ok_or_else(|| not_found("Discussion"))
    }
}

/// The message that an optional id names. Clients send an empty one where they mean none.
fn named_message(id: Option<data::MessageId>) -> Option<MessageKey> {
    id.filter(|id| id.id != 0 || id.r#type != 0).map(|id| message_key(Some(id)))
}

fn message_key(id: Option<data::MessageId>) -> MessageKey {
    id.map(|id| (id.r#type, id.id)).unwrap_or_default()
}

fn message_id((kind, id): MessageKey) -> data::MessageId {
    data::MessageId { r#type: kind, id }
}
