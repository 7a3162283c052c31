"""Bad input gets the right code, a message that a stranger understands, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.harness.server import Answer, Server

PROJECTS = "depot.core.v1.ProjectService"
BUILDS = "depot.build.v1.BuildService"
BUILDKIT = "depot.buildkit.v1.BuildKitService"
CLI = "depot.cli.v1.BuildService"
UNKNOWN_ID = "0000000000000000"


@dataclass(frozen=True)
class Case:
    """A call, and the answer that it must get."""

    name: str
    method: str
    request: dict[str, object] = field(default_factory=dict)
    code: str = "invalid_argument"
    says: str = ""


CASES = [
    Case("unknown project", f"{PROJECTS}/GetProject", {"projectId": UNKNOWN_ID}, "not_found", "was not found"),
    Case("malformed id", f"{PROJECTS}/GetProject", {"projectId": "../etc"}, says="is not an id"),
    Case("empty id", f"{PROJECTS}/GetProject", {}, says="project_id is empty"),
    Case("empty name", f"{PROJECTS}/CreateProject", {"name": " ", "regionId": "us-east-1"}, says="name is empty"),
    Case(
        "long name", f"{PROJECTS}/CreateProject", {"name": "x" * 200, "regionId": "us-east-1"}, says="128 is the most"
    ),
    Case(
        "name with control characters",
        f"{PROJECTS}/CreateProject",
        {"name": "a\u0007b", "regionId": "us-east-1"},
        says="control characters",
    ),
    Case("no region", f"{PROJECTS}/CreateProject", {"name": "x"}, says="use one of: us-east-1, eu-central-1"),
    Case(
        "unknown region", f"{PROJECTS}/CreateProject", {"name": "x", "regionId": "mars"}, says='"mars" is not a region'
    ),
    Case(
        "another organization",
        f"{PROJECTS}/CreateProject",
        {"name": "x", "regionId": "us-east-1", "organizationId": UNKNOWN_ID},
        "not_found",
        "organization",
    ),
    Case(
        "negative cache size",
        f"{PROJECTS}/CreateProject",
        {"name": "x", "regionId": "us-east-1", "cachePolicy": {"keepBytes": "-1"}},
        says="keep_bytes is -1",
    ),
    Case(
        "enormous cache size",
        f"{PROJECTS}/CreateProject",
        {"name": "x", "regionId": "us-east-1", "cachePolicy": {"keepBytes": "9223372036854775807"}},
        says="1024 GB",
    ),
    Case(
        "negative cache age",
        f"{PROJECTS}/CreateProject",
        {"name": "x", "regionId": "us-east-1", "cachePolicy": {"keepDays": -3}},
        says="keep_days is -3",
    ),
    Case(
        "unknown hardware",
        f"{PROJECTS}/CreateProject",
        {"name": "x", "regionId": "us-east-1", "hardware": 99},
        says="hardware 99 is not known",
    ),
    Case(
        "hardware by a wrong name",
        f"{PROJECTS}/CreateProject",
        {"name": "x", "regionId": "us-east-1", "hardware": "HUGE"},
        says="CreateProjectRequest",
    ),
    Case(
        "field of a wrong type",
        f"{PROJECTS}/CreateProject",
        {"name": 5, "regionId": "us-east-1"},
        says="not a valid CreateProjectRequest",
    ),
    Case(
        "build in an unknown project", f"{BUILDS}/CreateBuild", {"projectId": UNKNOWN_ID}, "not_found", "was not found"
    ),
    Case("build without a project", f"{BUILDS}/CreateBuild", {}, says="project_id is empty"),
    Case(
        "unknown build", f"{BUILDS}/FinishBuild", {"buildId": UNKNOWN_ID, "success": {}}, "not_found", "was not found"
    ),
    Case(
        "CLI build in a project of another service",
        f"{CLI}/CreateBuild",
        {"projectId": "abc123defg"},
        "not_found",
        "not an id",
    ),
    Case(
        "CLI build with a Dagger engine",
        f"{CLI}/CreateBuild",
        {"requiredEngine": {"dagger": {"version": "1"}}},
        "unimplemented",
        "no Dagger",
    ),
    Case(
        "release for an unknown build",
        f"{BUILDKIT}/ReleaseEndpoint",
        {"buildId": UNKNOWN_ID, "platform": "PLATFORM_AMD64"},
        "not_found",
        "was not found",
    ),
    Case(
        "method that needs an image registry",
        "depot.build.v1.RegistryService/ListImages",
        {},
        "unimplemented",
        "push to a registry of your own instead",
    ),
    Case("method that is nowhere", "depot.core.v1.ProjectService/Nope", {}, "unimplemented", ""),
    Case("service that is nowhere", "depot.core.v9.Nope/Nope", {}, "unimplemented", "there is no method"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_refused_with_a_reason(server: Server, case: Case) -> None:
    before = server.query("select count(*) from projects"), server.query("select count(*) from builds")
    answer = server.call(case.method, case.request)
    assert answer.code == case.code or (answer.status == 404 and case.code == "unimplemented"), answer
    assert case.says in answer.message
    assert "Traceback" not in answer.message
    assert before == (server.query("select count(*) from projects"), server.query("select count(*) from builds"))


def finish_with_a_misspelled_result(server: Server) -> Answer:
    build, _ = server.new_build()
    return server.call(f"{BUILDS}/FinishBuild", {"buildId": build, "result": "failed"})


def finish_twice(server: Server) -> Answer:
    build, _ = server.new_build()
    assert server.call(f"{BUILDS}/FinishBuild", {"buildId": build, "success": {}}).status == 200
    return server.call(f"{BUILDS}/FinishBuild", {"buildId": build, "error": {"error": "late"}})


def platform_unspecified(server: Server) -> Answer:
    build, token = server.new_build()
    return server.call(f"{BUILDKIT}/ReleaseEndpoint", {"buildId": build}, token=token)


def connection_for_a_finished_build(server: Server) -> Answer:
    build, token = server.new_build()
    server.call(f"{BUILDS}/FinishBuild", {"buildId": build, "success": {}})
    request = {"buildId": build, "platform": "BUILDER_PLATFORM_AMD64"}
    return server.call(f"{CLI}/GetBuildKitConnection", request, token=token)


def twenty_megabytes(server: Server) -> Answer:
    return server.call(f"{PROJECTS}/CreateProject", raw=b'{"name": "' + b"x" * 20_000_000 + b'"}')


def invalid_utf8(server: Server) -> Answer:
    return server.call(f"{PROJECTS}/CreateProject", raw=b'{"name": "\xff\xfe"}')


def a_list_instead_of_an_object(server: Server) -> Answer:
    return server.call(f"{PROJECTS}/CreateProject", raw=b"[1, 2]")


def half_a_json_document(server: Server) -> Answer:
    return server.call(f"{PROJECTS}/CreateProject", raw=b'{"name": ')


def invalid_utf8_in_protobuf(server: Server) -> Answer:
    headers = {"content-type": "application/proto"}
    return server.call(f"{PROJECTS}/CreateProject", raw=b"\x0a\x02\xff\xfe", headers=headers)


def garbage_in_protobuf(server: Server) -> Answer:
    return server.call(f"{PROJECTS}/CreateProject", raw=b"\xff" * 9, headers={"content-type": "application/proto"})


@pytest.mark.parametrize(
    ("attempt", "code", "says"),
    [
        (finish_with_a_misspelled_result, "invalid_argument", "leave it out for a success"),
        (finish_twice, "failed_precondition", "has ended already: it succeeded"),
        (platform_unspecified, "invalid_argument", "use PLATFORM_AMD64 or PLATFORM_ARM64"),
        (connection_for_a_finished_build, "failed_precondition", "has ended already"),
        (twenty_megabytes, "resource_exhausted", "4194304"),
        (invalid_utf8, "invalid_argument", "CreateProjectRequest"),
        (a_list_instead_of_an_object, "invalid_argument", "CreateProjectRequest"),
        (half_a_json_document, "invalid_argument", "CreateProjectRequest"),
        (invalid_utf8_in_protobuf, "invalid_argument", "CreateProjectRequest"),
        (garbage_in_protobuf, "invalid_argument", "CreateProjectRequest"),
    ],
)
def test_a_bad_call_is_refused_with_a_reason(
    server: Server, attempt: Callable[[Server], Answer], code: str, says: str
) -> None:
    answer = attempt(server)
    assert (answer.code, says in answer.message) == (code, True), answer


def test_fields_that_only_a_newer_client_knows_are_ignored(server: Server) -> None:
    request = {"name": "from the future", "regionId": "us-east-1", "flavour": "vanilla"}
    answer = server.call(f"{PROJECTS}/CreateProject", request)
    assert answer.body["project"]["name"] == "from the future"


def test_a_finished_build_keeps_its_first_result(server: Server) -> None:
    finish_twice(server)
    assert server.builds()[-1][1:] == ("succeeded", None)
