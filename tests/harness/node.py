"""Node, and the versions of `@depot/sdk-node` that it can run programs with."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.harness.depot import NODE_MODULES

_PACKAGES = {"1.4.0": NODE_MODULES / "@depot" / "sdk-node", "1.0.0": NODE_MODULES / "sdk-node-1.0"}
SDK_VERSIONS = tuple(_PACKAGES)


def node() -> str:
    """Node from PATH, or the one of the Python package index that the set-up installs where there is none."""
    found = shutil.which("node") or shutil.which("node", path=str(Path(sys.executable).parent))
    assert found is not None, "node is missing; run `make test`, which installs it"
    return found


def sdk_folder(folder: Path, version: str) -> Path:
    """A folder in which programs find that version of the SDK under its published name, and its protobuf package."""
    package = _PACKAGES[version]
    assert package.exists(), f"{package} is missing; run `make test`, which installs it"
    scope = folder / "node_modules" / "@depot"
    scope.mkdir(parents=True)
    (scope / "sdk-node").symlink_to(package)
    (folder / "node_modules" / "@bufbuild").symlink_to(NODE_MODULES / "@bufbuild")
    return folder
