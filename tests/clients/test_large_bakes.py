"""Bakes of many targets: each is a solve of its own, all at once, on one machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.contexts import HEADER, make_bake, make_context, run
from tests.harness.depot import Depot
from tests.harness.metrics import read_metrics
from tests.harness.records import when_recorded
from tests.harness.server import Server

SHARING = 10
SHARED_BYTES = 20_000
TARGETS = 80
MOST_QUESTIONS = 8


@pytest.fixture(scope="module")
def counting(make_server: Callable[..., Server]) -> Server:
    return make_server("--metrics", "127.0.0.1:0")


def test_a_bake_of_many_targets_asks_the_server_once_for_each_call(counting: Server, tmp_path: Path) -> None:
    context = make_bake(make_context(tmp_path / "bake", ""), TARGETS)

    baked = Depot(counting, tmp_path)("bake", "--progress", "plain", "-f", "docker-bake.hcl", cwd=context)

    assert baked.code == 0, baked.output[-4000:]
    assert counting.builds()[-1][1:] == ("succeeded", None)
    metrics = read_metrics(counting)
    answers = {answer: metrics("stoker_gateway_calls_total", answer=answer) for answer in metrics.labels("answer")}
    assert sum(answers.values()) <= MOST_QUESTIONS * TARGETS, answers
    assert answers["allowed"] == sum(answers.values()), answers
    assert counting.query("select count(*) from solves where record = 'complete'") == [(TARGETS,)]


def test_a_step_that_targets_share_is_recorded_once(make_server: Callable[..., Server], tmp_path: Path) -> None:
    """What a shared step says counts once, so that the targets' own logs have room. It has saved nobody any time."""
    room = SHARED_BYTES + SHARING * 1000
    own = make_server(record_build_log_bytes=str(room))
    context = make_bake(make_context(tmp_path / "bake", ""), SHARING)
    shared = HEADER + run(f"sleep 1; yes {'x' * 99} | head -c {SHARED_BYTES}")
    for number in range(SHARING):
        (context / f"{number}.Dockerfile").write_text(shared + run(f"echo {number} says"))

    baked = Depot(own, tmp_path)("bake", "--progress", "plain", "-f", "docker-bake.hcl", cwd=context)

    assert baked.code == 0, baked.output[-4000:]
    build = own.builds()[-1][0]
    when_recorded(own, build)
    steps = "from steps where build_id = ? and solve_ref != 'client'"
    assert own.query(f"select sum(dropped_bytes), max(clipped) {steps}", build) == [(0, 0)]
    said = own.query(f"select stdout_bytes {steps} and stdout_bytes > 0 order by stdout_bytes", build)
    assert said == [*[(len("1 says\n"),)] * SHARING, (SHARED_BYTES,)]
    assert own.query(f"select sum(saved_microseconds) {steps}", build) in ([(None,)], [(0,)])
