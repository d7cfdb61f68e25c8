"""Compares our descriptor set with the descriptors that the published client was generated from.

Usage: wire.py DESCRIPTORS [--self-check]

Everything that the wire is made of becomes a fact with a key: packages, messages, fields, enum values, services and
methods. Both sides' facts must be equal. Prints the number of facts, or the differences and fails. With --self-check it
seeds differences into a copy of our set, one of each kind, and fails unless the comparison finds every one of them.
"""

import copy
import importlib
import pathlib
import sys

from google.protobuf import descriptor_pb2


def published():
    """The file descriptors of every generated module of the package."""
    root = pathlib.Path(importlib.import_module("olvid.protobuf").__path__[0])
    files = []
    for path in sorted(root.rglob("*_pb2.py")):
        name = ".".join(("olvid.protobuf", *path.relative_to(root).with_suffix("").parts))
        proto = descriptor_pb2.FileDescriptorProto()
        importlib.import_module(name).DESCRIPTOR.CopyToProto(proto)
        files.append(proto)
    return files


def ours(path):
    with open(path, "rb") as file:
        files = descriptor_pb2.FileDescriptorSet.FromString(file.read()).file
    # Files that define options of our own, and what they import, describe the wire and are no part of it.
    options = [each for each in files if each.extension]
    describing = {name for each in options for name in (each.name, *each.dependency)}
    return [each for each in files if each.name not in describing]


def facts(files):
    """Everything that must agree, by what it is."""
    found = {}
    for file in files:
        found["package", file.package] = file.syntax
        for message in file.message_type:
            message_facts(found, file.package, message)
        for enum in file.enum_type:
            enum_facts(found, file.package, enum)
        for service in file.service:
            name = f"{file.package}.{service.name}"
            found["service", name] = True
            for method in service.method:
                streams = (method.client_streaming, method.server_streaming)
                found["method", name, method.name] = (method.input_type, method.output_type, *streams)
    return found


def message_facts(found, scope, message):
    name = f"{scope}.{message.name}"
    found["message", name] = message.options.map_entry
    for field in message.field:
        synthetic = field.proto3_optional or not field.HasField("oneof_index")
        found["field", name, field.name] = (
            field.number,
            descriptor_pb2.FieldDescriptorProto.Type.Name(field.type),
            field.type_name,
            descriptor_pb2.FieldDescriptorProto.Label.Name(field.label),
            "optional" if field.proto3_optional else "",
            None if synthetic else message.oneof_decl[field.oneof_index].name,
            field.options.packed if field.options.HasField("packed") else None,
        )
    for inner in message.nested_type:
        message_facts(found, name, inner)
    for enum in message.enum_type:
        enum_facts(found, name, enum)


def enum_facts(found, scope, enum):
    name = f"{scope}.{enum.name}"
    found["enum", name] = True
    for value in enum.value:
        found["value", name, value.name] = value.number


def differences(expected, actual):
    lines = []
    for key in sorted(expected.keys() | actual.keys()):
        name = " ".join(key)
        if key not in actual:
            lines.append(f"missing: {name} = {expected[key]}")
        elif key not in expected:
            lines.append(f"extra: {name} = {actual[key]}")
        elif expected[key] != actual[key]:
            lines.append(f"different: {name}: published {expected[key]}, ours {actual[key]}")
    return lines


def messages(files):
    return [message for file in files for message in file.message_type]


def fields(files, wanted=lambda field: True):
    return [field for message in messages(files) for field in message.field if wanted(field)]


def methods(files):
    return [method for file in files for service in file.service for method in service.method]


def mutations():
    """One difference of each kind, as a change of a descriptor set."""
    optional = lambda field: field.proto3_optional
    chosen = lambda field: field.HasField("oneof_index") and not field.proto3_optional
    repeated = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
    services = lambda files: [service for file in files for service in file.service]
    enums = lambda files: [enum for message in messages(files) for enum in message.enum_type]
    holder = lambda files, part: next(message for message in messages(files) if getattr(message, part))
    return {
        "a field with another name": lambda files: setattr(fields(files)[0], "name", "renamed"),
        "a field with another number": lambda files: setattr(fields(files)[0], "number", 99),
        "a field of another scalar type": lambda files: setattr(
            fields(files, lambda field: field.type == field.TYPE_UINT64)[0], "type", 3
        ),
        "a field of another message type": lambda files: setattr(
            fields(files, lambda field: field.type == field.TYPE_MESSAGE)[0], "type_name", ".olvid.Other"
        ),
        "a field that became a list": lambda files: setattr(
            fields(files, lambda field: field.label != repeated)[0], "label", repeated
        ),
        "a field that lost its presence": lambda files: fields(files, optional)[0].ClearField("proto3_optional"),
        "a field that left its oneof": lambda files: fields(files, chosen)[0].ClearField("oneof_index"),
        "a field that is not packed": lambda files: setattr(
            fields(files, lambda field: field.label == repeated)[0].options, "packed", False
        ),
        "a missing field": lambda files: holder(files, "field").field.pop(),
        "an extra field": lambda files: holder(files, "field").field.add(name="extra", number=98, type=9, label=1),
        "an oneof with another name": lambda files: setattr(
            next(m for m in messages(files) if any(map(chosen, m.field))).oneof_decl[0], "name", "other"
        ),
        "a missing message": lambda files: next(file for file in files if file.message_type).message_type.pop(),
        "a missing nested message": lambda files: holder(files, "nested_type").nested_type.pop(),
        "an extra message": lambda files: next(f for f in files if f.message_type).message_type.add(name="Extra"),
        "an enum value with another number": lambda files: setattr(enums(files)[0].value[1], "number", 77),
        "a missing enum value": lambda files: enums(files)[0].value.pop(),
        "an extra enum": lambda files: messages(files)[0].enum_type.add(name="Extra"),
        "a missing method": lambda files: services(files)[0].method.pop(),
        "an extra service": lambda files: files[0].service.add(name="Extra"),
        "a method with another input": lambda files: setattr(methods(files)[0], "input_type", ".olvid.Other"),
        "a method with another output": lambda files: setattr(methods(files)[0], "output_type", ".olvid.Other"),
        "a method that streams its requests": lambda files: setattr(
            methods(files)[0], "client_streaming", not methods(files)[0].client_streaming
        ),
        "a method that streams its answers": lambda files: setattr(
            methods(files)[0], "server_streaming", not methods(files)[0].server_streaming
        ),
        "another package": lambda files: setattr(files[0], "package", "olvid.other"),
    }


def self_check(files):
    pristine = facts(files)
    missed = []
    for kind, mutate in mutations().items():
        changed = copy.deepcopy(files)
        mutate(changed)
        if not differences(pristine, facts(changed)):
            missed.append(kind)
    return [f"not found: {kind}" for kind in missed]


def main():
    files = ours(sys.argv[1])
    if sys.argv[2:] == ["--self-check"]:
        found = self_check(files)
        done = f"{len(mutations())} seeded differences found"
    else:
        expected = facts(published())
        found = differences(expected, facts(files))
        done = f"{len(expected)} facts agree"
    print("\n".join(found) if found else done)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
