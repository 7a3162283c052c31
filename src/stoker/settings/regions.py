"""The regions that projects can be in."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from stoker.settings.group import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RegionSettings:
    """The regions that projects can be in."""

    regions: tuple[str, ...] = Field(default=("us-east-1", "eu-central-1"), min_length=1, description="Region names.")
