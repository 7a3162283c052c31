"""Which steps of a waterfall are folded, which are the slowest, and what becomes of steps that never ended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stoker.domain.errors import InvalidInput
from stoker.domain.slowest_steps import slowest_steps
from stoker.domain.step_filter import StepFilter, StepKind, checked_filter
from stoker.domain.steps import Step
from stoker.web.folding import folded, unfolded
from stoker.web.timeline import Bar, Scale, bars
from tests.harness.steps import BEGIN, step

SCALE = Scale(BEGIN, BEGIN + timedelta(seconds=60))
LOAD = "[internal] load build definition"


def bars_of(*steps: Step, is_over: bool = True) -> list[Bar]:
    return bars(steps, SCALE, is_over=is_over)["linux/amd64"]


def folds(*steps: Step) -> list[tuple[list[int], str]]:
    return [([bar.step.number for bar in fold.bars], fold.words) for fold in folded(bars_of(*steps))]


def test_cached_and_quick_internal_steps_beside_each_other_are_folded() -> None:
    assert folds(
        step(1, name=LOAD, ended=0.1),
        step(2, name=LOAD, ended=0.1),
        step(3),
        step(4, cached=True),
        step(5, cached=True),
        step(6, name=LOAD, ended=0.1),
        step(7),
        step(8, cached=True),
        step(9),
        step(10, cached=True),
        step(11, cached=True),
    ) == [
        ([1, 2], "2 internal steps"),
        ([3], ""),
        ([4, 5, 6], "2 cached steps, 1 internal step"),
        ([7], ""),
        ([8], ""),
        ([9], ""),
        ([10, 11], "2 cached steps"),
    ]


def test_internal_steps_that_took_long_failed_or_run_are_seen() -> None:
    slow, failed, runs = step(1, 0, 5, name=LOAD), step(2, name=LOAD, error="x"), step(3, 0, None, name=LOAD)
    assert folds(slow, failed, runs) == [([1], ""), ([2], ""), ([3], "")]
    assert list(folded([])) == []


def test_what_a_reader_asked_for_is_not_folded() -> None:
    assert [len(fold.bars) for fold in unfolded(bars_of(step(1, cached=True), step(2, cached=True)))] == [1, 1]


def test_steps_that_never_ended_are_told_from_those_that_go_on() -> None:
    canceled = "process: context canceled"
    steps = (step(1, None, None), step(2, 0, None), step(3, error=canceled), step(4, error="exit code: 1"))
    assert [bar.state for bar in bars_of(*steps)] == ["not-run", "unfinished", "canceled", "failed"]
    assert [bar.state for bar in bars_of(*steps, is_over=False)] == ["waiting", "running", "canceled", "failed"]


def test_the_slowest_steps_are_those_that_took_longest_themselves() -> None:
    steps = [
        step(1, 0, 3),
        step(2, 0, 9, cached=True),
        step(3, 0, 5),
        step(4, 1, 4),
        step(5, None, None),
        step(6, 2, 2),
    ]
    assert [one.number for one in slowest_steps(steps, 5)] == [3, 1, 4]
    assert [one.number for one in slowest_steps(steps, 2)] == [3, 1]
    running = step(7, 0, None)
    assert slowest_steps([running], 5) == ()
    assert slowest_steps([running.until(BEGIN + timedelta(seconds=9))], 5)[0].duration == timedelta(seconds=9)


def test_a_filter_is_of_a_known_kind_and_not_too_long() -> None:
    assert checked_filter("ran", "make") == StepFilter(StepKind.RAN, "make")
    for kind, name in (("slow", ""), ("all", "x" * 201)):
        with pytest.raises(InvalidInput):
            checked_filter(kind, name)
