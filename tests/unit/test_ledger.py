"""What a solve's status says becomes what is stored, once, within bounds."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from stoker.domain.ledger import Batch, BuildBudget, RecordLimits, SolveLedger
from stoker.domain.masking import mask_secrets
from stoker.domain.progress import LogEvent, Progress, VertexEvent
from stoker.domain.steps import Step, work_key

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ledger(stored: tuple[Step, ...] = (), limits: RecordLimits | None = None) -> SolveLedger:
    return SolveLedger(
        build_id="b",
        ref="r",
        platform="linux/amd64",
        limits=limits or RecordLimits(),
        budget=BuildBudget(max((step.number for step in stored), default=0), 0),
        stored=stored,
    )


def vertex(digest: str, *, at: int | None = 0, name: str = "a step", inputs: tuple[str, ...] = ()) -> Progress:
    started = None if at is None else NOW + timedelta(seconds=at)
    return Progress(
        (VertexEvent(digest, inputs, name, "", cached=False, started_at=started, completed_at=None, error=""),),
        (),
        (),
        (),
    )


def said(digest: str, content: bytes, stream: int = 1) -> Progress:
    return Progress((), (), (LogEvent(digest, NOW, stream, content),), ())


def text(batch: Batch, step: int = 1) -> bytes:
    return b"".join(line.content for line in batch.lines.get(step, []))


def test_lines_are_whole_whatever_pieces_they_come_in() -> None:
    one = ledger()
    for progress in (vertex("a"), said("a", b"fir"), said("a", b"st\nsecond\nth"), said("a", b"other\n", 2)):
        one.apply(progress)

    before, after = one.take(), one.take(final=True)

    assert [line.content for line in before.lines[1]] == [b"first\n", b"second\n", b"other\n"]
    assert [line.number for line in (*before.lines[1], *after.lines.get(1, []))] == [0, 1, 2, 3]
    assert text(after) == b"th"


@pytest.mark.parametrize("cut", range(12))
def test_what_is_stored_is_passed_over_when_it_comes_again(cut: int) -> None:
    log = b"one\ntwo\nthree"
    first = ledger()
    first.apply(vertex("a"))
    first.apply(said("a", log[:cut]))
    stored = first.take()

    again = ledger(stored.steps)
    again.apply(vertex("a"))
    again.apply(said("a", log[:5]))
    again.apply(said("a", log[5:]))

    assert text(stored) + text(again.take(final=True)) == log


def test_steps_are_numbered_as_they_begin() -> None:
    one = ledger()
    for progress in (vertex("never", at=None), vertex("second", at=2), vertex("first", at=1)):
        one.apply(progress)

    assert {step.digest: step.number for step in one.take().steps} == {"first": 1, "second": 2}
    assert {step.digest: step.number for step in one.take(final=True).steps} == {"never": 3}


def test_what_is_over_a_limit_is_counted_and_leaves_no_hole() -> None:
    one = ledger(limits=RecordLimits(step_log_bytes=10, steps=1))
    for progress in (vertex("a"), said("a", b"1234567\n"), said("a", b"too long\n"), said("a", b"x\n"), vertex("b")):
        one.apply(progress)

    batch = one.take(final=True)

    assert text(batch) == b"1234567\n"
    assert [(step.stdout_bytes, step.dropped_bytes) for step in batch.steps] == [(19, 11)]
    assert batch.dropped_steps == 1


def test_a_solve_of_many_steps_is_taken_in_as_fast_for_each_as_one_of_few() -> None:
    def seconds(steps: int) -> float:
        one = ledger()
        begun = time.perf_counter()
        for number in range(steps):
            one.apply(vertex(f"sha256:{number}"))
        return time.perf_counter() - begun

    few = min(seconds(2_000) for _ in range(3))
    assert min(seconds(40_000) for _ in range(3)) < 20 * few * 3, "20 times as many, and twice as many as are kept"


def test_the_same_work_has_the_same_key_whatever_comes_after_it() -> None:
    assert work_key("[a 2/3] RUN x", "linux/amd64", ["1"]) == work_key("[a 2/9] RUN x", "linux/amd64", ["1"])
    assert work_key("[a 2/3] RUN x", "linux/amd64", ["1"]) != work_key("[b 2/3] RUN x", "linux/amd64", ["1"])
    assert work_key("[a 2/3] RUN x", "linux/amd64", ["1"]) != work_key("[a 2/3] RUN x", "linux/amd64", ["2"])


def test_the_key_of_work_does_not_depend_on_which_step_begins_first() -> None:
    # What comes from the cache is looked for from the end: COPY begins before the RUN that it needs.
    def keys(run_begins: int, copy_begins: int) -> dict[str, str]:
        one = ledger()
        one.apply(vertex("copy", at=copy_begins, name="COPY", inputs=("run",)))
        one.apply(vertex("run", at=run_begins, name="RUN", inputs=("from",)))
        one.apply(vertex("from", at=5, name="FROM"))
        return {step.digest: step.work_key for step in one.take(final=True).steps}

    assert keys(1, 2) == keys(2, 1)
    assert len(set(keys(1, 2).values())) == 3


def test_a_key_takes_in_what_was_announced_late() -> None:
    whole, late = ledger(), ledger()
    late.apply(vertex("run", at=1, name="RUN", inputs=("from",)))
    late.take()
    for one in (whole, late):
        one.apply(vertex("from", at=2, name="FROM"))
        one.apply(vertex("run", at=1, name="RUN", inputs=("from",)))
    keys = [{step.digest: step.work_key for step in one.take(final=True).steps} for one in (whole, late)]
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("RUN |1 NPM_TOKEN=abc make", "RUN |1 NPM_TOKEN=*** make"),
        ("ENV DB_PASSWORD='a b' X=1", "ENV DB_PASSWORD=*** X=1"),
        ('RUN curl --api-key="a \\" b" url', "RUN curl --api-key=*** url"),
        ("RUN --mount=type=secret,id=npm make", "RUN --mount=type=secret,id=npm make"),
        ("RUN TOKEN_FILE=/run/secrets/x make", "RUN TOKEN_FILE=/run/secrets/x make"),
        ("RUN echo $TOKEN", "RUN echo $TOKEN"),
    ],
)
def test_values_of_what_looks_secret_are_masked(name: str, masked: str) -> None:
    assert mask_secrets(name) == masked
