"""Settings that are more than a word or a list of words."""

from __future__ import annotations

import json


def from_json(value: object) -> object:
    """What a JSON text says; anything else as it is.

    Raises:
        ValueError: the text isn't JSON, or is nested too deeply.
    """
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON, such as [{...}, {...}] or {...}") from error
