//! Every command, called from a handler: what is asked arrives field by field, what is answered comes back, and a
//! refusal is an error that says what it must. All of it by reflection over the catalog.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "commands/dedicated.rs"]
mod dedicated;
#[path = "support/host.rs"]
mod host;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/values.rs"]
mod values;

use std::collections::BTreeMap;

use host::{Host, Setup, handler};
use olvid_rules::{
    schema::{Answer, Catalog, Command, Kind, Message, Shape, Upload},
    simulator::Reply,
};
use serde_json::{Value as Json, json};
use tonic::Code;
use values::{Content, Maker, Value, variants};

/// The one command that asks whether a key is an administrator's, and so is refused to any other.
const FOR_ADMINISTRATORS: &str = "authentication_admin_test";

/// One call of a command, and what is to come of it.
struct Case {
    command: &'static Command,
    /// A Lua table.
    arguments: String,
    /// What the daemon gets; of an upload, the first message.
    request: Json,
    reply: Vec<bytes::Bytes>,
    /// What the handler gets.
    answer: Json,
}

impl Case {
    fn new(command: &'static Command, variant: usize) -> Self {
        let (arguments, request) = if let Shape::Upload(upload, _) = &command.shape {
            upload_arguments(&command.method.input, *upload, variant)
        } else {
            let request = Maker::new(Content::Any, variant).message(&command.method.input);
            (request.lua(), request.json())
        };
        let output = &command.method.output;
        let pages = [(0, 0), (1, 1000)]
            .map(|(page, next)| Maker::new(Content::Text, variant + page).from(next).message(output));
        let only = |index: usize| output.fields[index].name.as_str();
        let joined = |name: &str| match (pages[0].get(name), pages[1].get(name)) {
            (Value::List(one), Value::List(two)) => one.iter().chain(two).map(Value::json).collect(),
            (Value::Text(one), Value::Text(two)) => Value::Text([one.clone(), two.clone()].concat()).json(),
            other => panic!("{other:?}"),
        };
        let (count, answer) = match &command.shape {
            Shape::Unary(answer) | Shape::Upload(_, answer) => match answer {
                Answer::Nothing => (1, Json::Null),
                Answer::Field(index) => (1, pages[0].get(only(*index)).json()),
                Answer::Whole => (1, pages[0].json()),
            },
            Shape::List(index) | Shape::Download(index) => (2, joined(only(*index))),
            Shape::Pages => (2, pages.iter().map(Value::json).collect()),
        };
        let reply = pages[..count].iter().map(|page| page.wire(output)).collect();
        Self { command, arguments, request, reply, answer }
    }

    /// The call in a handler, which says the answer as JSON.
    fn code(&self) -> String {
        let (name, arguments) = (&self.command.name, &self.arguments);
        match self.command.shape {
            Shape::List(_) | Shape::Pages => format!(
                "do local all = json.array {{}} for each in olvid.{name} {arguments} do all[#all + 1] = each end \
                 say(json.encode {{ answer = all }}) end"
            ),
            _ => format!("say(json.encode {{ answer = olvid.{name} {arguments} }})"),
        }
    }
}

/// An upload's arguments are those of its metadata, with the content in place of each file's size.
fn upload_arguments(input: &Message, upload: Upload, variant: usize) -> (String, Json) {
    let metadata = &input.fields[upload.metadata];
    let Kind::Message(plan) = &metadata.kind else { panic!("metadata is a message") };
    let is_file = |message: &Message| message.index_of("file_size").is_some();
    let list = plan.fields.iter().find(|field| matches!(&field.kind, Kind::Message(inner) if is_file(inner)));
    let own = |name: &str| name != "file_size" && name != "filename" && list.is_none_or(|list| list.name != name);
    let Value::Map(mut given) = Maker::new(Content::Any, variant).fields(plan, |field| own(&field.name)) else {
        panic!("a message is a map")
    };
    let mut request = Value::Map(given.clone()).json();
    let text = |text: &str| Value::Text(text.as_bytes().to_vec());
    let file =
        |name: &str, content: &str| vec![("filename".to_owned(), text(name)), ("content".to_owned(), text(content))];
    if let Some(list) = list {
        let files = vec![Value::Map(file("a.png", "12345")), Value::Map(file("é \"b\"", ""))];
        given.push((list.name.clone(), Value::List(files)));
        request[&list.name] =
            json!([{ "filename": "a.png", "file_size": 5 }, { "filename": "é \"b\"", "file_size": 0 }]);
    } else {
        given.extend(file("a.png", "12345"));
        request["filename"] = json!("a.png");
        request["file_size"] = json!(5);
    }
    (Value::Map(given).lua(), json!({ (metadata.name.clone()): request }))
}

