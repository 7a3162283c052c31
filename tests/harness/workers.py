"""Tests in several processes: which may not run beside others, and how they wait for each other.

pytest-xdist gives each process the tests of one file after the other. A test that is marked ``alone`` measures what the
whole host does, or takes what there is one of: while it runs no other test does.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.harness.one_at_a_time import locked


def _folder(run: str) -> Path:
    return Path(tempfile.gettempdir()) / f"stoker-tests-{run}"


@contextmanager
def _turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Run beside the tests of other processes, or alone. Who waits to be alone keeps others from beginning."""
    folder.mkdir(exist_ok=True)
    with ExitStack() as running:
        with locked(folder / "next", fcntl.LOCK_EX):
            running.enter_context(locked(folder / "running", fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
        yield


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the locks when all processes are done."""
    session = config.pluginmanager.get_plugin("dsession")
    if session is not None:
        shutil.rmtree(_folder(session.nodemanager.testrunuid), ignore_errors=True)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Wait before the test's time begins to count."""
    given: dict[str, str] | None = getattr(item.config, "workerinput", None)
    if given is None:
        return (yield)
    with _turn(_folder(given["testrunuid"]), alone=item.get_closest_marker("alone") is not None):
        return (yield)
