"""`stoker build`, `stoker config`, and a second `stoker serve` on a data folder."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import signal
import socket
import tarfile
from pathlib import Path

import pytest

from stoker.settings.effective import SETTINGS
from tests.harness.command import Command
from tests.harness.contexts import FOREIGN_HEADER, HEADER, add_busyboxes, make_context, run
from tests.harness.server import Server
from tests.harness.waiting import eventually

DIGEST = re.compile(r"^image (sha256:[0-9a-f]{64})$", re.MULTILINE)


@pytest.fixture
def project(server: Server) -> str:
    return server.new_project("stoker build")


@pytest.fixture
def stoker(server: Server, project: str, tmp_path: Path) -> Command:
    """The command with the bootstrap file's variables, in a project of the test's own."""
    engine = {"STOKER_CACHE": str(server.cache), "STOKER_ENGINE_FOLDER": str(server.engine.buildctl.parent)}
    return Command(tmp_path, {**server.first, "DEPOT_PROJECT_ID": project, **engine})


def test_it_builds_with_live_progress_and_prints_the_digest(
    server: Server, stoker: Command, project: str, tmp_path: Path
) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo hello from the step"))

    first = stoker("build", str(context), "--progress", "plain")
    second = stoker("build", ".", "--progress", "plain", cwd=context)

    assert (first.code, first.cached) == (0, 0), first.output
    assert "hello from the step" in first.output
    assert (second.code, second.cached) == (0, 2), second.output
    digests = [DIGEST.findall(result.output) for result in (first, second)]
    assert len(digests[0]) == 1
    assert digests[0] == digests[1]
    assert [status for _, status, _ in server.builds(project)] == ["succeeded", "succeeded"]


def test_no_cache_runs_every_step_again(stoker: Command, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo hello from the step"))
    assert stoker("build", str(context)).code == 0

    again = stoker("build", str(context), "--no-cache", "--progress", "plain")

    assert (again.code, again.cached) == (0, 0), again.output
    assert "hello from the step" in again.output


def test_dockerfile_target_and_build_arguments_are_taken(stoker: Command, tmp_path: Path) -> None:
    dockerfile = HEADER + "ARG COLOUR\nARG SIZE\n" + run("echo it is $COLOUR and $SIZE") + "FROM base\n" + run("exit 7")
    context = make_context(tmp_path / "context", "FROM nowhere\n", **{"other.Dockerfile": dockerfile})
    flags = ["-f", str(context / "other.Dockerfile"), "--target", "base", "--progress", "plain"]

    result = stoker("build", str(context), *flags, "--build-arg", "COLOUR=teal", "--build-arg", "SIZE", SIZE="large")

    assert result.code == 0, result.output
    assert "it is teal and large" in result.output


def test_secrets_come_from_files_and_from_the_environment(stoker: Command, tmp_path: Path) -> None:
    mounts = "--mount=type=secret,id=one --mount=type=secret,id=two"
    step = run("cd /run/secrets && /bin/busybox sha256sum one two > /sums", flags=mounts)
    context = make_context(tmp_path / "context", HEADER + step)
    (tmp_path / "one").write_bytes(b"in a file")
    secrets = ["--secret", f"id=one,src={tmp_path / 'one'}", "--secret", "id=two,env=SECOND"]

    result = stoker(
        "build", str(context), *secrets, "-o", f"type=local,dest={tmp_path / 'out'}", SECOND="in the environment"
    )

    assert result.code == 0, result.output
    sums = [hashlib.sha256(secret).hexdigest() for secret in (b"in a file", b"in the environment")]
    assert (tmp_path / "out" / "sums").read_text() == f"{sums[0]}  one\n{sums[1]}  two\n"


def test_an_image_is_written_as_an_oci_archive_under_its_tags(stoker: Command, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo hello > /made"))
    tags = ["example.com/app:1", "example.com/app:latest"]
    flags = [flag for tag in tags for flag in ("-t", tag)]

    result = stoker("build", str(context), *flags, "--output", f"type=oci,dest={tmp_path / 'image.tar'}")

    assert result.code == 0, result.output
    with tarfile.open(tmp_path / "image.tar") as archive:
        index = archive.extractfile("index.json")
        assert index is not None
        manifests = json.load(index)["manifests"]
    assert DIGEST.findall(result.output) == [manifests[0]["digest"]]
    assert [one["annotations"].get("io.containerd.image.name") for one in manifests] == tags


def test_another_platform_is_built_on_its_machine(
    server: Server, stoker: Command, project: str, tmp_path: Path
) -> None:
    step = run("/bin/busybox uname -m > /machine")
    context = add_busyboxes(make_context(tmp_path / "context", FOREIGN_HEADER + step))
    output = ["--output", f"type=local,dest={tmp_path / 'out'}"]

    result = stoker("build", str(context), "--platform", "linux/arm64", *output)

    assert result.code == 0, result.output
    assert (tmp_path / "out" / "machine").read_text() == "aarch64\n"
    assert [machine.platform for machine in server.machines(project)] == ["linux/arm64"]
    ((build, _, _),) = server.builds(project)
    shown = stoker("builds", "show", build).output
    assert ("warning: linux/arm64 is emulated on this server" in shown) == (platform.machine() == "x86_64"), shown


def test_two_platforms_are_built_in_one_build(server: Server, stoker: Command, project: str, tmp_path: Path) -> None:
    step = run("/bin/busybox uname -m > /machine")
    context = add_busyboxes(make_context(tmp_path / "context", FOREIGN_HEADER + step))
    output = ["--output", f"type=local,dest={tmp_path / 'out'}"]

    result = stoker("build", str(context), "--platform", "linux/amd64,linux/arm64", *output)

    assert result.code == 0, result.output
    assert (tmp_path / "out" / "linux_amd64" / "machine").read_text() == "x86_64\n"
    assert (tmp_path / "out" / "linux_arm64" / "machine").read_text() == "aarch64\n"


def test_a_cross_build_that_runs_natively_is_not_said_to_be_emulated(
    server: Server, stoker: Command, project: str, tmp_path: Path
) -> None:
    native = "linux/amd64" if platform.machine() == "x86_64" else "linux/arm64"
    stages = HEADER.replace("FROM scratch AS base", f"FROM --platform={native} scratch AS cross") + run(
        "echo made > /made"
    )
    context = make_context(tmp_path / "context", f"{stages}FROM scratch\nCOPY --from=cross /made /made\n")

    result = stoker("build", str(context), "--platform", "linux/amd64,linux/arm64")

    assert result.code == 0, result.output
    ((build, _, _),) = server.builds(project)
    assert "is emulated" not in stoker("builds", "show", build).output


def test_a_failing_step_gives_its_exit_code_and_a_failed_build(
    server: Server, stoker: Command, project: str, tmp_path: Path
) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo about to fail; exit 7"))

    result = stoker("build", str(context), "--progress", "plain")

    assert result.code == 1, result.output
    assert "about to fail" in result.output
    assert DIGEST.findall(result.output) == []
    ((_, status, error),) = server.builds(project)
    assert status == "failed"
    assert "exit code: 7" in (error or "")


def test_ctrl_c_leaves_the_build_canceled(server: Server, stoker: Command, project: str, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo begun; sleep 30; echo over"))
    building = stoker.popen("build", str(context), "--progress", "plain")
    assert building.stdout is not None
    said = next((line for line in building.stdout if line.endswith(" begun\n")), None)
    assert said is not None, "the step began"

    os.killpg(building.pid, signal.SIGINT)
    rest, _ = building.communicate(timeout=20)

    assert building.returncode == 130, rest
    assert rest.endswith("canceled\n")
    assert "Traceback" not in rest
    eventually(lambda: server.builds(project)[-1][1] == "canceled", "the build is canceled")
    quick = make_context(tmp_path / "quick", HEADER + run("echo the next one"))
    assert stoker("build", str(quick)).code == 0


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize(
    ("wrong", "arguments", "says"),
    [
        pytest.param({"DEPOT_TOKEN": "nonsense"}, [], "token", id="a bad token"),
        pytest.param({"DEPOT_TOKEN": ""}, [], "DEPOT_TOKEN is not set", id="no token"),
        pytest.param({"DEPOT_API_URL": ""}, [], "DEPOT_API_URL is not set", id="no API"),
        pytest.param({"DEPOT_API_URL": "127.0.0.1:8080"}, [], "DEPOT_API_URL", id="an API without a scheme"),
        pytest.param({}, ["--project", "0000000000000000"], "was not found", id="an unknown project"),
        pytest.param({"DEPOT_PROJECT_ID": ""}, [], "no project is named", id="no project"),
        pytest.param({}, ["--platform", "linux/riscv64"], "no machines for linux/riscv64", id="an unknown platform"),
        pytest.param({}, ["-f", "Nope"], "there is no Nope", id="no Dockerfile"),
        pytest.param({}, ["--progress", "loud"], "loud", id="an unknown progress"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_a_hint(
    server: Server,
    stoker: Command,
    project: str,
    tmp_path: Path,
    wrong: dict[str, str],
    arguments: list[str],
    says: str,
) -> None:
    context = make_context(tmp_path / "context", HEADER)

    result = stoker("build", str(context), *arguments, cwd=tmp_path, **wrong)

    assert result.code not in {0, 130}
    assert says in result.output
    assert "Traceback" not in result.output
    assert "unexpected" not in result.output
    assert len(result.output.splitlines()) <= 4, result.output
    assert server.builds(project) == []


def test_an_api_that_is_not_there_is_told_in_one_line(stoker: Command, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{unused_port()}"

    result = stoker("build", str(make_context(tmp_path / "context", HEADER)), DEPOT_API_URL=url)

    line, hint = result.output.splitlines()
    assert result.code == 1
    assert line == f"stoker: can't reach the API at {url}; is the server running?"
    assert "DEPOT_API_URL" in hint


def test_a_folder_that_is_not_there_is_told_in_one_line(stoker: Command) -> None:
    result = stoker("build", "nowhere")

    assert result.code == 1
    assert result.output.splitlines()[0] == 'stoker: "nowhere" is not a folder'


def test_config_says_where_each_setting_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "stoker.toml"
    file.write_text('listen = "127.0.0.1:9001"\ngateway = "127.0.0.1:9002"\ngateway_name = "in-the-file"\n')
    stoker = Command(tmp_path)

    result = stoker(
        "config", "--json", "--config", str(file), "--gateway-name", "flag.example", STOKER_GATEWAY="127.0.0.1:9003"
    )

    assert result.code == 0, result.output
    settings = json.loads(result.output)
    assert settings["listen"] == {"value": "127.0.0.1:9001", "source": str(file)}
    assert settings["gateway"] == {"value": "127.0.0.1:9003", "source": "STOKER_GATEWAY"}
    assert settings["gateway_name"] == {"value": "flag.example", "source": "--gateway-name"}
    assert settings["data"] == {"value": str(tmp_path / ".local/share/stoker"), "source": "default"}


def test_config_prints_every_setting_for_people(tmp_path: Path) -> None:
    stoker = Command(tmp_path)
    names = stoker.apart("config", "--json").json

    printed = stoker.apart("config", COLUMNS="20", STOKER_IDLE_SECONDS="77").lines

    settings = [line for line in printed if re.match(r"(# )?[a-z0-9_]+ =", line)]
    assert {line.removeprefix("# ").split()[0] for line in settings} == set(names)
    assert "idle_seconds = 77.0  # STOKER_IDLE_SECONDS" in settings
    assert printed[-1].startswith("# A machine gets at most ")


def test_config_prints_a_settings_file_of_what_was_changed(tmp_path: Path) -> None:
    stoker, file = Command(tmp_path), tmp_path / "printed.toml"
    environment = {"STOKER_IDLE_SECONDS": "77", "STOKER_NAME_SERVERS": "192.0.2.1,192.0.2.2"}

    changed = stoker.apart("config", "--changed", "--describe", **environment)

    assert [line for line in changed.lines if line and not line.startswith("#")] == [
        'name_servers = ["192.0.2.1", "192.0.2.2"]  # STOKER_NAME_SERVERS',
        "idle_seconds = 77.0  # STOKER_IDLE_SECONDS",
    ]
    assert f"# {SETTINGS['idle_seconds'].description}" in changed.lines
    file.write_text(stoker.apart("config", "--describe", **environment).stdout)
    read = stoker.apart("config", "--config", str(file), "--json").json
    assert {name: one["value"] for name, one in read.items()} == {
        name: one["value"] for name, one in stoker.apart("config", "--json", **environment).json.items()
    }
    nothing = stoker.apart("config", "--changed")
    assert (nothing.stdout, nothing.stderr) == ("", "every setting is at its default\n")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('listen = "nowhere"\n', '"nowhere" is not HOST:PORT'),
        ("liste = 1\n", 'there is no setting "liste"'),
        ("listen = \n", "is not TOML"),
    ],
)
def test_a_wrong_setting_is_told_with_its_place(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "stoker.toml"
    file.write_text(content)

    result = Command(tmp_path)("config", "--config", str(file))

    assert result.code == 1
    assert says in result.output
    assert str(file) in result.output
    assert "Traceback" not in result.output


def test_a_second_server_on_a_data_folder_names_the_first(server: Server, tmp_path: Path) -> None:
    second = Command(tmp_path, {"STOKER_ENGINE_FOLDER": str(server.engine.buildctl.parent)})
    anywhere = ["--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0"]

    result = second("serve", "--data", str(server.data), *anywhere)

    assert result.code == 1
    assert f"another server (process {server.pid}) is running on {server.data}" in result.output
    assert "Traceback" not in result.output
    still = server.call("depot.core.v1.ProjectService/GetProject", {"projectId": server.project})
    assert still.status == 200, "the first one goes on"
