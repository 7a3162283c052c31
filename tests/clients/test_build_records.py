"""What is recorded of builds equals what their clients printed, whichever client it was."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot, Result
from tests.harness.endpoint import get_endpoint
from tests.harness.go_tools import BUILDX, go_tool
from tests.harness.records import printed, read_log, read_steps, recorded, when_recorded
from tests.harness.server import Server

pytestmark = pytest.mark.timeout(900)  # the first run builds buildx

STAGES = "abcd"


def forty_steps() -> str:
    """Four stages of nine steps each that say something, and one that takes from all of them."""
    stages = [
        f"FROM base AS {stage}\n"
        + "".join(run(f"echo {stage}{place} says; echo {stage}{place} again >/{stage}{place}") for place in range(8))
        + run(f"echo {stage} warns >&2; printf unfinished >&2")
        for stage in STAGES
    ]
    taken = "".join(f"COPY --from={stage} /{stage}7 /{stage}7\n" for stage in STAGES)
    return HEADER + "".join(stages) + "FROM base\n" + taken


@pytest.fixture
def project(server: Server) -> str:
    return server.new_project("records")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return make_context(tmp_path / "context", forty_steps())


def check(server: Server, project: str, result: Result, own: Callable[[str], bool] = lambda _: False) -> str:
    """Compare the newest build of a project with what its client printed, except for the client's own steps."""
    assert result.code == 0, result.output
    build = server.builds(project)[-1][0]
    when_recorded(server, build)
    theirs = {name: step for name, step in printed(result.output).items() if not own(name)}
    assert len(theirs) > 40, result.output
    ours = recorded(server, build)
    for name, step in theirs.items():
        assert ours.get(name) == step, (name, list(ours))
    assert set(ours) == set(theirs)
    return build


def test_the_depot_clis_builds(server: Server, depot: Depot, context: Path) -> None:
    project = server.new_project("saving")

    def own(name: str) -> bool:
        return name.startswith("[depot]") or name == "[internal] fetching git attributes"

    first = depot.build(cwd=context, DEPOT_PROJECT_ID=project)
    check(server, project, first, own)
    second = depot.build(cwd=context, DEPOT_PROJECT_ID=project)
    build = check(server, project, second, own)
    answer = server.call("depot.core.v1.BuildService/GetBuild", {"buildId": build}).body["build"]
    assert (answer["totalSteps"], answer["cachedSteps"]) == (len(read_steps(server, build)), second.cached)
    saved = server.query("select saved_microseconds from builds where id = ?", build)[0][0]
    assert saved > 0, "what the cached steps took in the first build"
    usage = server.call("depot.core.v1.UsageService/GetUsage").body["containerBuild"]
    # Other tests build on this server too.
    (minutes,) = [one["minutesSaved"] for one in usage if one["projectName"] == "saving"]
    assert minutes == pytest.approx(saved / 60e6, rel=1e-3)
    said = server.query("select name from steps where build_id = ? and solve_ref = 'client'", build)
    assert any("launching" in name for (name,) in said), said


def test_buildctls_builds(server: Server, project: str, context: Path, tmp_path: Path) -> None:
    build, token = server.new_build(project)
    endpoint = get_endpoint(server, build, token, tmp_path / "endpoint")
    check(server, project, endpoint.build(context))
    assert server.call("depot.build.v1.BuildService/FinishBuild", {"buildId": build, "success": {}}).status == 200


