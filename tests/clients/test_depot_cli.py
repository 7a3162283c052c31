"""What the published depot CLI does, unchanged, with nothing but the bootstrap file's variables."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.harness.contexts import FOREIGN_HEADER, HEADER, add_busyboxes, make_context, run
from tests.harness.depot import Depot, Result
from tests.harness.server import Server
from tests.harness.waiting import eventually

SAY_MACHINE = run("/bin/busybox uname -m > /machine")


def build_in(depot: Depot, project: str, context: Path, *arguments: str) -> Result:
    return depot.build(*arguments, cwd=context, DEPOT_PROJECT_ID=project)


def processes_with(argument: str) -> dict[int, str]:
    """The programs, by process id, that have ``argument`` in their command line."""
    found: dict[int, str] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            program, *arguments = (process / "cmdline").read_text(errors="replace").split("\0")
        except OSError:
            continue
        if any(argument in one for one in arguments):
            found[int(process.name)] = Path(program).name
    return found


def programs_of(machine_id: str) -> list[str]:
    """The names of the programs that run in a machine's cgroups."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"/{machine_id}/" in (process / "cgroup").read_text():
                found.append((process / "comm").read_text().strip())
        except OSError:
            continue
    return found


@pytest.fixture
def project(server: Server) -> str:
    """A project of the test's own, whose cache is empty."""
    return server.new_project("depot CLI")


def test_it_builds_and_the_second_time_everything_is_cached(
    server: Server, depot: Depot, project: str, tmp_path: Path
) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo hello from the step"))

    first = build_in(depot, project, context)
    second = build_in(depot, project, context)

    assert (first.code, first.cached) == (0, 0), first.output
    assert "hello from the step" in first.output
    assert (second.code, second.cached) == (0, 2), second.output
    assert [status for _, status, _ in server.builds(project)] == ["succeeded", "succeeded"]


