"""Beyond a limit builds wait for their turn: in order, over a restart, and without delaying other organizations."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from stoker.domain.principals import CredentialKind
from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.people import Registry, blank_token
from tests.harness.server import Server
from tests.harness.waiting import eventually

CONNECT = "depot.cli.v1.BuildService/GetBuildKitConnection"
FINISH = "depot.cli.v1.BuildService/FinishBuild"
HEALTH = "depot.cli.v1.BuildService/ReportBuildHealth"
QUEUE = "stoker.v1.QueueService/ListQueue"


@pytest.fixture(scope="module")
def narrow(make_server: Callable[..., Server]) -> Server:
    """A server on which a project has one build at a time, and an organization two."""
    return make_server(
        max_builds_per_project="1",
        max_builds_per_organization="2",
        max_waiting_builds="4",
        max_waiting_builds_per_project="3",
        connection_hold_seconds="0.2",
        lease_seconds="20",
    )


class Build:
    """A build that asks for a machine."""

    def __init__(self, server: Server, project: str, token: str | None = None) -> None:
        self.server = server
        self.request = {"platform": "BUILDER_PLATFORM_AMD64"}
        wanted = {"projectId": project}
        made = server.call("depot.build.v1.BuildService/CreateBuild", wanted, token=token or server.token).body
        self.id, self.token = made["buildId"], made["buildToken"]
        self.request |= {"buildId": self.id}

    def ask(self) -> Any:
        return self.server.call(CONNECT, self.request, token=self.token)

    def waits(self) -> bool:
        self.ask()
        return bool(self.server.query("select 1 from waiting where build_id = ?", self.id))

    def gets_it(self) -> None:
        eventually(lambda: "active" in self.ask().body, "it is the build's turn", 60)

    def end(self, how: str = "success") -> None:
        ended = self.server.call(FINISH, {"buildId": self.id, how: {}}, token=self.token)
        assert ended.status == 200, ended.body


def another_organizations_build(server: Server) -> Build:
    registry = Registry(server)
    other = registry.organization("the other")
    token = registry.token(blank_token(CredentialKind.ORGANIZATION, organization_id=other))
    wanted = {"name": "single", "regionId": "us-east-1"}
    project = server.call("depot.core.v1.ProjectService/CreateProject", wanted, token=token).body["project"]
    return Build(server, project["projectId"], token)


def positions(server: Server) -> list[tuple[int, str]]:
    return [(one["position"], one["buildId"]) for one in server.call(QUEUE).body.get("builds", [])]


def test_builds_of_a_project_take_turns_in_order_and_a_canceled_one_leaves(narrow: Server, tmp_path: Path) -> None:
    project = narrow.new_project()
    first, second, third, fourth = builds = [Build(narrow, project) for _ in range(4)]
    first.gets_it()
    assert [build.waits() for build in builds[1:]] == [True, True, True]
    assert positions(narrow) == [(1, second.id), (2, third.id), (3, fourth.id)]
    assert (
        f"build {third.id} of project {project} waits for its turn at position 2"
        in (narrow.data / "logs" / "api.log").read_text()
    )
    printed = Command(tmp_path, {"DEPOT_API_URL": narrow.url, "DEPOT_TOKEN": narrow.token}).apart("queue").stdout
    rows = [line.split()[:2] for line in printed.splitlines()[1:]]
    assert rows == [["1", second.id], ["2", third.id], ["3", fourth.id]]

    second.end("canceled")
    assert positions(narrow) == [(1, third.id), (2, fourth.id)]
    first.end()
    third.gets_it()
    assert positions(narrow) == [(1, fourth.id)]
    third.end()
    fourth.gets_it()
    fourth.end()
    assert positions(narrow) == []


@pytest.mark.bound("max_waiting_builds", "max_waiting_builds_per_project")
def test_a_queue_that_is_full_says_so(narrow: Server) -> None:
    crowded, other = narrow.new_project(), narrow.new_project()
    crowd = [Build(narrow, crowded) for _ in range(5)]
    assert [build.ask().code for build in crowd[:4]] == [None] * 4
    refused = crowd[4].ask()
    assert refused.code == "resource_exhausted"
    assert "the project has 3 builds waiting" in refused.message
    assert "try again later" in refused.message

    few = [Build(narrow, other) for _ in range(3)]
    assert [build.ask().code for build in few[:2]] == [None] * 2, "another project of it has one, and may wait"
    refused = few[2].ask()
    assert refused.code == "resource_exhausted"
    assert "the organization has 4 builds waiting" in refused.message

    stranger = another_organizations_build(narrow)
    stranger.gets_it()
    for build in (*crowd, *few, stranger):
        build.end("canceled")


@pytest.mark.bound("max_builds_per_project", "max_builds_per_organization", "max_builds")
def test_one_organizations_builds_do_not_delay_anothers(narrow: Server) -> None:
    crowd = [Build(narrow, narrow.new_project()) for _ in range(5)]
    for build in crowd:
        build.ask()
    assert len(positions(narrow)) == 3

    single = another_organizations_build(narrow)
    single.gets_it()

    assert len(positions(narrow)) == 3
    for build in (*crowd, single):
        build.end()


def test_the_queue_outlives_the_api_and_its_builds_live_while_their_clients_ask(narrow: Server) -> None:
    project = narrow.new_project()
    first, second = Build(narrow, project), Build(narrow, project)
    first.gets_it()
    assert second.waits()
    before = narrow.query("select expires_at from waiting")[0][0]

    killed = narrow.part("api")
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: narrow.part("api") != killed and narrow.answers(), "the API is there again", 30)
    assert positions(narrow) == [(1, second.id)]
    narrow.call(HEALTH, second.request, token=second.token)

    assert narrow.query("select expires_at from waiting")[0][0] > before
    first.end()
    second.gets_it()
    second.end()


def test_a_build_whose_client_is_gone_leaves_the_queue(make_server: Callable[..., Server]) -> None:
    hasty = make_server(max_builds_per_project="1", lease_seconds="3", connection_hold_seconds="0.1")
    first, second = Build(hasty, hasty.project), Build(hasty, hasty.project)
    first.ask()
    assert second.waits()

    def failed() -> bool:
        hasty.call(HEALTH, first.request, token=first.token)
        return hasty.query("select status from builds where id = ?", second.id) == [("failed",)]

    eventually(failed, "the build that nobody asks for fails", 30)
    assert "waited for its turn" in hasty.query("select error from builds where id = ?", second.id)[0][0]
    assert hasty.query("select status from builds where id = ?", first.id) == [("running",)]


def test_depot_builds_take_turns_and_all_succeed(narrow: Server, tmp_path: Path) -> None:
    project = narrow.new_project()
    contexts = [make_context(tmp_path / str(number), HEADER + run(f"sleep 1; echo {number}")) for number in range(3)]
    depots = [Depot(narrow, tmp_path / f"home-{number}") for number in range(3)]
    for depot in depots:
        depot.home.mkdir()

    with ThreadPoolExecutor() as pool:
        done = list(
            pool.map(lambda one: one[0].build(cwd=one[1], DEPOT_PROJECT_ID=project), zip(depots, contexts, strict=True))
        )

    assert [result.code for result in done] == [0, 0, 0], done
    held = narrow.query("select created_at, ended_at from leases where project_id = ? order by created_at", project)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(held)), "one at a time"
