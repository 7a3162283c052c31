"""What builds of every client are called and where they come from, compared with what the client was told to send."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.test_sdk_node import Sdk
from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.endpoint import endpoint_files, get_endpoint
from tests.harness.go_tools import BUILDX, go_tool
from tests.harness.node import SDK_VERSIONS
from tests.harness.server import Server

OWN = "stoker.v1.BuildService"
STAGES = HEADER + "FROM base AS web\nLABEL purpose=web\nFROM base AS lint\n" + run("echo lint")
TAGS = ("docker.io/acme/webshop:1.4.5", "ghcr.io/acme/webshop:latest")
KEPT_TAGS = ["acme/webshop:1.4.5", "ghcr.io/acme/webshop:latest"]


@pytest.fixture
def project(server: Server) -> str:
    return server.new_project("origins")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return make_context(tmp_path / "context", STAGES)


@pytest.fixture
def repository(context: Path) -> str:
    """The context as a repository of git; its commit."""
    as_ada = ["git", "-c", "user.name=ada", "-c", "user.email=ada@example.com"]

    def git(*arguments: str) -> str:
        done = subprocess.run([*as_ada, *arguments], cwd=context, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    git("remote", "add", "origin", "git@github.com:acme/webshop.git")
    git("add", ".")
    git("commit", "--quiet", "--message=first")
    return git("rev-parse", "HEAD")


def built(server: Server, project: str) -> tuple[str, dict[str, Any]]:
    """The title and the origin of a project's only build."""
    (one,) = server.call(f"{OWN}/ListBuilds", {"projectId": project}).body["builds"]
    assert server.call(f"{OWN}/GetBuild", {"buildId": one["buildId"]}).body["build"]["origin"] == one["origin"]
    return one.get("title", ""), one["origin"]


def tag_flags(flag: str = "-t") -> list[str]:
    return [part for tag in TAGS for part in (flag, tag)]


def test_depot_build(server: Server, depot: Depot, project: str, context: Path, repository: str) -> None:
    flags = [*tag_flags(), "--target", "lint", "--label", "team=shop", "--label", "npm_token=s3cret"]

    result = depot.build(*flags, cwd=context, DEPOT_PROJECT_ID=project)

    assert result.code == 0, result.output
    title, origin = built(server, project)
    assert title == "acme/webshop:1.4.5"
    assert origin == {
        "summary": f"@ {repository[:7]}",
        "command": "build",
        "tags": KEPT_TAGS,
        "targets": ["lint"],
        "dockerfiles": ["Dockerfile"],
        "labels": {"team": "shop", "npm_token": "***"},
        "repository": "github.com/acme/webshop",
        "revision": repository,
        "commitUrl": f"https://github.com/acme/webshop/commit/{repository}",
    }


def test_depot_build_of_changed_files_for_a_folder(
    server: Server, depot: Depot, project: str, context: Path, repository: str, tmp_path: Path
) -> None:
    (context / "web.Dockerfile").write_text(STAGES)

    out = f"type=local,dest={tmp_path / 'out'}"
    result = depot.build("-f", "web.Dockerfile", "--output", out, cwd=context, DEPOT_PROJECT_ID=project)

    assert result.code == 0, result.output
    title, origin = built(server, project)
    assert (title, origin["outputs"]) == ("web.Dockerfile", ["local"])
    assert (origin["revision"], origin["isModified"]) == (repository, True)
    assert origin["summary"] == f"@ {repository[:7]} (modified)"


def test_depot_bake_of_three_targets(server: Server, depot: Depot, project: str, context: Path) -> None:
    targets = {
        "web": {"target": "web"},
        "lint": {"target": "lint"},
        "api": {"target": "base", "dockerfile": "Dockerfile"},
    }
    bake = {"group": {"default": {"targets": list(targets)}}, "target": targets}
    (context / "docker-bake.json").write_text(json.dumps(bake))

    result = depot("bake", "--progress", "plain", cwd=context, DEPOT_PROJECT_ID=project)

    assert result.code == 0, result.output
    title, origin = built(server, project)
    assert title.startswith("bake: ")
    assert (origin["command"], sorted(origin["targets"])) == ("bake", ["api", "lint", "web"])
    assert sorted(title.removeprefix("bake: ").split(", ")) == ["api", "lint", "web"]
    assert origin["dockerfiles"] == ["Dockerfile"]
    assert "tags" not in origin


def test_depot_bake_with_tags_is_called_by_the_first(server: Server, depot: Depot, project: str, context: Path) -> None:
    targets = {name: {"target": name, "tags": [f"ghcr.io/acme/{name}:1"]} for name in ("web", "lint")}
    bake = {"group": {"default": {"targets": list(targets)}}, "target": targets}
    (context / "docker-bake.json").write_text(json.dumps(bake))

    assert depot("bake", cwd=context, DEPOT_PROJECT_ID=project).code == 0

    title, origin = built(server, project)
    assert sorted(origin["tags"]) == ["ghcr.io/acme/lint:1", "ghcr.io/acme/web:1"]
    assert title == origin["tags"][0].removeprefix("ghcr.io/")


