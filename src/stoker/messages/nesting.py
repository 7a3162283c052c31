"""Checks how deeply JSON is nested, before it is decoded.

A decoder that calls itself for each level overflows its stack on JSON that is nested deeply enough, and then the kernel
ends the whole process (docs/findings.md). So depth is bounded here, without recursion.
"""

from __future__ import annotations

from itertools import accumulate

# Our own messages have no more than ten levels. It is what protobuf decoders take of nested messages, too.
MAX_DEPTH = 100

_BRACKETS = b"[]{}"
_ALL_ELSE = bytes(set(range(256)) - set(b'"' + _BRACKETS))
# One level more, one level fewer, as signed bytes.
_STEPS = bytes.maketrans(_BRACKETS, b"\x01\xff\x01\xff")
_PIECE = 64 * 1024


def require_shallow_json(data: bytes | bytearray) -> None:
    """Let JSON pass whose lists and objects are nested at most `MAX_DEPTH` deep.

    What isn't JSON passes as well, if a decoder that stops at the first mistake gets no deeper before it. The work
    grows linearly with the size, and is next to nothing where there are few brackets, as in ordinary messages.

    Raises:
        ValueError: it is nested more deeply.
    """
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    steps = memoryview(_brackets(data).translate(_STEPS)).cast("b")
    depth = 0
    for start in range(0, len(steps), _PIECE):
        depths = list(accumulate(steps[start : start + _PIECE], initial=depth))
        if max(depths) > MAX_DEPTH:
            raise ValueError(f"the JSON is nested more than {MAX_DEPTH} levels deep; send it with fewer")
        depth = depths[-1]


def _brackets(data: bytes | bytearray) -> bytes:
    """The brackets outside of strings."""
    unescaped = bytes(data).replace(b"\\\\", b"").replace(b'\\"', b"")
    rest = unescaped.translate(None, _ALL_ELSE).replace(b'""', b"")
    return b"".join(rest.split(b'"')[::2])
