"""Bars of steps, the step that a build failed with, and its place in the Dockerfile."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stoker.domain.build_failure import dockerfile_line, failed_step
from stoker.domain.build_waits import Wait
from stoker.domain.steps import Dockerfile
from stoker.web.timeline import (
    SCALE,
    Scale,
    bars,
    canceled_steps,
    failure_reasons,
    scale_of,
    wait_bars,
)
from tests.harness.steps import BEGIN, step


def scale(first: float, last: float) -> Scale:
    return Scale(BEGIN + timedelta(seconds=first), BEGIN + timedelta(seconds=last))


def test_bars_share_one_scale_of_time_in_all_platforms() -> None:
    found = bars(
        [step(1, 0, 5), step(2, 5, 10, platform="linux/arm64"), step(3, 10, 10, cached=True), step(4, None, None)],
        scale(0, 10),
        {2},
    )
    assert {
        platform: [(bar.left, bar.width, bar.state, bar.begins, bar.is_critical) for bar in some]
        for platform, some in found.items()
    } == {
        "linux/amd64": [(0, 500, "done", 0, False), (996, 4, "cached", 10, False), (0, 0, "waiting", None, False)],
        "linux/arm64": [(500, 500, "done", 5, True)],
    }


def test_a_step_that_runs_reaches_to_now() -> None:
    (bar,) = bars([step(1, 0, None)], scale(0, 7))["linux/amd64"]
    assert (bar.left, bar.width, bar.state, bar.seconds) == (0, SCALE, "running", 7)


def test_the_reasons_of_a_failure_leave_out_the_command_that_the_page_names() -> None:
    command = 'process "/bin/sh -c echo \\"a: b\\" && exit 7" did not complete successfully: '
    failed = step(1, 0, 2, error=f"{command}exit code: 7")
    assert failure_reasons(failed, f"failed to solve: {command}exit code: 7") == ["failed to solve: exit code: 7"]
    assert failure_reasons(failed, None) == ["exit code: 7"]
    assert failure_reasons(failed, "the server was stopped") == ["exit code: 7", "the server was stopped"]
    assert failure_reasons(None, 'process "x') == ['process "x']


def test_the_steps_that_a_build_was_canceled_in_come_in_their_order() -> None:
    canceled = [step(number, 9 - number, 10, error="context canceled: context canceled") for number in range(1, 6)]
    own = step(9, 0, 1, error="exit code: 1")
    assert [one.number for one in canceled_steps([*canceled, own])] == [5, 4, 3]


def test_steps_of_a_build_that_is_over_are_not_painted_as_failures_of_their_own() -> None:
    some = [
        step(1, 0, 2, error="exit code: 1"),
        step(2, 0, 3, error="process: context canceled"),
        step(3, 0, None),
        step(4, None, None),
        step(5, None, None, cached=True),
    ]
    words = {
        is_over: [bar.state for bar in bars(some, scale(0, 3), is_over=is_over)["linux/amd64"]]
        for is_over in (False, True)
    }
    assert words[False] == ["failed", "canceled", "running", "waiting", "cached"]
    assert words[True] == ["failed", "canceled", "unfinished", "not-run", "cached"]


def test_clocks_that_disagree_make_no_negative_bar() -> None:
    (bar,) = bars([step(1, 5, 3)], scale(4, 4))["linux/amd64"]
    assert 0 <= bar.left < bar.left + bar.width <= SCALE
    assert bar.seconds == 0


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0, ["0 s"]),
        (0.35, ["0 s", "0.1 s", "0.2 s", "0.3 s"]),
        (12, ["0 s", "2 s", "4 s", "6 s", "8 s", "10 s", "12 s"]),
        (100, ["0 s", "20 s", "40 s", "1 min", "1 min 20 s", "1 min 40 s"]),
        (7300, ["0 s", "30 min", "1 h", "1 h 30 min", "2 h"]),
    ],
)
def test_ticks_are_few_and_round(seconds: float, labels: list[str]) -> None:
    ticks = scale(0, seconds).ticks()
    assert [tick.label for tick in ticks] == labels
    assert ticks[0].place == 0
    assert ticks[-1].place <= SCALE


def test_steps_that_were_canceled_because_of_another_are_not_what_failed() -> None:
    canceled = step(1, 0, 2, error="process: context canceled")
    own = step(2, 0, 3, error="exit code: 1")
    assert failed_step([canceled, own, step(3)]) is own
    assert failed_step([canceled]) is None, "then the build's own error is the reason"
    assert failed_step([step(1)]) is None


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("[build 2/3] RUN make   && make install", 3),
        ("[3/3] COPY . /src", 5),
        ('[3/3] RUN  ["a", "b"]', 8),
        ("[3/3] RUN absent", None),
        ("[3/3] RUN twice", None),
        ("", None),
    ],
)
def test_the_line_of_a_step(name: str, line: int | None) -> None:
    contents = 'FROM x\n\nRUN make \\\n  && make install\nCOPY . /src\nRUN twice\nRUN twice\nRUN  ["a", "b"]\n'
    found = dockerfile_line(step(1, name=name), [Dockerfile("b", "", "Dockerfile", contents)])
    assert (found.number if found else None) == line


def waited(begun: float, ended: float) -> Wait:
    return Wait("Queue", BEGIN + timedelta(seconds=begun), BEGIN + timedelta(seconds=ended), is_over=True)


def test_waits_are_before_the_second_from_which_steps_count() -> None:
    waits = [waited(-2, -1), waited(-1, -0.95), waited(-0.95, 0)]
    found = scale_of(BEGIN, BEGIN + timedelta(seconds=8), waits)
    assert [(one.left, one.width) for one in wait_bars(waits, found)] == [(0, 100), (105, 95)], (
        "a short one isn't shown"
    )
    ticks = found.ticks()
    assert [(tick.place, tick.label) for tick in ticks][:2] == [(200, "0 s"), (400, "2 s")]
    (bar,) = bars([step(1, 0, 8)], found)["linux/amd64"]
    assert (bar.left, bar.width, bar.begins) == (200, 800, 0)


def test_a_long_wait_leaves_two_thirds_to_the_steps() -> None:
    waits = [waited(-600, -1), waited(-1, 0)]
    found = scale_of(BEGIN, BEGIN + timedelta(seconds=8), waits)
    assert [(one.left, one.width) for one in wait_bars(waits, found)] == [(0, 250), (250, 83)]
    assert scale_of(BEGIN, BEGIN - timedelta(seconds=1), []).seconds > 0
