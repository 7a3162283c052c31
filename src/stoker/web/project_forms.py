"""The fields of a project's form: initial values and input."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from stoker.domain.cache_policy import GIGABYTE, CachePolicyChange
from stoker.domain.errors import InvalidInput
from stoker.domain.hardware import DEFAULT_HARDWARE, Hardware

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stoker.domain.cache_policy import CachePolicy
    from stoker.domain.projects import Project

_GIGABYTES = re.compile(r"\d{1,9}(?:\.\d{1,9})?")
_DAYS = re.compile(r"\d{1,9}")


def new_fields(region_id: str, policy: CachePolicy) -> dict[str, str]:
    """Initial values for a new project."""
    return {"name": "", "region": region_id, "hardware": DEFAULT_HARDWARE.value} | _policy_fields(policy)


def fields_of(project: Project) -> dict[str, str]:
    """Initial values for an existing project."""
    return {
        "name": project.name,
        "region": project.region_id,
        "hardware": project.hardware.value,
    } | _policy_fields(project.cache_policy)


def typed_fields(form: Mapping[str, str]) -> dict[str, str]:
    """The input, unchanged."""
    return {name: form.get(name, "") for name in ("name", "region", "hardware", "keep_gb", "keep_days")}


def hardware_of(fields: Mapping[str, str]) -> Hardware:
    """The chosen hardware.

    Raises:
        InvalidInput: there is no such hardware.
    """
    try:
        return Hardware(fields["hardware"])
    except ValueError:
        sizes = ", ".join(Hardware)
        raise InvalidInput(f'"{fields["hardware"][:40]}" is not a size; use one of: {sizes}') from None


def policy_of(fields: Mapping[str, str], shown: Mapping[str, str]) -> CachePolicyChange:
    """The cache policy that was typed. Values that were not edited stay exact, to the byte.

    Raises:
        InvalidInput: an input is not a number.
    """
    return CachePolicyChange(
        keep_bytes=None if fields["keep_gb"] == shown["keep_gb"] else _bytes(fields["keep_gb"]),
        keep_days=None if fields["keep_days"] == shown["keep_days"] else _days(fields["keep_days"]),
    )


def _policy_fields(policy: CachePolicy) -> dict[str, str]:
    return {"keep_gb": f"{policy.keep_bytes / GIGABYTE:.6g}", "keep_days": str(policy.keep_days)}


def _bytes(text: str) -> int:
    if not _GIGABYTES.fullmatch(text.strip()):
        raise InvalidInput(f'"{text[:40]}" is not a number of GB, such as 50; correct the largest cache')
    return int(Decimal(text.strip()) * GIGABYTE)


def _days(text: str) -> int:
    if not _DAYS.fullmatch(text.strip()):
        raise InvalidInput(f'"{text[:40]}" is not a number of days, such as 14; correct it, or use 0 for no limit')
    return int(text)
