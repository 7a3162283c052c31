"""`stoker config`: the effective settings, as a settings file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from stoker.cli.options import effective_settings, setting_flags
from stoker.cli.terminal import say, tell, write_json
from stoker.domain.hardware import GIBIBYTE
from stoker.settings.effective import GROUPS, SETTINGS, title_of

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.settings.effective import Settings

_DEFAULT = "default"


@click.command("config")
@setting_flags("data", "listen", "gateway", "gateway_name", "public_url", "bootstrap")
@click.option("--changed", is_flag=True, help="Only settings that are not at their default.")
@click.option("--describe", is_flag=True, help="With a line for each setting that says what it is.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(config_file: Path | None, changed: bool, describe: bool, as_json: bool, **flags: object) -> None:  # noqa: FBT001
    """Print the settings, and where each comes from.

    The output is a settings file (TOML).
    """
    loaded = effective_settings(config_file, flags)
    values = {
        name: value
        for name, value in loaded.values.for_people().items()
        if not changed or loaded.sources[name] != _DEFAULT
    }
    if as_json:
        write_json({name: {"value": value, "source": loaded.sources[name]} for name, value in values.items()})
        return
    for group, members in GROUPS.items():
        names = [name for name in values if SETTINGS[name].group == group]
        if names:
            say(f"# {title_of(group)}: {members.__doc__}")
        for name in names:
            if describe:
                say(f"# {SETTINGS[name].description}")
            say(f"{_line(name, values[name])}  # {loaded.sources[name]}")
        if names:
            say("")
    if not values:
        tell("every setting is at its default")
    elif not changed:
        _say_largest_machines(loaded.values)


def _line(name: str, value: object) -> str:
    """A line of a settings file; one without a value is a comment, as TOML has no word for that."""
    return f"# {name} =" if value is None else f"{name} = {_toml(value)}"


def _toml(value: object) -> str:
    """A value in TOML (https://toml.io/en/v1.0.0), in one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # Its escapes of JSON are TOML's too, but for DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, dict):
        pairs = [f"{json.dumps(str(name))} = {_toml(one)}" for name, one in value.items() if one is not None]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return f"{{{', '.join(pairs)}}}"
    return str(value)


def _say_largest_machines(settings: Settings) -> None:
    from stoker.assembly import trial_sites

    sites = trial_sites(settings).named()
    for name, site in sites.items():
        if (largest := site.largest_machine) is not None:
            gibibytes = f"{largest.memory_bytes / GIBIBYTE:.3g} GiB"
            where = "of this host" if len(sites) == 1 else f"in {name}"
            say(f"# A machine gets at most {largest.cpus} CPUs and {gibibytes} {where}.")
