from __future__ import annotations

from datetime import timedelta

import pytest

from stoker.domain.wording import counted, spelled_out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "1 second"),
        (6, "6 seconds"),
        (60, "1 minute"),
        (90, "90 seconds"),
        (300, "5 minutes"),
        (3600, "1 hour"),
        (5400, "90 minutes"),
        (86400, "24 hours"),
        (0, "0 seconds"),
    ],
)
def test_times_are_spelled_out(seconds: int, text: str) -> None:
    assert spelled_out(timedelta(seconds=seconds)) == text


def test_one_is_singular() -> None:
    assert [counted(number, "day") for number in (0, 1, 2, 0.5)] == ["0 days", "1 day", "2 days", "0.5 days"]
