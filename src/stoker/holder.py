"""The name in which a server holds duties: that of its data folder, which one server at a time works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.pki.private_files import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.domain.clock import Randomness

_BYTES = 6


def holder_of(folder: Path, randomness: Randomness) -> str:
    """The name of the server on a data folder, made when there is none."""
    file = folder / "holder"
    if not file.exists():
        write_private(file, f"{randomness.token_bytes(_BYTES).hex()}\n".encode())
    return file.read_text().strip()
