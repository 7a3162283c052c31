from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.domain.errors import InvalidInput
from stoker.domain.ids import checked_id, new_id

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2500, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))  # noqa: DTZ001


@dataclass
class At:
    """A clock and randomness that say what they were told."""

    time: datetime
    noise: bytes = b"\0" * 5

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def token_bytes(self, count: int) -> bytes:
        return self.noise[:count]


@given(TIMES, st.binary(min_size=5, max_size=5), st.binary(min_size=5, max_size=5))
def test_a_later_id_sorts_after_an_earlier_one(time: datetime, noise: bytes, later_noise: bytes) -> None:
    earlier = At(time, noise)
    later = At(time + timedelta(milliseconds=2), later_noise)
    assert new_id(earlier, earlier) < new_id(later, later)


@given(TIMES, st.binary(min_size=5, max_size=5))
def test_an_id_is_accepted_as_one(time: datetime, noise: bytes) -> None:
    source = At(time, noise)
    made = new_id(source, source)
    assert checked_id(made, "id") == made
    assert len(made) == 16


@pytest.mark.parametrize(
    "value",
    ["", " ", "short", "UPPERCASE0000000", "000000000000000i", "0" * 17, "../../etc/passwd", "0000000000000000\n"],
)
def test_what_is_not_an_id_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="build_id"):
        checked_id(value, "build_id")
