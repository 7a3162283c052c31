"""Placements as texts in the database.

A row can be older than the program that reads it: a server that was killed leaves machines running. Names that a
placement doesn't have, or no longer has, are passed on as what a runtime remembered.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from stoker.domain.machines import Placement

_NAMES = frozenset(field.name for field in fields(Placement))


def write_placement(placement: Placement | None) -> str | None:
    """The text of a placement."""
    return None if placement is None else json.dumps(asdict(placement))


def read_placement(text: str | None) -> Placement | None:
    """The placement that `write_placement`, of this version or one before, wrote."""
    if text is None:
        return None
    content: dict[str, Any] = json.loads(text)
    others = {name: str(value) for name, value in content.items() if name not in _NAMES and value is not None}
    known = {name: value for name, value in content.items() if name in _NAMES}
    return Placement(**known | {"remembered": others | known.get("remembered", {})})
