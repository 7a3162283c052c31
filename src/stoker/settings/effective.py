"""All settings together."""

from __future__ import annotations

from stoker.settings.caches import CacheSettings
from stoker.settings.events import EventSettings
from stoker.settings.gateway import GatewayLimitSettings
from stoker.settings.identity import IdentitySettings
from stoker.settings.limits import LimitSettings
from stoker.settings.machines import MachineSettings
from stoker.settings.pages import PageSettings
from stoker.settings.records import RecordSettings
from stoker.settings.server import ServerSettings


# In the order of `stoker config` from the last to the first, which is how pydantic puts fields together.
class Settings(
    CacheSettings,
    PageSettings,
    RecordSettings,
    GatewayLimitSettings,
    LimitSettings,
    EventSettings,
    IdentitySettings,
    MachineSettings,
    ServerSettings,
):
    """The effective settings."""
