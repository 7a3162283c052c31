"""What all groups of settings have in common.

A group is a frozen dataclass that its consumer takes as it is. Pydantic checks what is given to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

Seconds = Annotated[float, Field(ge=0, le=7 * 24 * 3600)]
STRICT = ConfigDict(extra="forbid")
"""Unknown names are refused."""


def absolute(value: Path | None) -> Path | None:
    """A path from the root, with ``~`` as the user's home. For validators."""
    return None if value is None else value.expanduser().absolute()


def from_json(value: object) -> object:
    """What a JSON text says; anything else as it is. For settings that are more than a word or a list of words.

    Raises:
        ValueError: the text isn't JSON, or is nested too deeply.
    """
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON, such as [{...}, {...}] or {...}") from error
