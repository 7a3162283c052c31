"""How numbers become bars."""

from __future__ import annotations

from itertools import pairwise

import pytest

from stoker.web.charts import chart, length, lengths


def test_bars_stay_within_the_chart_and_stand_on_its_floor() -> None:
    found = chart([2, None, 4, 0])
    assert found.most == 4
    assert [bar.index for bar in found.bars] == [0, 2, 3]
    assert [bar.height for bar in found.bars][:2] == [50, 100]
    assert all(bar.top + bar.height == 100 for bar in found.bars)
    assert all(bar.left >= 0 and bar.left + bar.width <= 100 for bar in found.bars)
    assert found.bars[-1].height > 0, "what is nothing is seen to be there"


def test_nothing_and_only_zeros_are_charts_too() -> None:
    assert chart([]).bars == ()
    assert chart([0, 0]).most == 1
    assert [bar.height for bar in chart([3], most=2).bars] == [100]


def test_bars_stand_side_by_side_and_little_is_seen() -> None:
    bars = chart([0.1, 1, 50, 100_000]).bars
    assert [bar.height for bar in bars] == [0.8, 0.8, 0.8, 100]
    assert all(one.left + one.width < next_one.left for one, next_one in pairwise(bars))
    assert bars[0].left > 0
    assert bars[-1].left + bars[-1].width < 100


@pytest.mark.parametrize("values", [[], [0], [0, 0.0]])
def test_nothing_has_no_length(values: list[float]) -> None:
    assert lengths(values) == [0 for _ in values]


def test_a_part_of_a_whole_is_never_longer_than_it() -> None:
    assert [length(value, 10) for value in (0, 0.001, 5, 10, 11)] == [0, 0.3, 50, 100, 100]
    assert length(5, 0) == 0
    assert lengths([2, 4, 1]) == [50, 100, 25]
