"""`stoker doctor`: what this host lacks, and how to fix it."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from stoker.cli.options import effective_settings, setting_flags
from stoker.cli.output import print_table
from stoker.cli.terminal import tell, write_json
from stoker.domain.host import Verdict, refusal
from stoker.serve.server_checks import check_server

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.domain.host import Finding

_MARKS = {Verdict.GOOD: "ok", Verdict.WEAKER: "weaker", Verdict.UNSAFE: "UNSAFE", Verdict.MISSING: "MISSING"}


@click.command("doctor")
@setting_flags(
    "data",
    "listen",
    "gateway",
    "public_url",
    "tls_certificate",
    "tls_key",
    "engine_folder",
    "allow_unisolated",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, config_file: Path | None, as_json: bool, **flags: object) -> None:  # noqa: FBT001
    """Check what this host lacks for a server.

    `stoker serve` makes the same checks. They change nothing.

    The exit code is 0 when a server can run here, and 1 when not.
    """
    settings = effective_settings(config_file, flags).values
    findings = asyncio.run(check_server(settings))
    stopping = refusal(findings, allow_unisolated=settings.process_runtime.allow_unisolated)
    if as_json:
        write_json({"canServe": stopping is None, "findings": [asdict(one) for one in findings]})
    else:
        print_table(("what", "", "found"), [_row(finding) for finding in findings], empty="")
        tell(_conclusion(findings, stopping))
    context.exit(0 if stopping is None else 1)


def _row(finding: Finding) -> tuple[str, str, str]:
    found = f"{finding.found}\n→ {finding.advice}" if finding.advice else finding.found
    return finding.subject, _MARKS[finding.verdict], found


def _conclusion(findings: tuple[Finding, ...], stopping: Finding | None) -> str:
    if stopping is not None and stopping.verdict is Verdict.UNSAFE:
        return "\nRUN steps can't be kept apart here; for code that you trust, serve with --allow-unisolated"
    if stopping is not None:
        return "\na server can't run here until this is fixed"
    weaker = sum(finding.verdict is not Verdict.GOOD for finding in findings)
    return f"\na server can run here{f', with {weaker} things less well' if weaker else ''}"
