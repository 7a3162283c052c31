"""Traces: a build's calls, its machine's start and its calls at the gateway, in the trace that its client sent."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.collector import Collector
from tests.harness.endpoint import CONNECT, endpoint_files
from tests.harness.environment import plain_environment
from tests.harness.server import Server
from tests.harness.waiting import eventually

CREATE, FINISH = "depot.build.v1.BuildService/CreateBuild", "depot.build.v1.BuildService/FinishBuild"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(scope="module")
def traced(make_server: Callable[..., Server], collector: Collector) -> Server:
    return make_server(traces=collector.url)


def parent() -> tuple[str, str, dict[str, str]]:
    """The ids of a trace and a span of a client, and its header."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, {"traceparent": f"00-{trace}-{span}-01"}


def test_a_build_is_one_trace_with_its_client(
    traced: Server, collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace, client, headers = parent()
    monkeypatch.setenv("TRACEPARENT", headers["traceparent"])  # buildctl joins it
    made = traced.call(CREATE, {"projectId": traced.project}, headers=headers).body
    build, token = made["buildId"], made["buildToken"]
    wanted = {"buildId": build, "platform": "BUILDER_PLATFORM_AMD64"}
    answers: list[dict[str, object]] = []

    def ask() -> bool:
        answers.append(traced.call(CONNECT, wanted, token=token, headers=headers).body)
        return "active" in answers[-1]

    eventually(ask, "the endpoint is active", 60)
    endpoint = endpoint_files(traced, answers[-1]["active"], tmp_path / "endpoint")  # pyright: ignore[reportArgumentType]
    assert endpoint.buildctl("debug", "workers").code == 0
    assert traced.call(FINISH, {"buildId": build, "success": {}}, token=token, headers=headers).status == 200
    assert endpoint.buildctl("debug", "workers").code != 0

    def names() -> set[str]:
        return {span.name for span in collector.of(trace)}

    def refused() -> list[str]:
        lists = [span for span in collector.of(trace) if span.attributes.get("url.path", "").endswith("/ListWorkers")]
        return [span.id for span in lists if span.is_error]

    eventually(lambda: {CREATE, CONNECT, FINISH, "machine start", "gateway answer"} <= names(), "all has come")
    eventually(lambda: len(refused()) >= 1, "the refusal too")
    spans = collector.of(trace)
    assert {span.service for span in spans} == {"stoker"}
    (created,) = (span for span in spans if span.name == CREATE)
    assert (created.parent, created.is_error) == (client, False)
    assert (created.attributes["rpc.service"], created.attributes["rpc.method"]) == tuple(CREATE.split("/"))
    (finished,) = (span for span in spans if span.name == FINISH)
    assert finished.attributes["stoker.build_id"] == build
    asked = {span.id for span in spans if span.name == CONNECT}
    (start,) = (span for span in spans if span.name == "machine start")
    assert start.parent in asked
    answered = [span for span in spans if span.name == "gateway answer"]
    assert {span.attributes["stoker.build_id"] for span in answered} == {build}
    listed = [span for span in answered if span.attributes["url.path"].endswith("/ListWorkers")]
    assert all(span.parent not in {"", *asked} for span in listed), "buildctl's own spans are the parents"
    others = [span for span in answered if span not in listed]
    assert {span.parent for span in others} <= asked, "a call without a trace belongs to that of its build"
    assert {(span.attributes["stoker.answer"], span.is_error) for span in listed} == {
        ("allowed", False),
        ("refused", True),
    }


def test_a_refused_call_is_an_error_with_its_code_and_request_id(traced: Server, collector: Collector) -> None:
    trace, _, headers = parent()
    nowhere = {"buildId": "0" * 16, "success": {}}
    traced.call(FINISH, nowhere, headers=headers | {"x-request-id": "traced"})
    eventually(lambda: collector.of(trace), "it has come")
    (span,) = collector.of(trace)
    assert span.is_error
    assert span.attributes["rpc.connect_rpc.error_code"] == "not_found"
    assert span.attributes["stoker.request_id"] == "traced"


@pytest.mark.parametrize("given", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "00-é-é-01"])
def test_without_a_trace_a_new_one_begins(traced: Server, collector: Collector, given: str) -> None:
    marker = secrets.token_hex(8)
    headers = {"x-request-id": marker} | ({"traceparent": given} if given else {})
    assert traced.call("depot.core.v1.ProjectService/ListProjects", headers=headers).status == 200

    def mine() -> list[str]:
        return [span.parent for span in list(collector.spans) if span.attributes.get("stoker.request_id") == marker]

    eventually(mine, "it has come")
    assert mine() == [""]


def test_a_client_that_does_not_record_is_not_recorded(traced: Server, collector: Collector) -> None:
    trace, _, headers = parent()
    unrecorded = {"traceparent": headers["traceparent"].removesuffix("01") + "00"}
    method = "depot.core.v1.ProjectService/ListProjects"
    assert traced.call(method, headers=unrecorded).status == 200
    later, _, headers = parent()
    assert traced.call(method, headers=headers).status == 200
    eventually(lambda: collector.of(later), "a later one has come")
    assert collector.of(trace) == []


def test_a_collector_that_is_away_disturbs_nobody(make_server: Callable[..., Server]) -> None:
    server = make_server(traces="http://127.0.0.1:9/v1/traces")
    for _ in range(50):
        assert server.call("depot.core.v1.ProjectService/ListProjects").status == 200
    server.stop()


def test_a_wrong_url_is_named(server: Server, tmp_path: Path) -> None:
    environment = {**plain_environment(), "HOME": str(tmp_path), "STOKER_TRACES": "collector:4318"}
    done = subprocess.run(
        [sys.executable, "-m", "stoker.cli.main", "config"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "traces (from STOKER_TRACES)" in done.stderr


def test_nothing_of_it_is_imported_where_it_is_off() -> None:
    code = "import stoker.app, sys; sys.exit(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0
