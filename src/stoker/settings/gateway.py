"""What builds may ask of the gateway."""

from __future__ import annotations

from pydantic import Field

from stoker.settings.group import SettingsGroup


class GatewayLimitSettings(SettingsGroup):
    """What builds may ask of the gateway."""

    max_gateway_calls_per_build: int = Field(
        1000, ge=1, description="Calls of one build at the gateway that wait for the server's answer at once."
    )
    max_solves_per_build: int = Field(10_000, ge=1, description="Solves that one build may begin in all.")
