"""The metrics of a server: they count what happens, name nothing, and have all that the dashboard asks for."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.endpoint import get_endpoint
from tests.harness.metrics import metrics_url, read_metrics
from tests.harness.server import Server
from tests.harness.waiting import eventually

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "stoker.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
GUIDE = ROOT / "docs" / "observing.md"
FINISH = "depot.build.v1.BuildService/FinishBuild"
NAME = re.compile(r"\b(?:stoker|process)_\w+")


@pytest.fixture(scope="module")
def watched(make_server: Callable[..., Server]) -> Server:
    return make_server("--metrics", "127.0.0.1:0")


def test_a_build_is_counted_all_the_way(watched: Server, tmp_path: Path) -> None:
    before = read_metrics(watched)
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))

    assert Depot(watched, tmp_path).build(cwd=context).code == 0

    eventually(lambda: read_metrics(watched)("stoker_builds_running") == 0, "the build has ended")
    after = read_metrics(watched)

    def grown(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    assert grown("stoker_builds_total", status="succeeded") == 1
    assert grown("stoker_builds_total", status="failed") == 0
    assert grown("stoker_endpoint_seconds_count", platform="linux/amd64") == 1
    assert grown("stoker_machine_start_seconds_count", result="ready") == 1
    assert grown("stoker_gateway_calls_total", answer="allowed") > 1
    assert grown("stoker_calls_total", method="depot.cli.v1.BuildService/CreateBuild", code="ok") == 1
    assert grown("stoker_call_seconds_count", method="depot.cli.v1.BuildService/CreateBuild") == 1
    assert after("stoker_machines", state="ready") == 1
    assert after("stoker_caches") == 1


def test_what_is_refused_is_counted_by_its_code(watched: Server, tmp_path: Path) -> None:
    build, token = watched.new_build()
    endpoint = get_endpoint(watched, build, token, tmp_path / "endpoint")
    before = read_metrics(watched)

    assert watched.call(FINISH, {"buildId": build, "error": {"error": "no"}}).status == 200
    assert watched.call(FINISH, {"buildId": build, "success": {}}).code == "failed_precondition"
    assert watched.call(FINISH, {"buildId": build, "success": {}}, token="nonsense").code == "unauthenticated"
    assert endpoint.buildctl("debug", "workers").code != 0

    after = read_metrics(watched)
    assert after("stoker_builds_total", status="failed") == before("stoker_builds_total", status="failed") + 1
    for code in ("ok", "failed_precondition", "unauthenticated"):
        assert after("stoker_calls_total", method=FINISH, code=code) == 1
    refused = {"name": "stoker_gateway_calls_total", "answer": "refused"}
    assert after(**refused) > before(**refused)


def test_no_label_names_anything_that_callers_make(watched: Server) -> None:
    before = read_metrics(watched)
    project = watched.new_project("secret plans")
    for _ in range(20):
        watched.new_build(project)
    assert watched.call("depot.core.v1.ProjectService/Invented").status == 404
    after = read_metrics(watched)

    assert after("stoker_builds_running") == before("stoker_builds_running") + 20
    assert after.labels("method") - before.labels("method") <= {
        "depot.core.v1.ProjectService/CreateProject",
        "depot.build.v1.BuildService/CreateBuild",
    }
    allowed = {"status", "platform", "result", "answer", "method", "code", "state", "le"}
    used = {label for family in after.families.values() for sample in family.samples for label in sample.labels}
    assert used <= allowed


def test_they_are_on_a_listener_of_their_own_with_nothing_else(watched: Server) -> None:
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(metrics_url(watched).removesuffix("/metrics") + "/", timeout=10)  # noqa: S310
    assert missing.value.code == 404
    missing.value.close()
    with pytest.raises(urllib.error.HTTPError) as on_the_api:
        urllib.request.urlopen(f"{watched.url}/metrics", timeout=10)  # noqa: S310
    assert on_the_api.value.code == 404
    on_the_api.value.close()


def test_they_are_there_again_after_the_api_died(watched: Server) -> None:
    os.kill(watched.part("api"), signal.SIGKILL)
    eventually(lambda: "the API is back" in watched.output, "the API is back")
    assert read_metrics(watched)("stoker_builds_total", status="succeeded") == 0


def test_an_address_that_is_taken_is_named(make_server: Callable[..., Server]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(AssertionError, match="--metrics"):
        make_server("--metrics", f"127.0.0.1:{taken.getsockname()[1]}")


def test_without_the_setting_there_are_none(server: Server) -> None:
    assert "metrics" not in server.output


def test_the_dashboard_asks_for_nothing_that_is_not_there(watched: Server) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    queries += [one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    assert len(queries) > 15
    asked = {name for query in queries for name in NAME.findall(query)}

    there = read_metrics(watched).names

    assert asked - there == set()
    own = {name for name in there if name.startswith("stoker_")}
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked}
    unseen = {name for name in own if re.sub(r"_(bucket|count|sum)$", "", name) not in shown}
    assert unseen == {"stoker_caches", "stoker_cache_evictions_total"}, "every metric is shown, but for these"


def test_the_alerts_watch_nothing_that_is_not_there(watched: Server) -> None:
    queries = re.findall(r"expr: (.*?)\n +(?:for|annotations):", ALERTS.read_text(), re.DOTALL)
    assert len(queries) > 5
    asked = {name for query in queries for name in NAME.findall(query)}
    assert asked - read_metrics(watched).names == set()


def test_the_guide_names_every_metric_and_no_other(watched: Server) -> None:
    named = set(re.findall(r"^\| `(stoker_\w+)", GUIDE.read_text(), re.MULTILINE))
    own = {family.name for family in read_metrics(watched).families.values() if family.name.startswith("stoker_")}
    assert {name.removesuffix("_total") for name in named} == own
