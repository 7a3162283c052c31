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
class Measurement:
    """All times of one alternative in one run, in seconds."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Alternatives that were measured in the same run; ``against`` names the one that ratios are of."""

    title: str
    against: str
    measurements: tuple[Measurement, ...]

    def ratio(self, measurement: Measurement) -> float:
        """How many times as long as the named alternative it takes, by medians."""
        baseline = next(other for other in self.measurements if other.name == self.against)
        return measurement.median / baseline.median


@dataclass(slots=True)
class Samples:
    """Collects times by name, in the order in which names first come."""

    _seconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, name: str, seconds: float) -> None:
        self._seconds.setdefault(name, []).append(seconds)

    def comparison(self, title: str, against: str) -> Comparison:
        found = (Measurement(name, tuple(seconds)) for name, seconds in self._seconds.items())
        return Comparison(title, against, tuple(found))


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
