"""How pages write times, sizes and shares."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stoker.web.formats import ago, duration, ordinal, share, size

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.44, "0.4 s"), (9.96, "10 s"), (59.7, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (90000, "1 d 1 h")],
)
def test_a_length_of_time(value: float, text: str) -> None:
    assert duration(value) == duration(timedelta(seconds=value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KB"),
        (3_565_158, "3.4 MB"),
        (1024**3 - 1, "1 GB"),
        (50 * 1024**3, "50 GB"),
    ],
)
def test_a_size(value: int, text: str) -> None:
    assert size(value) == text


def test_only_all_is_a_hundred_percent_and_only_none_is_nothing() -> None:
    assert [share(*one) for one in ((0, 0), (0, 9), (1, 1000), (999, 1000), (3, 3))] == [
        "",
        "0 %",
        "1 %",
        "99 %",
        "100 %",
    ]


def test_places_in_a_line() -> None:
    assert [ordinal(one) for one in (1, 2, 3, 4, 11, 12, 22, 113, 1003)] == (
        ["1st", "2nd", "3rd", "4th", "11th", "12th", "22nd", "113th", "1,003rd"]
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (5, "just now"),
        (60, "1 minute ago"),
        (7300, "2 hours ago"),
        (3 * 86400, "3 days ago"),
        (8 * 86400, "2026-04-26"),
    ],
)
def test_how_long_ago(seconds: int, words: str) -> None:
    text = ago(NOW - timedelta(seconds=seconds), NOW)
    assert f">{words}</time>" in text
    assert 'datetime="2026-0' in text
