//! The catalog: every subscription and command, found by reflection over the embedded descriptors.
//!
//! A subscription is a server stream of a `*NotificationService`; everything else is a command, an administrator's when
//! its service is an `*AdminService`. How a command's answer unwraps and how an upload is sent follow from its shape.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, LazyLock},
};

use prost_reflect::{
    Cardinality as ProtoCardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor,
    Kind as ProtoKind, MessageDescriptor, MethodDescriptor, prost::DecodeError,
};

use super::{
    acts::{self, AuthorPath},
    comments::{self, Comments},
    message::{Cardinality, Enum, Field, Kind, Message, Oneof},
    names,
    probes::Probes,
    recovery::Recovery,
};

/// The descriptors that `build.rs` compiled from `proto/`, without comments.
pub static DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

static EMBEDDED: LazyLock<Catalog> = LazyLock::new(|| {
    // The input is fixed at build time and a test loads it: a failure here cannot depend on what a user does.
    Catalog::made().unwrap_or_else(|error| unreachable!("embedded descriptors: {error}"))
});

/// Everything the daemon offers.
#[derive(Debug)]
pub struct Catalog {
    services: Vec<Service>,
    subscriptions: Vec<Arc<Subscription>>,
    commands: Vec<Arc<Command>>,
    by_path: HashMap<String, Entry>,
    messages: HashMap<String, Arc<Message>>,
    probes: Probes,
}

/// A group of RPCs.
#[derive(Debug)]
pub struct Service {
    /// Without its package.
    pub name: String,
    /// What the proto file says of it.
    pub doc: String,
}

/// What a gRPC path leads to.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A stream of notifications.
    Subscription(Arc<Subscription>),
    /// A command.
    Command(Arc<Command>),
}

/// A stream of notifications.
#[derive(Debug)]
pub struct Subscription {
    /// `message_received`.
    pub name: String,
    /// `MessageReceived`, as the documentation writes it.
    pub documented: String,
    /// Its input holds the parameters, its output is the notification.
    pub method: Method,
    /// How to find out what was missed; none where it is lost.
    pub recovery: Option<Arc<Recovery>>,
    /// Where a notification says who did it; none where it does not.
    pub author: Option<AuthorPath>,
}

/// A request and its answer.
#[derive(Debug)]
pub struct Command {
    /// `message_send`; an administrator's starts with `admin_`.
    pub name: String,
    /// Whether it needs an administrator's key.
    pub admin: bool,
    /// Whether others notice what it does, and may answer.
    pub speaks: bool,
    /// Whether it only reads: nothing is otherwise after it.
    pub reads: bool,
    /// How it is called and what the caller gets.
    pub shape: Shape,
    /// The RPC.
    pub method: Method,
}

/// An RPC.
#[derive(Debug)]
pub struct Method {
    /// The service's name without its package.
    pub service: String,
    /// The RPC's name.
    pub name: String,
    /// `/package.Service/Name`.
    pub path: String,
    /// What is sent.
    pub input: Arc<Message>,
    /// What comes back, or one element of the stream that comes back.
    pub output: Arc<Message>,
    /// What the proto file says of it, documented errors left out.
    pub doc: String,
    /// The documented errors: gRPC code and reason.
    pub errors: Vec<(String, String)>,
}

/// How a command is called and what the caller gets.
#[derive(Debug)]
pub enum Shape {
    /// One request, one answer.
    Unary(Answer),
    /// A stream of pages whose only field is a list: the caller gets its elements. The index is the list's.
    List(usize),
    /// A stream of pages that carry more than a list: the caller gets the pages.
    Pages,
    /// A stream of chunks: the caller gets their concatenation. The index is the chunk's.
    Download(usize),
    /// A stream of requests that carries files.
    Upload(Upload, Answer),
}

/// What the caller gets of an answer.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// The answer has no fields.
    Nothing,
    /// Its only field, by index.
    Field(usize),
    /// All of it.
    Whole,
}

/// The members of an upload's `oneof`, as field indices of its input.
#[derive(Debug, Clone, Copy)]
pub struct Upload {
    /// Sent first: the parameters with the files' names and sizes.
    pub metadata: usize,
    /// A piece of a file.
    pub payload: usize,
    /// Sent behind each file where several may follow; the metadata then holds a list of files.
    pub delimiter: Option<usize>,
}

