"""The flags of `stoker build` that people know from `docker buildx build`, and what it says of mistakes."""

from __future__ import annotations

import json
import os
import re
import socket
import tarfile
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.server import Server

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@pytest.fixture
def project(server: Server) -> str:
    return server.new_project("flags")


@pytest.fixture
def stoker(server: Server, project: str, tmp_path: Path) -> Command:
    """The command with buildctl in PATH and nothing else of the engine."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "buildctl").symlink_to(server.engine.buildctl)
    path = f"{programs}:{os.environ['PATH']}"
    return Command(tmp_path, {**server.first, "DEPOT_PROJECT_ID": project, "PATH": path, "STOKER_CACHE": str(tmp_path)})


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return make_context(tmp_path / "context", HEADER + run("echo hello > /made"))


def test_it_says_where_the_page_is_and_that_the_image_goes_nowhere(
    server: Server, stoker: Command, project: str, context: Path
) -> None:
    built = stoker.apart("build", str(context), "-t", "acme/web:1")
    assert built.code == 0, built.stderr
    ((build, _, _),) = server.builds(project)
    lines = built.stderr.splitlines()
    assert lines[-1].startswith("the image stays in the project's cache; --push, --load or --output ")
    assert lines[0] == f"build {build}: {server.url}/builds/{build}"
    assert "tracing" not in built.stderr
    assert DIGEST.fullmatch(built.stdout.strip().removeprefix("image "))


def test_quiet_prints_the_digest_alone(stoker: Command, context: Path, tmp_path: Path) -> None:
    built = stoker.apart("build", str(context), "-q", "-o", str(tmp_path / "out"))
    assert (built.code, built.stdout, built.stderr) == (0, "", ""), "files have no digest"
    image = stoker.apart("build", str(context), "-q", "-o", f"type=oci,dest={tmp_path / 'image.tar'}")
    assert (image.code, image.stderr) == (0, "")
    assert DIGEST.fullmatch(image.stdout.strip())


def test_a_folder_is_an_output(stoker: Command, context: Path, tmp_path: Path) -> None:
    built = stoker.apart("build", str(context), "-o", str(tmp_path / "out"))
    assert built.code == 0, built.stderr
    assert (tmp_path / "out" / "made").read_text() == "hello\n"
    assert "stays in the project's cache" not in built.stderr


def test_metadata_and_the_id_are_written(
    server: Server, stoker: Command, project: str, context: Path, tmp_path: Path
) -> None:
    files = ["--metadata-file", str(tmp_path / "metadata.json"), "--iidfile", str(tmp_path / "iid")]
    built = stoker.apart("build", str(context), "-q", "-t", "acme/web:1", *files)
    assert built.code == 0, built.stderr
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    assert metadata["containerimage.digest"] == built.stdout.strip()
    assert metadata["image.name"] == "acme/web:1"
    ((build, _, _),) = server.builds(project)
    assert metadata["depot.build"] == {"buildID": build, "projectID": project}
    assert (tmp_path / "iid").read_text() == metadata["containerimage.config.digest"]


def test_an_image_is_loaded_into_docker(stoker: Command, context: Path, tmp_path: Path) -> None:
    docker = tmp_path / "programs" / "docker"
    docker.write_text(f'#!/bin/sh\n[ "$1" = load ] && cat > {tmp_path}/loaded.tar && echo "Loaded image: acme/web:1"\n')
    docker.chmod(0o755)
    built = stoker.apart("build", str(context), "-t", "acme/web:1", "--load")
    assert built.code == 0, built.stderr
    assert "Loaded image: acme/web:1" in built.stdout
    with tarfile.open(tmp_path / "loaded.tar") as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        assert json.load(manifest)[0]["RepoTags"] == ["acme/web:1"]


def test_docker_that_fails_to_load_fails_the_build(
    server: Server, stoker: Command, project: str, context: Path, tmp_path: Path
) -> None:
    docker = tmp_path / "programs" / "docker"
    docker.write_text("#!/bin/sh\ncat >/dev/null; echo 'no daemon is running' >&2; exit 3\n")
    docker.chmod(0o755)
    built = stoker.apart("build", str(context), "-t", "acme/web:1", "--load")
    assert (built.code, "no daemon is running" in built.stderr) == (3, True)
    ((_, status, error),) = server.builds(project)
    assert (status, error) == ("failed", "docker load --quiet ended with exit code 3")


def test_labels_contexts_caches_and_attestations_reach_the_build(stoker: Command, tmp_path: Path) -> None:
    dockerfile = HEADER + "COPY --from=more /file /file\n" + run("cat /file")
    context = make_context(tmp_path / "context", dockerfile)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "file").write_text("of another folder\n")
    flags = [
        *("--build-context", f"more={tmp_path / 'more'}", "--label", "team=web", "--label", "empty"),
        *("--pull", "--cache-to", "type=inline", "--provenance=mode=max", "--progress", "plain"),
        *("-o", f"type=oci,dest={tmp_path / 'image.tar'}"),
    ]
    built = stoker.apart("build", str(context), *flags)
    assert built.code == 0, built.stderr
    assert "of another folder" in built.stderr
    with tarfile.open(tmp_path / "image.tar") as archive:
        blobs = [archive.extractfile(one) for one in archive.getnames() if one.startswith("blobs/sha256/")]
        texts = [blob.read() for blob in blobs if blob is not None]
    assert any(b'"team":"web"' in text for text in texts)
    assert any(b"slsa.dev/provenance" in text for text in texts)


def test_privileges_are_asked_for(server: Server, stoker: Command, project: str, context: Path) -> None:
    refused = stoker.apart("build", str(context), "--allow", "network.host")
    assert refused.code == 1
    assert f"builds of project {project} may not use network.host" in refused.stderr
    assert "may not use network.host" in (server.builds(project)[-1][2] or "")


def test_buildctls_own_error_is_the_builds(server: Server, stoker: Command, project: str, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", "FROM scratch\nCOPY nothing /\n")
    failed = stoker.apart("build", str(context))
    assert failed.code == 1
    error = server.builds(project)[-1][2] or ""
    assert '"/nothing": not found' in error
    assert not error.startswith(("error", "buildctl"))


def test_progress_is_drawn_in_a_terminal(stoker: Command, context: Path) -> None:
    terminal = stoker.terminal("build", str(context))
    assert terminal.ends() == 0, terminal.written
    assert "\x1b[?25l[+] Building" in terminal.written, "it hides the cursor to draw"
    assert "Traceback" not in terminal.written


def test_a_project_is_named_by_its_name(server: Server, stoker: Command, context: Path, tmp_path: Path) -> None:
    name = f"named {tmp_path.name}"
    project = server.new_project(name)
    assert stoker.apart("build", str(context), "--project", name).code == 0
    assert len(server.builds(project)) == 1
    unknown = stoker.apart("build", str(context), "--project", "nobody's")
    assert (unknown.code, 'no project is called "nobody\'s"' in unknown.stderr) == (1, True)
    server.new_project(name)
    twice = stoker.apart("build", str(context), "--project", name)
    assert (twice.code, f'2 projects are called "{name}"' in twice.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "says", "advice"),
    [
        (["-o", "type=foo"], 'there is no output of type "foo"', "use type="),
        (["-o", "dest=out"], "has no type", "use type="),
        (["-o", "type=local"], "has no dest", "dest=PATH"),
        (["-o", "type=tar,dest=nowhere/out.tar"], "is not a folder", "a folder that exists"),
        (["-o", "type=oci,dest=."], "is a folder", "dest=FILE"),
        (["-o", "type=oci"], "not written to a terminal", "dest=FILE"),
        (["--push"], "can't be pushed", "--tag"),
        (["-t", "Acme/Web"], "is not a name of an image", "lower case"),
        (["--load", "--platform", "linux/amd64,linux/arm64"], "one platform", "--push"),
        (["--platform", "linux/amd64,linux/mips"], "no machines for linux/mips", "linux/amd64"),
        (["--secret", "id=key,src=nowhere"], "there is no file nowhere", "src=FILE"),
        (["--secret", "id=key,env=NOT_SET"], "NOT_SET is not set", "src=FILE"),
        (["--secret", "src=file"], "has no id", "id=NAME"),
        (["--ssh", "default"], "no SSH agent", "ssh-agent"),
        (["--build-context", "base"], "is not NAME=VALUE", "docker-image://"),
        (["--build-context", "base=nowhere"], "is not a folder", "docker-image://"),
        (["--cache-from", "ref=x"], "has no type", "type=registry"),
        (["--provenance=often"], '"often" is not known', "mode=max"),
        (["--allow", "everything"], 'no privilege "everything"', "network.host"),
        (["--metadata-file", "nowhere/file"], "is not a folder", "a folder that exists"),
        (["--build-arg", "=x"], "has no name", "NAME=VALUE"),
        (["--project", "no such project"], 'no project is called "no such project"', "stoker projects list"),
        (["nowhere"], '"nowhere" is not a folder', "Dockerfile"),
    ],
)
def test_a_mistake_is_told_in_a_terminal_before_there_is_a_build(
    server: Server, stoker: Command, project: str, context: Path, arguments: list[str], says: str, advice: str
) -> None:
    path = [] if arguments == ["nowhere"] else [str(context)]
    terminal = stoker.terminal("build", *path, *arguments, columns=300)

    assert terminal.ends() == 1, terminal.screen

    line, hint = terminal.screen.splitlines()
    assert line.startswith("stoker: ")
    assert says in line
    assert hint.startswith("        ")
    assert advice in hint
    assert server.builds(project) == []


def test_without_buildctl_a_wrong_folder_is_told(stoker: Command, context: Path) -> None:
    refused = stoker.apart("build", str(context), STOKER_ENGINE_FOLDER="/nowhere")
    assert (refused.code, refused.stdout) == (1, "")
    assert refused.stderr.splitlines() == [
        "stoker: there is no program /nowhere/buildctl",
        "        correct STOKER_ENGINE_FOLDER, or unset it",
    ]


class Forwarder:
    """Passes connections on to a server, and counts them."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._target = (address.hostname or "", address.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.count = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.count += 1
            server = socket.create_connection(self._target)
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=_copy, args=(source, target), daemon=True).start()

    def close(self) -> None:
        self._listener.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)


def test_a_build_makes_one_connection_to_the_api(server: Server, stoker: Command, context: Path) -> None:
    forwarder = Forwarder(server.url)
    try:
        built = stoker.apart("build", str(context), DEPOT_API_URL=forwarder.url)
    finally:
        forwarder.close()
    assert built.code == 0, built.stderr
    assert forwarder.count == 1
