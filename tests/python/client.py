"""The published client against the simulated daemon: each story by its name, `ok` on standard output at its end.

Run by tests/as_their_client.rs with the daemon's address and keys in the environment. Written from the package's
documentation; nothing of the package is copied or patched.
"""

import asyncio
import os
import sys
import tempfile

from olvid import OlvidClient, OlvidAdminClient, datatypes, errors, listeners


def client(key):
    return OlvidClient(client_key=key, daemon_url=os.environ["OLVID_DAEMON_URL"])


async def discussion_with(of, title):
    found = [d async for d in of.discussion_list(filter=datatypes.DiscussionFilter(title_search=f"^{title}$"))]
    assert len(found) == 1, found
    return found[0]


class Heard:
    """What listeners have heard, to be waited for in order."""

    def __init__(self, of, *kinds):
        self.queue = asyncio.Queue()
        for kind in kinds:
            of.add_listener(kind(handler=self.take))

    async def take(self, *args):
        await self.queue.put(args)

    async def next(self):
        return await asyncio.wait_for(self.queue.get(), 20)


async def listening(who, count):
    """Tells the test how many streams of whom are to be open, and waits for its word that they are."""
    print(f"listening {who} {count}", flush=True)
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    assert line.strip() == "go", line


async def authentication():
    bot, stranger = client("bot"), client("nobody")
    await bot.ping()
    await bot.authentication_test()
    assert (await bot.identity_get()).display_name == "bot"
    try:
        await stranger.identity_get()
        raise AssertionError("a stranger was let in")
    except errors.UnauthenticatedError as error:
        assert error.details() == "Invalid client key", error.details()
    try:
        await stranger.authentication_test()
        raise AssertionError("a stranger was let in")
    except errors.PermissionDeniedError:
        pass
    admin = OlvidAdminClient(client_key="admin", daemon_url=os.environ["OLVID_DAEMON_URL"], identity_id=0)
    names = [identity.display_name async for identity in admin.admin_identity_list()]
    assert names == ["bot", "alice", "bob"], names
    await asyncio.gather(bot.stop(), stranger.stop(), admin.stop())


async def messages():
    bot, alice = client("bot"), client("alice")
    heard = Heard(
        bot,
        listeners.MessageReceivedListener,
        listeners.MessageReactionAddedListener,
        listeners.MessageBodyUpdatedListener,
        listeners.MessageDeletedListener,
    )
    await listening("bot", 4)
    sent = await alice.message_send((await discussion_with(alice, "bot")).id, "hello")
    (received,) = await heard.next()
    assert received.body == "hello" and received.is_inbound() and sent.is_outbound()
    assert received.discussion_id == (await discussion_with(bot, "alice")).id
    assert (await received.get_sender_contact(bot)).display_name == "alice"

    await sent.react(alice, "👍")
    message, reaction = await heard.next()
    assert reaction.reaction == "👍" and message.reactions[0].contact_id == received.sender_id
    await sent.edit_body(alice, "hello again")
    message, previous = await heard.next()
    assert (message.body, previous) == ("hello again", "hello")

    reply = await received.reply(bot, "hi", quote_message=True)
    assert reply.replied_message_id == received.id
    copies = [m async for m in alice.message_list()]
    assert [m.body for m in copies] == ["hello again", "hi"]
    assert copies[1].replied_message_id == sent.id
    assert (await alice.message_get(copies[1].id)) == copies[1]

    await sent.delete(alice, delete_everywhere=True)
    (deleted,) = await heard.next()
    assert deleted.id == received.id
    try:
        await bot.message_get(received.id)
        raise AssertionError("the message is still there")
    except errors.NotFoundError as error:
        assert error.details() == "Message not found", error.details()
    try:
        await bot.message_send(received.discussion_id, " ")
        raise AssertionError("an empty message was sent")
    except errors.InvalidArgumentError:
        pass
    location = await bot.message_send_location(received.discussion_id, 48.85, 2.35)
    assert location.message_location.latitude == 48.85
    await asyncio.gather(bot.stop(), alice.stop())


async def attachments():
    bot, alice = client("bot"), client("alice")
    heard = Heard(bot, listeners.AttachmentReceivedListener)
    await listening("bot", 1)
    content = bytes(at * 7 % 251 for at in range(5_000_003))
    discussion = await discussion_with(alice, "bot")
    message, uploaded = await alice.message_send_with_attachments(
        discussion.id, [("photo.jpg", content), ("empty.bin", b"")], body="look"
    )
    assert message.attachments_count == 2 and [a.size for a in uploaded] == [len(content), 0]
    received = {}
    for _ in range(2):
        (attachment,) = await heard.next()
        received[attachment.file_name] = attachment
    chunks = [chunk async for chunk in bot.attachment_download(received["photo.jpg"].id)]
    assert b"".join(chunks) == content
    with tempfile.TemporaryDirectory() as folder:
        path = await received["photo.jpg"].save(bot, folder)
        with open(path, "rb") as file:
            assert file.read() == content
    await alice.identity_set_photo("me.jpg", content[:100_000])
    contact = [c async for c in bot.contact_list(filter=datatypes.ContactFilter(display_name_search="alice"))][0]
    assert contact.has_a_photo and await contact.download_photo(bot) == content[:100_000]
    await asyncio.gather(bot.stop(), alice.stop())


async def groups():
    bot, alice = client("bot"), client("alice")
    heard = Heard(alice, listeners.InvitationReceivedListener)
    await listening("alice", 1)
    contact = [c async for c in bot.contact_list(filter=datatypes.ContactFilter(display_name_search="alice"))][0]
    group = await bot.group_new_standard_group(name="team", admin_contact_ids=[contact.id])
    assert [m.contact_id for m in group.pending_members] == [contact.id]
    (invitation,) = await heard.next()
    await alice.invitation_accept(invitation.id)
    group = await bot.group_get(group.id)
    assert [m.contact_id for m in group.members] == [contact.id]
    group.name = "crew"
    await bot.group_update(group)
    await discussion_with(alice, "crew")
    await bot.storage_set("a", "1")
    assert await bot.storage_get("a") == "1" and await bot.storage_get("b") == ""
    await asyncio.gather(bot.stop(), alice.stop())


STORIES = {story.__name__: story for story in [authentication, messages, attachments, groups]}

if __name__ == "__main__":
    asyncio.run(STORIES[sys.argv[1]]())
    print("ok", flush=True)
