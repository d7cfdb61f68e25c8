//! Stories of one script without a daemon: what handlers see, how they wait, what is told of their mistakes.

use std::{
    path::Path,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use bytes::Bytes;
use tokio::{runtime, time::Instant};

mod bench;
mod convert;
mod inputs;
mod interrupt;
mod lanes;
mod pulse;
mod replace;
mod state;
mod telling;

use super::*;
use crate::{
    diagnostic::Source,
    report::{Event, FailureKind, Reporter},
    rules::{Handler, Limits, Order, Rule, RuleSet},
    schema::{Catalog, encode},
};

/// Starts one inline handler for `message_received`, feeds it messages with these bodies, and returns what it said.
fn said(code: &str, bodies: &[&str]) -> Vec<String> {
    run(code, bodies, Order::Discussion, Duration::from_secs(5))
}

fn run(code: &str, bodies: &[&str], order: Order, timeout: Duration) -> Vec<String> {
    run_until(code, bodies, order, timeout, Duration::from_secs(10))
}

/// The same, given so long to finish.
fn run_until(code: &str, bodies: &[&str], order: Order, timeout: Duration, grace: Duration) -> Vec<String> {
    run_within(code, bodies, order, Limits { timeout, ..Limits::default() }, grace)
}

/// The same, within other limits.
fn run_within(code: &str, bodies: &[&str], order: Order, limits: Limits, grace: Duration) -> Vec<String> {
    let (sender, lines) = mpsc::channel();
    let sender = Mutex::new(sender);
    let tell = move |event: &Event| sender.lock().unwrap().send(line_of(event)).unwrap();
    told_to(code, bodies, order, limits, grace, tell);
    lines.iter().collect()
}

/// The same, with what happened told to a reader, which is gone when this returns.
fn told_to(
    code: &str,
    bodies: &[&str],
    order: Order,
    limits: Limits,
    grace: Duration,
    tell: impl Fn(&Event) + Send + Sync + 'static,
) {
    let source = Source::new("rules.yaml", "lua: |\n".to_owned() + code);
    let place = source.line(2);
    let subscription = Arc::clone(Catalog::embedded().subscription("message_received").unwrap());
    let rule = Rule {
        name: "test".to_owned(),
        file: "rules.yaml".to_owned(),
        place: place.clone(),
        subscription: Arc::clone(&subscription),
        request: Bytes::new(),
        count: None,
        handler: Handler::Inline { code: code.to_owned(), line: 2, place },
        enabled: true,
        description: None,
        limits,
        permissions: Arc::default(),
        ignore_self: false,
        concurrency: 16,
        order,
        catch_up: None,
    };
    let rule = Arc::new(rule);
    let rules = RuleSet { rules: [Arc::clone(&rule)].into(), orphans: Vec::new(), ..RuleSet::default() };
    let spec = ScriptSpec::group(&rules).pop().unwrap();
    let (held, freed) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let reporter = Reporter::new(vec![Box::new(move |event| {
        let _held = &held;
        tell(event);
    })]);
    let runtime = runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let script = Prepared::load(spec, None, reporter, Arc::default(), None).await.unwrap().start();
        let queue = RuleQueue::new();
        script.attach(&[(rule, queue.clone())]);
        for (at, body) in bodies.iter().enumerate() {
            let message = serde_json::json!({ "message": { "body": body, "discussion_id": at + 1 } });
            let bytes = encode::encode(&subscription.method.output, &&message, None).unwrap();
            assert!(push_all(&queue, &[bytes.into()], false).await);
        }
        let deadline = Instant::now() + grace;
        script.stop(deadline);
        assert!(script.ended(deadline + Duration::from_secs(10)).await);
    });
    // The channel closes when the thread has let go of the VM and everything in it: a VM that is kept fails here.
    let freed = freed.recv_timeout(Duration::from_secs(20));
    assert_eq!(freed, Err(mpsc::RecvTimeoutError::Disconnected), "the VM was not freed");
}

fn line_of(event: &Event) -> String {
    match event {
        Event::Said { text, origin, .. } => format!("{text} @{}", origin.place.clone().unwrap_or_default()),
        Event::Unhandled { count, .. } => format!("{count} unhandled"),
        Event::RunAbandoned(origin) => format!("{} abandoned", origin.rule.as_deref().unwrap_or_default()),
        Event::RunFailed(failure) if failure.repeats > 0 => {
            format!("{:?} {} ×{}", failure.kind, failure.message, failure.repeats)
        }
        Event::RunFailed(failure) => format!("{:?} {}", failure.kind, failure.message),
        other => format!("{other:?}"),
    }
}

