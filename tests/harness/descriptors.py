"""What published clients believe the API's messages to be, from the descriptors that they carry.

Each has them in a form of its own: Go's generated code keeps the bytes of each FileDescriptorProto in one piece, that
of Python hands them to `AddSerializedFile`, and the SDK for Node has them as lists of fields.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protobuf.wkt.google.protobuf.descriptor_pb import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from tests.harness.node import node

_SCRIPT = Path(__file__).parents[1] / "clients" / "node" / "descriptors.mjs"
# Field numbers of FileDescriptorProto with their wire types (google/protobuf/descriptor.proto).
_VARINT, _BYTES = 0, 2
_FIELDS = dict.fromkeys(range(1, 10), _BYTES) | {10: _VARINT, 11: _VARINT, 12: _BYTES, 14: _VARINT}
_LISTS = frozenset({3, 4, 5, 6, 7, 10, 11})
_SYNTAX, _SYNTAXES = 12, (b"proto2", b"proto3", b"editions")
_NAME = re.compile(rb"\n([\x09-\x7f])(depot/[\w/]+\.proto)\x12")
_LONGEST_FIELD = 1 << 22
_KINDS = {
    (False, False): "unary",
    (False, True): "server_streaming",
    (True, False): "client_streaming",
    (True, True): "bidi_streaming",
}


@dataclass(frozen=True)
class Contract:
    """Messages, enums and services by their full names, in the form that wire.json has."""

    messages: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    enums: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    services: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    @property
    def packages(self) -> set[str]:
        """Where its services are."""
        return {name.rpartition(".")[0] for name in self.services}

    def lacks(self, client: Contract) -> list[str]:
        """What a client has in the packages of this contract that this hasn't, or has otherwise on the wire."""
        lacking: list[str] = []
        for part in ("services", "messages", "enums"):
            ours, theirs = getattr(self, part), getattr(client, part)
            for name, members in theirs.items():
                if not any(name.startswith(f"{package}.") for package in self.packages):
                    continue
                if name not in ours:
                    lacking.append(name)
                    continue
                for member, described in members.items():
                    if _on_wire(ours[name].get(member)) != _on_wire(described):
                        lacking.append(f"{name}.{member}: {described}, ours: {ours[name].get(member)}")
        return lacking


def _on_wire(described: Any) -> Any:
    """What matters on the wire: not whether a field's presence is seen, nor how a method's messages are called."""
    if not isinstance(described, dict):
        return described
    return {name: value for name, value in described.items() if name not in {"optional", "input", "output"}}


def contract_of(files: Iterable[FileDescriptorProto]) -> Contract:
    """Descriptors in the form that wire.json has."""
    contract = Contract()
    for file in files:
        for enum in file.enum_type:
            contract.enums[f"{file.package}.{enum.name}"] = _values(enum)
        for name, message in _messages(file.package, file.message_type):
            contract.messages[name] = {one.name: _described(name, message, one) for one in message.field}
            for enum in message.enum_type:
                contract.enums[f"{name}.{enum.name}"] = _values(enum)
        for service in file.service:
            contract.services[f"{file.package}.{service.name}"] = {
                method.name: {
                    "input": method.input_type.removeprefix("."),
                    "kind": _KINDS[bool(method.client_streaming), bool(method.server_streaming)],
                    "output": method.output_type.removeprefix("."),
                }
                for method in service.method
            }
    return contract


def in_binary(program: Path) -> Contract:
    """What a Go program believes."""
    content = program.read_bytes()
    starts = [found.start() for found in _NAME.finditer(content) if found[1][0] == len(found[2])]
    return contract_of(FileDescriptorProto.from_binary(content[start : _end(content, start)]) for start in starts)


def in_python(package: Path) -> Contract:
    """What a Python package believes."""
    return contract_of(
        FileDescriptorProto.from_binary(node.args[0].value)
        for module in sorted(package.rglob("*_pb2.py"))
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "AddSerializedFile"
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, bytes)
    )


def in_javascript(package: Path, folder: Path) -> Contract:
    """What a version of the SDK for Node believes; ``folder`` is one in whose `node_modules` its own packages are."""
    script = folder / "descriptors.mjs"
    script.write_text(_SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    command = [node(), str(script), str(package), str(folder / "everything.mjs")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return Contract(**json.loads(done.stdout))


def _messages(prefix: str, messages: Iterable[DescriptorProto]) -> Iterator[tuple[str, DescriptorProto]]:
    for message in messages:
        if not _is_map_entry(message):
            name = f"{prefix}.{message.name}"
            yield name, message
            yield from _messages(name, message.nested_type)


def _described(name: str, message: DescriptorProto, one: FieldDescriptorProto) -> dict[str, Any]:
    type_name = one.type_name.removeprefix(".")
    entries = {f"{name}.{nested.name}": nested for nested in message.nested_type if _is_map_entry(nested)}
    if type_name in entries:
        key, value = (part.type_name.removeprefix(".") or _scalar(part) for part in entries[type_name].field)
        return {"no": one.number, "type": f"map<{key},{value}>"}
    described: dict[str, Any] = {"no": one.number, "type": type_name or _scalar(one)}
    if one.label == FieldDescriptorProto.Label.REPEATED:
        described["repeated"] = True
    if one.proto3_optional:
        described["optional"] = True
    elif one.has_field("oneof_index"):
        described["oneof"] = message.oneof_decl[one.oneof_index].name
    return described


def _is_map_entry(message: DescriptorProto) -> bool:
    return message.options is not None and bool(message.options.map_entry)


def _scalar(one: FieldDescriptorProto) -> str:
    return one.type.name.removeprefix("TYPE_").lower()


def _values(enum: EnumDescriptorProto) -> dict[str, int]:
    return {value.name: value.number for value in enum.value}


def _end(content: bytes, start: int) -> int:
    """Where the FileDescriptorProto that begins at ``start`` ends: its fields come in the order of their numbers."""
    position, before = start, 0
    while True:
        tag, after = _varint(content, position)
        number, wire_type = tag >> 3, tag & 7
        is_next = number > before or (number == before and number in _LISTS)
        if _FIELDS.get(number) != wire_type or not is_next:
            return position
        value, after = _varint(content, after)
        if wire_type == _BYTES:
            if value > _LONGEST_FIELD:
                return position
            after += value
        if number == _SYNTAX and content[after - value : after] not in _SYNTAXES:
            return position
        position, before = after, number


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if not byte & 0x80:
            return value, position
