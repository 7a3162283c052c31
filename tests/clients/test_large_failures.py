"""Why a build failed arrives whatever the size of its Dockerfile: with the client, in the record, on the page."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot, Result
from tests.harness.endpoint import get_endpoint
from tests.harness.go_tools import BUILDX, go_tool
from tests.harness.server import Server
from tests.harness.waiting import eventually
from tests.harness.waiting_step import WAIT, end_waiting_steps

REASON = "did not complete successfully: exit code: 42"
COMMENTS = "".join(f"# {number} {'x' * 90}\n" for number in range(5300))
# As many words as it takes, since BuildKit takes no line of more than 64 KB.
WORDS = ",\\\n".join(f'"{"y" * 1000}"' for _ in range(120))
DOCKERFILES = {
    "small": HEADER + run("exit 42"),
    "500 KB": HEADER + COMMENTS + run("exit 42"),
    "RUN of 120 KB": HEADER + f'RUN ["/bin/busybox", "sh", "-c", "exit 42", {WORDS}]\n',
}
Build = Callable[[Server, str, Path, Path], Result]

pytestmark = pytest.mark.timeout(900)  # the first run builds buildx


def by_depot(server: Server, project: str, context: Path, home: Path) -> Result:
    return Depot(server, home).build(cwd=context, DEPOT_PROJECT_ID=project)


def by_stoker(server: Server, project: str, context: Path, home: Path) -> Result:
    engine = {"STOKER_CACHE": str(server.cache), "STOKER_ENGINE_FOLDER": str(server.engine.buildctl.parent)}
    stoker = Command(home, {**server.first, "DEPOT_PROJECT_ID": project, **engine})
    return stoker("build", str(context), "--progress", "plain")


def by_buildx(server: Server, project: str, context: Path, home: Path) -> Result:
    (home / "bin").mkdir()
    (home / "bin" / "buildx").symlink_to(go_tool(BUILDX, server.cache))
    environment = {"DEPOT_PROJECT_ID": project, "PATH": f"{home / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"}
    stoker = Command(home, {**server.first, **environment, "BUILDX_CONFIG": str(home / "buildx")})
    build = ("buildx", "build", "--builder", "b", "--progress", "plain", "-o", "type=cacheonly")
    result = stoker("buildx", "b", "--", *build, str(context))
    return Result(result.code, result.output.removesuffix("builder b is removed\n"))


def by_buildctl(server: Server, project: str, context: Path, home: Path) -> Result:
    build, token = server.new_build(project)
    result = get_endpoint(server, build, token, home / "endpoint").build(context)
    last = result.output.splitlines()[-1]
    finish = {"buildId": build, "error": {"error": last}}
    assert server.call("depot.build.v1.BuildService/FinishBuild", finish).status == 200
    return result


@pytest.mark.parametrize("kind", DOCKERFILES)
@pytest.mark.parametrize("by", [by_depot, by_stoker, by_buildx, by_buildctl])
def test_the_exit_code_arrives(server: Server, tmp_path: Path, by: Build, kind: str) -> None:
    context = make_context(tmp_path / "context", DOCKERFILES[kind])
    project = server.new_project(f"fails {by.__name__}")

    result = by(server, project, context, tmp_path)

    assert result.code != 0
    last = [line for line in result.output.splitlines() if line.strip()][-1]
    assert REASON in last, result.output[-2000:]
    ((build, _, error),) = server.builds(project)
    assert by is by_buildx or REASON in (error or "")
    recorded = (
        "select error from steps where build_id = ? and error is not null and solve_ref in (select ref from solves)"
    )
    eventually(lambda: server.query(recorded, build), "the step is recorded as failed")
    assert all(REASON in str(error) for (error,) in server.query(recorded, build))
    share = server.call("depot.core.v1.BuildService/ShareBuild", {"buildId": build}).body["shareUrl"]
    with urllib.request.urlopen(share, timeout=60) as page:  # noqa: S310
        assert "exit code: 42" in page.read().decode(), "without what its RUN line says already"


def test_such_a_failure_breaks_nobody_elses_calls(server: Server, tmp_path: Path) -> None:
    project = server.new_project("shared machine")
    depot, home = Depot(server, tmp_path), tmp_path
    waits = make_context(tmp_path / "waits", HEADER + run(f"echo begun; {WAIT}; echo done"))
    fails = make_context(tmp_path / "fails", DOCKERFILES["500 KB"])
    building = depot.begin(cwd=waits, until=" begun", DEPOT_PROJECT_ID=project)

    # Envoy's threads have connections of their own to a machine; after a few builds each has been used.
    for _ in range(4):
        assert REASON in by_depot(server, project, fails, home).output.splitlines()[-1]
    end_waiting_steps(server)
    output, _ = building.communicate(timeout=120)

    assert building.returncode == 0, output
