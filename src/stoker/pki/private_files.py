"""Files with secrets, among them the key from which the keys of webhooks are derived."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.domain.clock import Randomness

_WEBHOOK_KEY_LENGTH = 32


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_webhook_key(folder: Path, randomness: Randomness) -> bytes:
    """The server's key for webhooks in ``folder``, made when there is none."""
    file = folder / "webhooks.key"
    if not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, randomness.token_bytes(_WEBHOOK_KEY_LENGTH))
    return file.read_bytes()
