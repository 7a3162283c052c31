"""Bakes of many targets: each is a solve of its own, all at once, on one machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.contexts import make_bake, make_context
from tests.harness.depot import Depot
from tests.harness.metrics import read_metrics
from tests.harness.server import Server

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
