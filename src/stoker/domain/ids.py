"""Identifiers: short, safe in URLs, and sorted by the time they were made.

Nine characters count milliseconds since 1970 (enough until the year 3084), seven are random. The alphabet is
Crockford's base 32 in lower case, whose order is also ASCII's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.clock import Clock, Randomness

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
TIME_LENGTH = 9
RANDOM_LENGTH = 7
_SHAPE = re.compile(f"[{ALPHABET}]{{{TIME_LENGTH + RANDOM_LENGTH}}}")


def _encode(number: int, length: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))


def new_id(clock: Clock, randomness: Randomness) -> str:
    """A new identifier of 16 characters."""
    milliseconds = int(clock.now().timestamp() * 1000)
    noise = int.from_bytes(randomness.token_bytes(5), "big")
    return _encode(milliseconds, TIME_LENGTH) + _encode(noise, RANDOM_LENGTH)


def first_id_at(moment: datetime) -> str:
    """The smallest id of a moment: all older ids are smaller."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return _encode(milliseconds, TIME_LENGTH) + ALPHABET[0] * RANDOM_LENGTH


def is_id(text: str) -> bool:
    """Whether a text has the form of an identifier."""
    return _SHAPE.fullmatch(text) is not None


def checked_id(value: str, what: str) -> str:
    """Return ``value`` if it has the form of an identifier.

    Args:
        value: what the caller sent.
        what: the field's name, for the message.

    Raises:
        InvalidInput: it is empty or has another form.
    """
    if not value:
        raise InvalidInput(f"{what} is empty; give the id of an existing one")
    if not is_id(value):
        raise InvalidInput(
            f"{what} is not an id: ids have {TIME_LENGTH + RANDOM_LENGTH} characters, digits and lower-case letters"
        )
    return value
