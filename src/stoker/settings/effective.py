"""All settings together: groups of them, and each by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass as checked_dataclass

from stoker.settings.api import ApiSettings
from stoker.settings.builds import BuildSettings
from stoker.settings.database import DatabaseSettings, without_password
from stoker.settings.engine import EngineSettings
from stoker.settings.fleet import FleetSettings
from stoker.settings.gateway import GatewaySettings
from stoker.settings.group import STRICT
from stoker.settings.observing import ObservingSettings
from stoker.settings.oidc import OidcSettings
from stoker.settings.pages import PageSettings
from stoker.settings.people import PeopleSettings
from stoker.settings.process_runtime import ProcessRuntimeSettings
from stoker.settings.projects import ProjectSettings
from stoker.settings.recorder import RecorderSettings
from stoker.settings.records import RecordSettings
from stoker.settings.regions import RegionSettings
from stoker.settings.retention import RetentionSettings
from stoker.settings.server import ServerSettings
from stoker.settings.sign_in import SignInSettings
from stoker.settings.webhooks import WebhookSettings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


@checked_dataclass(frozen=True, kw_only=True, config=STRICT)
class Settings:
    """The effective settings, in the order in which `stoker config` prints them.

    Their names are unique over all groups: in the environment and in the settings file they stand without their group.
    """

    server: ServerSettings = field(default_factory=ServerSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    observing: ObservingSettings = field(default_factory=ObservingSettings)
    regions: RegionSettings = field(default_factory=RegionSettings)
    process_runtime: ProcessRuntimeSettings = field(default_factory=ProcessRuntimeSettings)
    fleet: FleetSettings = field(default_factory=FleetSettings)
    builds: BuildSettings = field(default_factory=BuildSettings)
    projects: ProjectSettings = field(default_factory=ProjectSettings)
    records: RecordSettings = field(default_factory=RecordSettings)
    recorder: RecorderSettings = field(default_factory=RecorderSettings)
    people: PeopleSettings = field(default_factory=PeopleSettings)
    sign_in: SignInSettings = field(default_factory=SignInSettings)
    oidc: OidcSettings = field(default_factory=OidcSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    pages: PageSettings = field(default_factory=PageSettings)

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Settings:
        """The settings with these values by name; all others have their defaults.

        Raises:
            pydantic.ValidationError: a value is wrong.
            KeyError: there is no setting of that name.
        """
        groups: dict[str, dict[str, object]] = {}
        for name, value in values.items():
            groups.setdefault(SETTINGS[name].group, {})[name] = value
        return _ADAPTER.validate_python(groups)

    def by_name(self) -> dict[str, Any]:
        """The values by name, as JSON has them."""
        groups: dict[str, dict[str, Any]] = _ADAPTER.dump_python(self, mode="json")
        return {name: value for group in groups.values() for name, value in group.items()}

    def for_people(self) -> dict[str, Any]:
        """The same as `by_name`, with secrets masked."""
        values = self.by_name()
        return values | {"database": without_password(values["database"])}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: as in the settings file; in the environment it is in capitals, after STOKER_.
        group: the name of its group in `Settings`.
        field: its type, default and description.
    """

    name: str
    group: str
    field: FieldInfo

    @property
    def description(self) -> str:
        """What it is, in one sentence."""
        return self.field.description or ""

    @property
    def default(self) -> object:
        """Its default, computed each time, because some depend on who runs the server."""
        return self.field.get_default(call_default_factory=True, validated_data={})


def title_of(group: str) -> str:
    """What the group of that name is called for people."""
    return _TITLES.get(group) or group.replace("_", " ").capitalize()


def _fields_of(group: type[object]) -> dict[str, FieldInfo]:
    return cast("dict[str, FieldInfo]", vars(group)["__pydantic_fields__"])


_TITLES = {"oidc": "OIDC", "api": "API", "sign_in": "Sign-in"}
_ADAPTER = TypeAdapter(Settings)
GROUPS: Mapping[str, type[object]] = MappingProxyType(
    {name: cast("type[object]", one.annotation) for name, one in _fields_of(Settings).items()}
)
"""The class of each group, by its name in `Settings`."""
SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {name: Setting(name, group, one) for group, members in GROUPS.items() for name, one in _fields_of(members).items()}
)
"""Every setting by its name."""
