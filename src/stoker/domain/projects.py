"""Organizations and projects. A project is the cache boundary."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.cache_policy import CachePolicy, CachePolicyChange
    from stoker.domain.hardware import Hardware

NOTE_HEADER = "x-stoker-note"
"""The header of an answer that says, in words, what a change to a project means besides what was asked for."""

MAX_NAME_LENGTH = 128


@dataclass(frozen=True, slots=True)
class Organization:
    """Owns projects and tokens."""

    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Project:
    """One customer's, or one repository's, builds and their cache."""

    id: str
    organization_id: str
    name: str
    region_id: str
    hardware: Hardware
    cache_policy: CachePolicy
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ProjectChange:
    """What to change in a project; None leaves a value as it is."""

    name: str | None = None
    region_id: str | None = None
    hardware: Hardware | None = None
    cache_policy: CachePolicyChange | None = None


def checked_name(name: str, what: str) -> str:
    """Return ``name`` without the white space around it.

    Raises:
        InvalidInput: it is empty, too long, or has control characters.
    """
    stripped = name.strip()
    if not stripped:
        raise InvalidInput(f"{what} is empty; give it a name of 1 to {MAX_NAME_LENGTH} characters")
    if len(stripped) > MAX_NAME_LENGTH:
        raise InvalidInput(f"{what} has {len(stripped)} characters; {MAX_NAME_LENGTH} is the most")
    if any(unicodedata.category(character).startswith("C") for character in stripped):
        raise InvalidInput(f"{what} has control characters; use letters, digits, spaces and punctuation")
    return stripped


def checked_description(text: str) -> str:
    """Return ``text`` without the white space around it; it may be empty.

    Raises:
        InvalidInput: it is too long, or has control characters.
    """
    return checked_name(text, "description") if text.strip() else ""


def checked_region(region_id: str, regions: tuple[str, ...]) -> str:
    """Return ``region_id`` if the server has it.

    Raises:
        InvalidInput: it isn't.
    """
    if region_id not in regions:
        shown = f'"{region_id[:40]}" is not a region of this server' if region_id else "region_id is empty"
        raise InvalidInput(f"{shown}; use one of: {', '.join(regions)}")
    return region_id
