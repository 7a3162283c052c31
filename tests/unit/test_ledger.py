"""What a solve's status says becomes what is stored, once, within bounds."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from stoker.domain.kept_steps import Batch
from stoker.domain.masking import mask_secrets
from stoker.domain.progress import LogEvent, Progress, VertexEvent
from stoker.domain.steps import work_key
from stoker.settings.records import RecordSettings
from tests.harness.ledgers import kept_steps, new_ledger, taken

NOW = datetime(2026, 1, 1, tzinfo=UTC)


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
    one = new_ledger()
    for progress in (vertex("a"), said("a", b"fir"), said("a", b"st\nsecond\nth"), said("a", b"other\n", 2)):
        one.apply(progress)

    before, after = taken(one), taken(one, final=True)

    assert [line.content for line in before.lines[1]] == [b"first\n", b"second\n", b"other\n"]
    assert [line.number for line in (*before.lines[1], *after.lines.get(1, []))] == [0, 1, 2, 3]
    assert text(after) == b"th"


@pytest.mark.parametrize("cut", range(12))
def test_what_is_stored_is_passed_over_when_it_comes_again(cut: int) -> None:
    log = b"one\ntwo\nthree"
    first = new_ledger()
    first.apply(vertex("a"))
    first.apply(said("a", log[:cut]))
    stored = taken(first)

    again = new_ledger(stored.steps)
    again.apply(vertex("a"))
    again.apply(said("a", log[:5]))
    again.apply(said("a", log[5:]))

    assert text(stored) + text(taken(again, final=True)) == log


def test_steps_are_numbered_as_they_begin() -> None:
    one = new_ledger()
    for progress in (vertex("never", at=None), vertex("second", at=2), vertex("first", at=1)):
        one.apply(progress)

    assert {step.digest: step.number for step in taken(one).steps} == {"first": 1, "second": 2}
    assert {step.digest: step.number for step in taken(one, final=True).steps} == {"never": 3}


def test_what_is_over_a_limit_is_counted_and_leaves_no_hole() -> None:
    one = new_ledger(limits=replace(RecordSettings().limits, step_log_bytes=40, steps=1))
    for progress in (
        vertex("a"),
        said("a", b"a line that is kept\n"),
        said("a", b"and one too long for it\n"),
        said("a", b"x\n"),
        vertex("b"),
    ):
        one.apply(progress)

    batch = taken(one, final=True)

    assert text(batch) == b"a line that is kept\n"
    assert [(step.stdout_bytes, step.dropped_bytes) for step in batch.steps] == [(46, 26)]
    assert batch.dropped_steps == 1


def test_a_solve_of_very_many_steps_is_taken_in_and_stored_in_linear_time_and_small_pieces() -> None:
    def longest_piece_and_all(steps: int) -> tuple[float, float]:
        one = new_ledger()
        vertexes = tuple(
            VertexEvent(f"sha256:{each}", (f"sha256:{each + 1}",), f"RUN {each}", "", False, NOW, NOW, "")
            for each in range(steps)
        )
        pieces = [0.0]
        begun = before = time.thread_time()
        for work in (one.applying(Progress(vertexes)), one.batches(), one.batches(final=True)):
            for _ in work:
                now = time.thread_time()
                pieces.append(now - before)
                before = now
        return max(pieces), time.thread_time() - begun

    _, few = min(longest_piece_and_all(2_000) for _ in range(3))
    piece, many = longest_piece_and_all(40_000)
    assert many < 20 * few * 5, "twenty times as many"
    assert piece < many / 3, "garbage is collected meanwhile"


def test_steps_that_solves_share_and_their_logs_are_kept_once() -> None:
    kept = kept_steps()
    first, second = new_ledger(kept=kept, ref="1"), new_ledger(kept=kept, ref="2")
    for one in (first, second):
        one.apply(vertex("shared", name="RUN make"))
        one.apply(vertex(f"of {one.ref}", name="RUN other"))
    first.apply(said("shared", b"one\ntwo\nthr"))
    second.apply(said("shared", b"one\ntwo"))
    early = taken(first)
    second.apply(said("shared", b"\nthree\nfour\n"))
    first.apply(said("shared", b"ee\n"))
    late = taken(second)
    for one in (first, second):
        one.close()

    assert text(early, early.steps[0].number) + text(late, early.steps[0].number) == b"one\ntwo\nthree\nfour\n"
    assert sorted(step.digest for step in early.steps) == ["of 1", "of 2", "shared"]
    assert early.growth.steps + late.growth.steps == 3
    assert early.growth.log_bytes + late.growth.log_bytes == 4 * 16, "a line costs a little at least"


def test_a_step_that_one_solve_did_is_not_cached_because_it_is_so_for_another() -> None:
    kept = kept_steps()
    first, second = new_ledger(kept=kept, ref="1"), new_ledger(kept=kept, ref="2")
    done, cached = (
        Progress((VertexEvent("a", (), "RUN make", "", cached, NOW, NOW + timedelta(seconds=9), ""),))
        for cached in (False, True)
    )
    first.apply(done)
    second.apply(cached)
    (step,) = taken(second).steps
    assert (step.cached, step.duration) == (False, timedelta(seconds=9))


@pytest.mark.parametrize("character", ["é", "語", "🦊", "x"])
def test_long_lines_are_cut_between_characters(character: str) -> None:
    line = f"{character * 40_000}\n".encode()
    one = new_ledger()
    for begin in range(0, len(line), 777):
        one.apply(said("a", line[begin : begin + 777]))
    lines = taken(one, final=True).lines[1]
    assert b"".join(each.content for each in lines) == line
    assert "".join(each.text for each in lines) == line.decode()
    assert max(len(each.content) for each in lines) <= 16 * 1024


def test_a_budget_is_one_for_all_that_is_kept_and_counts_what_is_left_out() -> None:
    limits = replace(RecordSettings().limits, build_bytes=100_000)
    one = new_ledger(limits=limits)
    for number in range(1000):
        one.apply(vertex(f"sha256:{number}", name="RUN " + "x" * 2000))
    batch = taken(one, final=True)

    assert batch.growth.kept_bytes <= limits.build_bytes
    assert len(batch.steps) < 60
    assert batch.dropped_steps + len(batch.steps) == 1000
    # The database has it all after a restart.
    again = new_ledger(kept=kept_steps(batch.steps, limits, batch.growth))
    again.apply(vertex("sha256:new", name="RUN y"))
    assert taken(again, final=True).steps == () or len(batch.steps) * 2500 < limits.build_bytes


def test_what_could_not_be_stored_is_new_still() -> None:
    one = new_ledger()
    one.apply(vertex("a", name="RUN x"))
    one.apply(said("a", b"first\n"))
    (batch,) = (batch for batch in one.batches() if batch is not None)
    one.give_back(batch)
    one.apply(said("a", b"second\n"))
    again = taken(one)
    assert (text(again), again.steps[0].number) == (b"first\nsecond\n", 1)
    assert again.growth.steps == 1


def test_the_same_work_has_the_same_key_whatever_comes_after_it() -> None:
    assert work_key("[a 2/3] RUN x", "linux/amd64", ["1"]) == work_key("[a 2/9] RUN x", "linux/amd64", ["1"])
    assert work_key("[a 2/3] RUN x", "linux/amd64", ["1"]) != work_key("[b 2/3] RUN x", "linux/amd64", ["1"])
    assert work_key("[a 2/3] RUN x", "linux/amd64", ["1"]) != work_key("[a 2/3] RUN x", "linux/amd64", ["2"])


def test_the_key_of_work_does_not_depend_on_which_step_begins_first() -> None:
    # What comes from the cache is looked for from the end: COPY begins before the RUN that it needs.
    def keys(run_begins: int, copy_begins: int) -> dict[str, str]:
        one = new_ledger()
        one.apply(vertex("copy", at=copy_begins, name="COPY", inputs=("run",)))
        one.apply(vertex("run", at=run_begins, name="RUN", inputs=("from",)))
        one.apply(vertex("from", at=5, name="FROM"))
        return {step.digest: step.work_key for step in taken(one, final=True).steps}

    assert keys(1, 2) == keys(2, 1)
    assert len(set(keys(1, 2).values())) == 3


def test_a_key_takes_in_what_was_announced_late() -> None:
    whole, late = new_ledger(), new_ledger()
    late.apply(vertex("run", at=1, name="RUN", inputs=("from",)))
    taken(late)
    for one in (whole, late):
        one.apply(vertex("from", at=2, name="FROM"))
        one.apply(vertex("run", at=1, name="RUN", inputs=("from",)))
    keys = [{step.digest: step.work_key for step in taken(one, final=True).steps} for one in (whole, late)]
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
