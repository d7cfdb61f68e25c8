"""Messages as data: filled at random, and shown as a handler is to see them.

`dump` is the contract's mapping, written from the contract: scalars without presence are always there, what has presence
only when it is set, lists always, an enum is its name or the number that has none. 64-bit integers are exact; a handler
sees the unsigned ones with the same bits.
"""

import random

TEXTS = [
    "",
    "plain",
    "👍🏽 👩‍👩‍👧 é e\u0301",
    "NUL \0 within",
    "\r\n\t\x1b[31m\x7f",
    "\u2028\u2029\ufeff\u202e",
    "\uffff\U0010ffff",
    "\"quotes\" and \\ and / and ${x} and --[[ ]]",
    "long " * 3000,
]
U64 = [0, 1, 2**31, 2**32, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1]
U32 = [0, 1, 2**31 - 1, 2**31, 2**32 - 1]
I32 = [0, -1, 2**31 - 1, -(2**31)]
DOUBLES = [0.0, -0.0, 1.5, 5.0, -1e300, 5e-324, 1.7976931348623157e308, 2.0**53, 48.85341, -0.1]
FLOATS = [0.0, -0.0, 0.5, 3.0, 0.1, -3.4028234663852886e38, 1.401298464324817e-45]
# Numbers that no enum of the API has; a newer daemon may.
NEWER = [77, -1, 2**31 - 1, -(2**31)]


def is_repeated(field):
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def dump(message, signed=False):
    """Shows a message as JSON is to show it; `signed` as Lua's integers are."""
    shown = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if is_repeated(field):
            shown[field.name] = [one(field, item, signed) for item in value]
        elif not field.has_presence or message.HasField(field.name):
            shown[field.name] = one(field, value, signed)
    return shown


def one(field, value, signed):
    if field.message_type:
        return dump(value, signed)
    if field.enum_type:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else value
    if signed and field.type in (field.TYPE_UINT64, field.TYPE_FIXED64) and value >= 2**63:
        return value - 2**64
    return value


def difference(expected, found, path=""):
    """Says where two values differ, to the type and the sign of zero; none where they do not."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in sorted(expected.keys() | found.keys()):
            if name not in found:
                return f"{path}.{name} is missing, expected {expected[name]!r:.200}"
            if name not in expected:
                return f"{path}.{name} is there and should not be: {found[name]!r:.200}"
            if told := difference(expected[name], found[name], f"{path}.{name}"):
                return told
        return None
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return next((t for i, (e, f) in enumerate(zip(expected, found)) if (t := difference(e, f, f"{path}[{i}]"))), None)
    if type(expected) is type(found) and repr(expected) == repr(found):
        return None
    return f"{path} is {found!r:.200}, expected {expected!r:.200}"


def fill(message, rng, chance=0.5):
    """Sets each field, or each member of a oneof, with a chance; 1 sets all of them."""
    taken = set()
    for field in message.DESCRIPTOR.fields:
        group = field.containing_oneof
        if group is not None:
            if group.name in taken:
                continue
            taken.add(group.name)
            field = rng.choice(group.fields)
        if rng.random() >= chance:
            continue
        if is_repeated(field):
            items = getattr(message, field.name)
            for _ in range(rng.choice([1, 2, 3, 20]) if chance < 1 else 2):
                if field.message_type:
                    fill(items.add(), rng, chance)
                else:
                    items.append(scalar(field, rng))
        elif field.message_type:
            inner = getattr(message, field.name)
            inner.SetInParent()
            fill(inner, rng, chance)
        else:
            setattr(message, field.name, scalar(field, rng))
    return message


def scalar(field, rng):
    if field.enum_type:
        return rng.choice(list(field.enum_type.values_by_number) + NEWER)
    return {
        field.TYPE_BOOL: lambda: rng.random() < 0.5,
        field.TYPE_STRING: lambda: rng.choice(TEXTS),
        field.TYPE_BYTES: lambda: rng.randbytes(rng.choice([0, 1, 300])),
        field.TYPE_UINT64: lambda: rng.choice(U64 + [rng.getrandbits(64)]),
        field.TYPE_UINT32: lambda: rng.choice(U32 + [rng.getrandbits(32)]),
        field.TYPE_INT32: lambda: rng.choice(I32),
        field.TYPE_DOUBLE: lambda: rng.choice(DOUBLES + [rng.gauss(0, 1e6)]),
        field.TYPE_FLOAT: lambda: rng.choice(FLOATS),
    }[field.type]()


def hollow(message):
    """Sets every message field, and nothing in it."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type and is_repeated(field):
            getattr(message, field.name).add()
        elif field.message_type:
            getattr(message, field.name).SetInParent()
    return message


def newer(message, rng):
    """Adds fields that a newer daemon may send, at every depth."""
    for field, value in message.ListFields():
        if field.message_type:
            for inner in value if is_repeated(field) else [value]:
                newer(inner, rng)
    known = message.DESCRIPTOR.fields_by_number
    numbers = [n for n in [14, 15, 16, 99, 2047, 2048, 18999, 536870911] if n not in known]
    kinds = [(0, varint(2**64 - 1)), (1, b"12345678"), (2, varint(3) + b"\xff\0x"), (5, b"1234")]
    for number in rng.sample(numbers, 4):
        kind, content = rng.choice(kinds)
        message.MergeFromString(varint(number << 3 | kind) + content)
    message.MergeFromString(varint(77 << 3 | 3) + varint(1 << 3 | 0) + b"\x05" + varint(77 << 3 | 4))
    return message


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def broken(data, rng):
    """Changes bytes as a fault would: cut, turned over, doubled, stuffed."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 3])):
        at = rng.randrange(len(data)) if data else 0
        kind = rng.randrange(5)
        if kind == 0:
            del data[at:]
        elif kind == 1 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.choice([1, 2, 9]))
        elif kind == 3:
            del data[at : at + 1]
        else:
            data[at:at] = b"\xff" * 11
    return bytes(data)


def notifications(kind, seed):
    """Yields messages of a kind: full ones, an empty one, a hollow one, newer ones, and random ones."""
    rng = random.Random(seed)
    yield fill(kind(), rng, 1)
    yield kind()
    yield hollow(kind())
    yield newer(fill(kind(), rng, 1), rng)
    yield newer(kind(), rng)
    for chance in [0.2, 0.5, 0.5, 0.8, 1]:
        yield fill(kind(), rng, chance)
