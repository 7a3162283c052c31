"""What is taken from the history of a solve."""

from __future__ import annotations

import base64
import json

import pytest

from stoker.domain.solve_history import (
    Attestation,
    dockerfile_of_error,
    dockerfiles_of_provenance,
    without_secrets,
)

DOCKERFILE = "FROM scratch\nRUN login\n"
INFO = {"filename": "Dockerfile", "data": base64.b64encode(DOCKERFILE.encode()).decode()}


def test_the_dockerfile_is_in_a_provenance() -> None:
    provenance = {"runDetails": {"metadata": {"buildkit_metadata": {"source": {"infos": [INFO, {"x": 1}]}}}}}
    assert dockerfiles_of_provenance(json.dumps(provenance).encode()) == [("Dockerfile", DOCKERFILE)]


def test_the_dockerfile_is_in_the_detail_of_an_error() -> None:
    assert dockerfile_of_error(json.dumps({"info": INFO, "ranges": []}).encode()) == ("Dockerfile", DOCKERFILE)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"info": 1}', b'{"info": {"filename": "x", "data": "?"}}', b"\xff"]
)
def test_what_is_something_else_has_none(content: bytes) -> None:
    assert dockerfile_of_error(content) is None
    assert dockerfiles_of_provenance(content) == []


def test_build_arguments_that_look_secret_are_masked_wherever_they_are() -> None:
    document = {
        "args": {"build-arg:NPM_TOKEN": "hunter2hunter2", "build-arg:PIN_KEY": "1", "build-arg:VERSION": "3"},
        "llb": [{"args": ["sh", "-c", "login hunter2hunter2"], "env": ["NPM_TOKEN=hunter2hunter2", "VERSION=3"]}],
    }
    masked = json.loads(without_secrets(json.dumps(document).encode()))
    assert masked == {
        "args": {"build-arg:NPM_TOKEN": "***", "build-arg:PIN_KEY": "***", "build-arg:VERSION": "3"},
        "llb": [{"args": ["sh", "-c", "login ***"], "env": ["NPM_TOKEN=***", "VERSION=3"]}],
    }


def test_what_holds_no_secret_stays_as_it_is_to_the_byte() -> None:
    for content in (b'{ "args": {"build-arg:VERSION": "3"} }', b"no JSON"):
        assert without_secrets(content) == content


@pytest.mark.parametrize("depth", [400, 900, 100_000])
def test_a_document_that_is_nested_deeply_is_masked_or_left_out(depth: int) -> None:
    content = (depth * "[" + '{"build-arg:NPM_TOKEN": "hunter2"}' + depth * "]").encode()
    masked = without_secrets(content)
    assert masked is None or b"hunter2" not in masked


@pytest.mark.parametrize(
    ("predicate", "kind"),
    [
        ("https://slsa.dev/provenance/v1", "provenance"),
        ("https://spdx.dev/Document", "SBOM"),
        ("https://example.com/else", "attestation"),
    ],
)
def test_kinds(predicate: str, kind: str) -> None:
    assert Attestation(predicate, "", b"").kind == kind