def test_buildctl(server: Server, project: str, context: Path, tmp_path: Path) -> None:
    build, token = server.new_build(project)
    assert server.call(f"{OWN}/GetBuild", {"buildId": build}).body["build"].get("title", "") == ""
    endpoint = get_endpoint(server, build, token, tmp_path / "endpoint")

    result = endpoint.build(
        context,
        "--opt=target=lint",
        "--opt=filename=Dockerfile",
        "--opt=label:team=shop",
        f"--output=type=oci,dest={tmp_path / 'image.tar'},name={TAGS[0]}",
    )

    assert result.code == 0, result.output
    assert built(server, project) == (
        "acme/webshop:1.4.5",
        {
            "tags": KEPT_TAGS[:1],
            "targets": ["lint"],
            "outputs": ["oci"],
            "dockerfiles": ["Dockerfile"],
            "labels": {"team": "shop"},
        },
    )


@pytest.mark.timeout(900)  # the first run builds buildx
def test_buildx(server: Server, project: str, context: Path, repository: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "buildx").symlink_to(go_tool(BUILDX, server.cache))
    environment = {
        **server.first,
        "DEPOT_PROJECT_ID": project,
        "BUILDX_CONFIG": str(tmp_path / "buildx"),
        "PATH": f"{tmp_path / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    out = f"type=oci,dest={tmp_path / 'image.tar'}"
    build = ("buildx", "build", "--builder", "kept", *tag_flags(), "--target", "web", "-o", out, str(context))

    result = Command(tmp_path, environment)("buildx", "kept", "--", *build)

    assert result.code == 0, result.output
    title, origin = built(server, project)
    assert title == "acme/webshop:1.4.5"
    assert (origin["tags"], origin["targets"], origin["outputs"]) == (KEPT_TAGS, ["web"], ["oci"])
    assert (origin["repository"], origin["revision"]) == ("github.com/acme/webshop", repository)
    assert origin["dockerfiles"] == ["Dockerfile"]


def test_stoker_build(server: Server, project: str, context: Path, tmp_path: Path) -> None:
    engine = {"STOKER_CACHE": str(server.cache), "STOKER_ENGINE_FOLDER": str(server.engine.buildctl.parent)}
    stoker = Command(tmp_path, {**server.first, "DEPOT_PROJECT_ID": project, **engine})
    (context / "web.Dockerfile").write_text(STAGES)

    result = stoker("build", str(context), "-f", str(context / "web.Dockerfile"), *tag_flags(), "--target", "web")

    assert result.code == 0, result.output
    title, origin = built(server, project)
    assert (title, origin["tags"], origin["targets"]) == ("acme/webshop:1.4.5", KEPT_TAGS, ["web"])
    assert origin["dockerfiles"] == ["web.Dockerfile"]
    listed = stoker("builds", "list").output
    assert "acme/webshop:1.4.5" in listed
    ((build, _, _),) = server.builds(project)
    shown = stoker("builds", "show", build).output
    for words in ("acme/webshop:1.4.5, ghcr.io/acme/webshop:latest", "web.Dockerfile"):
        assert words in shown


def test_the_node_sdk_with_buildctl(server: Server, project: str, context: Path, tmp_path: Path) -> None:
    sdk = Sdk(server, project, tmp_path, SDK_VERSIONS[0])
    build = sdk("create-build.mjs")
    said = sdk("endpoint.mjs", build["buildId"], "1", DEPOT_TOKEN=build["buildToken"])
    endpoint = endpoint_files(server, said["active"], tmp_path / "endpoint")

    assert endpoint.build(context, "--opt=target=web").code == 0

    assert built(server, project) == ("target web", {"targets": ["web"]})


@pytest.fixture
def searched(server: Server, depot: Depot, project: str, context: Path) -> tuple[str, str]:
    """Two builds of a project: one of the target lint, and one of the image acme/webshop."""
    for flags in (("--target", "lint"), ("-t", "acme/webshop:1.4.5", "--platform", "linux/amd64")):
        assert depot.build(*flags, cwd=context, DEPOT_PROJECT_ID=project).code == 0
    first, second = (build for build, _, _ in server.builds(project))
    return first, second


def test_builds_are_found_by_what_they_are(server: Server, project: str, searched: tuple[str, str]) -> None:
    lint, webshop = searched

    def found(**wanted: str) -> list[str]:
        answer = server.call(f"{OWN}/ListBuilds", {"projectId": project, **wanted})
        assert answer.status == 200, answer
        return [one["buildId"] for one in answer.body.get("builds", [])]

    assert found(search="WEBSHOP") == [webshop]
    assert found(search="acme 1.4.5") == [webshop]
    assert found(search="acme lint") == []
    assert found(search="100%") == []
    assert found(search=lint) == [lint]
    assert found(target="lint") == [lint]
    assert found(target="lin") == found(target='lint", "x') == []
    assert found(branch="main") == []
    assert found(platform="linux/amd64") == [webshop, lint]
    assert found(platform="linux/arm64") == []
    assert found(since="2020-01-01T00:00:00Z") == [webshop, lint]
    assert found(since="9000-01-01T00:00:00Z") == []
    assert found(search="webshop", status="STATUS_SUCCESS", since="2020-01-01T00:00:00Z") == [webshop]
    for wanted in ({"search": "x" * 129}, {"branch": "x" * 129}, {"platform": "linux/riscv64"}):
        refused = server.call(f"{OWN}/ListBuilds", {"projectId": project, **wanted})
        assert refused.code == "invalid_argument"


def test_what_is_shared_is_in_the_audit_log_by_its_title(
    server: Server, project: str, searched: tuple[str, str]
) -> None:
    _, webshop = searched
    assert server.call("depot.core.v1.BuildService/ShareBuild", {"buildId": webshop}).status == 200
    target = "select target_kind, target_name from audit_events where target_id = ?"
    assert server.query(target, webshop) == [("build", "acme/webshop:1.4.5")]