/// Why a descriptor set was not understood.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Not a descriptor set.
    #[error("not a descriptor set")]
    Descriptors(#[from] prost_reflect::DescriptorError),
    /// The same of the comments.
    #[error("no comments")]
    Comments(#[from] DecodeError),
    /// An RPC of a form that has no meaning here.
    #[error("`{0}` streams in a way that this program does not know")]
    Shape(String),
    /// A message too big for the conversions, which keep a bit for each field.
    #[error("`{0}` has more than 64 fields")]
    Fields(String),
    /// An option that names what there is not.
    #[error("an option of `{0}` does not fit: {1}")]
    Option(String, &'static str),
}

impl Catalog {
    /// The catalog of the embedded descriptors.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// Makes the catalog of the embedded descriptors and of what the proto files say of them.
    fn made() -> Result<Self, SchemaError> {
        let pool = DescriptorPool::decode(DESCRIPTORS)?;
        let mut builder = Builder { comments: Comments::embedded()?, ..Builder::default() };
        let mut services = Vec::new();
        let (mut streams, mut commands, mut by_path) = (Vec::new(), Vec::new(), HashMap::new());
        let mut probes = Probes::default();
        for service in pool.services() {
            let doc = builder.comment(&service.parent_file(), service.path());
            services.push(Service { name: service.name().to_owned(), doc });
            for rpc in service.methods() {
                let method = builder.method(&rpc);
                if service.name().ends_with("NotificationService") {
                    streams.push((rpc, method));
                } else {
                    let admin = service.name().ends_with("AdminService");
                    let prefix = if admin { "admin_" } else { "" };
                    let name = format!("{prefix}{}", names::snake_case(&method.name));
                    let shape = Shape::of(&rpc, &method).ok_or_else(|| SchemaError::Shape(method.path.clone()))?;
                    let entry = Arc::new(Command {
                        name,
                        admin,
                        speaks: acts::speaks(&rpc),
                        reads: acts::reads(&rpc),
                        shape,
                        method,
                    });
                    probes.note(&rpc, &entry)?;
                    by_path.insert(entry.method.path.clone(), Entry::Command(Arc::clone(&entry)));
                    commands.push(entry);
                }
            }
        }
        let mut subscriptions = Vec::with_capacity(streams.len());
        for (rpc, method) in streams {
            let recovery = Recovery::of(&rpc, &method, &commands)?.map(Arc::new);
            let author = AuthorPath::of(&rpc, &method)?;
            let (name, documented) = (names::snake_case(&method.name), method.name.clone());
            let entry = Arc::new(Subscription { name, documented, method, recovery, author });
            by_path.insert(entry.method.path.clone(), Entry::Subscription(Arc::clone(&entry)));
            subscriptions.push(entry);
        }
        let describing = describing(&pool);
        let sent = |message: &MessageDescriptor| !describing.contains(message.parent_file().name());
        for message in pool.all_messages().filter(sent) {
            if builder.message(&message).fields.len() > 64 {
                return Err(SchemaError::Fields(message.full_name().to_owned()));
            }
        }
        Ok(Self { services, subscriptions, commands, by_path, messages: builder.messages, probes })
    }

    /// Every service, in the order of the proto files.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Every subscription, by service in the order of the proto files.
    pub fn subscriptions(&self) -> &[Arc<Subscription>] {
        &self.subscriptions
    }

    /// Every command, by service in the order of the proto files.
    pub fn commands(&self) -> &[Arc<Command>] {
        &self.commands
    }

    /// Finds a subscription by either spelling.
    pub fn subscription(&self, name: &str) -> Option<&Arc<Subscription>> {
        self.subscriptions.iter().find(|entry| entry.name == name || entry.documented == name)
    }

    /// Finds a command by its name.
    pub fn command(&self, name: &str) -> Option<&Arc<Command>> {
        self.commands.iter().find(|entry| entry.name == name)
    }

    /// Finds what a gRPC path leads to.
    pub fn at_path(&self, path: &str) -> Option<&Entry> {
        self.by_path.get(path)
    }

    /// The commands by which it is found out what is wrong.
    pub fn probes(&self) -> &Probes {
        &self.probes
    }

    /// Finds a message by its full name.
    pub fn message(&self, full_name: &str) -> Option<&Arc<Message>> {
        self.messages.get(full_name)
    }

    /// Every message, in no particular order.
    pub fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.messages.values()
    }
}

impl Shape {
    fn of(rpc: &MethodDescriptor, method: &Method) -> Option<Self> {
        let only = match method.output.fields.as_slice() {
            [field] => Some(field),
            _ => None,
        };
        let answer = match method.output.fields.len() {
            0 => Answer::Nothing,
            1 => Answer::Field(0),
            _ => Answer::Whole,
        };
        match (rpc.is_client_streaming(), rpc.is_server_streaming()) {
            (false, false) => Some(Self::Unary(answer)),
            (false, true) => Some(match only {
                Some(field) if field.cardinality == Cardinality::Repeated => Self::List(0),
                Some(field) if matches!(field.kind, Kind::Bytes) => Self::Download(0),
                _ => Self::Pages,
            }),
            (true, false) => Some(Self::Upload(Upload::of(&method.input)?, answer)),
            (true, true) => None,
        }
    }
}

impl Upload {
    fn of(input: &Message) -> Option<Self> {
        let find = |wanted: fn(&Kind) -> bool| input.fields.iter().position(|field| wanted(&field.kind));
        Some(Self {
            metadata: find(|kind| matches!(kind, Kind::Message(_)))?,
            payload: find(|kind| matches!(kind, Kind::Bytes))?,
            delimiter: find(|kind| matches!(kind, Kind::Bool)),
        })
    }
}

/// Builds each message and enum once.
#[derive(Default)]
struct Builder {
    comments: Comments,
    messages: HashMap<String, Arc<Message>>,
    enums: HashMap<String, Arc<Enum>>,
}

impl Builder {
    fn method(&mut self, rpc: &MethodDescriptor) -> Method {
        let service = rpc.parent_service();
        let (doc, errors) = comments::split_errors(&self.comment(&rpc.parent_file(), rpc.path()));
        Method {
            service: service.name().to_owned(),
            name: rpc.name().to_owned(),
            path: format!("/{}/{}", service.full_name(), rpc.name()),
            input: self.message(&rpc.input()),
            output: self.message(&rpc.output()),
            doc,
            errors,
        }
    }

    fn message(&mut self, descriptor: &MessageDescriptor) -> Arc<Message> {
        if let Some(known) = self.messages.get(descriptor.full_name()) {
            return Arc::clone(known);
        }
        let mut descriptors: Vec<_> = descriptor.fields().collect();
        descriptors.sort_by_key(|field| field.path().last().copied());
        let real: Vec<_> = descriptor.oneofs().filter(|oneof| !oneof.is_synthetic()).collect();
        let file = descriptor.parent_file();
        let mut oneofs = Vec::with_capacity(real.len());
        for oneof in &real {
            let doc = self.comment(&file, oneof.path());
            oneofs.push(Oneof { name: oneof.name().to_owned(), doc, members: Vec::new() });
        }
        let mut fields = Vec::with_capacity(descriptors.len());
        for (index, field) in descriptors.iter().enumerate() {
            let oneof = field.containing_oneof().and_then(|one| real.iter().position(|other| *other == one));
            if let Some(oneof) = oneof {
                oneofs[oneof].members.push(index);
            }
            fields.push(self.field(field, oneof));
        }
        let full_name = descriptor.full_name().to_owned();
        let name = local_name(&full_name, descriptor.package_name());
        let doc = self.comment(&file, descriptor.path());
        let plan = Arc::new(Message::new(full_name.clone(), name, doc, fields, oneofs));
        self.messages.insert(full_name, Arc::clone(&plan));
        plan
    }

    fn field(&mut self, field: &FieldDescriptor, oneof: Option<usize>) -> Field {
        let cardinality = match field.cardinality() {
            ProtoCardinality::Repeated => Cardinality::Repeated,
            _ if field.supports_presence() => Cardinality::Optional,
            _ => Cardinality::Implicit,
        };
        Field {
            number: field.number(),
            name: field.name().to_owned(),
            doc: self.comment(&field.parent_message().parent_file(), field.path()),
            kind: self.kind(&field.kind()),
            cardinality,
            optional: field.field_descriptor_proto().proto3_optional(),
            oneof,
        }
    }

    fn kind(&mut self, kind: &ProtoKind) -> Kind {
        match kind {
            ProtoKind::Bool => Kind::Bool,
            ProtoKind::Int32 => Kind::Int32,
            ProtoKind::Int64 => Kind::Int64,
            ProtoKind::Sint32 => Kind::Sint32,
            ProtoKind::Sint64 => Kind::Sint64,
            ProtoKind::Uint32 => Kind::Uint32,
            ProtoKind::Uint64 => Kind::Uint64,
            ProtoKind::Fixed32 => Kind::Fixed32,
            ProtoKind::Fixed64 => Kind::Fixed64,
            ProtoKind::Sfixed32 => Kind::Sfixed32,
            ProtoKind::Sfixed64 => Kind::Sfixed64,
            ProtoKind::Float => Kind::Float,
            ProtoKind::Double => Kind::Double,
            ProtoKind::String => Kind::String,
            ProtoKind::Bytes => Kind::Bytes,
            ProtoKind::Enum(descriptor) => Kind::Enum(self.enumeration(descriptor)),
            ProtoKind::Message(descriptor) => Kind::Message(self.message(descriptor)),
        }
    }

    fn enumeration(&mut self, descriptor: &EnumDescriptor) -> Arc<Enum> {
        if let Some(known) = self.enums.get(descriptor.full_name()) {
            return Arc::clone(known);
        }
        let file = descriptor.parent_file();
        let values = descriptor
            .values()
            .map(|value| (value.name().to_owned(), value.number(), self.comment(&file, value.path())))
            .collect();
        let full_name = descriptor.full_name().to_owned();
        let name = local_name(&full_name, descriptor.package_name());
        let doc = self.comment(&file, descriptor.path());
        let plan = Arc::new(Enum::new(full_name.clone(), name, doc, values));
        self.enums.insert(full_name, Arc::clone(&plan));
        plan
    }

    fn comment(&mut self, file: &FileDescriptor, path: &[i32]) -> String {
        self.comments.take(file.name(), path)
    }
}

/// The files of options and what they import: they describe the wire and are no part of it.
fn describing(pool: &DescriptorPool) -> HashSet<String> {
    let options = pool.files().filter(|file| file.extensions().len() > 0);
    options
        .flat_map(|file| {
            file.dependencies().chain([file.clone()]).map(|file| file.name().to_owned()).collect::<Vec<_>>()
        })
        .collect()
}

fn local_name(full_name: &str, package: &str) -> String {
    full_name.strip_prefix(package).unwrap_or(full_name).trim_start_matches('.').to_owned()
}
