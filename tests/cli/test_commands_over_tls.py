"""`stoker` against an API that speaks TLS with a certificate of its own authority."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.server import Server


@pytest.fixture(scope="module")
def secure(make_server: Callable[..., Server]) -> Server:
    return make_server(tls_own="true")


@pytest.fixture
def stoker(secure: Server, tmp_path: Path) -> Command:
    return Command(tmp_path, secure.first)


@pytest.fixture
def authority(secure: Server, stoker: Command, tmp_path: Path) -> str:
    """A file with what `stoker ca` prints."""
    file = tmp_path / "ca.pem"
    file.write_text(stoker.apart("ca", "--data", str(secure.data)).stdout)
    return str(file)


def test_a_certificate_that_nobody_vouches_for_is_refused_with_a_hint(stoker: Command) -> None:
    refused = stoker.apart("projects", "list")
    line, hint = refused.stderr.splitlines()
    assert (refused.code, refused.stdout) == (1, "")
    assert "is not trusted here" in line
    assert "SSL_CERT_FILE" in hint


def test_commands_trust_the_authority_that_is_named(secure: Server, stoker: Command, authority: str) -> None:
    listed = stoker.apart("projects", "list", SSL_CERT_FILE=authority)
    assert listed.code == 0, listed.stderr
    assert secure.project in listed.stdout


def test_a_build_goes_over_tls(secure: Server, stoker: Command, authority: str, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER + run("echo built"))
    engine = {"STOKER_CACHE": str(secure.cache), "STOKER_ENGINE_FOLDER": str(secure.engine.buildctl.parent)}
    built = stoker("build", str(context), SSL_CERT_FILE=authority, **engine)
    assert built.code == 0, built.output
