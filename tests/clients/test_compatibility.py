"""docs/compatibility.md against the published clients themselves, and against what the server does."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.clients.test_sdk_node import SCRIPTS, node
from tests.contract.test_status_table import status_table
from tests.contract.test_wire import WIRE
from tests.harness.depot import depot_binary

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
COLUMNS = ("works", "sdk-node 1.4.0", "sdk-node 1.0.0", "depot-client", "depot CLI")
METHODS = sorted(f"{service}/{name}" for service, methods in WIRE["services"].items() for name in methods)
# Which service each module of depot-client calls.
PYTHON_MODULES = {
    "build.py": "depot.build.v1.BuildService",
    "buildkit.py": "depot.buildkit.v1.BuildKitService",
    "core_build.py": "depot.core.v1.BuildService",
    "project.py": "depot.core.v1.ProjectService",
}


def in_node_sdk(package: str) -> set[str]:
    """The methods that a version of the SDK has."""
    command = [node(), str(SCRIPTS / "services.mjs"), package]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout))


def in_depot_client() -> set[str]:
    """The methods that the Python client's own classes call."""
    (folder,) = (Path(__file__).parent / "python" / ".venv" / "lib").glob("python3.*/site-packages/depot_client")
    return {
        f"{service}/{method}"
        for module, service in PYTHON_MODULES.items()
        for method in re.findall(r"\.stub\.(\w+)\(", (folder / module).read_text())
    }


def in_depot_cli() -> set[str]:
    """The methods whose paths are in the binary, as the code that was generated for them has them."""
    content = depot_binary().read_bytes()
    return {
        method
        for method in METHODS
        # Texts follow each other without a gap, so a letter may come next, but not one of a longer method's name.
        if any(
            not any(
                content.startswith(longer.encode(), found.start() + 1)
                for longer in METHODS
                if longer != method and longer.startswith(method)
            )
            for found in re.finditer(b"/" + re.escape(method.encode()), content)
        )
    }


def table() -> list[tuple[str, ...]]:
    """The rows that are right."""
    works = status_table()
    clients = (in_node_sdk("@depot/sdk-node"), in_node_sdk("sdk-node-1.0"), in_depot_client(), in_depot_cli())
    return [
        (method, "yes" if works[method] else "not yet", *("yes" if method in has else "" for has in clients))
        for method in METHODS
    ]


def test_the_page_says_which_client_calls_what_and_what_works() -> None:
    rows = re.findall(r"^\| `(depot\.[\w.]+/\w+)` \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    found = [(method, *(cell.strip() for cell in cells.split("|"))) for method, cells in rows]
    assert found == table()
