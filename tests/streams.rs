//! What goes over more than one message: uploads, downloads and lists, and what becomes of a list that nobody reads on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/host.rs"]
mod host;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use host::{Host, Watch, handler, in_time};
use olvid_rules::{
    schema::{
        Catalog,
        encode::{encode, put_bytes},
    },
    simulator::{Recorded, Reply},
};
use serde_json::{Value as Json, json};
use tokio::sync::Notify;

/// What `content(n)` in a handler makes, so that a piece in the wrong place shows.
fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| u8::try_from((at * 7 + at / 251) % 256).unwrap()).collect()
}

/// The same in Lua, out of blocks, after which it begins anew: a large content takes neither long nor much memory.
const CONTENT: &str = r"
    local function content(bytes)
        local block = {}
        for at = 0, 251 * 256 - 1 do block[#block + 1] = string.char((at * 7 + at // 251) % 256) end
        return table.concat(block):rep(bytes // #block + 1):sub(1, bytes)
    end
";

fn uploads(host: &Host, command: &str) -> Vec<Recorded> {
    host.simulator.recorded().into_iter().filter(|recorded| recorded.command.name == command).collect()
}

/// Reads what a download command gives somebody.
fn downloaded(host: &Host, who: &str, command: &str, request: &Json) -> Vec<u8> {
    let method = &Catalog::embedded().command(command).unwrap().method;
    let request: Bytes = encode(&method.input, &request, None).unwrap().into();
    let chunks = host.simulator.call_bytes(who, command, &[request]).unwrap();
    // Each chunk is field 1 of its message: a tag, a length, the bytes.
    let chunk = |message: &Bytes| {
        let length = message.iter().skip(1).take_while(|byte| **byte >= 0x80).count() + 1;
        message[1 + length..].to_vec()
    };
    chunks.iter().flat_map(chunk).collect()
}

/// The files of the next message somebody gets, as they can be had there.
async fn files(host: &Host, who: &mut Watch) -> Vec<(String, Vec<u8>)> {
    let message = who.next("message_received").await["message"].clone();
    let mut files = Vec::new();
    for _ in 0..message["attachments_count"].as_u64().unwrap() {
        let attachment = who.next("attachment_received").await["attachment"].clone();
        let request = json!({ "attachment_id": attachment["id"] });
        let content = downloaded(host, "alice", "attachment_download", &request);
        files.push((attachment["file_name"].as_str().unwrap().to_owned(), content));
    }
    files
}

#[tokio::test]
async fn a_message_takes_several_files_empty_ones_and_large_ones() {
    let code = format!(
        "{CONTENT}
        local function send(body, files)
            return olvid.message_send_with_attachments {{ discussion_id = message.discussion_id, body = body, files = files }}
        end
        local answer = send('several', {{
            {{ filename = 'content', content = content(300) }},
            {{ path = 'folder/from disk.bin' }},
            {{ path = 'folder/from disk.bin', filename = 'renamed' }},
            {{ filename = 'empty', content = '' }},
        }})
        print(answer.message.body, #answer.attachments, answer.attachments[4].size)
        send(nil, {{ {{ filename = 'large', content = content(2500001) }}, {{ filename = 'exact', content = content(1000000) }} }})"
    );
    let host =
        handler(&code).file("folder/from disk.bin", content(2_000_001)).permitting("{ read: [folder] }").start().await;
    let mut alice = host.observe("alice");
    host.say("alice", "hi");
    assert_eq!(host.done().await, ["several\t4\t0"]);
    let named = |name: &str, bytes: usize| (name.to_owned(), content(bytes));
    let several = files(&host, &mut alice).await;
    let disk = 2_000_001;
    let expected = [named("content", 300), named("from disk.bin", disk), named("renamed", disk), named("empty", 0)];
    assert!(
        several == expected,
        "{:?}",
        several.iter().map(|(name, content)| (name, content.len())).collect::<Vec<_>>()
    );
    assert!(files(&host, &mut alice).await == [named("large", 2_500_001), named("exact", 1_000_000)]);
    // One message with what the files are, their pieces of at most a million bytes, and a mark behind each file.
    let messages: Vec<_> =
        uploads(&host, "message_send_with_attachments").iter().map(|recorded| recorded.messages).collect();
    assert_eq!(messages, [1 + 1 + 3 + 3 + 4, 1 + 3 + 1 + 2]);
}

#[tokio::test]
async fn photos_are_set_by_content_and_by_path() {
    let code = format!(
        "{CONTENT}
        print(olvid.identity_set_photo {{ filename = 'a.jpg', content = content(25) }})
        print(olvid.identity_download_photo {{}} == content(25))
        olvid.identity_set_photo {{ path = 'photo.jpg' }}
        print(olvid.identity_download_photo {{}} == content(1000001))
        local group = olvid.group_new_standard_group {{ name = 'g' }}
        print(olvid.group_set_photo({{ group_id = group.id, path = 'photo.jpg', filename = 'b.jpg' }}).has_a_photo)
        print(olvid.group_download_photo {{ group_id = group.id }} == content(1000001))
        print(olvid.group_set_photo({{ group_id = group.id, filename = 'b.jpg', content = content(25) }}).id == group.id)"
    );
    let host = handler(&code).file("photo.jpg", content(1_000_001)).permitting("{ read: [.] }").start().await;
    host.say("alice", "hi");
    // `print()` of no value is an empty line: an answer without fields is nothing at all.
    assert_eq!(
        host.done().await,
        ["", "true", "true", "true", "true", "true"].map(|said| if said.is_empty() { "nil" } else { said })
    );
    let identity: Vec<_> = uploads(&host, "identity_set_photo").iter().map(Recorded::json).collect();
    assert_eq!(identity[0], json!({ "metadata": { "filename": "a.jpg", "file_size": 25 } }));
    assert_eq!(identity[1], json!({ "metadata": { "filename": "photo.jpg", "file_size": 1_000_001 } }));
    // 25 bytes are 25 bytes: the published client sends overlapping pieces.
    let messages: Vec<_> = uploads(&host, "identity_set_photo").iter().map(|recorded| recorded.messages).collect();
    assert_eq!(messages, [2, 3]);
    assert_eq!(uploads(&host, "group_set_photo")[0].json()["metadata"]["filename"], "b.jpg");
}

#[tokio::test]
async fn a_mistaken_upload_sends_nothing() {
    let code = r"
        local function told(call, arguments)
            local ok, e = pcall(call, arguments)
            print(ok, e.code, e.message)
        end
        told(olvid.identity_set_photo, {})
        told(olvid.identity_set_photo, { content = 'x' })
        told(olvid.identity_set_photo, { filename = 'a', content = 'x', path = 'y' })
        told(olvid.identity_set_photo, { filename = 'a', content = 7 })
        told(olvid.identity_set_photo, { path = '../secret' })
        told(olvid.identity_set_photo, { path = 'missing.jpg' })
        told(olvid.message_send_with_attachments, { discussion_id = 1, files = { 'a.png' } })
        told(olvid.message_send_with_attachments, { discussion_id = 1, files = { { content = 'x', name = 'y', filename = 'a' } } })
        told(olvid.message_send_with_attachments, { discussion = 1, files = {} })";
    let host = handler(code).permitting("{ read: [.] }").start().await;
    host.say("alice", "hi");
    let said = host.done().await;
    for (line, part) in said.iter().zip([
        "give the file's `content` or its `path`",
        "give the file a `filename`",
        "exclude each other",
        "are strings",
        "reading `../secret` is not permitted",
        "cannot read",
        "files[1]: expected a table such as",
        "files[1].name: unknown field `name`",
        "did you mean `discussion_id`?",
    ]) {
        let code = if part.ends_with("permitted") { "PERMISSION_DENIED" } else { "INVALID_ARGUMENT" };
        assert!(line.starts_with(&format!("false\t{code}\t")) && line.contains(part), "{line}");
    }
    assert_eq!((said.len(), host.recorded().len()), (9, 0));
}

#[tokio::test]
async fn a_download_is_the_whole_content_byte_by_byte() {
    let code = format!(
        "{CONTENT}
        for _, attachment in ipairs(message:attachments()) do
            local got = olvid.attachment_download {{ attachment_id = attachment.id }}
            print(#got, got == content(attachment.size))
        end"
    );
    let host = handler(&code).start().await;
    let discussion = host.discussion("alice", "bot");
    let files: Vec<_> =
        [("a", 2_500_000), ("b", 0), ("c", 256)].map(|(name, bytes)| (name, Bytes::from(content(bytes)))).into();
    let metadata = json!({ "discussion_id": discussion, "body": "hi" });
    host.simulator.upload("alice", "message_send_with_attachments", &metadata, &files).unwrap();
    assert_eq!(host.done().await, ["2500000\ttrue", "0\ttrue", "256\ttrue"]);
}

/// Pages of messages, far more than flow control lets through to a reader that stops. What makes them large is a field
/// that nobody knows: it costs the script no memory, so that no collection of garbage frees what should have been.
fn many_pages() -> Reply {
    let method = &Catalog::embedded().command("message_list").unwrap().method;
    let page = |page: usize| -> Bytes {
        let messages: Vec<_> = (1..=20).map(|at| json!({ "discussion_id": page * 20 + at })).collect();
        let mut bytes = encode(&method.output, &&json!({ "messages": messages }), None).unwrap();
        put_bytes(1000, &vec![0; 400_000], &mut bytes);
        bytes.into()
    };
    Reply::Bytes((0..60).map(page).collect())
}

/// A host whose daemon takes four calls at one time: a stream that is not freed is soon one too many.
async fn narrow(code: &str) -> Host {
    let host = handler(code).options(|options| options.max_concurrent_streams = Some(4)).start().await;
    host.simulator.script("message_list", many_pages(), 100);
    host.say("alice", "hi");
    host
}

#[tokio::test]
async fn a_list_comes_in_order_to_its_end() {
    let host = narrow(
        "local last = 0
        for each in olvid.message_list {} do
            if each.discussion_id ~= last + 1 then error(each.discussion_id .. ' after ' .. last) end
            last = each.discussion_id
        end
        print(last)",
    )
    .await;
    assert_eq!(host.done().await, ["1200"]);
}

#[tokio::test]
async fn leaving_a_list_early_frees_its_stream() {
    let host = narrow(
        "for round = 1, 12 do
            for each in olvid.message_list {} do
                if each.discussion_id == round then break end
            end
            pcall(function() for _ in olvid.message_list {} do error('out') end end)
            local function first() for each in olvid.message_list {} do return each end end
            first()
        end
        print('through')",
    )
    .await;
    assert_eq!(host.done().await, ["through"]);
}

#[tokio::test]
async fn a_run_that_fails_or_times_out_in_a_list_frees_its_stream() {
    let script = "return function(notification)
        for each in olvid.message_list {} do
            if notification.message.body == 'fail' then error('out') end
            if notification.message.body == 'hang' then sleep(60) end
            print(notification.message.body)
            break
        end
    end";
    let rules = "rules:
  - { name: short, subscription: message_received, filter: { body_search: fail|hang }, handler: t.lua, timeout: 300ms, order: rule }
  - { name: long, subscription: message_received, filter: { body_search: fine }, handler: t.lua, timeout: 1m }
";
    let setup = host::Setup::new(rules).file("t.lua", script);
    let host = setup.options(|options| options.max_concurrent_streams = Some(4)).start().await;
    host.simulator.script("message_list", many_pages(), 100);
    for body in ["fail", "hang"].repeat(6) {
        host.say("alice", body);
    }
    // Two are told, the others counted.
    let failed = |host: &Host| host.counters().failed.load(Ordering::Acquire);
    let all = async {
        while failed(&host) < 12 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time(all).await;
    host.say("alice", "fine");
    host.until(|host| host.said().pop()).await;
    assert_eq!((host.said(), failed(&host)), (vec!["fine".to_owned()], 12));
}

#[tokio::test]
async fn a_list_ends_with_the_run_that_asked_for_it() {
    let script = "local kept
    return function(notification)
        if notification.message.body == 'last' then
            -- The rest of its page is there; what is behind that is not.
            for _ = 2, 20 do kept() end
            local ok, e = pcall(kept)
            return print(ok, e.code, e.command, e.message)
        end
        for round = 1, 3 do
            kept = olvid.message_list {}
            kept()
        end
    end";
    let rules = "rules:\n  - name: test\n    subscription: message_received\n    handler: t.lua\n    order: rule\n";
    let setup = host::Setup::new(rules).file("t.lua", script);
    let host = setup.options(|options| options.max_concurrent_streams = Some(4)).start().await;
    host.simulator.script("message_list", many_pages(), 100);
    for body in ["first", "second", "third", "last"] {
        host.say("alice", body);
    }
    let told = "false\tCANCELLED\tmessage_list\tthe run that asked for this list is over, or is reading it";
    assert_eq!(host.until_said(1).await, [told]);
}

#[tokio::test]
async fn lists_are_read_inside_coroutines_and_beside_each_other() {
    let host = narrow(
        "local function bodies(limit)
            return coroutine.wrap(function()
                for each in olvid.message_list {} do
                    coroutine.yield(each.discussion_id)
                    if each.discussion_id == limit then return end
                end
            end)
        end
        local one, two, seen = bodies(45), bodies(30), {}
        for id in one do
            local other = id <= 30 and two() or nil
            if other and other ~= id then error('out of step') end
            seen[#seen + 1] = id
        end
        print(#seen, seen[45], two())
        for outer in olvid.message_list {} do
            for inner in olvid.message_list {} do
                if inner.discussion_id == 25 then break end
            end
            if outer.discussion_id == 3 then break end
        end
        print(pcall(function()
            for each in olvid.message_list {} do if each.discussion_id == 21 then error('stop', 0) end end
        end))",
    )
    .await;
    assert_eq!(host.done().await, ["45\t45\tnil", "false\tstop"]);
}

#[tokio::test]
async fn a_list_that_breaks_in_the_middle_raises_there() {
    let gate = Arc::new(Notify::new());
    let host = handler(
        "local count = 0
        local ok, e = pcall(function()
            for _ in olvid.message_list {} do
                count = count + 1
                if count == 1 then print('first') sleep(0.05) end
            end
        end)
        print(ok, e.code, e.command, count >= 1)
        local again = 0
        for _ in olvid.contact_list {} do again = again + 1 end
        print(again)",
    )
    .start()
    .await;
    host.simulator.script("message_list", many_pages(), 1);
    host.simulator.script("contact_list", Reply::Hold(Arc::clone(&gate)), 1);
    host.say("alice", "hi");
    host.until_said(1).await;
    host.simulator.drop_connections();
    gate.notify_one();
    let said = in_time(host.done()).await;
    assert_eq!(said[1..], ["false\tUNAVAILABLE\tmessage_list\ttrue", "2"]);
}
