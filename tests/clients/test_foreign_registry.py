"""The registry that is built into the depot CLI: nothing of a build goes there."""

from __future__ import annotations

from pathlib import Path

from tests.harness.contexts import HEADER, make_context
from tests.harness.depot import Depot
from tests.harness.server import Server


def test_an_image_of_a_build_that_was_created_before_is_not_saved_elsewhere(server: Server, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", HEADER)
    build, token = server.new_build()

    saved = Depot(server, tmp_path)("build", "--save", ".", cwd=context, DEPOT_BUILD_ID=build, DEPOT_TOKEN=token)

    assert saved.code != 0
    assert "depot build --push -t YOUR.REGISTRY/NAME:TAG" in saved.output
    assert "failed to do request" not in saved.output
    ((status, error),) = [(status, error) for id_, status, error in server.builds() if id_ == build]
    assert status == "failed"
    assert "registry.depot.dev is not this server's registry" in (error or "")
