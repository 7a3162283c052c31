"""The published depot CLI's smaller commands, piped: what scripts read from them."""

from __future__ import annotations

import csv
import io
import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from tests.harness.depot import Depot
from tests.harness.server import Server

GET = "depot.core.v1.ProjectService/GetProject"
GB = 1024**3  # the CLI's


class Commands:
    """Runs commands that must succeed."""

    def __init__(self, depot: Depot, cwd: Path) -> None:
        self._depot = depot
        self._cwd = cwd

    def __call__(self, *arguments: str, **environment: str) -> str:
        result = self._depot(*arguments, cwd=self._cwd, **environment)
        assert result.code == 0, result.output
        return result.output

    def json(self, *arguments: str, **environment: str) -> Any:
        return json.loads(self(*arguments, **environment))

    def csv(self, *arguments: str, **environment: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self(*arguments, **environment))))

    def fails(self, *arguments: str, **environment: str) -> str:
        result = self._depot(*arguments, cwd=self._cwd, **environment)
        assert result.code != 0, result.output
        return result.output


@pytest.fixture
def commands(depot: Depot, tmp_path: Path) -> Commands:
    return Commands(depot, tmp_path)


@pytest.fixture
def name() -> str:
    return f"piped {secrets.token_hex(4)}"


@pytest.fixture
def project(server: Server, name: str) -> str:
    return server.new_project(name)


def test_a_project_is_created_read_updated_and_deleted(server: Server, commands: Commands, name: str) -> None:
    created = commands.json(
        "projects", "create", name, "--region", "eu-central-1", "--cache-storage-policy", "20"
    )  # fmt: skip
    project = created["project_id"]
    assert created["name"] == name
    assert created["cache_policy"] == {"keep_bytes": 20 * GB, "keep_days": 14}

    got = commands.json("projects", "get", project, "--output", "json")
    assert (got["project_id"], got["region_id"]) == (project, "eu-central-1")
    assert got["organization_id"] == server.first["DEPOT_ORG_ID"]
    assert f"Name:             {name}" in commands("projects", "get", project)

    renamed = commands.json("projects", "update", project, "--name", f"{name} again", "--output", "json")
    assert renamed == {**got, "name": f"{name} again"}
    moved = commands("projects", "update", project, "--region", "us-east-1", "--cache-storage-policy", "30")
    assert "Cache storage:    30 GB" in moved
    assert "Cache retention:  14 days" in moved
    assert server.call(GET, {"projectId": project}).body["project"]["regionId"] == "us-east-1"

    assert f"Successfully deleted project {project}" in commands("projects", "delete", "-p", project, "--yes")
    assert server.call(GET, {"projectId": project}).code == "not_found"
    assert "not_found" in commands.fails("projects", "get", project)


def test_the_clis_gigabytes_are_ours(server: Server, commands: Commands, name: str) -> None:
    project = commands.json("projects", "create", name, "--cache-storage-policy", "20")["project_id"]

    assert server.call(GET, {"projectId": project}).body["project"]["cachePolicy"]["keepGb"] == 20
    assert "Cache storage:    50 GB" in commands("projects", "get", server.new_project())


def test_no_days_are_no_limit(server: Server, commands: Commands, name: str) -> None:
    created = commands.json("projects", "create", name, "--cache-policy-keep-days", "0")
    project = created["project_id"]
    assert "keep_days" not in created["cache_policy"]

    commands("projects", "update", project, "--cache-storage-policy", "30")

    policy = server.call(GET, {"projectId": project}).body["project"]["cachePolicy"]
    assert (policy["keepBytes"], policy.get("keepDays", 0)) == (str(30 * GB), 0)


@pytest.mark.parametrize("command", [("projects", "list"), ("list", "projects")])
def test_projects_are_listed(commands: Commands, project: str, name: str, command: tuple[str, str]) -> None:
    assert {"id": project, "name": name} in commands.json(*command, "--output", "json")
    assert {"Project ID": project, "Name": name} in commands.csv(*command, "--output", "csv")
    assert f"{project},{name}" in commands(*command)


def test_builds_are_listed_with_how_they_ended(server: Server, commands: Commands, project: str) -> None:
    running, good, bad = [server.new_build(project)[0] for _ in range(3)]
    finish = "depot.build.v1.BuildService/FinishBuild"
    server.call(finish, {"buildId": good, "success": {}})
    server.call(finish, {"buildId": bad, "error": {"error": "our tests failed"}})

    listed = commands.json("list", "builds", "--project", project, "--output", "json")

    assert [(one["id"], one["status"]) for one in listed] == [(bad, "failed"), (good, "finished"), (running, "running")]
    rows = commands.csv("list", "builds", "--project", project, "--output", "csv")
    assert [row["Build ID"] for row in rows] == [bad, good, running]
    assert commands.json("list", "builds", "--project", server.new_project(), "--output", "json") == []


def test_cache_reset_says_whose_cache(commands: Commands, project: str, name: str) -> None:
    assert f"Cache reset for {name} (default)" in commands("cache", "reset", "--project", project)
    assert "not_found" in commands.fails("cache", "reset", "--project", "0000000000000000")


def test_init_without_a_terminal_says_what_there_is_to_choose(commands: Commands, project: str, name: str) -> None:
    said = commands.fails("init", DEPOT_PROJECT_ID="")

    assert f"{project},{name}" in said
    assert "missing project ID" in said


def test_organizations_are_listed_with_the_clis_own_token(server: Server, commands: Commands, tmp_path: Path) -> None:
    organization = server.first["DEPOT_ORG_ID"]
    # `org list` and `org switch` read no DEPOT_TOKEN.
    assert "unauthenticated: there is no credential; log in" in commands.fails("org", "list")
    file = tmp_path / ".config" / "depot" / "depot.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"api_token: {server.token}\n")
    nobody = {"DEPOT_TOKEN": "", "DEPOT_ORG_ID": ""}

    assert {"OrgId": organization, "Name": "default"} in commands.json("org", "list", "--output", "json", **nobody)
    assert {"Organization ID": organization, "Name": "default"} in commands.csv("org", "list", **nobody)
    commands("org", "switch", organization, **nobody)
    assert commands("org", "show", **nobody).strip() == organization

    commands("logout", **nobody)
    assert server.token not in file.read_text()
    assert "depot login" in commands.fails("projects", "list", **nobody)


def test_a_project_for_an_organization_that_is_not_ones_own_is_not_created(
    server: Server, commands: Commands, name: str
) -> None:
    # What `org switch` leaves is named in this request and in no other of ours; see docs/clients/depot-cli.md.
    said = commands.fails("projects", "create", name, "--organization", "0000000000000000")

    assert "not_found: organization 0000000000000000 was not found" in said
    assert name not in commands("projects", "list")
