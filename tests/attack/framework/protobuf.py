"""Messages of protobuf put together by hand: such as no generated code would make, and LLB of any size."""

from __future__ import annotations

import hashlib


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 128:
        encoded.append(value % 128 + 128)
        value //= 128
    return bytes([*encoded, value])


def message(number: int, content: bytes | str) -> bytes:
    """A field of bytes, text or a message."""
    encoded = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(encoded)) + encoded


def number(field: int, value: int) -> bytes:
    """A field with a number."""
    return varint(field << 3) + varint(value)


def groups(field: int, depth: int) -> bytes:
    """A field with groups in one another, so many levels."""
    return varint(field << 3 | 3) * depth + varint(field << 3 | 4) * depth


def _digest(op: bytes) -> str:
    return "sha256:" + hashlib.sha256(op).hexdigest()


def many_vertexes(count: int, seed: str) -> bytes:
    """LLB whose first vertex can't be had (nothing listens there), and so many that need it.

    Fields are those of BuildKit's `solver/pb/ops.proto`.
    """
    source = message(3, message(1, f"docker-image://127.0.0.1:1/none:{seed}"))
    first = message(1, _digest(source))
    ops = [source]
    for at in range(count):
        make_folder = message(1, f"/{seed}-{at}") + number(2, 0o755)
        action = number(1, 0) + varint(2 << 3) + varint(2**64 - 1) + message(6, make_folder)
        ops.append(message(1, first) + message(4, message(2, action)))
    inputs = b"".join(message(1, message(1, _digest(op))) for op in ops[1:])
    merged = inputs + message(6, b"".join(message(1, number(1, at)) for at in range(count)))
    ops.append(merged)
    ops.append(message(1, message(1, _digest(merged))))
    return b"".join(message(1, op) for op in ops)


def solve(ref: str, *, definition: bytes = b"", frontend: str = "", session: str = "") -> bytes:
    """A SolveRequest (BuildKit's `control.proto`)."""
    parts = [message(1, ref)]
    parts += [message(2, definition)] if definition else []
    parts += [message(5, session)] if session else []
    parts += [message(6, frontend)] if frontend else []
    return b"".join(parts)
