"""An untrusted build that fills its disk fills nobody else's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.endpoint import EndpointFiles, get_endpoint
from tests.harness.server import Server
from tests.harness.waiting import eventually

CREATE = "depot.build.v1.BuildService/CreateBuild"
FINISH = "depot.build.v1.BuildService/FinishBuild"
TRUST = "stoker.v1.TrustService/CreateProjectToken"
MEGABYTE = 1000**2
STORE = 1500 * MEGABYTE
FILL = HEADER + run("dd if=/dev/urandom of=/full bs=1M count=4000; echo filled; sleep 300")


@pytest.fixture(scope="module")
def small(make_server: Callable[..., Server]) -> Server:
    """A server with little space, and a policy that is larger than that for each project."""
    return make_server(
        volume_image_bytes=str(STORE),
        volume_headroom_bytes=str(64 * 1024**2),
        idle_seconds="30",
        measure_seconds="3600",
    )


def free_bytes(server: Server) -> int:
    state = os.statvfs(server.data / "volumes")
    return state.f_bavail * state.f_frsize


def untrusted_build(server: Server, project: str, folder: Path) -> tuple[str, str, EndpointFiles]:
    """An untrusted build of a project, its project's token, and its endpoint."""
    wanted = {"projectId": project, "description": "forks", "untrusted": True}
    token = server.call(TRUST, wanted).body["secret"]
    created = server.call(CREATE, {"projectId": project}, token=token).body
    return created["buildId"], token, get_endpoint(server, created["buildId"], created["buildToken"], folder)


@pytest.mark.bound("untrusted_disk_percent")
def test_a_build_that_fills_its_disk_leaves_its_neighbours_building(small: Server, tmp_path: Path) -> None:
    neighbour, attacked = small.new_project("neighbour"), small.new_project("attacked")
    free = free_bytes(small)
    build, token, endpoint = untrusted_build(small, attacked, tmp_path / "untrusted")
    depot = Depot(small, tmp_path)
    slow = make_context(
        tmp_path / "slow", HEADER + run("echo begun; sleep 8; dd if=/dev/urandom of=/own bs=1M count=60")
    )
    with ThreadPoolExecutor(2) as pool:
        filling = pool.submit(endpoint.build, make_context(tmp_path / "fill", FILL))
        running = pool.submit(lambda: depot("build", ".", cwd=slow, DEPOT_PROJECT_ID=neighbour))
        eventually(lambda: free_bytes(small) < free - 300 * MEGABYTE, "it fills its disk", 60)

        built = running.result()
        assert built.code == 0, built.output
        left = free_bytes(small)
        assert left > free / 3, "at most half of what was free is taken"

        # The next build of the neighbour, and untrusted ones of another project, have room too.
        following = make_context(tmp_path / "next", HEADER + run("dd if=/dev/urandom of=/more bs=1M count=60"))
        built = depot("build", ".", cwd=following, DEPOT_PROJECT_ID=neighbour)
        assert built.code == 0, built.output
        other, its_token, _ = untrusted_build(small, neighbour, tmp_path / "other")
        assert small.call(FINISH, {"buildId": other, "success": {}}, token=its_token).status == 200

        # A second untrusted build of the project that has had its part is refused, and told why.
        refused = small.call(CREATE, {"projectId": attacked}, token=token)
        assert refused.code == "resource_exhausted"
        assert "untrusted builds of this project" in refused.message
        assert small.call(CREATE, {"projectId": attacked}).status == 200, "a trusted one isn't"

        assert small.call(FINISH, {"buildId": build, "success": {}}, token=token).status == 200
        assert filling.result().code != 0
    subprocess.run(["btrfs", "filesystem", "sync", str(small.data / "volumes")], check=True)
