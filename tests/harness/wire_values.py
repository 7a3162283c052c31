"""Random messages of the wire contract, as JSON and as protobuf: right in some places and wrong in others."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Mapping
from typing import Any

ODD_VALUES: list[Any] = [
    None, True, 0, -1, 1.5, 2**31, 2**63, -(2**63), 1e400, "", " ", "x" * 5000, "\x00", "\U0001f600", "\ud83d", "../..",
    "' OR 1=1 --", "0000000000000000", "PLATFORM_AMD64", "99", [], {}, [[]], {"a": {"b": []}},
    "2026-01-01T00:00:00Z", "NaN", "9" * 400,
]  # fmt: skip
_FIXED = {"float": "<f", "double": "<d"}
_MAX_DEPTH = 4


class RandomMessages:
    """Makes messages of the contract's types. ``ids`` are values that name something."""

    def __init__(self, rng: random.Random, wire: Mapping[str, Any], ids: list[str], odd: float) -> None:
        self._rng = rng
        self._messages = wire["messages"]
        self._enums = wire["enums"]
        self._ids = ids
        self._odd = odd

    def json(self, name: str) -> bytes:
        """A message as JSON, with some fields under each of their two names."""
        return json.dumps(self._json_message(name, 0)).encode()

    def protobuf(self, name: str) -> bytes:
        """The same as protobuf."""
        return self._proto_message(name, 0)

    def _json_message(self, name: str, depth: int) -> Any:
        rng = self._rng
        if name not in self._messages or depth > _MAX_DEPTH:
            return rng.choice(ODD_VALUES)
        message: dict[str, Any] = {}
        for field, shape in self._messages[name].items():
            if rng.random() < 0.3:
                continue
            value = self._json_value(shape, depth)
            message[field if rng.random() < 0.5 else camel(field)] = value
        if rng.random() < self._odd / 2:
            message[rng.choice(["nope", "__proto__", ""])] = rng.choice(ODD_VALUES)
        return message

    def _json_value(self, shape: Mapping[str, Any], depth: int) -> Any:
        rng = self._rng
        kind = shape["type"]
        if rng.random() < self._odd:
            return rng.choice(ODD_VALUES)
        if kind in self._messages:
            value: Any = self._json_message(kind, depth + 1)
        elif kind in self._enums:
            value = rng.choice([*self._enums[kind], *self._enums[kind].values()])
        elif kind == "google.protobuf.Timestamp":
            value = "2026-01-01T00:00:00Z"
        elif kind == "bool":
            value = rng.random() < 0.5
        elif kind.startswith("map<"):
            return {"a": "b"}
        elif kind in ("string", "bytes"):
            value = self._text() if kind == "string" else "AAEC"
        else:
            value = rng.choice([0, 1, 2, 7, "5"])
        return [value] * rng.randint(0, 3) if shape.get("repeated") else value

    def _proto_message(self, name: str, depth: int) -> bytes:
        rng = self._rng
        if name not in self._messages or depth > _MAX_DEPTH:
            return rng.randbytes(rng.randint(0, 8))
        parts: list[bytes] = []
        for shape in self._messages[name].values():
            if rng.random() < 0.3:
                continue
            for _ in range(rng.randint(0, 3) if shape.get("repeated") else 1):
                parts.append(self._proto_field(shape, depth))
        return b"".join(parts)

    def _proto_field(self, shape: Mapping[str, Any], depth: int) -> bytes:
        rng = self._rng
        kind, number = shape["type"], shape["no"]
        if rng.random() < self._odd:
            return varint(number << 3 | rng.randrange(8)) + rng.randbytes(rng.randint(0, 12))
        if kind in _FIXED:
            return varint(number << 3 | 5) + struct.pack(_FIXED[kind], 1.5)
        if kind in self._enums:
            return varint(number << 3) + varint(rng.choice(list(self._enums[kind].values())))
        if kind in self._messages:
            content = self._proto_message(kind, depth + 1)
        elif kind in ("string", "bytes"):
            content = self._text().encode()
        elif kind.startswith(("google.", "map<")):
            content = b"\x08\x01"
        else:
            return varint(number << 3) + varint(rng.choice([0, 1, 2, 7, 2**64 - 1]))
        return varint(number << 3 | 2) + varint(len(content)) + content

    def _text(self) -> str:
        return self._rng.choice([*self._ids, *self._ids, "us-east-1", "a name", "π"])


def camel(name: str) -> str:
    """A field's name as the documentation spells it."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(encoded) + bytes([value])


def mutated(rng: random.Random, body: bytes) -> bytes:
    """Some bytes changed, cut or doubled."""
    data = bytearray(body)
    for _ in range(rng.randint(0, 3)):
        place = rng.randrange(len(data) + 1)
        match rng.randrange(3):
            case 0:
                data[place:place] = bytes([rng.randrange(256)])
            case 1:
                del data[place : place + rng.randint(1, 5)]
            case _:
                data[place:place] = data[:place][-20:]
    return bytes(data)
