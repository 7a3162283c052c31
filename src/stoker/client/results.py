"""Writes what a build's result is to the files that programs read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.client.run import BuildOutcome

_CONFIG_DIGEST = "containerimage.config.digest"


def write_metadata(file: Path, outcome: BuildOutcome, project_id: str) -> None:
    """Write a result's metadata: what BuildKit says, and the build, under the depot CLI's names.

    Raises:
        OSError: the file can't be written.
    """
    build = {"depot.build": {"buildID": outcome.build_id, "projectID": project_id}}
    file.write_text(json.dumps({**outcome.metadata, **build}, indent=2) + "\n")


def write_image_id(file: Path, outcome: BuildOutcome) -> None:
    """Write an image's id, which is the digest of its configuration, or its own for several platforms.

    Raises:
        OSError: the file can't be written.
    """
    file.write_text(str(outcome.metadata.get(_CONFIG_DIGEST) or outcome.digest or ""))
