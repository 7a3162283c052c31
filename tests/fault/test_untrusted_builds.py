"""Builds of other people's code use the project's cache, and nothing that they do is seen by any other build."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.endpoint import EndpointFiles, get_endpoint
from tests.harness.leftovers import leftovers
from tests.harness.server import Server
from tests.harness.waiting import eventually

CREATE = "depot.build.v1.BuildService/CreateBuild"
FINISH = "depot.build.v1.BuildService/FinishBuild"
CONNECT = "depot.cli.v1.BuildService/GetBuildKitConnection"
TRUST = "stoker.v1.TrustService"
CACHED_STEPS = 2
WARM = HEADER + run("echo warm")
# A secret is no part of a step's cache key, so whoever runs the step first decides what its layer has.
MADE = (
    WARM
    + run("cat /flavour > /made", "--mount=type=secret,id=flavour,target=/flavour")
    + run(
        "cat /cache/* > /seen; cat /flavour > /cache/$(cat /flavour)",
        "--mount=type=cache,target=/cache --mount=type=secret,id=flavour,target=/flavour",
    )
    + "FROM scratch\nCOPY --from=base /made /seen /\n"
)


@dataclass
class Built:
    """What came out of a build of ``MADE``: its own layer, and what it saw in the cache mount."""

    made: str
    seen: str
    output: str

    @property
    def cached(self) -> int:
        return self.output.count(" CACHED\n")


def untrusted_token(server: Server) -> str:
    wanted = {"projectId": server.project, "description": "forks", "untrusted": True}
    return server.call(f"{TRUST}/CreateProjectToken", wanted).body["secret"]


def begin(server: Server, token: str, folder: Path) -> tuple[str, EndpointFiles]:
    created = server.call(CREATE, {"projectId": server.project}, token=token).body
    build = created["buildId"]
    return build, get_endpoint(server, build, created["buildToken"], folder / build)


def end(server: Server, token: str, build: str) -> None:
    assert server.call(FINISH, {"buildId": build, "success": {}}, token=token).status == 200


def make(server: Server, token: str, folder: Path, flavour: str, *arguments: str) -> Built:
    context = make_context(folder / "made", MADE)
    secret, out = folder / f"{flavour}.secret", folder / f"{flavour}.out"
    secret.write_text(flavour)
    build, endpoint = begin(server, token, folder)
    output = f"--output=type=local,dest={out}"
    built = endpoint.build(context, f"--secret=id=flavour,src={secret}", output, *arguments)
    assert built.code == 0, built.output
    end(server, token, build)
    return Built((out / "made").read_text(), (out / "seen").read_text(), built.output)


def volumes_on_disk(server: Server) -> set[str]:
    return {path.name for path in (server.data / "volumes").iterdir() if not path.name.startswith(".")}


def kept_volumes(server: Server) -> set[str]:
    return {row[0] for row in server.query("select id from volumes where build_id is null")}


def nothing_is_left(server: Server) -> bool:
    machines = server.query("select state from machines where build_id is not null and state <> 'stopped'")
    volumes = server.query("select id from volumes where build_id is not null and state <> 'deleted'")
    return not machines and not volumes and volumes_on_disk(server) <= kept_volumes(server)


def ask_for_endpoint(server: Server, build: str, token: str) -> None:
    """Ask once, whether or not the API lives to answer."""
    with suppress(OSError, HTTPException):
        server.call(CONNECT, {"buildId": build, "platform": "BUILDER_PLATFORM_AMD64"}, token=token)


@pytest.fixture(scope="module")
def common(make_server: Callable[..., Server]) -> Server:
    """A server that stays whole."""
    return make_server()


@pytest.fixture
def own(make_server: Callable[..., Server]) -> Server:
    return make_server()


def test_a_poisoned_cache_is_seen_by_no_later_build(own: Server, tmp_path: Path) -> None:
    token = untrusted_token(own)
    warm = make_context(tmp_path / "warm", WARM)
    assert Depot(own, tmp_path).build(cwd=warm).code == 0

    exported = tmp_path / "exported"
    export = f"--export-cache=type=local,mode=max,dest={exported}"
    poison = make(own, token, tmp_path, "poison", export)
    assert (poison.made, poison.seen) == ("poison", "")
    assert poison.cached == CACHED_STEPS, "it uses the trusted cache"
    assert (exported / "index.json").exists()
    eventually(lambda: nothing_is_left(own), "what it had is gone")

    other = make(own, token, tmp_path, "other")
    assert (other.made, other.seen) == ("other", ""), "an untrusted build sees none of it"
    good = make(own, own.token, tmp_path, "good")
    assert (good.made, good.seen) == ("good", ""), "a trusted build sees none of it"
    again = make(own, own.token, tmp_path, "again")
    assert again.made == "good", "the layer is found by the same key, so the poison would have been"
    eventually(lambda: nothing_is_left(own), "what they had is gone")
    own.stop()
    assert leftovers(own) == []


def test_the_depot_cli_builds_with_an_untrusted_token(own: Server, tmp_path: Path) -> None:
    depot, context = Depot(own, tmp_path), make_context(tmp_path / "context", WARM)
    token = untrusted_token(own)

    first = depot.build(cwd=context, DEPOT_TOKEN=token)
    assert (first.code, first.cached) == (0, 0), first.output
    trusted = depot.build(cwd=context)
    assert (trusted.code, trusted.cached) == (0, 0), "there was no cache yet, and the first made none"
    second = depot.build(cwd=context, DEPOT_TOKEN=token)
    assert (second.code, second.cached) == (0, CACHED_STEPS), second.output
    eventually(lambda: nothing_is_left(own), "what they had is gone")


def test_an_untrusted_credential_may_build_and_nothing_else(common: Server) -> None:
    token = untrusted_token(common)
    trusted_build, trusted_build_token = common.new_build()
    created = common.call(CREATE, {}, token=token).body
    build, build_token = created["buildId"], created["buildToken"]
    project = {"projectId": common.project}
    refused = {
        "depot.core.v1.ProjectService/GetProject": project,
        "depot.core.v1.ProjectService/ResetProject": project,
        "depot.core.v1.ProjectService/UpdateProject": project | {"name": "mine"},
        "depot.core.v1.BuildService/ListBuilds": project,
        "depot.core.v1.BuildService/ShareBuild": {"buildId": build},
        "depot.cli.v1beta1.ProjectsService/ResetProjectCache": project,
        f"{TRUST}/CreateProjectToken": project,
        CONNECT: {"buildId": build, "platform": "BUILDER_PLATFORM_AMD64"},
    }
    for method, request in refused.items():
        assert common.call(method, request, token=token).code == "permission_denied", method
    endpoint = {"buildId": trusted_build, "platform": "BUILDER_PLATFORM_AMD64"}
    assert common.call(CONNECT, endpoint, token=build_token).code == "not_found"
    for credential in (token, build_token):
        answer = common.call(FINISH, {"buildId": trusted_build, "success": {}}, token=credential)
        assert answer.code == "not_found"
    assert common.call(FINISH, {"buildId": trusted_build, "success": {}}, token=trusted_build_token).status == 200
    end(common, token, build)
    marks = (
        "select tokens.untrusted, builds.untrusted from tokens join builds on builds.id = build_id where build_id = ?"
    )
    assert common.query(marks, build) == [(1, 1)], "the build's own token is untrusted too"
    assert common.query(marks, trusted_build) == [(0, 0)]


def test_each_untrusted_build_has_a_machine_of_its_own(common: Server, tmp_path: Path) -> None:
    token = untrusted_token(common)
    held = [begin(common, credential, tmp_path) for credential in (common.token, token, token)]

    assert len({endpoint.server_name for _, endpoint in held}) == len(held)
    shown = common.call("stoker.v1.CacheService/ShowCache", {"projectId": common.project}).body
    assert len(shown["caches"]) == 1, "theirs are no part of the project's cache"
    mixed = EndpointFiles(common, held[1][1].address, held[0][1].server_name, held[1][1].folder)
    assert mixed.buildctl("debug", "workers").code != 0, "its certificate opens no other machine"
    for build, _ in held:
        end(common, common.token, build)
    eventually(lambda: nothing_is_left(common), "what they had is gone")
    assert held[1][1].buildctl("debug", "workers").code != 0


def test_where_there_are_no_snapshots_it_has_an_empty_cache_and_says_so(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server(volume_store="directory")
    context = make_context(tmp_path / "context", WARM)
    assert Depot(server, tmp_path).build(cwd=context).code == 0
    token = untrusted_token(server)

    built = Depot(server, tmp_path).build(cwd=context, DEPOT_TOKEN=token)

    assert (built.code, built.cached) == (0, 0), built.output
    assert "an untrusted build has an empty cache" in (server.data / "logs" / "api.log").read_text()
    eventually(lambda: nothing_is_left(server), "what it had is gone")


@pytest.mark.parametrize("moment", ["it starts", "it ends"])
def test_the_death_of_the_api_while_a_machine_comes_or_goes_leaves_nothing(
    own: Server, tmp_path: Path, moment: str
) -> None:
    context = make_context(tmp_path / "context", WARM)
    assert Depot(own, tmp_path).build(cwd=context).code == 0
    token = untrusted_token(own)
    created = own.call(CREATE, {}, token=token).body
    build, build_token = created["buildId"], created["buildToken"]
    of_build = "select state from volumes where build_id is not null"
    with ThreadPoolExecutor(1) as asking:
        if moment == "it starts":
            asking.submit(ask_for_endpoint, own, build, build_token)
            eventually(lambda: own.query(of_build), "its volume is recorded")
        else:
            get_endpoint(own, build, build_token, tmp_path / "endpoint")
            end(own, token, build)
        os.kill(own.part("api"), signal.SIGKILL)
    eventually(lambda: "the API is back" in own.output, "the API is back")

    if moment == "it starts":
        built = get_endpoint(own, build, build_token, tmp_path / "endpoint").build(context)
        assert (built.code, built.cached) == (0, CACHED_STEPS), built.output
        end(own, token, build)
    eventually(lambda: nothing_is_left(own), "what it had is gone")
    assert own.query(of_build) == [("deleted",)]


def test_a_power_cut_in_an_untrusted_build_leaves_nothing_of_it(own: Server, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", WARM)
    assert Depot(own, tmp_path).build(cwd=context).code == 0
    begin(own, untrusted_token(own), tmp_path)
    assert len(volumes_on_disk(own)) == 2

    own.kill_everything()
    own.start()

    eventually(lambda: nothing_is_left(own), "what it had is gone")
    assert Depot(own, tmp_path).build(cwd=context).cached == CACHED_STEPS