/// All commands, each with as many variants as its oneofs ask for.
fn cases() -> Vec<Case> {
    let commands = Catalog::embedded().commands();
    assert_eq!(commands.len(), 106);
    let all = commands.iter().flat_map(|command| {
        let both = variants(&command.method.input).max(variants(&command.method.output));
        (0..both).map(|variant| Case::new(command, variant))
    });
    all.collect()
}

/// A log line is cut where it is long: a text in parts, none of which ends within a character, and an empty line.
const SAY: &str = r"
local function say(text)
  local from = 1
  while from <= #text do
    local to = math.min(#text + 1, from + 1000)
    while to <= #text and text:byte(to) & 0xC0 == 0x80 do to = to - 1 end
    print(text:sub(from, to - 1))
    from = to
  end
  print('')
end
";

/// Runs cases in one handler and compares what arrived and what came back.
async fn run(cases: &[Case], setup: impl FnOnce(Setup) -> Setup) {
    let code = cases.iter().map(Case::code).collect::<Vec<_>>().join("\n");
    let host = setup(handler(&(SAY.to_owned() + &code))).start().await;
    for case in cases {
        host.simulator.script(&case.command.name, Reply::Bytes(case.reply.clone()), 1);
    }
    start(&host);
    let lines = host.done().await;
    let said: Vec<_> = lines.split(String::is_empty).map(<[String]>::concat).filter(|said| !said.is_empty()).collect();
    let recorded = host.recorded();
    assert_eq!((said.len(), recorded.len()), (cases.len(), cases.len()));
    for ((case, said), (command, request)) in cases.iter().zip(said).zip(recorded) {
        assert_eq!(command, case.command.name);
        assert_eq!(request, case.request, "{command}");
        let said: Json = serde_json::from_str(&said).unwrap();
        assert_eq!(said.get("answer").cloned().unwrap_or_default(), case.answer, "{command}");
    }
}

/// A message to the bot, written to its stream: nothing else is asked of the daemon.
fn start(host: &Host) {
    let reached = host.simulator.emit("bot", "message_received", json!({ "message": { "body": "go" } }));
    assert_eq!(reached.unwrap(), 1);
}

#[tokio::test]
async fn every_command_carries_every_field_there_and_back() {
    let (administrators, all): (Vec<_>, Vec<_>) =
        cases().into_iter().partition(|case| case.command.name == FOR_ADMINISTRATORS);
    assert_eq!((administrators.len(), all.len() > 105), (1, true));
    run(&all, Setup::admin).await;
    run(&administrators, Setup::only_admin).await;
}

#[tokio::test]
async fn every_member_of_every_oneof_is_among_the_arguments() {
    let mut missing = BTreeMap::new();
    for message in Catalog::embedded().messages() {
        for oneof in &message.oneofs {
            for member in &oneof.members {
                let name = &message.fields[*member].name;
                let shown = (0..variants(message))
                    .any(|variant| Maker::new(Content::Any, variant).message(message).json().get(name).is_some());
                if !shown {
                    missing.insert(&message.name, name);
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

const CODES: [(Code, &str); 16] = [
    (Code::Cancelled, "CANCELLED"),
    (Code::Unknown, "UNKNOWN"),
    (Code::InvalidArgument, "INVALID_ARGUMENT"),
    (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (Code::NotFound, "NOT_FOUND"),
    (Code::AlreadyExists, "ALREADY_EXISTS"),
    (Code::PermissionDenied, "PERMISSION_DENIED"),
    (Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
    (Code::FailedPrecondition, "FAILED_PRECONDITION"),
    (Code::Aborted, "ABORTED"),
    (Code::OutOfRange, "OUT_OF_RANGE"),
    (Code::Unimplemented, "UNIMPLEMENTED"),
    (Code::Internal, "INTERNAL"),
    (Code::Unavailable, "UNAVAILABLE"),
    (Code::DataLoss, "DATA_LOSS"),
    (Code::Unauthenticated, "UNAUTHENTICATED"),
];

/// Each call on a line of its own, so that the line tells which one it was.
fn refused(cases: &[Case]) -> String {
    let call = |case: &Case| {
        format!(
            "local ok, e = pcall(function() for _ in {iterates}(olvid.{name} {arguments}) do end end) \
             print(ok, type(e), json.encode {{ e.code, e.message, e.command, e.sent, tostring(e) }})",
            name = case.command.name,
            arguments = case.arguments,
            iterates = if matches!(case.command.shape, Shape::List(_) | Shape::Pages) { "" } else { "pairs" },
        )
    };
    cases.iter().map(call).map(|line| format!("do {line} end")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn every_commands_refusal_is_an_error_that_names_it() {
    let all: Vec<_> = Catalog::embedded().commands().iter().map(|command| Case::new(command, 0)).collect();
    let all: Vec<_> = all.into_iter().filter(|case| case.command.name != FOR_ADMINISTRATORS).collect();
    let host = handler(&refused(&all)).admin().start().await;
    for (at, case) in all.iter().enumerate() {
        let reply = Reply::Status(CODES[at % 16].0, format!("because {at}"));
        host.simulator.script(&case.command.name, reply, 1);
    }
    start(&host);
    let said = host.done().await;
    assert_eq!(said.len(), all.len());
    let script = host.path("t.lua").canonicalize().unwrap();
    for (at, (case, said)) in all.iter().zip(said).enumerate() {
        let (name, code, line) = (&case.command.name, CODES[at % 16].1, at + 3);
        let place = format!("{}:{line}", script.display());
        let told = format!("{place}: olvid.{name}: {code}: because {at}");
        let expected = json!([code, format!("because {at}"), name, true, told]);
        assert_eq!(said, format!("false\ttable\t{expected}"));
    }
}

#[tokio::test]
async fn an_unhandled_refusal_is_reported_with_its_place() {
    let host = handler("\n  olvid.message_get { message_id = { type = 'inbound', id = 7 } }").start().await;
    start(&host);
    let failure = host.until_failed(1).await.remove(0);
    assert_eq!(failure.message, "olvid.message_get: NOT_FOUND: Message not found");
    assert!(failure.origin.place.as_deref().unwrap().ends_with("t.lua:4"), "{failure:?}");
    assert_eq!(failure.traceback.len(), 1, "{failure:?}");
}

#[tokio::test]
async fn administration_without_its_key_says_which_key() {
    let admin: Vec<_> = Catalog::embedded().commands().iter().filter(|command| command.admin).collect();
    let names: Vec<_> = admin.iter().map(|command| format!("'{}'", command.name)).collect();
    let code = format!(
        "for _, name in ipairs {{ {} }} do print(select(2, pcall(function() return olvid[name] end))) end\n\
         local listed = 0 for name in pairs(olvid) do if name:find('^admin_') then listed = listed + 1 end end\n\
         print(listed)",
        names.join(", ")
    );
    let host = handler(&code).start().await;
    start(&host);
    let said = host.done().await;
    assert_eq!(said.len(), 20);
    for (command, said) in admin.iter().zip(&said) {
        let told = format!(": olvid.{} needs an administrator's key (OLVID_ADMIN_CLIENT_KEY)", command.name);
        assert!(said.ends_with(&told) && said.contains("t.lua:3"), "{said}");
    }
    assert_eq!(said[19], "0");
    assert!(host.recorded().is_empty());
}

#[tokio::test]
async fn ids_beyond_the_signed_range_survive() {
    let code =
        "local id = message.discussion_id\nprint(id < 0, math.ult(1, id))\nolvid.discussion_get { discussion_id = id }";
    let host = handler(code).start().await;
    let huge = u64::MAX - 1;
    host.simulator.script("discussion_get", Reply::Json(json!({ "discussion": { "id": huge } })), 1);
    host.simulator.emit("bot", "message_received", json!({ "message": { "discussion_id": huge } })).unwrap();
    assert_eq!(host.done().await, ["true\ttrue"]);
    assert_eq!(host.recorded(), [("discussion_get".to_owned(), json!({ "discussion_id": huge }))]);
}
