"""Numbers as protobuf writes them (https://protobuf.dev/programming-guides/encoding/#varints)."""

from __future__ import annotations

_LONGEST = 70
_MORE = 0x80


def read_varint(data: bytes | bytearray, place: int) -> tuple[int, int]:
    """The number that begins at a place, and the place after it.

    Raises:
        IndexError: it has no end.
    """
    value = shift = 0
    while shift < _LONGEST:
        byte = data[place]
        place += 1
        value |= (byte & ~_MORE) << shift
        if byte < _MORE:
            break
        shift += 7
    return value, place


def written_varint(number: int) -> bytes:
    """A number that isn't negative, as it is written."""
    written = bytearray()
    while number >= _MORE:
        written.append(number & ~_MORE & 0xFF | _MORE)
        number >>= 7
    written.append(number)
    return bytes(written)
