"""Which steps took longer than in another build."""

from __future__ import annotations

from datetime import timedelta

from stoker.domain.slower_steps import SlowerStep, slower_steps
from tests.harness.steps import step


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def test_steps_that_took_longer_are_listed_with_the_largest_difference_first() -> None:
    before = [
        step(1, 0, 1, name="[build 1/3] RUN a"),
        step(2, 0, 6, name="[build 2/3] RUN compile"),
        step(3, 0, 0, name="[build 3/3] RUN test", cached=True),
        step(4, 0, 5, name="[other 1/1] RUN same"),
    ]
    now = [
        step(1, 0, 3, name="[build 1/4] RUN a"),
        step(2, 0, 12, name="[build 2/4] RUN compile"),
        step(3, 0, 4, name="[build 4/4] RUN test"),
        step(4, 0, 5.2, name="[other 1/1] RUN same"),
        step(5, 0, 9, name="[build 3/4] RUN new"),
    ]
    assert slower_steps(now, before) == (
        SlowerStep(2, "[build 2/4] RUN compile", seconds(6), seconds(12)),
        SlowerStep(3, "[build 4/4] RUN test", seconds(0), seconds(4)),
        SlowerStep(1, "[build 1/4] RUN a", seconds(1), seconds(3)),
    )


def test_what_can_not_be_compared_is_left_out() -> None:
    before = [step(1, 0, 1, name="RUN a"), step(2, 0, 1, name="RUN a"), step(3, 0, 1, name="RUN b", error="no")]
    now = [
        step(1, 0, 9, name="RUN a"),
        step(2, 0, 9, name="RUN b"),
        step(3, 0, 9, name="RUN a", platform="linux/arm64"),
        step(4, 0, None, name="RUN c"),
    ]
    assert slower_steps(now, before) == ()


def test_only_a_few_are_listed() -> None:
    before = [step(number, 0, 1, name=f"RUN {number}") for number in range(1, 20)]
    now = [step(number, 0, 1 + number, name=f"RUN {number}") for number in range(1, 20)]
    assert [one.number for one in slower_steps(now, before)] == [19, 18, 17, 16, 15]
