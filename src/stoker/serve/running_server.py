"""The server that runs on a data folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from stoker.serve.data_folder import DataFolderInUse, locked_data_folder

if TYPE_CHECKING:
    from pathlib import Path


def running_address(folder: Path) -> str | None:
    """The URL under which clients reach the API of the server that runs on a data folder; None if none does."""
    if not (folder / "lock").exists():
        return None
    try:
        with locked_data_folder(folder):
            return None
    except DataFolderInUse:
        pass
    try:
        return str(json.loads((folder / "run" / "plan.json").read_text())["public_url"])
    except (OSError, ValueError, KeyError, TypeError):
        # It is just being started.
        return None
