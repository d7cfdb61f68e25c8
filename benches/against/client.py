"""The published client with the handlers that are measured, written from the package's documentation.

Usage: client.py trivial|realistic|answering|asked. The daemon's address and the key come from the environment.
"""

import asyncio
import re
import sys

from olvid import OlvidClient

WORD = re.compile(r"^!(\w+)")


class Trivial(OlvidClient):
    async def on_message_received(self, message):
        if message.body == "last":
            await self.message_send(1, "done")


class Realistic(OlvidClient):
    async def on_message_received(self, message):
        number, who, where, at = message.id.id, message.sender_id, message.discussion_id, message.timestamp
        quoted, count, forwarded = message.replied_message_id.id, message.attachments_count, message.forwarded
        first = message.reactions[0].reaction if message.reactions else None
        word = WORD.match(message.body)
        if word is None and (number, who, where, at, quoted, count, forwarded, first) and message.body == "last":
            await self.message_send(1, "done")


class Answering(OlvidClient):
    async def on_message_received(self, message):
        await self.message_send(message.discussion_id, "pong")


class Asked(OlvidClient):
    async def on_message_received(self, message):
        if message.body.startswith("ask "):
            await self.message_send(message.discussion_id, message.body)


async def main(kind):
    client = {"trivial": Trivial, "realistic": Realistic, "answering": Answering, "asked": Asked}[kind]()
    await client.run_forever()


asyncio.run(main(sys.argv[1]))
