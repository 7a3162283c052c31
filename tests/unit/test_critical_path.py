"""The chain of steps that a build waited for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from stoker.domain.critical_path import critical_path
from stoker.domain.steps import Step
from tests.harness.steps import BEGIN, step


def path_of(steps: Sequence[Step]) -> tuple[list[int], float]:
    found = critical_path(steps)
    return [one.number for one in found.steps], found.duration.total_seconds()


def test_it_is_the_chain_that_took_longest_to_the_step_that_ended_last() -> None:
    base = step(1, 0, 2)
    long, short = step(2, 2, 9, needs=(base,)), step(3, 2, 4, needs=(base,))
    last, apart = step(4, 9, 10, needs=(short, long)), step(5, 0, 9.5)
    assert path_of([base, long, short, last, apart]) == ([1, 2, 4], 10)


def test_an_input_that_waited_for_its_turn_is_not_on_it_for_ending_late() -> None:
    worked, waited = step(1, 0, 5), step(2, 5.5, 6)
    assert path_of([worked, waited, step(3, 6, 7, needs=(worked, waited))]) == ([1, 3], 6)


def test_an_export_follows_what_ended_before_it_though_it_names_no_input() -> None:
    base = step(1, 0, 1)
    run = step(2, 1, 4, needs=(base,))
    export = step(4, 4, 6, name="exporting to image")
    assert path_of([base, run, step(3, 0, 2), export]) == ([1, 2, 4], 6)


def test_time_that_two_steps_share_counts_once() -> None:
    again = step(1, 0, 5)
    assert path_of([again, step(2, 1, 7, needs=(again,))]) == ([1, 2], 7)


def test_steps_that_run_or_never_began_are_not_on_it() -> None:
    skipped = step(1, None, None)
    done = step(2, 0, 1, needs=(skipped,))
    assert path_of([skipped, done, step(3, 1, None, needs=(done,))]) == ([2], 1)
    assert path_of([skipped]) == ([], 0)
    assert path_of([]) == ([], 0)


def test_a_circle_and_clocks_that_run_back_end_all_the_same() -> None:
    one, two = step(1, 5, 3, digest="a"), step(2, 3, 6, digest="b")
    circle = [step(1, 0, 1, digest="a", needs=(two,)), step(2, 1, 2, digest="b", needs=(one,))]
    assert path_of(circle)[1] == 2
    assert path_of([one]) == ([1], 0)


def test_a_running_step_is_on_it_as_if_it_ended_now() -> None:
    base = step(1, 0, 2)
    runs, other = step(2, 2, None, needs=(base,)), step(3, 2, 4, needs=(base,))
    now = BEGIN + timedelta(seconds=12)
    found = critical_path([one.until(now) for one in (base, runs, other, step(4, None, None))])
    assert [one.number for one in found.steps] == [1, 2]
    assert found.duration == timedelta(seconds=12)
