"""Until there is an image registry, what needs one is refused with a reason and a way out, by every road."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.server import Server

REASON = "this server has no image registry yet"
INSTEAD = "push to a registry of your own instead, with --push -t REGISTRY/NAME:TAG"
CLI = "depot.cli.v1.BuildService"
SDK = "depot.build.v1.BuildService"
BAKE = """\
group "default" { targets = ["first", "second"] }
target "first" {}
target "second" {}
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return make_context(tmp_path / "context", HEADER + run("echo hello"), **{"docker-bake.hcl": BAKE})


@pytest.mark.parametrize(
    "command",
    [
        ("build", "--save", "."),
        ("build", "--save-tag", "v1", "."),
        ("build", "--save", "--save-tag", "v1", "--load", "."),
        ("bake", "--save"),
        ("bake", "--save", "--save-tag", "v1", "second"),
    ],
    ids=" ".join,
)
def test_the_depot_cli_saves_nothing_and_says_so(depot: Depot, context: Path, command: tuple[str, ...]) -> None:
    before = len(depot.server.builds())
    refused = depot(*command, cwd=context)
    assert refused.code != 0, refused.output
    assert REASON in refused.output
    assert INSTEAD in refused.output
    assert "Saved target" not in refused.output
    assert len(depot.server.builds()) == before, "no build is left"


def test_a_bake_names_the_target(server: Server) -> None:
    options = [{"command": "COMMAND_BAKE", "targetName": "first"}, {"targetName": "second", "save": True}]
    refused = server.call(f"{CLI}/CreateBuild", {"projectId": server.project, "options": options})
    assert (refused.status, refused.code) == (501, "unimplemented")
    assert 'target "second"' in refused.message


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        (f"{CLI}/CreateBuild", {"options": [{"save": True}]}),
        (f"{CLI}/CreateBuild", {"options": [{}, {"saveTags": ["v1"]}]}),
        (f"{CLI}/CreateBuild", {"options": [{"save_tags": ["v1"]}]}),
        (f"{SDK}/CreateBuild", {"save": True}),
        (f"{SDK}/CreateBuild", {"saveTags": ["v1"]}),
        (f"{SDK}/CreateBuild", {"options": [{"save": True}]}),
    ],
)
def test_no_build_is_created_whose_image_is_to_be_saved(server: Server, method: str, wanted: dict[str, object]) -> None:
    project = server.new_project()
    refused = server.call(method, {"projectId": project, **wanted})
    assert (refused.status, refused.code) == (501, "unimplemented"), refused
    assert REASON in refused.message
    assert INSTEAD in refused.message
    assert server.builds(project) == []


def test_a_build_that_saves_nothing_is_created(server: Server) -> None:
    options = [{"save": False, "saveTags": [], "push": True, "tags": ["registry.example.com/app:v1"]}]
    assert server.call(f"{CLI}/CreateBuild", {"projectId": server.project, "options": options}).status == 200
    assert server.call(f"{SDK}/CreateBuild", {"projectId": server.project, "save": False}).status == 200


@pytest.mark.parametrize(
    "method",
    [
        f"{CLI}/GetPullInfo",
        f"{CLI}/GetPullToken",
        "depot.cli.v1.PushService/StartPush",
        "depot.build.v1.RegistryService/ListImages",
        "depot.registry.v1beta1.RegistryService/ListRepositories",
        "depot.registry.v1beta1.RegistryService/CreateToken",
    ],
)
def test_what_needs_a_registry_says_what_to_do_instead(server: Server, method: str) -> None:
    refused = server.call(method)
    assert (refused.status, refused.code) == (501, "unimplemented")
    assert REASON in refused.message
    assert INSTEAD in refused.message
