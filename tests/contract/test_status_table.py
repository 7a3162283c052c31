"""The README's status table says of every method what the server does."""

from __future__ import annotations

import re
from pathlib import Path

from tests.contract.test_wire import WIRE
from tests.harness.server import Server

README = Path(__file__).parents[2] / "README.md"


def status_table() -> dict[str, bool]:
    """Whether each method works, as the README has it."""
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \| (.*?) \|$", README.read_text(), re.MULTILINE)
    return {
        f"{service}/{method}": column == 0
        for service, *columns in rows
        for column, methods in enumerate(columns)
        for method in methods.split(", ")
        if method != "none"
    }


def test_the_status_table_says_what_the_server_does(server: Server) -> None:
    wire = {
        (service, name): method["kind"]
        for service, methods in WIRE["services"].items()
        for name, method in methods.items()
    }
    table = status_table()
    assert set(table) == {f"{service}/{name}" for service, name in wire}
    for (service, name), kind in wire.items():
        if kind == "unary":
            answer = server.call(f"{service}/{name}")
            assert (answer.code != "unimplemented") == table[f"{service}/{name}"], (service, name, answer)
