"""Which calls of BuildKit's API a build may make, and which solve they are about."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker._gen.containerd.services.content.v1.content_pb import InfoRequest, ReadContentRequest
from stoker._gen.moby.buildkit.v1.control_pb import (
    BuildHistoryRequest,
    CacheOptions,
    CacheOptionsEntry,
    Exporter,
    SolveRequest,
    StatusRequest,
)
from stoker.domain.build_origins import BuildOrigin, CommitSource
from stoker.domain.errors import InvalidInput, PermissionDenied, ResourceExhausted
from stoker.domain.git_addresses import Repository
from stoker.gateway.calls import Call, read_call

CONTROL = "/moby.buildkit.v1.Control/"
SOLVE = SolveRequest(Ref="r1", Frontend="dockerfile.v0", Entitlements=["security.insecure"])
MOST_PARTS = 10_000


def read(path: str, solve_header: str | None, body: bytes) -> Call:
    return read_call(path, solve_header, body, MOST_PARTS)


def framed(message: bytes, compressed: int = 0) -> bytes:
    return struct.pack(">BI", compressed, len(message)) + message


def test_a_solve_names_its_ref_and_what_it_wants_to_be_allowed() -> None:
    expected = Call("r1", ("security.insecure",), begins=True, origin=BuildOrigin(dockerfiles=("Dockerfile",)))
    assert read(CONTROL + "Solve", None, framed(SOLVE.to_binary())) == expected


def test_a_solve_says_where_its_build_comes_from() -> None:
    attributes = {"target": "lint", "filename": "web.Dockerfile", "vcs:source": "git@github.com:acme/webshop.git"}
    image = Exporter(Type="image", Attrs={"name": "docker.io/acme/webshop:1,ghcr.io/acme/webshop:1", "push": "true"})
    # As clients send it: what they name no frontend for is a frontend of their own.
    newer = SolveRequest(Ref="r1", FrontendAttrs=attributes, Exporters=[image])
    older = SolveRequest(
        Ref="r1", FrontendAttrs=attributes, ExporterDeprecated="image", ExporterAttrsDeprecated=dict(image.Attrs)
    )
    origins = [read(CONTROL + "Solve", None, framed(solve.to_binary())).origin for solve in (newer, older)]
    assert origins[0] == origins[1]
    assert origins[0] == BuildOrigin(
        tags=("acme/webshop:1", "ghcr.io/acme/webshop:1"),
        targets=("lint",),
        outputs=("push",),
        dockerfiles=("web.Dockerfile",),
        commit=CommitSource(Repository("github.com", "acme/webshop")),
    )


def test_status_and_history_name_their_ref() -> None:
    assert read(CONTROL + "Status", None, framed(StatusRequest(Ref="r2").to_binary())) == Call("r2")
    history = framed(BuildHistoryRequest(Ref="r3").to_binary())
    assert read(CONTROL + "ListenBuildHistory", None, history) == Call("r3")


def test_a_frontends_calls_name_their_solve_in_a_header() -> None:
    assert read("/moby.buildkit.v1.frontend.LLBBridge/Solve", "r4", b"") == Call("r4")


@pytest.mark.parametrize("method", ["Info", "ListWorkers", "Session"])
def test_some_calls_are_about_no_solve(method: str) -> None:
    assert read(CONTROL + method, None, b"") == Call()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CONTROL + "Prune", b""),
        (CONTROL + "DiskUsage", b""),
        (CONTROL + "UpdateBuildHistory", b""),
        (CONTROL + "ListenBuildHistory", framed(BuildHistoryRequest().to_binary())),
        ("/moby.buildkit.v1.frontend.LLBBridge/Solve", b""),
        ("/containerd.services.content.v1.Content/List", b""),
        ("/", b""),
        (CONTROL + "Solve/../Prune", b""),
    ],
)
def test_what_no_build_needs_is_refused(path: str, body: bytes) -> None:
    with pytest.raises(PermissionDenied):
        read(path, None, body)


def test_anybody_may_find_out_whether_there_is_a_history() -> None:
    history = framed(BuildHistoryRequest(Ref="buildx-test-history-api-feature").to_binary())
    assert read(CONTROL + "ListenBuildHistory", None, history) == Call()


def test_a_call_may_read_one_blob() -> None:
    content, digest = "/containerd.services.content.v1.Content/", "sha256:" + "0a" * 32
    assert read(content + "Info", None, framed(InfoRequest(digest=digest).to_binary())) == Call(digest=digest)
    assert read(content + "Read", None, framed(ReadContentRequest(digest=digest).to_binary())).digest == digest


@pytest.mark.parametrize(
    "ref", ["", "a" * 129, "a b", "a\n", "\x1b[2J", "../a", "ä", "a.b", "buildx-test-history-api-feature"]
)
def test_the_ref_of_a_solve_has_letters_digits_and_dashes(ref: str) -> None:
    with pytest.raises(InvalidInput):
        read(CONTROL + "Solve", None, framed(SolveRequest(Ref=ref).to_binary()))
    with pytest.raises((InvalidInput, PermissionDenied)):
        read("/moby.buildkit.v1.frontend.LLBBridge/Ping", f"{ref}\n", b"")


@pytest.mark.parametrize(
    "solve",
    [
        SolveRequest(Exporters=[Exporter(Type="image", Attrs={"name": "registry.depot.dev/p:b", "push": "true"})]),
        SolveRequest(Exporters=[Exporter(Type="image", Attrs={"name": "a.example/x,REGISTRY.depot.dev.:443/p:b"})]),
        SolveRequest(ExporterDeprecated="image", ExporterAttrsDeprecated={"name": "registry.depot.dev/p:b"}),
        SolveRequest(Cache=CacheOptions(ExportRefDeprecated="registry.depot.dev/p:b")),
        SolveRequest(
            Cache=CacheOptions(Exports=[CacheOptionsEntry(Type="registry", Attrs={"ref": "o.registry.depot.dev/p"})])
        ),
    ],
)
def test_nothing_is_pushed_to_the_registry_that_is_built_into_the_depot_cli(solve: SolveRequest) -> None:
    solve.Ref = "r1"
    with pytest.raises(PermissionDenied, match=r"depot build --push -t"):
        read(CONTROL + "Solve", None, framed(solve.to_binary()))


def test_a_push_elsewhere_is_nobodys_business() -> None:
    name = "registry.depot.dev.example.com/p:b,library/registry.depot.dev"
    solve = SolveRequest(Ref="r1", Exporters=[Exporter(Type="image", Attrs={"name": name})])
    assert read(CONTROL + "Solve", None, framed(solve.to_binary())).ref == "r1"


@pytest.mark.parametrize("body", [b"", b"\0\0\0", framed(b"x")[:-1], framed(b"x") + b"y", framed(b"x", compressed=1)])
def test_a_message_that_is_not_whole_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        read(CONTROL + "Solve", None, body)


@given(st.binary(max_size=200))
def test_any_body_is_read_or_refused_and_nothing_else(body: bytes) -> None:
    try:
        call = read(CONTROL + "Solve", None, framed(body))
    except (ValueError, InvalidInput):
        return
    assert isinstance(call.ref, str)


def test_a_solve_of_too_many_parts_is_refused_before_it_is_decoded() -> None:
    exporters = b"\x6a\x00" * MOST_PARTS
    with pytest.raises(ResourceExhausted, match="max_message_parts"):
        read(CONTROL + "Solve", None, framed(SOLVE.to_binary() + exporters))
