"""Alice, a person with the published client and its command line, talks to the bot of the shipped rules.

Usage: alice.py. Address and keys come from the environment; `ok` on standard output at the end. Written from the
package's documentation; nothing of the package is copied or patched.
"""

import asyncio
import os
import pathlib
import sys

from olvid import OlvidClient, datatypes, listeners

PATIENCE = 60
PHOTO = bytes(at * 7 % 251 for at in range(1_300_007))


def client(key):
    return OlvidClient(client_key=os.environ[key], daemon_url=os.environ["OLVID_DAEMON_URL"])


async def discussion_with(of, title):
    found = [d async for d in of.discussion_list(filter=datatypes.DiscussionFilter(title_search=f"^{title}$"))]
    assert len(found) == 1, found
    return found[0].id


class Ear:
    """What one listener has heard, in order."""

    def __init__(self, of, kind):
        self.kind, self.queue = kind, asyncio.Queue()
        of.add_listener(kind(handler=self.take))

    async def take(self, *heard):
        await self.queue.put(heard)

    async def next(self, patience=PATIENCE):
        return await asyncio.wait_for(self.queue.get(), patience)

    async def open(self, act):
        """The client does not say when a stream stands: something is done over and over until it is heard."""
        for _ in range(30):
            await act()
            try:
                await self.next(2)
                break
            except asyncio.TimeoutError:
                pass
        else:
            raise AssertionError(f"{self.kind.__name__} hears nothing")
        while not self.queue.empty():
            self.queue.get_nowait()


class Alice:
    def __init__(self):
        self.client, self.bob = client("ALICE_KEY"), client("BOB_KEY")
        self.messages = Ear(self.client, listeners.MessageReceivedListener)
        self.reactions = Ear(self.client, listeners.MessageReactionAddedListener)
        self.edits = Ear(self.client, listeners.MessageBodyUpdatedListener)
        self.deletions = Ear(self.client, listeners.MessageDeletedListener)
        self.files = Ear(self.client, listeners.AttachmentReceivedListener)

    async def listen(self):
        """Bob does what alice is to hear; the bot is not in their discussion."""
        there = await discussion_with(self.bob, "alice")
        say = lambda: self.bob.message_send(there, "hello")

        async def react():
            await self.bob.message_react((await say()).id, "👋")

        async def edit():
            await self.bob.message_update_body((await say()).id, "hello again")

        async def delete():
            await self.bob.message_delete((await say()).id, delete_everywhere=True)

        send = lambda: self.bob.message_send_with_attachments(there, [("a.txt", b"a")])
        acts = [(self.reactions, react), (self.edits, edit), (self.deletions, delete), (self.files, send)]
        for ear, act in [*acts, (self.messages, say)]:
            await ear.open(act)
        await self.bob.stop()
        self.discussion = await discussion_with(self.client, "bot")

    async def say(self, text):
        return await self.client.message_send(self.discussion, text)

    async def hear(self):
        """The next message of the bot; what came of bob is over."""
        while True:
            (message,) = await self.messages.next()
            if message.discussion_id == self.discussion:
                return message

    async def asks(self, text, answer):
        sent, heard = await self.say(text), await self.hear()
        assert heard.body == answer if isinstance(answer, str) else answer(heard.body), heard.body
        return sent, heard


async def shipped(alice):
    """What the shipped rules answer: text, a photo, a reaction."""
    _, pong = await alice.asks("!ping", "pong")
    await alice.asks("!PING please", "pong")
    await alice.asks("!echo  👍🏽 é \0 end", "👍🏽 é \0 end")
    await alice.asks("!help", lambda text: "!ping" in text and "!roll" in text)
    await alice.asks("!nothing", lambda text: "!help" in text)
    message, _ = await alice.client.message_send_with_attachments(alice.discussion, [("photo.jpg", PHOTO)])
    heard = await alice.hear()
    assert heard.body.startswith("Saved as ") and heard.body.endswith("photo.jpg"), heard.body
    await pong.react(alice.client, "❤️")
    heard = await alice.hear()
    assert heard.body == "Thanks for the ❤️" and heard.replied_message_id == pong.id, heard
    assert message.attachments_count == 1


async def everything_a_bot_can_do(alice):
    """Edits and deletes reach the bot; its own reaction, edit, deletion and file reach alice."""
    sent = await alice.say("teh")
    await sent.edit_body(alice.client, "the")
    message, reaction = await alice.reactions.next()
    while reaction.contact_id == 0 or message.discussion_id != alice.discussion:
        message, reaction = await alice.reactions.next()
    assert (message.id, reaction.reaction) == (sent.id, "✏️")
    assert (await alice.hear()).body == "was: teh"
    message, previous = await alice.edits.next()
    while message.id == sent.id or message.discussion_id != alice.discussion:
        message, previous = await alice.edits.next()
    assert (message.body, previous) == ("it was: teh", "was: teh")
    (deleted,) = await alice.deletions.next()
    assert deleted.id == message.id
    await sent.delete(alice.client, delete_everywhere=True)
    assert (await alice.hear()).body == "gone: the"
    await alice.say("send me a file")
    assert (await alice.hear()).attachments_count == 2
    received = [(await alice.files.next())[0] for _ in range(2)]
    contents = {}
    for file in received:
        contents[file.file_name] = b"".join([chunk async for chunk in alice.client.attachment_download(file.id)])
    assert contents == {"bytes.bin": bytes(range(256)), "empty.bin": b""}, contents


async def command_line(alice):
    """The package's command line, used by alice, is answered like her."""
    identity = (await alice.client.identity_get()).id
    program = str(pathlib.Path(sys.executable).with_name("olvid-cli"))
    arguments = ["-i", str(identity), "message", "send", str(alice.discussion), "!ping"]
    pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
    cli = await asyncio.create_subprocess_exec(program, *arguments, stdin=asyncio.subprocess.DEVNULL, **pipes)
    try:
        said, _ = await asyncio.wait_for(cli.communicate(), PATIENCE)
    finally:
        if cli.returncode is None:
            cli.kill()
    assert cli.returncode == 0, said
    assert (await alice.hear()).body == "pong"


async def main():
    alice = Alice()
    await alice.listen()
    await shipped(alice)
    await everything_a_bot_can_do(alice)
    await command_line(alice)
    await alice.client.stop()
    print("ok", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
