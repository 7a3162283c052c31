"""The server's key from which the keys of webhooks are derived."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.pki.private_files import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.domain.clock import Randomness

_LENGTH = 32


def read_webhook_key(folder: Path, randomness: Randomness) -> bytes:
    """The key in ``folder``, made when there is none."""
    file = folder / "webhooks.key"
    if not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, randomness.token_bytes(_LENGTH))
    return file.read_bytes()
