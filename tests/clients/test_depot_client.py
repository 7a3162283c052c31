"""`depot-client`, the Python SDK: gRPC over TLS, with our authority in the file that grpcio takes its roots from."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.endpoint import endpoint_files
from tests.harness.environment import plain_environment
from tests.harness.server import Server
from tests.harness.waiting import eventually

SCRIPTS = Path(__file__).parent / "python"
PYTHON = SCRIPTS / ".venv" / "bin" / "python"
KINDS = ["sync", "async"]
STATUS_SUCCESS = 3


@dataclass(frozen=True)
class DepotClient:
    """Runs the scripts of the `python` folder in the clients' own environment."""

    server: Server
    project: str
    roots: Path

    def popen(self, script: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        assert PYTHON.exists(), f"{PYTHON} is missing; run `make test`, which installs it"
        own = {"DEPOT_PROJECT_ID": self.project, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(self.roots)}
        return subprocess.Popen(
            [str(PYTHON), str(SCRIPTS / script), *arguments],
            env={**plain_environment(), **self.server.first, **own, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, script: str, *arguments: str) -> Any:
        process = self.popen(script, *arguments)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        return json.loads(output)

    @contextmanager
    def holding(self, script: str, *arguments: str) -> Iterator[tuple[Any, Callable[[], Any]]]:
        """What a script says first, and what it says when it is let go on to its end."""
        process = self.popen(script, *arguments)
        assert process.stdout is not None

        def go_on() -> Any:
            output, errors = process.communicate("\n", timeout=60)
            assert (process.returncode, errors) == (0, "")
            return json.loads(output)

        try:
            first = process.stdout.readline()
            assert first, process.communicate(timeout=10)
            yield json.loads(first), go_on
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def secure(make_server: Callable[..., Server]) -> Server:
    return make_server(tls_own="true")


@pytest.fixture
def client(secure: Server, tmp_path: Path) -> DepotClient:
    (tmp_path / "ca.pem").write_text(secure.authority())
    created = secure.call("depot.core.v1.ProjectService/CreateProject", {"name": "python", "regionId": "us-east-1"})
    return DepotClient(secure, created.body["project"]["projectId"], tmp_path / "ca.pem")


@pytest.mark.parametrize("kind", KINDS)
def test_projects_tokens_and_trust_policies(client: DepotClient, kind: str) -> None:
    said = client("projects.py", kind)

    project = said["created"]["id"]
    assert said["created"] == {"id": project, "name": "by depot-client", "region": "eu-central-1"}
    assert {project, client.project} <= set(said["listed"])
    assert said["updated"] == {"id": project, "name": "renamed", "region": "us-east-1"}
    token = said["token"]["token_id"]
    assert said["token"]["secret"].startswith("stoker_prj_")
    assert said["tokens"] == [
        [{"token_id": token, "description": "for CI"}],
        [{"token_id": token, "description": "for the new CI"}],
        [],
    ]
    sources = [
        {name: one for name, one in policy.items() if one is not None and name != "trust_policy_id"}
        for policy in said["added"]
    ]
    assert [next(iter(source)) for source in sources] == ["github", "circleci", "buildkite", "github"]
    assert sources[1]["circleci"]["organization_uuid"] == "11111111-2222-4333-8444-555555555555"
    assert sources[3]["github"] == {"repository_owner": "acme", "repository": "lib"}
    assert said["policies"] == said["added"]
    assert said["left"] == [3, 2, 1, 0]
    assert said["again"][0] == "NOT_FOUND"
    assert f"project {project} was not found" in said["again"][1]


@pytest.mark.parametrize("kind", KINDS)
def test_builds(client: DepotClient, kind: str) -> None:
    said = client("builds.py", kind)

    good, bad = said["good"], said["bad"]
    assert client.server.builds(client.project) == [
        (good, "succeeded", None),
        (bad, "failed", "our tests failed"),
    ]
    assert said["got"] == [good, "STATUS_SUCCESS"]
    assert said["listed"] == [[bad, "STATUS_FAILED"], [good, "STATUS_SUCCESS"]]
    assert said["shared"].startswith(f"{client.server.url}/share/")
    assert said["again"][0] == "FAILED_PRECONDITION"
    assert "has ended already" in said["again"][1]


@pytest.mark.parametrize("kind", KINDS)
def test_an_endpoint_builds_and_is_kept_alive_in_the_background(client: DepotClient, kind: str, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo built"))
    expiry = "select expires_at from leases where project_id = ?"

    with client.holding(f"endpoint_{kind}.py", "amd64") as (first, go_on):
        endpoint = endpoint_files(client.server, first["active"][0], tmp_path / "endpoint")
        built = endpoint.build(context, "--opt=target=base", "--opt=label:team=shop")
        seen = set(client.server.query(expiry, client.project))
        for _ in range(2):  # two reports, so that the stream goes on
            eventually(lambda: not seen.issuperset(client.server.query(expiry, client.project)), "a health report")
            seen.update(client.server.query(expiry, client.project))
        last = go_on()

    assert built.code == 0, built.output
    shown = client.server.call("stoker.v1.BuildService/GetBuild", {"buildId": first["build"]}).body["build"]
    assert shown["title"] == "target base"
    assert shown["origin"] == {"targets": ["base"], "labels": {"team": "shop"}}
    assert last == {"reporting": [True], "status": STATUS_SUCCESS}
    assert client.server.builds(client.project) == [(first["build"], "succeeded", None)]
    assert client.server.query("select end_reason from leases where build_id = ?", first["build"]) == [("released",)]
    assert "it has ended" in endpoint.buildctl("debug", "workers").output


@pytest.mark.parametrize("kind", KINDS)
def test_both_platforms_have_endpoints_in_one_build(client: DepotClient, kind: str) -> None:
    with client.holding(f"endpoint_{kind}.py", "amd64", "arm64") as (first, go_on):
        amd64, arm64 = first["active"]
        last = go_on()

    assert amd64["serverName"] != arm64["serverName"]
    assert last == {"reporting": [True, True], "status": STATUS_SUCCESS}
    assert {one.platform for one in client.server.machines(client.project)} == {"linux/amd64", "linux/arm64"}


def test_a_token_that_is_not_the_servers_is_refused(client: DepotClient) -> None:
    process = client.popen("builds.py", "sync", DEPOT_TOKEN="nonsense")
    _, errors = process.communicate(timeout=60)

    assert process.returncode != 0
    assert "StatusCode.UNAUTHENTICATED" in errors
