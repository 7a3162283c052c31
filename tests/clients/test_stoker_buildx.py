"""`stoker buildx`: the real buildx with a builder that stoker keeps."""

from __future__ import annotations

import asyncio
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from stoker.client.api import open_api
from stoker.client.buildx import RemoteBuilder
from stoker.domain.platforms import Platform
from tests.harness.command import Command
from tests.harness.contexts import FOREIGN_HEADER, HEADER, add_busyboxes, make_context, run
from tests.harness.go_tools import BUILDX, go_tool
from tests.harness.server import Server
from tests.harness.waiting import eventually

pytestmark = pytest.mark.timeout(900)  # the first run builds buildx


@pytest.fixture(scope="module")
def buildx(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to put into PATH, with buildx and no docker."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "buildx").symlink_to(go_tool(BUILDX, server.cache))
    return folder


@pytest.fixture
def project(server: Server) -> str:
    return server.new_project("buildx")


@pytest.fixture
def stoker(server: Server, buildx: Path, project: str, tmp_path: Path) -> Command:
    environment = {
        **server.first,
        "DEPOT_PROJECT_ID": project,
        "BUILDX_CONFIG": str(tmp_path / "buildx"),
        "PATH": f"{buildx}:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    return Command(tmp_path, environment)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return make_context(tmp_path / "context", HEADER + run("echo made by a step >/made"))


def builders(stoker: Command) -> str:
    listing = ["buildx", "ls", "--format", "{{.Name}}"]
    return subprocess.run(listing, env=stoker.environment, capture_output=True, text=True, check=True).stdout


def test_a_command_builds_with_it_and_nothing_is_left(
    server: Server, stoker: Command, project: str, context: Path, tmp_path: Path
) -> None:
    out = f"type=local,dest={tmp_path / 'out'}"
    build = ("buildx", "build", "--builder", "kept", "--progress", "plain", "-o", out, str(context))
    result = stoker("buildx", "kept", "--", *build)
    assert result.code == 0, result.output
    assert (tmp_path / "out" / "made").read_text() == "made by a step\n"
    assert "kept" not in builders(stoker)
    assert [status for _, status, _ in server.builds(project)] == ["succeeded"]
    assert not list((tmp_path / ".local" / "state" / "stoker" / "buildx" / "kept").glob("*"))


def test_the_exit_code_is_the_commands(stoker: Command) -> None:
    assert stoker("buildx", "kept", "--", "sh", "-c", "exit 7").code == 7


def test_the_builds_end_is_told_when_the_api_is_back(server: Server, stoker: Command, project: str) -> None:
    result = stoker("buildx", "kept", "--", "sh", "-c", f"kill -KILL {server.part('api')}")
    assert result.code == 0, result.output
    assert "trying again for 10 s" in result.output
    assert [status for _, status, _ in server.builds(project)] == ["succeeded"]


def test_a_builder_has_a_machine_for_each_platform(
    stoker: Command, server: Server, project: str, tmp_path: Path
) -> None:
    context = add_busyboxes(make_context(tmp_path / "two", FOREIGN_HEADER + run("uname -m >/machine")))
    out = f"type=local,dest={tmp_path / 'out'}"
    platforms = "linux/amd64,linux/arm64"
    build = ("buildx", "build", "--builder", "two", "--platform", platforms, "-o", out, str(context))
    result = stoker("buildx", "two", "--platform", platforms, "--", *build)
    assert result.code == 0, result.output
    assert (tmp_path / "out" / "linux_arm64" / "machine").read_text() == "aarch64\n"
    assert {machine.platform for machine in server.machines(project)} == {"linux/amd64", "linux/arm64"}


def test_it_is_kept_until_a_signal_and_its_keys_are_private(
    server: Server, stoker: Command, project: str, context: Path, tmp_path: Path
) -> None:
    process = stoker.popen("buildx", "kept", "--use")
    assert process.stdout is not None
    said = ""
    while "Ctrl-C removes it" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    keys = list((tmp_path / ".local").rglob("key.pem"))
    assert [stat.S_IMODE(key.stat().st_mode) for key in keys] == [0o600]
    build = ["buildx", "build", str(context)]
    done = subprocess.run(build, env=stoker.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    other = stoker("buildx", "kept", "--", "true")
    assert "another stoker buildx keeps kept" in other.output
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert "kept" not in builders(stoker)
    assert [status for _, status, _ in server.builds(project)] == ["succeeded"]


def test_one_that_was_killed_is_taken_over(stoker: Command) -> None:
    process = stoker.popen("buildx", "kept")
    eventually(lambda: "kept" in builders(stoker), "the builder is there")
    process.kill()
    process.wait(10)
    assert stoker("buildx", "kept", "--", "true").code == 0


def test_somebody_elses_builder_is_left_alone(stoker: Command) -> None:
    create = ["buildx", "create", "--name", "mine", "--driver", "remote", "tcp://127.0.0.1:1"]
    subprocess.run(create, env=stoker.environment, capture_output=True, check=True)
    refused = stoker("buildx", "mine", "--", "true")
    assert refused.code == 1
    assert "buildx has a builder mine already" in refused.output
    assert "mine" in builders(stoker)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("buildx", "no/name"), "can't be a builder's name"),
        (("buildx", "x", "--platform", "linux/riscv64"), "there are no machines for linux/riscv64"),
        (("buildx", "x", "--project", "0" * 16), "was not found"),
        (("buildx", "x", "--", "/nonexistent/program"), "can't be run"),
    ],
)
def test_what_can_not_be_is_one_line(stoker: Command, arguments: tuple[str, ...], problem: str) -> None:
    result = stoker(*arguments)
    assert result.code != 0
    assert problem in result.output
    assert "Traceback" not in result.output


def test_without_buildx_it_says_so(stoker: Command) -> None:
    assert "there is no docker buildx here" in stoker("buildx", "x", PATH="/nonexistent").output


async def test_when_the_build_ends_new_endpoints_are_got(server: Server, project: str, tmp_path: Path) -> None:
    said: list[str] = []
    async with open_api(server.url, server.token) as api:
        holder = RemoteBuilder(api, project, [Platform.AMD64], tmp_path / "keys", said.append)
        await holder.open()
        before = (tmp_path / "keys" / "amd64" / "cert.pem").read_text()
        (build, _, _) = server.builds(project)[0]
        ended = {"buildId": build, "error": {"error": "for a test"}}
        assert server.call("depot.build.v1.BuildService/FinishBuild", ended).status == 200
        keeping = asyncio.create_task(holder.keep(0.05))
        async with asyncio.timeout(30):
            while (tmp_path / "keys" / "amd64" / "cert.pem").read_text() == before:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await holder.close()
    assert [status for _, status, _ in server.builds(project)] == ["failed", "succeeded"]
