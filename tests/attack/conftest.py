"""Prints the table of attacks at the end."""

from __future__ import annotations

import pytest

from tests.attack.framework.table import Row, table

ROWS: pytest.StashKey[list[Row]] = pytest.StashKey()


@pytest.fixture(scope="session")
def rows(pytestconfig: pytest.Config) -> list[Row]:
    """The rows of the table, to which each attack adds its own."""
    return pytestconfig.stash.setdefault(ROWS, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if found := config.stash.get(ROWS, []):
        terminalreporter.section("attacks, and what neighbours noticed")
        terminalreporter.write_line(table(found))