/// A function of C's that nothing ends but a file, `come back`: what no script has, and no bound of ours would stop.
pub(super) fn stray(lua: &mlua::Lua, root: &Path) -> mlua::Result<()> {
    let end = root.join("come back");
    let spin = lua.create_function(move |_, ()| {
        while !end.exists() {}
        Ok(())
    })?;
    lua.globals().raw_set("spin", spin)
}

/// Hands notifications over in order, as fast as there are credits for them; false when the rule was retired meanwhile.
async fn push_all(queue: &RuleQueue, batch: &[Bytes], caught_up: bool) -> bool {
    let mut rest = batch;
    while !rest.is_empty() {
        let Some(taken) = queue.push_some(rest, caught_up).await else { return false };
        rest = &rest[taken..];
    }
    true
}

#[test]
fn a_handler_sees_the_notification_and_its_rule() {
    let code = "local n, rule = ...\nprint(n.message.body, rule.name, n.message.reactions, #n.message.reactions == 0)";
    let lines = said(code, &["hi 👍"]);
    assert!(lines[0].starts_with("hi 👍\ttest\tlist: 0x") && lines[0].ends_with("true @rules.yaml:3"), "{lines:?}");
}

#[test]
fn a_sleeping_handler_holds_up_nobody() {
    let code = "local n = ...\nif n.message.body == 'slow' then sleep(0.05) end\nprint(n.message.body)";
    assert_eq!(said(code, &["slow", "quick"]), ["quick @rules.yaml:4", "slow @rules.yaml:4"]);
    let strict = run(code, &["slow", "quick"], Order::Rule, Duration::from_secs(5));
    assert_eq!(strict, ["slow @rules.yaml:4", "quick @rules.yaml:4"]);
}

