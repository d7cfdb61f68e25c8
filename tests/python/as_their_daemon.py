"""What our host does when the daemon is made of the published package's own classes: one story a run.

Usage: as_their_daemon.py STORY [ARGUMENT]. Prints `port N`, what the story has to tell, and `ok` at its end.
"""

import asyncio
import collections
import json
import math
import random
import sys
import time

import grpc
from google.protobuf.message import DecodeError

from daemon import PATIENCE, Daemon, response
from values import broken, difference, dump, fill, notifications

KEY = "conformance-client-key"
ADMIN_KEY = "conformance-admin-key"


def same(expected, found, what):
    if told := difference(expected, found):
        raise AssertionError(f"{what}: {told}")


def body_of(stream, text):
    """A notification with a message of that text."""
    return stream.notification(message={"body": text})


async def everything(daemon, path):
    """All subscriptions with every parameter; notifications of all kinds, each as its handler sees it."""
    with open(path, encoding="utf-8") as file:
        meant = json.load(file)
    wanted = collections.defaultdict(list)
    for rule in meant:
        wanted[rule["rpc"]].append(rule)
    assert len(wanted) == 46, len(wanted)
    streams = [await daemon.next_stream() for _ in meant]
    seen = await asyncio.gather(*(views(daemon, stream, whose(stream, wanted)) for stream in streams))
    left = [rule["name"] for rules in wanted.values() for rule in rules]
    assert not left and daemon.opened.empty(), left
    for rpc, metadata in daemon.calls:
        assert metadata["daemon-client-key"] == KEY and "daemon-identity-id" not in metadata, rpc
    print(f"{len(streams)} requests and {sum(seen)} notifications agree", flush=True)


def whose(stream, wanted):
    """Finds the rule that a request was meant by; each is asked for once."""
    rules = wanted[stream.rpc]
    found = dump(stream.request)
    told = [difference(rule["request"], found) for rule in rules]
    if None not in told:
        raise AssertionError(f"{stream.rpc} was asked for as no rule means it: {told}")
    return rules.pop(told.index(None))["name"]


async def views(daemon, stream, rule):
    count = 0
    for message in notifications(stream.notification, rule):
        stream.send(message)
        decoded = stream.notification.FromString(message.SerializeToString())
        same(dump(decoded, signed=True), json.loads(await daemon.said(rule)), f"{rule}, notification {count}")
        count += 1
    return count


async def echo(daemon, _):
    """What a handler was given it gives back: the daemon gets what it sent, to the bit. Bytes are bytes."""
    streams = {(stream := await daemon.next_stream()).rpc: stream for _ in range(2)}
    groups, contacts = streams["GroupNew"], streams["ContactNew"]
    received = asyncio.Queue()

    def update(request):
        received.put_nowait(request)
        return response("GroupUpdate", group=answers[-1])

    answers = []
    daemon.answers["GroupUpdate"] = update
    rng = random.Random("echo")
    for message in notifications(groups.notification, "echo"):
        answers.append(fill(type(message.group)(), rng))
        groups.send(message)
        said = json.loads(await daemon.said("group"))
        request = received.get_nowait()
        assert request.HasField("group") == message.HasField("group")
        same(dump(message.group), dump(request.group), "the group that came back")
        same(dump(answers[-1], signed=True), said, "the answer")

    def locate(request):
        received.put_nowait(request)
        return response("MessageSendLocation")

    daemon.answers["MessageSendLocation"] = locate
    for content in [b"", b"\0", b"\xff\xfe", bytes(range(256)), rng.randbytes(100_000)]:
        daemon.answers["ContactGetBytesIdentifier"] = lambda _: response("ContactGetBytesIdentifier", identifier=content)
        contacts.send(contacts.notification(contact={"id": 2**64 - 1}))
        assert await daemon.said("bytes") == str(len(content))
        request = received.get_nowait()
        assert request.preview_payload == content and request.discussion_id == 2**64 - 1
    contacts.send(contacts.notification())
    assert await daemon.said("bytes") == "no contact"


async def malformed(daemon, _):
    """Bytes that are no message fail one run and nothing else; what is a message after all is seen as it is."""
    stream = await daemon.next_stream()
    rng = random.Random("malformed")
    numbers = collections.Counter()
    for at in range(600):
        data = broken(fill(stream.notification(), rng, 0.3).SerializeToString(), rng)
        try:
            expected = dump(stream.notification.FromString(data), signed=True)
        except DecodeError:
            expected = None
        stream.send(data)
        stream.send(body_of(stream, f"after {at}"))
        found = []
        while not found or not is_body(found[-1], f"after {at}"):
            found.append(json.loads(await daemon.said("any")))
        if expected is None:
            assert len(found) == 1, f"{data.hex()} was taken as {found[0]}"
            numbers["rejected"] += 1
        elif len(found) == 2:
            same(expected, found[0], data.hex())
            numbers["taken"] += 1
        else:
            numbers["no number in JSON" if has_oddity(expected) else "stricter"] += 1
    print("counts", json.dumps(numbers), flush=True)


