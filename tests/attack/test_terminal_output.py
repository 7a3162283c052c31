"""What a build says reaches neither a terminal nor a line of a log as it is."""

from __future__ import annotations

import ast
import base64
import json
import logging
from pathlib import Path

import pytest

from stoker._gen.moby.buildkit.v1.control_pb import BuildHistoryEvent, Vertex, VertexStatus, VertexWarning
from stoker.buildkit.decoding import decode
from stoker.logs import TextFormatter
from tests.attack.framework.protobuf import message
from tests.harness.command import Command
from tests.harness.server import Server

CLI = Path(__file__).parents[2] / "src" / "stoker" / "cli"
HOSTILE = "\x1b]52;c;ZXZpbA==\x07\x1b[31mred\x9b2J\u202eevil\x7f\nstoker: forged"
WRITES = {"click.echo", "click.secho", "print", "sys.stdout.write", "sys.stderr.write"}


@pytest.mark.parametrize("module", sorted(path.name for path in CLI.glob("*.py")))
def test_one_place_writes_to_the_terminal(module: str) -> None:
    if module == "terminal.py":
        return
    tree = ast.parse((CLI / module).read_text(encoding="utf-8"))
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & WRITES, "use stoker.cli.terminal"


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_build_steers_no_terminal(server: Server, tmp_path: Path, flags: tuple[str, ...]) -> None:
    build, token = server.new_build(server.new_project())
    warning = {
        "vertex": "1",
        "short": base64.b64encode(HOSTILE.encode()).decode(),
        "url": HOSTILE,
        "info": {"filename": HOSTILE},
    }
    report = {"buildId": build, "statuses": [{"warnings": [warning]}]}
    assert server.call("depot.cli.v1.BuildService/ReportStatus", report, token=token).status == 200
    ended = {"buildId": build, "error": {"error": HOSTILE}}
    assert server.call("depot.build.v1.BuildService/FinishBuild", ended, token=token).status == 200
    stoker = Command(tmp_path, {"DEPOT_API_URL": server.url, "DEPOT_TOKEN": server.token})

    result = stoker("builds", "show", build, *flags)

    assert result.code == 0, result.output
    assert "evil" in result.output
    assert all(one.isprintable() or one == "\n" for one in result.output), repr(result.output)
    if flags:
        assert json.loads(result.output)["build"]["error"].startswith("\x1b]52")
    else:
        assert not [line for line in result.output.splitlines() if line.startswith("warning") and "forged" not in line]


@pytest.mark.parametrize("command", ["list", "show"])
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_the_name_of_a_build_steers_no_terminal(
    server: Server, tmp_path: Path, command: str, flags: tuple[str, ...]
) -> None:
    project = server.new_project()
    options = [{"command": "COMMAND_BAKE", "targetName": HOSTILE, "tags": [HOSTILE], "outputs": [{"kind": HOSTILE}]}]
    wanted = {"projectId": project, "options": options}
    build = server.call("depot.cli.v1.BuildService/CreateBuild", wanted).body["buildId"]
    stoker = Command(tmp_path, {"DEPOT_API_URL": server.url, "DEPOT_TOKEN": server.token})

    result = stoker("builds", command, *((build,) if command == "show" else ("--project", project)), *flags)

    assert result.code == 0, result.output
    assert "evil" in result.output
    assert all(one.isprintable() or one == "\n" for one in result.output), repr(result.output)
    assert not [line for line in result.output.splitlines() if line.startswith("stoker: ")]


def test_a_line_of_the_log_is_one_line() -> None:
    record = logging.LogRecord("stoker", logging.INFO, "", 0, "solve %s is followed", (HOSTILE,), None)
    line = TextFormatter().format(record)
    assert line.isprintable()
    assert "\\x1b]52" in line
    record.exc_info = (ValueError, ValueError(HOSTILE), None)
    first, *rest = TextFormatter().format(record).split("\n")
    assert first == line
    assert all(one.startswith("    ") and one.isprintable() for one in rest)


def test_texts_that_are_no_utf8_are_marked_and_break_nothing() -> None:
    bad = b"gr\xf6\xdfe"
    vertex = decode(message(1, b"sha256:1") + message(2, bad) + message(3, bad) + message(7, bad) + b"\x20\x01", Vertex)
    assert (vertex.digest, vertex.name, vertex.error, vertex.cached) == ("sha256:1", "gr��e", "gr��e", True)
    assert list(vertex.inputs) == ["gr��e"]
    assert decode(message(1, bad) + message(2, b"v"), VertexStatus).ID == "gr��e"
    assert decode(message(6, message(1, bad)) + message(5, bad), VertexWarning).info.filename == "gr��e"  # type: ignore[union-attr]
    record = message(2, b"ref") + message(3, message(1, b"build-arg:X") + message(2, bad))
    event = decode(message(2, message(2, b"ref") + record), BuildHistoryEvent)
    assert event.record is not None
    assert event.record.FrontendAttrs == {"build-arg:X": "gr��e"}