def test_no_cache_runs_every_step_again(depot: Depot, project: str, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo hello from the step"))
    assert build_in(depot, project, context).code == 0

    again = build_in(depot, project, context, "--no-cache")

    assert (again.code, again.cached) == (0, 0), again.output
    assert "hello from the step" in again.output


def test_build_arguments_reach_the_steps(depot: Depot, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + "ARG COLOUR=none\n" + run("echo the colour is $COLOUR"))

    result = depot.build("--build-arg", "COLOUR=teal", cwd=context)

    assert result.code == 0, result.output
    assert "the colour is teal" in result.output


def test_a_secret_is_there_in_the_step_and_not_in_the_image(depot: Depot, tmp_path: Path) -> None:
    mounted = run("/bin/busybox sha256sum < /run/secrets/key > /sum", flags="--mount=type=secret,id=key")
    listed = run("test ! -s /run/secrets/key && echo the secret is gone")
    context = make_context(tmp_path / "context", HEADER + mounted + listed)
    secret = b"kept between us"
    (tmp_path / "key").write_bytes(secret)

    out = tmp_path / "out"
    result = depot.build("--secret", f"id=key,src={tmp_path}/key", "--output", f"type=local,dest={out}", cwd=context)

    assert result.code == 0, result.output
    assert "the secret is gone" in result.output
    assert (out / "sum").read_text() == f"{hashlib.sha256(secret).hexdigest()}  -\n"
    assert not any(secret in file.read_bytes() for file in out.rglob("*") if file.is_file())


def test_a_target_builds_that_stage_and_no_other(depot: Depot, tmp_path: Path) -> None:
    dockerfile = HEADER + run("echo wanted > /wanted") + "FROM base AS unwanted\n" + run("exit 7")
    context = make_context(tmp_path / "context", dockerfile)

    result = depot.build("--target", "base", cwd=context)

    assert result.code == 0, result.output
    assert "unwanted" not in result.output


def test_output_of_type_local_writes_the_files(depot: Depot, tmp_path: Path) -> None:
    dockerfile = HEADER + run("echo made by a step > /made") + "FROM scratch\nCOPY --from=base /made /made\n"
    context = make_context(tmp_path / "context", dockerfile)

    result = depot.build("--output", f"type=local,dest={tmp_path / 'out'}", cwd=context)

    assert result.code == 0, result.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["made"]
    assert (tmp_path / "out" / "made").read_text() == "made by a step\n"


def test_output_of_type_oci_writes_an_image(depot: Depot, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo hello > /made") + 'LABEL purpose="a test"\n')

    result = depot.build("--output", f"type=oci,dest={tmp_path / 'image.tar'}", cwd=context)

    assert result.code == 0, result.output
    manifest, configuration = oci_image(tmp_path / "image.tar")
    assert len(manifest["layers"]) == 2
    assert configuration["config"]["Labels"] == {"purpose": "a test"}


def oci_image(file: Path) -> tuple[Any, Any]:
    """The manifest and the configuration of the one image of an OCI archive."""
    with tarfile.open(file) as archive:

        def read(name: str) -> Any:
            member = archive.extractfile(name)
            assert member is not None
            return json.load(member)

        def blob(descriptor: dict[str, str]) -> Any:
            return read("blobs/" + descriptor["digest"].replace(":", "/"))

        (described,) = read("index.json")["manifests"]
        manifest = blob(described)
        return manifest, blob(manifest["config"])


def test_arm64_is_built_on_a_machine_of_its_own(server: Server, depot: Depot, project: str, tmp_path: Path) -> None:
    context = add_busyboxes(make_context(tmp_path / "context", FOREIGN_HEADER + SAY_MACHINE))
    out = tmp_path / "out"

    result = build_in(depot, project, context, "--platform", "linux/arm64", "--output", f"type=local,dest={out}")

    assert result.code == 0, result.output
    assert (out / "machine").read_text() == "aarch64\n"
    assert [machine.platform for machine in server.machines(project)] == ["linux/arm64"]


def test_two_platforms_are_built_at_once_each_on_its_machine(
    server: Server, depot: Depot, project: str, tmp_path: Path
) -> None:
    context = add_busyboxes(make_context(tmp_path / "context", FOREIGN_HEADER + SAY_MACHINE))

    both, out = "linux/amd64,linux/arm64", tmp_path / "out"
    result = build_in(depot, project, context, "--platform", both, "--output", f"type=local,dest={out}")

    assert result.code == 0, result.output
    assert (out / "linux_amd64" / "machine").read_text() == "x86_64\n"
    assert (out / "linux_arm64" / "machine").read_text() == "aarch64\n"
    assert {machine.platform for machine in server.machines(project)} == {"linux/amd64", "linux/arm64"}
    assert [status for _, status, _ in server.builds(project)] == ["succeeded"]


def test_a_failing_step_gives_the_clis_own_error_and_a_failed_build(
    server: Server, depot: Depot, project: str, tmp_path: Path
) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo about to fail; exit 7"))

    result = build_in(depot, project, context)

    assert result.code == 1, result.output
    assert "about to fail" in result.output
    assert "did not complete successfully: exit code: 7" in result.output
    ((_, status, error),) = server.builds(project)
    assert status == "failed"
    assert "exit code: 7" in (error or "")


def test_ctrl_c_leaves_the_build_canceled_and_the_machine_usable(
    server: Server, depot: Depot, project: str, tmp_path: Path
) -> None:
    slow = make_context(tmp_path / "slow", HEADER + run(f"echo step of {project} begun; sleep 30; echo over"))
    quick = make_context(tmp_path / "quick", HEADER + run("echo the next one"))
    building = depot.begin(cwd=slow, until=" begun", DEPOT_PROJECT_ID=project)
    (machine,) = server.machines(project)
    assert processes_with(f"step of {project}"), "the look would see the step"

    os.killpg(building.pid, signal.SIGINT)
    building.communicate(timeout=20)

    assert building.returncode not in {0, None}
    eventually(lambda: server.builds(project)[-1][1] == "canceled", "the build is canceled")
    eventually(lambda: not processes_with(f"step of {project}"), "the step has ended")
    following = build_in(depot, project, quick)
    assert following.code == 0, following.output
    assert [one.process_id for one in server.machines(project)] == [machine.process_id]


def test_bake_builds_all_targets_in_one_build(server: Server, depot: Depot, project: str, tmp_path: Path) -> None:
    dockerfile = (
        HEADER
        + "FROM base AS shared\n"
        + run("echo the shared stage")
        + "FROM shared AS one\n"
        + run("echo one > /result")
        + "FROM shared AS two\n"
        + run("echo two > /result")
        + "FROM base AS three\n"
        + run("echo three > /result")
    )
    context = make_context(tmp_path / "context", dockerfile)
    names = ("one", "two", "three")
    targets = {name: {"target": name, "output": [f"type=local,dest=out-{name}"]} for name in names}
    bake = {"group": {"default": {"targets": names}}, "target": targets}
    (context / "docker-bake.json").write_text(json.dumps(bake))

    result = depot("bake", "--progress", "plain", cwd=context, DEPOT_PROJECT_ID=project)

    assert result.code == 0, result.output
    assert [(context / f"out-{name}" / "result").read_text() for name in names] == ["one\n", "two\n", "three\n"]
    assert [status for _, status, _ in server.builds(project)] == ["succeeded"]


def test_a_build_that_somebody_else_created_is_built_with_its_own_token(
    server: Server, depot: Depot, project: str, tmp_path: Path
) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    build, token = server.new_build(project)

    result = depot.build(cwd=context, DEPOT_BUILD_ID=build, DEPOT_TOKEN=token, DEPOT_PROJECT_ID=project)

    assert result.code == 0, result.output
    assert [one for one, _, _ in server.builds(project)] == [build], "the CLI made no build of its own"
    assert server.query("select count(*) from solves where build_id = ?", build) == [(1,)]


def test_a_build_token_is_of_no_use_for_another_build(
    server: Server, depot: Depot, project: str, tmp_path: Path
) -> None:
    context = make_context(tmp_path / "context", HEADER)
    _, token = server.new_build(project)
    other, _ = server.new_build(project)

    result = depot.build(cwd=context, DEPOT_BUILD_ID=other, DEPOT_TOKEN=token, DEPOT_PROJECT_ID=project)

    assert result.code != 0
    assert "permission_denied" in result.output, "the CLI asks for projects when a build is not found"
    assert server.machines(project) == []


def test_a_second_project_has_no_cache_hit_from_the_first(server: Server, depot: Depot, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo the same in both"))
    first, second = server.new_project("first"), server.new_project("second")
    assert build_in(depot, first, context).code == 0
    assert build_in(depot, first, context).cached == 2

    result = build_in(depot, second, context)

    assert (result.code, result.cached) == (0, 0), result.output
    assert server.machines(first)[0].process_id != server.machines(second)[0].process_id


def test_eight_builds_at_once_share_one_machine(server: Server, depot: Depot, project: str, tmp_path: Path) -> None:
    contexts = [make_context(tmp_path / f"context-{n}", HEADER + run(f"echo this is {n}")) for n in range(8)]

    def build(context: Path) -> Result:
        return build_in(depot, project, context)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(build, contexts))

    assert [result.code for result in results] == [0] * 8, "\n".join(r.output for r in results if r.code)
    assert all(f"this is {n}" in result.output for n, result in enumerate(results))
    (machine,) = server.machines(project)
    assert programs_of(machine.id).count("buildkitd") == 1
    assert [status for _, status, _ in server.builds(project)] == ["succeeded"] * 8


def test_the_record_warns_of_names_that_the_cli_can_not_send(server: Server, depot: Depot, tmp_path: Path) -> None:
    project = server.new_project("names")
    context = make_context(tmp_path / "context", HEADER + "COPY größe.md /\n", **{"größe.md": "x"})

    built = depot.build(cwd=context, DEPOT_PROJECT_ID=project)

    ((build, status, _),) = server.builds(project)
    # When the CLI can do it, the warning and its page of docs/compatibility.md are to go.
    assert (built.code != 0, status) == (True, "failed"), built.output
    warned = "select short from warnings where build_id = ? and short like '%names aren''t ASCII%'"
    eventually(lambda: server.query(warned, build), "the record warns")
