"""Counts the parts of a message, before a decoder makes an object of each.

An empty nested message takes two bytes of a message, and hundreds of bytes of memory and some microseconds when it is
decoded: four megabytes of them stop the event loop for many seconds. Counting ends as soon as there are too many.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from protobuf import DescFieldValueList, DescFieldValueMap, DescFieldValueMessage, DescMessage

from stoker.domain.errors import ResourceExhausted
from stoker.domain.varints import read_varint
from stoker.messages.nesting import MAX_DEPTH

if TYPE_CHECKING:
    from protobuf import Message

    # A nested message, or an entry of a map, which is one on the wire.
    Nested = DescMessage | DescFieldValueMap

# What a nested message costs a decoder, beside one field.
_NESTED_COST = 5
_WORTH_COUNTING = 8 * 1024
_MAP_VALUE = 2
# Wire types (https://protobuf.dev/programming-guides/encoding/#structure).
_VARINT, _FIXED64, _LENGTH, _GROUP, _GROUP_END, _FIXED32 = 0, 1, 2, 3, 4, 5


def require_few_parts(data: bytes | bytearray, message_class: type[Message], most: int) -> None:
    """Let a binary message pass that has at most so many parts: a field is one, a nested message five more.

    What is no message passes, if a decoder that stops at the first mistake makes no more of it.

    Raises:
        ResourceExhausted: there are more.
        ValueError: groups are nested more than `MAX_DEPTH` levels deep.
    """
    if len(data) <= _WORTH_COUNTING:
        return
    ends: list[tuple[int, dict[int, Nested]]] = [(len(data), _nested_in(message_class.desc()))]
    place = parts = groups = 0
    try:
        while ends:
            end, nested = ends[-1]
            if place >= end:
                ends.pop()
                continue
            parts += 1
            if parts > most:
                raise _too_many(most)
            tag, place = read_varint(data, place)
            kind = tag & 7
            if kind == _LENGTH:
                length, place = read_varint(data, place)
                inner = nested.get(tag >> 3)
                if inner is None:
                    place += length
                else:
                    parts += _NESTED_COST
                    ends.append((min(place + length, end), _nested_in(inner)))
            elif kind == _VARINT:
                _, place = read_varint(data, place)
            elif kind in (_GROUP, _GROUP_END):
                # Groups are unknown to us: their fields count like those around them.
                groups += 1 if kind == _GROUP else -1
                if groups > MAX_DEPTH:
                    raise ValueError(f"groups are nested more than {MAX_DEPTH} levels deep; send it with fewer")
            else:
                place += 8 if kind == _FIXED64 else 4 if kind == _FIXED32 else 0
    except IndexError:
        return


def require_few_json_parts(data: bytes | bytearray, most: int) -> None:
    """The same of JSON, by its commas and opening brackets outside of strings.

    Raises:
        ResourceExhausted: there are more.
    """
    if len(data) <= _WORTH_COUNTING or _json_parts(data) <= most:
        return
    unescaped = bytes(data).replace(b"\\\\", b"").replace(b'\\"', b"")
    if _json_parts(b"".join(unescaped.split(b'"')[::2])) > most:
        raise _too_many(most)


def _too_many(most: int) -> ResourceExhausted:
    return ResourceExhausted(f"the message has more than {most} parts (setting max_message_parts); send several")


def _json_parts(data: bytes | bytearray) -> int:
    return data.count(b",") + _NESTED_COST * (data.count(b"{") + data.count(b"["))


@cache
def _nested_in(outer: Nested) -> dict[int, Nested]:
    """The nested messages of a message by the numbers of their fields."""
    if isinstance(outer, DescFieldValueMap):
        return {_MAP_VALUE: outer.value} if isinstance(outer.value, DescMessage) else {}
    found: dict[int, Nested] = {}
    for field in outer.fields:
        value = field.value
        if isinstance(value, DescFieldValueMap):
            found[field.number] = value
        elif isinstance(value, DescFieldValueMessage):
            found[field.number] = value.message
        elif isinstance(value, DescFieldValueList) and isinstance(value.element, DescMessage):
            found[field.number] = value.element
    return found
