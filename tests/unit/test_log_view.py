"""Which part of a log a page shows, and how."""

from __future__ import annotations

import pytest
from starlette.datastructures import QueryParams

from stoker.domain.errors import InvalidInput
from stoker.web.log_view import LogView, asked_view, hits_at

SIZE = 100


@pytest.mark.parametrize(
    ("query", "view"),
    [
        ("", LogView()),
        ("line=12", LogView(12)),
        ("line=10-20", LogView(10, 20)),
        ("line=20-10", LogView(10, 20)),
        ("wrap=no&times=yes", LogView(wraps=False, has_times=True)),
        ("q=+a+%26+b+&line=3", LogView(3, text="a & b")),
        ("wrap=yes&times=no&else=1", LogView()),
    ],
)
def test_a_view_is_what_the_address_asks_for(query: str, view: LogView) -> None:
    assert asked_view(QueryParams(query)) == view
    assert asked_view(QueryParams(view.query.removeprefix("?"))) == view


@pytest.mark.parametrize("line", ["", "x", "-1", "1-", "1-2-3", "1234567890", "\uff11", "1 "])
def test_a_line_is_a_number_or_a_range(line: str) -> None:
    with pytest.raises(InvalidInput):
        asked_view(QueryParams({"line": line}))


def test_links_change_one_thing() -> None:
    view = LogView(10, 20, wraps=False)
    assert view.but(wraps=True) == "?line=10-20"
    assert view.but(line=None, last=None) == "?wrap=no"
    assert view.but(line=None, last=None, wraps=True) == ""


@pytest.mark.parametrize(
    ("view", "lines", "first"),
    [
        (LogView(), 0, 0),
        (LogView(), 99, 0),
        (LogView(), 250, 150),
        (LogView(1), 250, 0),
        (LogView(100), 250, 0),
        (LogView(101), 250, 100),
        (LogView(0), 250, 0),
        (LogView(9999), 250, 200),
        (LogView(9999), 0, 0),
        (LogView(10, 20), 250, 0),
        (LogView(95, 105), 250, 94),
        (LogView(95, 9999), 250, 94),
    ],
)
def test_a_window_has_the_line_or_the_range_or_the_end(view: LogView, lines: int, first: int) -> None:
    assert view.first(lines, SIZE) == first


def test_a_range_is_marked() -> None:
    view = LogView(10, 12)
    assert [number for number in range(20) if view.is_marked(number)] == [10, 11, 12]
    assert not LogView(10).is_marked(10)


@pytest.mark.parametrize(
    ("line", "previous", "current", "after"),
    [(None, None, 3, 7), (3, None, 3, 7), (4, 3, 7, 12), (7, 3, 7, 12), (12, 7, 12, None), (99, 7, 12, None)],
)
def test_a_search_leads_from_match_to_match(
    line: int | None, previous: int | None, current: int, after: int | None
) -> None:
    hits = hits_at([3, 7, 12], line, is_whole=True)
    assert (hits.previous, hits.current, hits.next) == (previous, current, after)


def test_a_search_that_finds_nothing_is_at_no_line() -> None:
    hits = hits_at([], 5, is_whole=True)
    assert (hits.previous, hits.current, hits.next) == (None, None, None)