#[test]
fn waiting_passes_through_coroutines_pcall_and_iterators() {
    let code = r"
local results = {}
local co = coroutine.wrap(function() sleep(0.001) coroutine.yield('a') sleep(0.001) return 'b' end)
for value in co do results[#results + 1] = value if value == 'b' then break end end
local ok = pcall(function() sleep(0.001) results[#results + 1] = 'c' error('x') end)
results[#results + 1] = tostring(ok)
print(table.concat(results, ' '))";
    assert_eq!(said(code, &["x"]), ["a b c false @rules.yaml:8"]);
}

#[test]
fn a_coroutine_that_waits_is_nobody_elses_to_resume() {
    let code = r"
if not shared then
  shared = coroutine.create(function() sleep(0.05) print('the answer came') end)
  assert(coroutine.resume(shared))
else
  print(coroutine.status(shared), coroutine.resume(shared))
end";
    let lines = said(code, &["first", "second"]);
    assert_eq!(
        lines,
        [
            "normal\tfalse\tcannot resume a coroutine that waits for an answer @rules.yaml:7",
            "the answer came @rules.yaml:4"
        ]
    );
}

#[test]
fn a_mistake_is_told_with_its_place_and_the_next_notification_is_handled() {
    let code = "local n = ...\nif n.message.body == 'bad' then local x = nil; x.y = 1 end\nprint('fine')";
    let lines = said(code, &["bad", "good"]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("Error attempt to index a nil value"), "{lines:?}");
    assert_eq!(lines[1], "fine @rules.yaml:4");
}

#[test]
fn a_run_that_waits_too_long_is_ended() {
    let lines = run("sleep(60)", &["x"], Order::None, Duration::from_millis(20));
    let wanted = "not done after 20ms, waiting for sleep: the rule's `timeout` is 20ms; raise it there, or under \
                  `defaults:`";
    assert_eq!(lines, [format!("{:?} {wanted}", FailureKind::Timeout)]);
}

#[test]
fn what_is_late_at_the_end_is_named_running_or_waiting() {
    let (minute, grace) = (Duration::from_mins(1), Duration::from_millis(50));
    let lines = run_until("sleep(60)", &["1", "2", "3"], Order::Rule, minute, grace);
    assert_eq!(lines, ["2 unhandled", "test abandoned"]);
}

#[test]
fn arguments_are_checked_before_anything_is_sent() {
    let code = r"
local ok, e = pcall(olvid.message_send, { discussion_id = 'x', bdy = 1 })
print(ok, e.code, e.command, e.sent, tostring(e))
local ok, e = pcall(function() olvid.message_sent{} end)
print(e)
print(pcall(function() return olvid.ping() end))";
    let lines = said(code, &["x"]);
    assert!(
        lines[0].starts_with(
            "false\tINVALID_ARGUMENT\tmessage_send\tfalse\trules.yaml:3: olvid.message_send: INVALID_ARGUMENT: "
        ),
        "{lines:?}"
    );
    assert!(lines[0].contains("unknown field `bdy` of MessageSendRequest (did you mean `body`?)"), "{lines:?}");
    assert!(lines[1].contains("there is no command olvid.message_sent; did you mean olvid.message_send?"), "{lines:?}");
    assert!(lines[2].contains("olvid.ping: UNAVAILABLE"), "{lines:?}");
}

#[test]
fn json_goes_both_ways() {
    let code = r#"
local n = ...
local t = json.decode('{"a":[],"b":[1,2.5,"x",null],"c":{}}')
print(json.encode(t), #t.b, t.b[4] == json.null, json.encode(n.message.reactions))
local cycle = {} cycle.self = cycle
print(pcall(json.encode, cycle))"#;
    let lines = said(code, &["x"]);
    assert!(lines[0].starts_with(r#"{"a":[],"b":[1,2.5,"x",null],"c":{}}"#), "{lines:?}");
    assert!(lines[0].contains("\ttrue\t[]"), "{lines:?}");
    assert!(lines[1].contains("does a table contain itself?"), "{lines:?}");
}

#[test]
fn numbers_come_back_from_json_as_they_were() {
    let code = "print(json.decode('122222222222222222222112') == 122222222222222222222112, json.decode(json.encode(0.1 + 0.2)) == 0.1 + 0.2)";
    assert_eq!(said(code, &["x"]), ["true\ttrue @rules.yaml:2"]);
}

#[test]
fn a_table_whose_length_is_a_lie_is_a_mistake_and_no_allocation() {
    let code = r"
local t = {}
for i = 1, 5 do t[i] = 1 end
for k = 3, 41 do t[1 << k] = 1 t[(1 << k) + 1] = 1 end
print(pcall(olvid.message_list, { filter = t }))
print(pcall(olvid.message_list, { filter = { type = 1 << 40 } }))
print(pcall(olvid.message_list, { filter = json.null }))";
    let lines = said(code, &["x"]);
    assert!(lines[0].starts_with("false\t") && lines[0].contains("unknown field"), "{lines:?}");
    assert!(lines[1].contains("filter.type: 1099511627776 is out of range for MessageId.Type"), "{lines:?}");
    assert!(lines[2].contains("found json.null"), "{lines:?}");
}

#[test]
fn a_call_where_nothing_can_wait_is_refused_and_forgotten() {
    let code = r"
local function call() olvid.ping{} end
for _ = 1, 10001 do pcall(string.gsub, 'a', 'a', call) end
print(select(2, pcall(string.gsub, 'a', 'a', call)))
print(select(2, pcall(olvid.ping, {})))
local inner = coroutine.create(function() return pcall(call) end)
string.gsub('a', 'a', function() print(coroutine.resume(inner)) end)
print(coroutine.status(inner))";
    let lines = said(code, &["x"]);
    assert!(lines[0].contains("cannot wait for an answer inside a sort comparator"), "{lines:?}");
    assert!(lines[1].contains("UNAVAILABLE: there is no daemon here"), "{lines:?}");
    assert!(lines[2].contains("the coroutine was resumed inside a C function"), "{lines:?}");
    assert!(lines[3].starts_with("dead "), "{lines:?}");
}

#[test]
fn what_has_no_json_form_fails_encode_at_its_line_and_no_log_line() {
    let code = "log.info('odd', { value = 0/0 })\nprint(pcall(function() local t = json.encode(print) return t end))";
    let lines = said(code, &["x"]);
    assert_eq!(lines[0], "odd @rules.yaml:2");
    assert_eq!(lines[1], "false\trules.yaml:3: json.encode: function has no JSON form @rules.yaml:3");
}
