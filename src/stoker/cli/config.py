"""`stoker config`: the effective settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Console

from stoker.assembly import trial_sites
from stoker.cli.options import effective_settings, setting_flags
from stoker.cli.terminal import write_json
from stoker.domain.hardware import GIBIBYTE
from stoker.settings.effective import GROUPS, SETTINGS, title_of

if TYPE_CHECKING:
    from pathlib import Path

_VALUE_WIDTH = 26


@click.command("config")
@setting_flags("data", "listen", "gateway", "gateway_name", "bootstrap")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(config_file: Path | None, as_json: bool, **flags: object) -> None:  # noqa: FBT001
    """Print every setting, its value, where it comes from, and what it is."""
    loaded = effective_settings(config_file, flags)
    values = loaded.values.by_name()
    if as_json:
        rows = {name: {"value": value, "source": loaded.sources[name]} for name, value in values.items()}
        write_json(rows)
        return
    console, width = Console(soft_wrap=True, markup=False, highlight=False), max(len(name) for name in values)
    console.print(f"{'setting'.ljust(width)}  value, and where it comes from", style="bold")
    for group, members in GROUPS.items():
        console.print(f" {title_of(group)}: {members.__doc__}", style="bold")
        for name, value in values.items():
            if SETTINGS[name].group == group:
                console.print(f"{name.ljust(width)}  {_shown(value).ljust(_VALUE_WIDTH)}  {loaded.sources[name]}")
                console.print(f"    {SETTINGS[name].description}", style="dim")
    console.print()
    sites = trial_sites(loaded.values).named()
    for name, site in sites.items():
        if (largest := site.largest_machine) is not None:
            gibibytes = f"{largest.memory_bytes / GIBIBYTE:.3g} GiB"
            where = "of this host" if len(sites) == 1 else f"in {name}"
            console.print(f"A machine gets at most {largest.cpus} CPUs and {gibibytes} {where}.", highlight=False)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
