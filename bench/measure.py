"""Take times by turns, and set them against each other.

Alternatives take turns within a run, and each round begins with another one: whatever else the host does hits all of
them, and none is always the one that comes after the slowest.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

LEAST_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to do what is compared. ``run`` does it once and returns how long it took, in seconds."""

    name: str
    run: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Unit:
    """What numbers are printed in: a value times ``factor`` is a number of ``name``."""

    name: str
    factor: float


MILLISECONDS = Unit("milliseconds", 1000)
MEGABYTES = Unit("MB", 1 / 1000**2)


@dataclass(frozen=True, slots=True)
class Measurement:
    """All values of one alternative in one run: seconds, or bytes."""

    name: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Alternatives that were measured in the same run; ``against`` names the one that ratios are of."""

    title: str
    against: str
    measurements: tuple[Measurement, ...]
    unit: Unit = MILLISECONDS

    def ratio(self, measurement: Measurement) -> float:
        """How many times as much as the named alternative it takes, by medians; NaN where that takes nothing."""
        baseline = next(other for other in self.measurements if other.name == self.against)
        return measurement.median / baseline.median if baseline.median else float("nan")


@dataclass(slots=True)
class Samples:
    """Collects values by name, in the order in which names first come."""

    _values: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, name: str, value: float) -> None:
        self._values.setdefault(name, []).append(value)

    def comparison(self, title: str, against: str, unit: Unit = MILLISECONDS) -> Comparison:
        found = (Measurement(name, tuple(values)) for name, values in self._values.items())
        return Comparison(title, against, tuple(found), unit)


def bounded_rounds(rounds: int, seconds: float) -> Iterator[int]:
    """Count rounds; none is begun after ``seconds``, but two there always are."""
    end = time.monotonic() + seconds
    for number in range(max(rounds, LEAST_ROUNDS)):
        if number >= LEAST_ROUNDS and time.monotonic() > end:
            return
        yield number


def compare(title: str, alternatives: Sequence[Alternative], *, against: str, rounds: Iterator[int]) -> Comparison:
    """Run the alternatives by turns, after one round that doesn't count."""
    samples = Samples()
    for alternative in alternatives:
        alternative.run()
    for number in rounds:
        first = number % len(alternatives)
        taken = {turn.name: turn.run() for turn in (*alternatives[first:], *alternatives[:first])}
        for alternative in alternatives:
            samples.add(alternative.name, taken[alternative.name])
    return samples.comparison(title, against)
