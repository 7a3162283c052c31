"""`stoker run-example`, which `make run` calls: a server, its first build, and what to type next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stoker.cli.engine import require_engine
from stoker.cli.machine_choice import machine_platform
from stoker.cli.options import effective_settings, setting_flags
from stoker.cli.serve import serve
from stoker.cli.terminal import Problem, say
from stoker.client.buildctl import BuildInput
from stoker.client.errors import ApiError
from stoker.client.run import BuildOutcome, run_build

if TYPE_CHECKING:
    from stoker.serve.supervisor import Running

_EXAMPLE = Path(__file__).parents[3] / "examples" / "hello"


@click.command("run-example")
@setting_flags("data", "listen", "gateway", "gateway_name", "bootstrap")
@click.option("--example", type=click.Path(path_type=Path, file_okay=False, exists=True), default=_EXAMPLE)
def command(config_file: Path | None, example: Path, **flags: object) -> None:
    """Start a server and build an example."""
    settings = effective_settings(config_file, flags).values
    if settings.server.bootstrap is None:
        bootstrap = settings.server.data / "bootstrap.env"
        settings = replace(settings, server=replace(settings.server, bootstrap=bootstrap))

    buildctl = require_engine(settings).buildctl

    async def build_example(running: Running) -> None:
        await _build(settings.server.bootstrap, running, example, buildctl)

    serve(settings, build_example)


async def _build(bootstrap: Path | None, running: Running, example: Path, buildctl: Path) -> None:
    try:
        first = _read_bootstrap(bootstrap)
        outcome = await run_build(
            running.api_url,
            first["DEPOT_TOKEN"],
            first["DEPOT_PROJECT_ID"],
            machine_platform(()),
            BuildInput(context=str(example), outputs=("type=image,name=hello",)),
            buildctl=buildctl,
            say=say,
        )
    except (ApiError, Problem, KeyError) as error:
        say(f"the example was not built: {error}")
        return
    _report(outcome, bootstrap)


def _read_bootstrap(file: Path | None) -> dict[str, str]:
    try:
        lines = [] if file is None else file.read_text().splitlines()
    except OSError as error:
        raise Problem(f"the bootstrap file {file} can't be read: {error.strerror}") from error
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _report(outcome: BuildOutcome, bootstrap: Path | None) -> None:
    if outcome.exit_code != 0:
        say(f"the example's build failed with exit code {outcome.exit_code}")
        return
    say(f"\nimage    {outcome.digest}")
    for phase in outcome.phases:
        say(f"         {phase.name:<18}{phase.seconds:7.2f} s")
    say("\nNext, in another terminal:")
    say(f"         set -a; . {bootstrap}; set +a")
    say("         depot build examples/hello          # the depot CLI, from npm: @depot/cli")
    say("         .venv/bin/stoker build examples/hello")
