"""The regions that projects can be in, and what runs the machines of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic.dataclasses import dataclass

from stoker.settings.group import STRICT, from_json
from stoker.settings.mistakes import plain_reason
from stoker.settings.process_runtime import ProcessRuntimeSettings

_RUNTIME = "runtime"
_KINDS = ("process",)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_OF_THE_SERVER = ("allow_unisolated",)
_PROCESS_RUNTIME = TypeAdapter(ProcessRuntimeSettings)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RegionSettings:
    """The regions that projects can be in, and what runs the machines of each."""

    regions: tuple[str, ...] = Field(
        default=("us-east-1", "eu-central-1"),
        min_length=1,
        description="Region names; a settings file can have a table `[regions.NAME]` for each instead.",
    )
    region_runtimes: Mapping[str, Mapping[str, Any]] = Field(
        default_factory=dict[str, Mapping[str, Any]],
        description="What those tables hold: a `runtime`, and settings of it for that region; JSON in the environment.",
    )

    @field_validator("region_runtimes", mode="before")
    @classmethod
    def _runtimes_from_json(cls, value: object) -> object:
        return from_json(value)

    @field_validator("region_runtimes")
    @classmethod
    def _known_settings(cls, value: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        for name, table in value.items():
            _check_table(name, table)
        return value

    @model_validator(mode="after")
    def _named_regions(self) -> RegionSettings:
        unnamed = [name for name in self.region_runtimes if name not in self.regions]
        if unnamed:
            raise ValueError(f"region_runtimes: {', '.join(unnamed)}: not among regions ({', '.join(self.regions)})")
        return self

    def has_site(self, region_id: str) -> bool:
        """Whether a region has settings of its own, and so machines and volumes apart from all others."""
        return bool(self._own_settings_of(region_id))

    def process_runtime_of(self, region_id: str, general: ProcessRuntimeSettings) -> ProcessRuntimeSettings:
        """The settings of a region's process runtime: its own before the general ones."""
        return replace(general, **self._own_settings_of(region_id))

    def _own_settings_of(self, region_id: str) -> dict[str, Any]:
        return _own_settings(self.region_runtimes.get(region_id, {}))


def _own_settings(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name != _RUNTIME}


def _check_table(name: str, table: Mapping[str, Any]) -> None:
    """Pass a table that says what it may.

    Raises:
        ValueError: it doesn't; the text says where.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f'"{name}" can\'t be a region: digits, lower-case letters and dashes, at most 63')
    kind = table.get(_RUNTIME, _KINDS[0])
    if kind not in _KINDS:
        raise ValueError(f'{name}: there is no runtime "{kind}"; use one of: {", ".join(_KINDS)}')
    for setting in _OF_THE_SERVER:
        if setting in table:
            raise ValueError(f"{name}: {setting} holds for the whole server; give it outside of the region")
    try:
        _PROCESS_RUNTIME.validate_python(_own_settings(table))
    except ValidationError as error:
        first = error.errors()[0]
        place = ": ".join(str(part) for part in first["loc"])
        if first["type"] == "unexpected_keyword_argument":
            raise ValueError(f"{name}: {place} is not a setting of the process runtime") from error
        raise ValueError(f"{name}: {place}: {plain_reason(first)}") from error
