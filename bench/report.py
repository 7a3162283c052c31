"""Print comparisons as tables, and write them as JSON."""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.measure import Comparison, Measurement


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how numbers were made: without it they say nothing."""

    command: str
    began: str
    system: str
    python: str
    engine: str
    cpus: int
    load_before: float
    load_after: float


def host_load() -> float:
    """Processes that wanted to run, as an average over the last minute (getloadavg(3))."""
    return os.getloadavg()[0]


def describe_setting(arguments: Sequence[str], began: str, engine: str, load_before: float) -> Setting:
    return Setting(
        command=shlex.join(["python", "-m", "bench", *arguments]),
        began=began,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        engine=engine,
        cpus=len(os.sched_getaffinity(0)),
        load_before=load_before,
        load_after=host_load(),
    )


def print_report(console: Console, setting: Setting, comparisons: Sequence[Comparison]) -> None:
    for comparison in comparisons:
        console.print(_table(comparison))
    console.print(
        f"{setting.began}, {setting.system}, {setting.cpus} CPUs, load {setting.load_before:.1f} before and "
        f"{setting.load_after:.1f} after, Python {setting.python}, BuildKit {setting.engine}",
        f"made by: {setting.command}",
        sep="\n",
        soft_wrap=True,
        highlight=False,
    )


def _table(comparison: Comparison) -> Table:
    table = Table(
        title=f"{comparison.title} ({comparison.unit.name})",
        title_justify="left",
        caption=f"ratio: median against that of {comparison.against}",
        caption_justify="left",
    )
    table.add_column("")
    for heading in ("median", "lowest", "highest", "rounds", "ratio"):
        table.add_column(heading, justify="right")
    for measurement in comparison.measurements:
        values = (measurement.median, min(measurement.values), max(measurement.values))
        cells = [_shown(value * comparison.unit.factor) for value in values]
        ratio = f"{comparison.ratio(measurement):.2f}"
        table.add_row(measurement.name, *cells, str(len(measurement.values)), ratio)
    return table


def _shown(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.2f}"


def write_json(file: Path, setting: Setting, comparisons: Sequence[Comparison]) -> None:
    """Write all single values too, in seconds or bytes, in the order in which they were taken."""
    content = {"setting": asdict(setting), "comparisons": [_as_json(comparison) for comparison in comparisons]}
    file.write_text(json.dumps(content, indent=1) + "\n")


def _as_json(comparison: Comparison) -> dict[str, object]:
    def one(measurement: Measurement) -> dict[str, object]:
        return {
            "name": measurement.name,
            "median": measurement.median,
            "ratio": comparison.ratio(measurement),
            "values": measurement.values,
        }

    return {
        "title": comparison.title,
        "against": comparison.against,
        "measurements": [one(measurement) for measurement in comparison.measurements],
    }
