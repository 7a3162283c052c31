"""The examples of docs/clients, run as a reader would run them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.clients.test_depot_client import PYTHON
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import depot_binary, depot_environment
from tests.harness.go_tools import BUILDX, EXAMPLE_PROGRAMS, GRPCURL, go_examples, go_tool
from tests.harness.node import SDK_VERSIONS, node, sdk_folder
from tests.harness.server import Server

PAGES = Path(__file__).parents[2] / "docs" / "clients"
_MARKED = re.compile(r"<!-- tested(?:: (?P<file>\S+))? -->\n```\w+\n(?P<code>.*?)```", re.DOTALL)
# What must be in the output, or among the files, when the example did what it says.
SHOWS = {
    "depot-cli.md": "made\n",
    "sdk-node.md": ": success\n",
    "depot-client.md": ", 3)]",
    "curl.md": '"STATUS_RUNNING"',
    "grpcurl-and-buf.md": '"active": {',
    "buildctl.md": "{}",
    "buildx.md": "builder ours is removed",
    "stoker.md": "build ",
    "go.md": "exporting to client directory",
}
BUILDS = ("depot-cli.md", "sdk-node.md", "depot-client.md", "buildctl.md", "buildx.md", "stoker.md", "go.md")

pytestmark = pytest.mark.timeout(900)  # the first run builds buildx, grpcurl and the Go examples


@pytest.fixture(scope="module")
def tools(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clients, to put first into PATH."""
    folder = tmp_path_factory.mktemp("bin")
    programs = {
        "depot": depot_binary(),
        "buildx": go_tool(BUILDX, server.cache),
        "grpcurl": go_tool(GRPCURL, server.cache),
        "buildctl": server.engine.buildctl,
        "stoker": Path(sys.executable).parent / "stoker",
        "buf": Path(sys.executable).parent / "buf",
    }
    programs |= {name: go_examples(server.cache) / name for name in EXAMPLE_PROGRAMS}
    for name, program in programs.items():
        (folder / name).symlink_to(program)
    return folder


@pytest.fixture(scope="module")
def secure(make_server: Callable[..., Server]) -> Server:
    return make_server(tls_own="true")


def command_of(file: str | None) -> list[str]:
    """How an example is run: in bash, unless it is to be put into a file first."""
    if file is None:
        return ["bash", "-euo", "pipefail", "-x", "example.sh"]
    return [node(), file] if file.endswith(".mjs") else [str(PYTHON), file]


def test_every_page_has_an_example_that_is_run() -> None:
    assert {page.name for page in PAGES.glob("*.md")} == set(SHOWS)


@pytest.mark.parametrize(
    ("page", "sdk"),
    [(page, SDK_VERSIONS[0]) for page in sorted(SHOWS)] + [("sdk-node.md", one) for one in SDK_VERSIONS[1:]],
)
def test_the_example_of_a_page_does_what_it_says(
    server: Server, secure: Server, tools: Path, page: str, sdk: str, tmp_path: Path
) -> None:
    (found,) = _MARKED.finditer((PAGES / page).read_text())
    context = make_context(tmp_path / "app", HEADER + run("echo made >/made"))
    (context / (found["file"] or "example.sh")).write_text(found["code"])
    sdk_folder(context, sdk)
    where = secure if page == "depot-client.md" else server
    environment = depot_environment(where, tmp_path, where.new_project("of a page"))
    environment |= {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "STOKER_CACHE": str(where.cache),
        "BUILDX_CONFIG": str(tmp_path / "buildx"),
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(secure.data / "pki" / "builds.pem"),
    }

    process = subprocess.Popen(
        command_of(found["file"]),
        cwd=context,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=120)
    finally:
        with suppress(ProcessLookupError):  # the sleep of a loop that the example has ended
            os.killpg(process.pid, signal.SIGKILL)

    assert process.returncode == 0, said
    assert SHOWS[page] in said
    if page in BUILDS:
        assert (context / "out" / "made").read_text() == "made\n"
    running = "select count(*) from builds where status = 'running' and project_id = ?"
    assert where.query(running, environment["DEPOT_PROJECT_ID"]) == [(0,)], "the example finishes what it begins"
