#!/usr/bin/env python3
"""Alice, whom the simulated daemon knows: she writes to everybody, and tells what she got.

  packaging/alice.py PORT say TEXT    writes TEXT to all her contacts; the bot is one of them
  packaging/alice.py PORT heard       prints what others wrote to her, a message a line

It speaks to a daemon at 127.0.0.1:PORT through curl, so that a package is tried with nothing but what CI has installed.
"""

import subprocess
import sys

SERVICES = "olvid.daemon.services.v1"


def call(port, service, command, message):
    """Calls a command as any client of the daemon would; the bytes of the answers."""
    frame = b"\0" + len(message).to_bytes(4, "big") + message
    answer = subprocess.run(
        ["curl", "-sS", "--max-time", "20", "--http2-prior-knowledge", "-H", "content-type: application/grpc", "-H", "te: trailers",
         "-H", "daemon-client-key: alice", "--data-binary", "@-",
         f"http://127.0.0.1:{port}/{SERVICES}.{service}CommandService/{command}"],
        input=frame, capture_output=True, check=True).stdout
    messages = []
    while answer:
        length = int.from_bytes(answer[1:5], "big")
        messages.append(answer[5 : 5 + length])
        answer = answer[5 + length :]
    return messages


def varint(data):
    """A number in front, and what follows."""
    end = next(at for at, byte in enumerate(data) if byte < 0x80) + 1
    return sum((byte & 0x7F) << 7 * at for at, byte in enumerate(data[:end])), data[end:]


def encoded(number):
    digits = []
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


def fields(message):
    """The fields of a message, as number and value; what is no integer is its bytes."""
    while message:
        tag, message = varint(message)
        if tag & 7 == 0:
            value, message = varint(message)
        else:
            size, message = varint(message) if tag & 7 == 2 else ({1: 8, 5: 4}[tag & 7], message)
            value, message = message[:size], message[size:]
        yield tag >> 3, value


def listed(port, service):
    """All objects of a kind: each answer to a listing command has them in field 1."""
    pages = call(port, service, f"{service}List", b"")
    return [dict(fields(value)) for page in pages for number, value in fields(page) if number == 1]


def say(port, text):
    """Writes to everybody; how many that are. Field 1 of a discussion and of what is sent is the discussion's id."""
    text = text.encode()
    discussions = listed(port, "Discussion")
    for discussion in discussions:
        message = b"\x08" + encoded(discussion[1]) + b"\x12" + encoded(len(text)) + text
        assert len(call(port, "Message", "MessageSend", message)) == 1, "the daemon refuses to send"
    return len(discussions)


def heard(port):
    """What others wrote. Field 3 of a message is its sender, 0 for oneself; field 4 its text."""
    return [message.get(4, b"").decode() for message in listed(port, "Message") if message.get(3)]


if __name__ == "__main__":
    match sys.argv[1:]:
        case [port, "say", text]:
            say(port, text)
        case [port, "heard"]:
            print("\n".join(heard(port)))
        case _:
            sys.exit(__doc__)
