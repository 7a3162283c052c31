"""What all groups of settings have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0, le=7 * 24 * 3600)]


class SettingsGroup(BaseModel):
    """Settings that belong together. They can't be changed, and unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
