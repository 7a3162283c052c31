"""`python -m bench`: run benchmarks and print what they found."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from bench.api import compare_api
from bench.bakes import compare_bakes
from bench.builds import compare_builds
from bench.copies import compare_copies
from bench.endpoints import compare_endpoints
from bench.machines import compare_machines
from bench.measure import LEAST_ROUNDS, Comparison
from bench.pages import compare_pages
from bench.records import compare_records
from bench.report import describe_setting, host_load, print_report, write_json
from bench.stack import BenchmarkFailed
from bench.transfers import compare_transfers
from bench.viewers import compare_viewers
from stoker.cli.engine import require_engine
from stoker.settings.loading import load_settings

BENCHMARKS: dict[str, Callable[[int, float], list[Comparison]]] = {
    "builds": compare_builds,
    "bakes": compare_bakes,
    "copies": compare_copies,
    "endpoints": compare_endpoints,
    "machines": compare_machines,
    "transfers": compare_transfers,
    "records": compare_records,
    "pages": compare_pages,
    "viewers": compare_viewers,
    "api": compare_api,
}


@click.command("bench")
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)), metavar=f"[{'|'.join(BENCHMARKS)}]...")
@click.option("--rounds", type=click.IntRange(LEAST_ROUNDS), default=9, show_default=True, help="Most rounds of each.")
@click.option(
    "--seconds", type=click.FloatRange(1), default=40, show_default=True, help="When each stops to begin rounds."
)
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write the results here too.")
def main(names: tuple[str, ...], rounds: int, seconds: float, file: Path | None) -> None:
    """Run the named benchmarks, or all."""
    engine = require_engine(load_settings({}, os.environ).values)
    began, load = datetime.now(UTC).isoformat(timespec="seconds"), host_load()
    comparisons: list[Comparison] = []
    try:
        for name in names or BENCHMARKS:
            click.echo(f"{name} ...", err=True)
            comparisons += BENCHMARKS[name](rounds, seconds)
    except BenchmarkFailed as error:
        raise click.ClickException(str(error)) from error
    setting = describe_setting(sys.argv[1:], began, engine.version, load)
    print_report(Console(), setting, comparisons)
    if file is not None:
        write_json(file, setting, comparisons)


if __name__ == "__main__":
    main()