def is_body(value, text):
    return value.get("message", {}).get("body") == text


def has_oddity(value):
    """Whether JSON has no form for it: numbers that are none."""
    if isinstance(value, dict):
        return any(map(has_oddity, value.values()))
    if isinstance(value, list):
        return any(map(has_oddity, value))
    return isinstance(value, float) and not math.isfinite(value)


async def sizes(daemon, _):
    """More than gRPC's usual 4 MiB arrives; more than the limit costs that stream a reopening."""
    stream = await daemon.next_stream()
    stream.send(body_of(stream, "x" * (5 * 1024 * 1024)))
    assert await daemon.said("size") == str(5 * 1024 * 1024)
    stream.send(body_of(stream, "x" * (17 * 1024 * 1024)))
    stream = await daemon.next_stream()
    stream.send(body_of(stream, "small"))
    assert await daemon.said("size") == "5"


async def endings(daemon, _):
    """A stream that ends is opened again, after a pause, for what is left of its count."""
    streams = {(stream := await daemon.next_stream()).rpc: stream for _ in range(3)}
    counted, endless, flooded = (streams[rpc] for rpc in ["MessageReceived", "ContactNew", "MessageSent"])
    assert (counted.request.count, flooded.request.count) == (3, 300)
    counted.send(body_of(counted, "one"))
    assert await daemon.said("counted") == "one"
    counted = await reopened(daemon, counted, grpc.StatusCode.UNAVAILABLE)
    assert counted.request.count == 2 and counted.request.filter.body_search == "o"
    counted.send(body_of(counted, "two"))
    counted = await reopened(daemon, counted, grpc.StatusCode.OK)
    assert await daemon.said("counted") == "two" and counted.request.count == 1
    counted.send(body_of(counted, "foo"))
    assert await daemon.said("counted") == "foo"
    await counted.wait_closed()
    # A daemon that does not stop at the count. The first handler waits until all is sent, and more is sent than the host
    # queues: the rest is there in one go.
    daemon.may_store.clear()
    for number in range(400):
        flooded.send(body_of(flooded, str(number)))
    await asyncio.wait_for(flooded.taken(), PATIENCE)
    daemon.may_store.set()
    await flooded.wait_closed()
    assert [await daemon.said("flooded") for _ in range(300)] == [str(number) for number in range(300)]
    for code in [grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED]:
        # What completed is not among what is opened again.
        endless = await reopened(daemon, endless, code)
        assert not endless.request.HasField("count")
        endless.send(endless.notification())
        assert await daemon.said("endless") == "true"
    assert daemon.stored["flooded"].empty(), "more than its count"


async def reopened(daemon, stream, code):
    stream.end(code, "for the test")
    await stream.wait_closed()
    ended = time.monotonic()
    again = await daemon.next_stream()
    assert again.rpc == stream.rpc, again.rpc
    # The first pause is 0.5 s, the clocks of two processes apart.
    assert time.monotonic() - ended > 0.45, "opened again at once"
    return again


async def refused(daemon, _):
    """One stream without a permission harms no other."""
    refusals = asyncio.Queue()

    def refuse(stream):
        if stream.rpc == "MessageReceived":
            refusals.put_nowait(stream)
            return grpc.StatusCode.UNAUTHENTICATED, "Invalid client key"

    daemon.refuse = refuse
    stream = await daemon.next_stream()
    await asyncio.wait_for(refusals.get(), PATIENCE)
    stream.send(stream.notification())
    assert await daemon.said("other") == "true"


async def keys(daemon, given):
    """Which key goes with what, by the keys that are given: client, admin, or both."""
    daemon.answers["IdentityAdminGet"] = lambda _: response("IdentityAdminGet", identity={"id": 5})
    daemon.answers["IdentityGet"] = lambda _: response("IdentityGet", identity={"id": 6})
    stream = await daemon.next_stream()
    stream.send(stream.notification())
    told = await daemon.said("keys")
    user = (KEY, None) if given in ("client", "both") else (ADMIN_KEY, "18446744073709551615")
    admin = (ADMIN_KEY, "18446744073709551615")
    expected = {"ContactNew": user, "IdentityGet": user, "StorageSet": user}
    if given == "client":
        assert "administrator" in told, told
    else:
        assert told == "6 5", told
        expected["IdentityAdminGet"] = admin
    found = {rpc: (data.get("daemon-client-key"), data.get("daemon-identity-id")) for rpc, data in daemon.calls}
    assert found == expected, found


STORIES = {story.__name__: story for story in [everything, echo, malformed, sizes, endings, refused, keys]}


async def main(story, argument):
    daemon = Daemon()
    # Half of the subscriptions get their headers with the first notification only, as from a server of grpc.aio.
    daemon.headers_first = lambda rpc: len(rpc) % 2 == 0
    await daemon.start()
    await STORIES[story](daemon, argument)
    print("ok", flush=True)
    # The host is stopped first: it is to find its daemon there.
    await daemon.server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
