"""Decodes what decoders of Protobuf refuse in BuildKit's messages: texts that are no UTF-8, and impossible times.

Protobuf's texts are UTF-8, but BuildKit's encoder doesn't check it, and names of files may be any bytes.
Decoders refuse such a message as a whole. Here it is decoded with a mark (U+FFFD) in place of what isn't UTF-8.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from connectrpc.codec import proto_binary_codec
from protobuf import (
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescFieldValueScalar,
    DescMessage,
    Message,
    ScalarType,
)

from stoker.domain.varints import read_varint, written_varint

if TYPE_CHECKING:
    from protobuf.wkt import Timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Some = TypeVar("Some", bound=Message)

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MOST_DEPTH = 100
_KEY, _VALUE = 1, 2


class LenientCodec:
    """Protobuf, whatever bytes its texts are."""

    def __init__(self) -> None:
        self._codec = proto_binary_codec()

    def name(self) -> str:
        """The name in content types."""
        return self._codec.name()

    def encode(self, message: Message) -> bytes:
        """A message in protobuf's binary format."""
        return self._codec.encode(message)

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:  # noqa: ANN401
        """A message from protobuf's binary format; see `decode`."""
        return decode(data, message_class)


def decode(data: bytes | bytearray, message_class: type[Some]) -> Some:
    """A message, with a mark in place of what is no UTF-8 in its texts.

    Raises:
        ValueError: it isn't one.
    """
    try:
        return message_class.from_binary(data)
    except ValueError:
        return message_class.from_binary(_with_valid_texts(data, message_class.desc(), 0))


def decode_moment(moment: Timestamp | None) -> datetime | None:
    """A time, or None for one that is absent or that no calendar has, such as Go's zero time."""
    try:
        found = None if moment is None else moment.to_datetime()
    except (OverflowError, ValueError):
        return None
    return None if found is None or found < EPOCH else found


def _with_valid_texts(data: bytes | bytearray, kind: DescMessage | DescFieldValueMap, depth: int) -> bytes:
    """The same message with valid texts; the rest as it was, if it is no message."""
    if depth > _MOST_DEPTH:
        return bytes(data)
    texts, nested = _fields(kind)
    written = bytearray()
    place = begin = 0
    try:
        while place < len(data):
            begin = place
            tag, place = read_varint(data, place)
            wire_type, number = tag & 7, tag >> 3
            if wire_type == _LENGTH:
                length, place = read_varint(data, place)
                content = data[place : place + length]
                place += length
                if len(content) == length and number in texts:
                    content = content.decode(errors="replace").encode()
                elif len(content) == length and number in nested:
                    content = _with_valid_texts(content, nested[number], depth + 1)
                else:
                    written += data[begin:place]
                    continue
                written += written_varint(tag) + written_varint(len(content)) + content
                continue
            place = read_varint(data, place)[1] if wire_type == _VARINT else place + _SIZES.get(wire_type, 0)
            written += data[begin:place]
    except IndexError:
        written += data[begin:]
    return bytes(written)


@cache
def _fields(
    kind: DescMessage | DescFieldValueMap,
) -> tuple[frozenset[int], dict[int, DescMessage | DescFieldValueMap]]:
    """The numbers of a message's texts, and its nested messages by theirs; an entry of a map is one, too."""
    if isinstance(kind, DescFieldValueMap):
        elements: dict[int, object] = {_KEY: kind.key, _VALUE: kind.value}
    else:
        elements = {field.number: _element(field.value) for field in kind.fields}
    texts = frozenset(number for number, one in elements.items() if one == ScalarType.STRING)
    return texts, {number: one for number, one in elements.items() if isinstance(one, DescMessage | DescFieldValueMap)}


def _element(value: object) -> object:
    if isinstance(value, DescFieldValueList):
        return value.element
    if isinstance(value, DescFieldValueMessage):
        return value.message
    return value.scalar if isinstance(value, DescFieldValueScalar) else value
