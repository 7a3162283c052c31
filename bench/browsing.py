"""How fast a real browser opens the page of a large build, and scrolls it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from bench.measure import Alternative, Comparison, Measurement, bounded_rounds, compare
from bench.stack import BenchmarkFailed, Stack
from tests.harness.chromium import Chromium, running_chromium

_LARGE, _SMALL = "the large build", "a build of ten steps"
# Loaded, laid out and painted: the second frame after the load begins when the first is done.
_PAINTED = """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(
    () => done({painted: performance.now(), steps: document.querySelectorAll('li.step').length}))))"""
# From the top to the end in a hundred frames; the longest time between two of them.
_SCROLL = """() => new Promise(done => {
    const way = document.documentElement.scrollHeight - innerHeight, frames = 100, all = [];
    let frame = 0, last = performance.now();
    const next = now => {
        all.push(now - last);
        last = now;
        if (frame++ === frames) return done(Math.max(...all.slice(1)));
        scrollTo({top: way * frame / frames, behavior: 'instant'});
        requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
})"""


def compare_browsing(
    stack: Stack, large: str, small: str, steps: Sequence[int], rounds: int, seconds: float
) -> list[Comparison]:
    """Open and scroll the pages of two builds by turns, each in a new window with nothing in its cache.

    Args:
        stack: where they are.
        large: the address of the large build's page, for everybody.
        small: that of the small one.
        steps: how many steps the pages have to show.
        rounds: at most.
        seconds: about.
    """
    frames: dict[str, list[float]] = {_LARGE: [], _SMALL: []}
    with running_chromium(stack.folder / "chromium") as chromium:
        opening = compare(
            "Page in Chromium, until it is painted",
            [
                Alternative(_LARGE, _opened(chromium, large, steps[0], frames[_LARGE])),
                Alternative(_SMALL, _opened(chromium, small, steps[1], frames[_SMALL])),
            ],
            against=_SMALL,
            rounds=bounded_rounds(rounds, seconds),
        )
    # The first round doesn't count.
    longest = tuple(Measurement(name, tuple(values[1:])) for name, values in frames.items())
    return [opening, Comparison("Longest frame while it is scrolled from top to end", _SMALL, longest)]


def _opened(chromium: Chromium, address: str, steps: int, frames: list[float]) -> Callable[[], float]:
    return partial(_open, chromium, address, steps, frames)


def _open(chromium: Chromium, address: str, steps: int, frames: list[float]) -> float:
    with chromium.seat(address) as seat:
        page = seat.open(address)
        found = page.evaluate(_PAINTED)
        frames.append(float(page.evaluate(_SCROLL)) / 1000)
        if found["steps"] != steps or seat.problems:
            raise BenchmarkFailed(f"{address} shows {found['steps']} steps; {seat.problems}")
        return float(found["painted"]) / 1000
