//! What each step does, with everything it needs made before.

use std::{
    fs,
    hint::black_box,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use mlua::{IntoLua as _, Table, Value};
use olvid_rules::{
    lua::{CREDITS, Counters, Prepared, RuleQueue, Script, ScriptSpec, bare::Bare},
    report::Reporter,
    rules::RuleSet,
    schema::{Cardinality, Catalog, Field, Kind, Message},
};
use serde_json::{Value as Json, json};
use tokio::runtime::{self, Runtime};

use crate::written::written;

/// Rules of the file that is loaded.
const RULES: usize = 1000;

/// Something that is done once for a notification, a command or a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// A notification's bytes to its table, every field of it set.
    Table(&'static str),
    /// That of every kind, one after another.
    Tables,
    /// A command's arguments to its bytes.
    Encode,
    /// A queue's credits, put in at once, each handled by a handler that does nothing.
    Dispatch,
    /// A file of [`RULES`] rules read and checked.
    Load,
}

impl Step {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let mut known = Vec::new();
        let tables = Catalog::embedded().subscriptions().iter().filter_map(move |subscription| {
            // By what is in it: many bring the same.
            let kinds: Vec<_> = subscription.method.output.fields.iter().map(Field::type_name).collect();
            let is_new = !known.contains(&kinds);
            known.push(kinds);
            is_new.then_some(Self::Table(&subscription.name))
        });
        tables.chain([Self::Encode, Self::Dispatch, Self::Load])
    }

    /// Those whose instructions are counted. All tables together: each by itself differs by a few percent from run to run, as
    /// Lua's hashes have another seed each time.
    pub(crate) const COUNTED: [Self; 4] = [Self::Tables, Self::Encode, Self::Dispatch, Self::Load];

    pub(crate) fn named(name: &str) -> Self {
        Self::COUNTED.into_iter().find(|step| step.name() == name).unwrap()
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Table(subscription) => format!("table/{subscription}"),
            Self::Tables => "table/every".to_owned(),
            Self::Encode => "encode/message_send".to_owned(),
            Self::Dispatch => format!("dispatch/{CREDITS}"),
            Self::Load => format!("load/{RULES}"),
        }
    }

    /// How often it is done to be counted: what it takes the first time is left out by comparing with twice as often.
    pub(crate) fn times(self) -> u64 {
        match self {
            Self::Table(_) | Self::Encode => 2000,
            Self::Tables => 200,
            Self::Dispatch => 40,
            Self::Load => 2,
        }
    }

    /// Makes what it needs.
    pub(crate) fn prepare(self) -> Box<dyn FnMut()> {
        match self {
            Self::Table(subscription) => table(subscription),
            Self::Tables => {
                let all = Self::all().filter(|step| matches!(step, Self::Table(_)));
                let mut all: Vec<_> = all.map(Self::prepare).collect();
                Box::new(move || all.iter_mut().for_each(|table| table()))
            }
            Self::Encode => arguments(),
            Self::Dispatch => {
                let served = Served::new();
                Box::new(move || served.handle_all())
            }
            Self::Load => rules(),
        }
    }
}

fn table(subscription: &str) -> Box<dyn FnMut()> {
    let plan = &Catalog::embedded().subscription(subscription).unwrap().method.output;
    let (bare, bytes) = (Bare::new().unwrap(), written(plan, &full(plan)));
    Box::new(move || drop(black_box(bare.table(plan, black_box(&bytes)).unwrap())))
}

fn arguments() -> Box<dyn FnMut()> {
    let plan = &Catalog::embedded().command("message_send").unwrap().method.input;
    let bare = Bare::new().unwrap();
    let given: Table = bare.lua.load("return { discussion_id = 7, body = 'pong', ephemerality = {} }").eval().unwrap();
    let given = given.into_lua(&bare.lua).unwrap();
    Box::new(move || drop(black_box(bare.bytes(plan, Value::clone(&given)).unwrap())))
}

fn rules() -> Box<dyn FnMut()> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ping.lua"), "").unwrap();
    let rule = |number| {
        format!(
            "  - name: rule-{number}\n    subscription: message_received\n    filter: {{ discussion_id: {number} }}\n    \
             handler: ping.lua\n"
        )
    };
    let path = folder.path().join("rules.yaml");
    fs::write(&path, format!("rules:\n{}", (1..=RULES).map(rule).collect::<String>())).unwrap();
    Box::new(move || {
        let _folder = &folder;
        assert_eq!(loaded(&path).rules.len(), RULES);
    })
}

fn loaded(path: &Path) -> RuleSet {
    let (rules, told) = RuleSet::load(&[path.to_path_buf()], Catalog::embedded());
    assert!(told.is_empty(), "{told:?}");
    rules
}

/// A script on its thread with one rule, and notifications for it.
struct Served {
    runtime: Runtime,
    queue: RuleQueue,
    batch: Vec<Bytes>,
    counters: Arc<Counters>,
    _script: Script,
}

impl Served {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ping.lua"), "return function(notification) end").unwrap();
        let path = folder.path().join("rules.yaml");
        let rule = "rules:\n  - { name: ping, subscription: message_received, handler: ping.lua }\n";
        fs::write(&path, rule).unwrap();
        let rules = loaded(&path);
        let spec = ScriptSpec::group(&rules).pop().unwrap();
        let counters = Arc::<Counters>::default();
        let runtime = runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let loading = Prepared::load(spec, None, Reporter::new(Vec::new()), Arc::clone(&counters), None);
        let script = runtime.block_on(loading).ok().unwrap().start();
        let queue = RuleQueue::new();
        script.attach(&[(Arc::clone(&rules.rules[0]), queue.clone())]);
        let plan = &Catalog::embedded().subscription("message_received").unwrap().method.output;
        let message = |discussion| {
            json!({ "message": {
                "id": { "type": "TYPE_INBOUND", "id": 17 }, "discussion_id": discussion, "sender_id": 3, "body": "!ping",
                "timestamp": 1_764_375_000_000_u64,
            } })
        };
        let batch = (0..CREDITS).map(|number| written(plan, &message(number % 64 + 1))).collect();
        Self { runtime, queue, batch, counters, _script: script }
    }

    fn handle_all(&self) {
        let before = self.counters.settled.load(Ordering::Acquire);
        let mut rest = &*self.batch;
        self.runtime.block_on(async {
            while !rest.is_empty() {
                rest = &rest[self.queue.push_some(rest, false).await.unwrap()..];
            }
        });
        // The thread is woken once and works all off; nobody is told of the end.
        while self.counters.settled.load(Ordering::Acquire) - before < CREDITS as u64 {
            std::thread::yield_now();
        }
    }
}

/// A message with every field set, one member of each oneof.
fn full(plan: &Message) -> Json {
    let fields = plan
        .fields
        .iter()
        .enumerate()
        .filter(|(index, field)| field.oneof.is_none_or(|oneof| plan.oneofs[oneof].members.first() == Some(index)));
    let value = |kind: &Kind| match kind {
        Kind::Bool => json!(true),
        Kind::Float | Kind::Double => json!(1.5),
        Kind::String => json!("a text of a few words, as people write them"),
        Kind::Bytes => json!("bytes"),
        Kind::Enum(plan) => json!(plan.values.last().unwrap().name),
        Kind::Message(plan) => full(plan),
        _ => json!(1234),
    };
    let set = fields.map(|(_, field)| {
        let one = value(&field.kind);
        (field.name.clone(), if field.cardinality == Cardinality::Repeated { json!([one]) } else { one })
    });
    Json::Object(set.collect())
}
