"""Bars of charts."""

from __future__ import annotations

from stoker.web.charts import chart


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
