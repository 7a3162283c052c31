"""Fields come with new releases of the same methods: what the published clients know of, the server knows of too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.test_wire import OURS, WIRE
from tests.harness.depot import depot_binary
from tests.harness.descriptors import Contract, in_binary, in_javascript, in_python
from tests.harness.node import SDK_VERSIONS, sdk_folder


def depot_client() -> Path:
    """The Python client's package."""
    (folder,) = (Path(__file__).parent / "python" / ".venv" / "lib").glob("python3.*/site-packages/depot_client")
    return folder


def test_the_server_lacks_nothing_that_the_depot_cli_has() -> None:
    found = in_binary(depot_binary())
    assert {"depot.cli.v1.BuildService", "depot.core.v1.ProjectService"} <= set(found.services)
    assert OURS.lacks(found) == []


@pytest.mark.parametrize("version", SDK_VERSIONS)
def test_the_server_lacks_nothing_that_the_sdk_for_node_has(tmp_path: Path, version: str) -> None:
    folder = sdk_folder(tmp_path, version)
    found = in_javascript(folder / "node_modules" / "@depot" / "sdk-node", folder)
    assert {"depot.build.v1.BuildService", "depot.buildkit.v1.BuildKitService"} <= set(found.services)
    assert OURS.lacks(found) == []


def test_the_server_lacks_nothing_that_the_python_client_has() -> None:
    found = in_python(depot_client())
    assert {"depot.build.v1.BuildService", "depot.core.v1.ProjectService"} <= set(found.services)
    assert OURS.lacks(found) == []


def test_a_field_that_is_missing_or_otherwise_is_told() -> None:
    name = "depot.build.v1.CreateBuildRequest"
    theirs = Contract({name: {"project_id": {"no": 1, "type": "bytes"}, "new": {"no": 2, "type": "string"}}})
    ours = Contract(**WIRE)
    assert ours.lacks(theirs) == [
        f"{name}.project_id: {theirs.messages[name]['project_id']}, ours: {{'no': 1, 'type': 'string'}}",
        f"{name}.new: {theirs.messages[name]['new']}, ours: None",
    ]
    assert ours.lacks(Contract({"depot.ci.v1.Other": {}})) == []