def test_buildxs_builds(server: Server, project: str, context: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "buildx").symlink_to(go_tool(BUILDX, server.cache))
    environment = {
        **server.first,
        "DEPOT_PROJECT_ID": project,
        "BUILDX_CONFIG": str(tmp_path / "buildx"),
        "PATH": f"{tmp_path / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    build = ("buildx", "build", "--builder", "kept", "--progress", "plain", str(context))
    result = Command(tmp_path, environment)("buildx", "kept", "--", *build)
    check(server, project, result, lambda name: name.startswith('building with "kept"'))


def test_stokers_builds(server: Server, project: str, context: Path, tmp_path: Path) -> None:
    engine = {"STOKER_CACHE": str(server.cache), "STOKER_ENGINE_FOLDER": str(server.engine.buildctl.parent)}
    stoker = Command(tmp_path, {**server.first, "DEPOT_PROJECT_ID": project, **engine})
    check(server, project, stoker("build", str(context), "--progress", "plain"))


def test_eight_builds_at_once_on_one_machine(server: Server, project: str, depot: Depot, tmp_path: Path) -> None:
    names = [f"one{place}" for place in range(8)]
    for name in names:
        steps = "".join(run(f"for n in 1 2 3 4 5; do echo {name} step {step} line $n; done") for step in range(3))
        make_context(tmp_path / name, HEADER + steps)
    with ThreadPoolExecutor(len(names)) as pool:
        results = list(pool.map(lambda name: depot.build(cwd=tmp_path / name, DEPOT_PROJECT_ID=project), names))
    assert [result.code for result in results] == [0] * len(names), results
    assert len(server.machines(project)) == 1
    said: dict[str, str] = {}
    for build, _, _ in server.builds(project):
        when_recorded(server, build)
        logs = [line for step in recorded(server, build).values() for line in step.log]
        (name,) = {line.split()[0] for line in logs}
        said[name] = build
        assert sorted(logs) == [f"{name} step {step} line {n}" for step in range(3) for n in range(1, 6)]
    assert sorted(said) == names


def test_a_failure_is_recorded_with_its_log(server: Server, project: str, depot: Depot, tmp_path: Path) -> None:
    context = make_context(tmp_path / "failing", HEADER + run("echo no >&2; exit 3"))
    result = depot.build(cwd=context, DEPOT_PROJECT_ID=project)
    assert result.code != 0
    build = server.builds(project)[-1][0]
    when_recorded(server, build)
    (failed,) = [step for step in read_steps(server, build, page_size=1) if "error" in step]
    assert "exit code: 3" in failed["error"]
    assert read_log(server, build, failed["digest"], page_size=1) == "no\n"


def test_a_failure_whose_error_is_not_utf8_is_recorded(
    server: Server, project: str, depot: Depot, tmp_path: Path
) -> None:
    """The archive's names are Latin-1, as old programs write them, and one is a hard link to nothing."""
    context = make_context(tmp_path / "legacy", "FROM scratch\nADD legacy.tar /legacy/\n")
    with tarfile.open(context / "legacy.tar", "w", format=tarfile.USTAR_FORMAT, encoding="latin-1") as archive:
        link = tarfile.TarInfo("gr\u00fc\u00dfe.txt")
        link.type, link.linkname = tarfile.LNKTYPE, "nir\u00efgends.txt"
        archive.addfile(link)

    result = depot.build(cwd=context, DEPOT_PROJECT_ID=project)

    assert result.code != 0
    build = server.builds(project)[-1][0]
    when_recorded(server, build)
    (failed,) = [step for step in read_steps(server, build) if "error" in step]
    assert failed["name"].endswith("ADD legacy.tar /legacy/")
    assert "nir\ufffdgends.txt" in failed["error"]
    assert "completedAt" in failed
    assert server.query("select record from solves where build_id = ?", build) == [("complete",)]


@pytest.mark.bound("max_step_log_bytes_per_second")
def test_a_huge_log_is_clipped_and_the_record_says_so(
    server: Server, project: str, depot: Depot, tmp_path: Path
) -> None:
    context = make_context(tmp_path / "loud", HEADER + run("yes a line that says nothing | head -c 200000000"))
    result = depot.build(cwd=context, DEPOT_PROJECT_ID=project)
    assert result.code == 0, result.output[-1000:]
    build = server.builds(project)[-1][0]
    when_recorded(server, build)
    ((kept, clipped),) = server.query(
        "select stdout_bytes + stderr_bytes - dropped_bytes, clipped from steps where build_id = ? and log_lines > 0",
        build,
    )
    assert clipped, "BuildKit keeps to its own limits of a log's size and speed"
    assert 0 < kept <= 4 * 1024 * 1024


@pytest.mark.bound("record_step_log_bytes", "record_steps")
def test_what_is_over_the_limits_is_counted(make_server: Callable[..., Server], tmp_path: Path) -> None:
    own = make_server(record_step_log_bytes="2000", record_steps="4")
    said = "for n in $(seq 100); do echo a line of twenty chars; done"
    context = make_context(tmp_path / "loud", HEADER + run(said) + run("true 1") + run("true 2"))
    assert Depot(own, tmp_path).build(cwd=context).code == 0
    build = own.builds()[-1][0]
    when_recorded(own, build)
    steps = own.query("select log_lines, dropped_bytes from steps where build_id = ? and stdout_bytes > 0", build)
    assert steps in ([], [(2000 // 22, 100 * 22 - 2000 // 22 * 22)])
    ((dropped,),) = own.query("select sum(dropped_steps) from solves where build_id = ?", build)
    assert dropped >= 1


def test_values_that_look_secret_are_masked(server: Server, project: str, depot: Depot, tmp_path: Path) -> None:
    context = make_context(tmp_path / "secret", HEADER + run("NPM_TOKEN=hunter2 true; echo --api-key=hunter3"))
    assert depot.build(cwd=context, DEPOT_PROJECT_ID=project).code == 0
    build = server.builds(project)[-1][0]
    when_recorded(server, build)
    names = " ".join(recorded(server, build))
    assert "NPM_TOKEN=***" in names
    assert "--api-key=***" in names
    assert "hunter" not in names
