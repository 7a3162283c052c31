"""What there is one of on a host, for tests in several processes."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def reserved(what: str) -> Iterator[None]:
    """Reserve something of the host, such as a range of addresses. Others wait.

    It is a lock on a file (flock(2)), which the kernel releases when the process dies.
    """
    file = Path(tempfile.gettempdir()) / f"stoker-tests.{what}.lock"
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
