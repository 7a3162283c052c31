"""`@depot/sdk-node`, used as its documentation says: headers with a token, and nothing else of ours.

Both versions that are in use run every script whose services they have.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot, depot_binary, depot_environment
from tests.harness.endpoint import endpoint_files
from tests.harness.node import SDK_VERSIONS, node, sdk_folder
from tests.harness.server import Server

SCRIPTS = Path(__file__).parent / "node"
PLATFORMS = {"linux/amd64": "1", "linux/arm64": "2"}


class Sdk:
    """Runs the scripts of the `node` folder with one version of the SDK."""

    def __init__(self, server: Server, project: str, home: Path, version: str) -> None:
        self.environment = depot_environment(server, home, project)
        self.folder = sdk_folder(home / "sdk", version)

    def process(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        shutil.copy(SCRIPTS / script, self.folder)
        return subprocess.run(
            [node(), str(self.folder / script), *arguments],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def __call__(self, script: str, *arguments: str, **environment: str) -> Any:
        done = self.process(script, *arguments, **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def project(server: Server) -> str:
    return server.new_project("node SDK")


@pytest.fixture(params=SDK_VERSIONS)
def sdk(server: Server, project: str, tmp_path: Path, request: pytest.FixtureRequest) -> Sdk:
    return Sdk(server, project, tmp_path, request.param)


@pytest.fixture
def new_sdk(server: Server, project: str, tmp_path: Path) -> Sdk:
    """The newest version, which also reads builds and organizations."""
    return Sdk(server, project, tmp_path, SDK_VERSIONS[0])


def test_a_project_is_created_listed_read_updated_reset_and_deleted(server: Server, sdk: Sdk) -> None:
    said = sdk("projects.mjs")

    created = said["created"]["project"]
    assert created["name"] == "customer-1"
    assert created["regionId"] == "eu-central-1"
    assert created["organizationId"] == server.first["DEPOT_ORG_ID"]
    assert created["cachePolicy"]["keepBytes"] == str(20 * 1024**3)
    assert created["cachePolicy"]["keepDays"] == 7
    assert said["projectId"] in said["listed"]
    assert server.project in said["listed"]
    assert said["got"] == said["created"]
    updated = said["updated"]["project"]
    assert updated["name"] == "customer one"
    assert updated["hardware"] in {"HARDWARE_32X64", 5}, "version 1.0.0 has no name for it"
    assert updated["cachePolicy"]["keepDays"] == 3
    assert said["afterReset"] == said["updated"], "a reset empties the cache and changes no setting"
    assert "not_found" in said["afterDelete"]["error"]


def test_a_project_token_is_created_listed_described_used_and_deleted(server: Server, sdk: Sdk, project: str) -> None:
    said = sdk("tokens.mjs")

    assert said["listed"] == [{"tokenId": said["tokenId"], "description": "for CI"}]
    assert said["updated"] == [{"tokenId": said["tokenId"], "description": "for the new CI"}]
    assert server.builds(project) == [(said["buildId"], "running", None)], "only the token that was there could build"
    assert said["deleted"] == []
    assert "unauthenticated" in said["afterwards"]["error"]


def test_trust_policies_of_all_providers_are_added_listed_and_removed(sdk: Sdk) -> None:
    said = sdk("trust-policies.mjs")

    sources = [{name: one for name, one in policy.items() if name != "trustPolicyId"} for policy in said["added"]]
    assert sources == [
        {"github": {"repositoryOwner": "acme", "repository": "app"}},
        {"buildkite": {"organizationSlug": "acme", "pipelineSlug": "app"}},
        {
            "circleci": {
                "organizationUuid": "11111111-2222-4333-8444-555555555555",
                "projectUuid": "66666666-7777-4888-9999-aaaaaaaaaaaa",
            }
        },
    ]
    assert said["listed"] == said["added"]
    assert len({policy["trustPolicyId"] for policy in said["added"]}) == 3
    assert said["left"] == [2, 1, 0]


def test_builds_are_listed_in_pages_and_read(server: Server, new_sdk: Sdk, project: str) -> None:
    first, second, third = [server.new_build(project)[0] for _ in range(3)]
    new_sdk("finish-build.mjs", first)
    new_sdk("finish-build.mjs", second, "our tests failed")

    said = new_sdk("read-builds.mjs")

    assert [len(page) for page in said["pages"]] == [2, 1]
    listed = [build for page in said["pages"] for build in page]
    assert [(build["buildId"], build["status"]) for build in listed] == [
        (third, "STATUS_RUNNING"),
        (second, "STATUS_FAILED"),
        (first, "STATUS_SUCCESS"),
    ]
    assert said["got"] == listed


def test_a_build_is_shared_and_taken_back(server: Server, new_sdk: Sdk, project: str) -> None:
    said = new_sdk("share-build.mjs", server.new_build(project)[0])

    assert said["shareUrl"].startswith(f"{server.url}/share/")
    assert (said["shared"], said["afterwards"]) == (200, 404)


def test_usage_is_read(server: Server, new_sdk: Sdk, project: str) -> None:
    new_sdk("finish-build.mjs", server.new_build(project)[0])

    said = new_sdk("usage.mjs")

    assert (said["ofProject"]["projectId"], said["ofProject"]["buildCount"]) == (project, 1)
    assert said["ofProject"] in said["listed"]["usage"]
    assert sum(one["buildCount"] for one in said["all"]["containerBuild"]) >= 1


def test_the_tokens_organization_is_listed(server: Server, new_sdk: Sdk) -> None:
    (organization,) = new_sdk("organizations.mjs")

    assert organization["orgId"] == server.first["DEPOT_ORG_ID"]


def test_a_call_without_a_valid_token_is_refused(sdk: Sdk) -> None:
    done = sdk.process("create-build.mjs", DEPOT_TOKEN="nonsense")

    assert done.returncode != 0
    assert "unauthenticated" in done.stderr


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_endpoint_is_pending_then_active_and_closed_when_the_build_is_finished(
    server: Server, sdk: Sdk, project: str, platform: str, tmp_path: Path
) -> None:
    build = sdk("create-build.mjs")

    said = sdk("endpoint.mjs", build["buildId"], PLATFORMS[platform], DEPOT_TOKEN=build["buildToken"])

    assert said["cases"][0] == "pending"
    assert said["cases"][-1] == "active"
    assert set(said["cases"][:-1]) == {"pending"}
    assert said["reported"] == {}
    endpoint = endpoint_files(server, said["active"], tmp_path / "endpoint")
    open_before = endpoint.buildctl("debug", "workers")
    assert open_before.code == 0, open_before.output
    assert [machine.platform for machine in server.machines(project)] == [platform]

    sdk("finish-build.mjs", build["buildId"])

    assert server.builds(project) == [(build["buildId"], "succeeded", None)]
    assert endpoint.buildctl("debug", "workers").code != 0


def test_an_endpoint_is_given_back(server: Server, sdk: Sdk, tmp_path: Path) -> None:
    build = sdk("create-build.mjs")
    platform = PLATFORMS["linux/amd64"]
    active = sdk("endpoint.mjs", build["buildId"], platform, DEPOT_TOKEN=build["buildToken"])["active"]

    said = sdk("release-endpoint.mjs", build["buildId"], platform, DEPOT_TOKEN=build["buildToken"])

    assert said == [{}, {}]
    refused = endpoint_files(server, active, tmp_path / "endpoint").buildctl("debug", "workers")
    assert "has ended or gave it back" in refused.output


def test_health_may_be_reported_before_there_is_an_endpoint_and_not_after_it(sdk: Sdk) -> None:
    build = sdk("create-build.mjs")

    said = sdk("health-first.mjs", build["buildId"], DEPOT_TOKEN=build["buildToken"])

    assert (said["before"], said["last"], said["during"]) == ("ok", "active", "ok")
    assert "failed_precondition" in said["after"]
    assert "was released" in said["after"]


def test_a_build_token_opens_no_other_build(sdk: Sdk) -> None:
    build, other = sdk("create-build.mjs"), sdk("create-build.mjs")

    done = sdk.process("endpoint.mjs", other["buildId"], DEPOT_TOKEN=build["buildToken"])

    assert done.returncode != 0
    assert "not_found" in done.stderr


def test_a_build_of_the_sdk_is_built_and_finished_by_the_depot_cli(
    server: Server, new_sdk: Sdk, project: str, tmp_path: Path
) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo hello from the step"))

    said = new_sdk("build-with-cli.mjs", str(depot_binary()), str(context))

    assert said["status"] == 0, said["output"]
    assert "hello from the step" in said["output"]
    assert server.builds(project) == [(said["buildId"], "succeeded", None)]


def test_a_failing_build_of_the_sdk_is_recorded_as_failed(
    server: Server, new_sdk: Sdk, project: str, tmp_path: Path
) -> None:
    context = make_context(tmp_path / "context", HEADER + run("exit 7"))

    said = new_sdk("build-with-cli.mjs", str(depot_binary()), str(context))

    assert said["status"] == 1, said["output"]
    ((_, status, error),) = server.builds(project)
    assert status == "failed"
    assert "exit code: 7" in (error or "")


def test_a_build_that_the_cli_has_finished_can_neither_be_finished_nor_built_again(
    server: Server, depot: Depot, new_sdk: Sdk, project: str, tmp_path: Path
) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    build = new_sdk("create-build.mjs")
    token = {"DEPOT_BUILD_ID": build["buildId"], "DEPOT_TOKEN": build["buildToken"], "DEPOT_PROJECT_ID": project}
    assert depot.build(cwd=context, **token).code == 0

    finish = new_sdk.process("finish-build.mjs", build["buildId"], "too late")
    again = depot.build(cwd=context, **token)

    assert "failed_precondition" in finish.stderr
    assert "has ended already: it succeeded" in finish.stderr
    assert again.code != 0
    assert server.builds(project) == [(build["buildId"], "succeeded", None)]


def test_a_build_can_be_finished_with_an_error(server: Server, sdk: Sdk, project: str) -> None:
    build = sdk("create-build.mjs")

    sdk("finish-build.mjs", build["buildId"], "our tests failed", DEPOT_TOKEN=build["buildToken"])

    assert server.builds(project) == [(build["buildId"], "failed", "our tests failed")]


def test_a_refused_call_says_when_to_try_again(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(requests_per_second="0.01", requests_burst="3", drain_seconds="0")
    refused = Sdk(server, server.project, tmp_path, SDK_VERSIONS[0])("refused.mjs")
    resource_exhausted = 8
    assert (refused["calls"], refused["code"]) == (3, resource_exhausted)
    assert 90 < int(refused["retryAfter"]) <= 100
    assert refused["hint"] == ["google.rpc.RetryInfo"]
