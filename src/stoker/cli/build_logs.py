"""`stoker builds logs` and `watch`: what a build's steps write, and how far they are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import click

from stoker._gen.depot.core.v1.build_pb import Build as CoreBuild
from stoker._gen.stoker.v1 import builds_pb as pb
from stoker._gen.stoker.v1.builds_connect import BuildServiceClient
from stoker.cli.output import shown_duration
from stoker.cli.remote import Remote, api_command
from stoker.cli.terminal import Problem, one_line, say, tell
from stoker.client.patience import patiently
from stoker.domain.terminal_text import shown_text

if TYPE_CHECKING:
    from collections.abc import Callable

_PAGE = 500
_PAUSE_SECONDS = 1.0
_LONGEST_NAME = 100
_FAILED = 1


@dataclass(slots=True)
class _Reading:
    """Reads a build's steps and their logs, and again what came since.

    Attributes:
        on_step: receives a step, each time that it is read.
        on_line: receives a line of a step's log, once.
        only: the number of the only step that is read; None for all.
    """

    builds: BuildServiceClient
    build_id: str
    on_step: Callable[[pb.BuildStep], None]
    on_line: Callable[[pb.BuildStep, str], None] | None
    only: int | None = None
    _done: int = 0
    _lines: dict[int, int] = field(default_factory=dict[int, int])

    async def read(self) -> bool:
        """Read what there is now. Returns whether more may come."""
        token, may_grow, are_done = str(self._done or ""), True, True
        while True:
            request = pb.ListBuildStepsRequest(build_id=self.build_id, page_size=_PAGE, page_token=token)
            answer = await patiently(partial(self.builds.list_build_steps, request), tell)
            for step in answer.steps:
                if self.only is None or step.number == self.only:
                    self.on_step(step)
                    await self._read_log(step)
                # Steps that are over are not read again.
                are_done = are_done and step.completed_at is not None
                if are_done:
                    self._done = step.number
            may_grow, token = answer.may_grow, answer.next_page_token
            if not token:
                return may_grow

    async def follow(self) -> None:
        """Read until nothing more may come."""
        while True:
            if not await self.read():
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _read_log(self, step: pb.BuildStep) -> None:
        if self.on_line is None:
            return
        while self._lines.get(step.number, 0) < step.log_lines:
            token = str(self._lines.get(step.number, 0) or "")
            request = pb.ListLogLinesRequest(
                build_id=self.build_id, step_number=step.number, page_size=_PAGE, page_token=token
            )
            answer = await patiently(partial(self.builds.list_log_lines, request), tell)
            for line in answer.lines:
                self._lines[step.number] = line.number
                self.on_line(step, line.text)
            if not answer.lines:
                return


@click.command("logs")
@click.argument("build")
@click.option("-f", "--follow", is_flag=True, help="Go on until the build is over.")
@click.option("--step", type=click.IntRange(1), help="Only this step, by its number on the build's page.")
@click.option("--failed", is_flag=True, help="Only the step that made the build fail.")
@api_command
def logs(remote: Remote, build: str, follow: bool, step: int | None, failed: bool) -> None:  # noqa: FBT001
    """Print the logs of a build's steps. BUILD is its id.

    Each line begins with the number of its step, unless there is only one.
    """
    if failed and step is not None:
        raise click.UsageError("--step and --failed exclude each other")
    only = _failed_step(remote, build) if failed else step
    seen: set[int] = set()

    def on_step(one: pb.BuildStep) -> None:
        if one.number not in seen and only is None:
            say(one_line(f"#{one.number} {one.name}"))
        seen.add(one.number)

    def on_line(one: pb.BuildStep, text: str) -> None:
        shown = shown_text(text.rstrip("\r\n"))
        say(shown if only is not None else f"#{one.number} {shown}")

    async def read(builds: BuildServiceClient) -> None:
        reading = _Reading(builds, build, on_step, on_line, only)
        await (reading.follow() if follow else reading.read())

    remote.call(BuildServiceClient, read)
    if only is not None and only not in seen:
        raise Problem(f"build {build} has no step {only}", f"`stoker builds logs {build}` lists the steps that it has")
    if not seen:
        tell("no steps were recorded" if follow else "no steps are recorded yet; --follow waits for them")


@click.command("watch")
@click.argument("build")
@api_command
def watch(remote: Remote, build: str) -> None:
    """Watch a build until it is over: its steps, and how it ended. BUILD is its id.

    The exit code is 0 if the build succeeded, and else 1.
    """
    shown: dict[int, str] = {}

    def on_step(step: pb.BuildStep) -> None:
        state = _state(step)
        if shown.get(step.number) == state:
            return
        if step.number not in shown:
            say(one_line(f"#{step.number} {step.name}")[:_LONGEST_NAME])
        shown[step.number] = state
        if state != "running":
            say(f"#{step.number} {state}{_took(step)}")

    async def read(builds: BuildServiceClient) -> pb.Build | None:
        await _Reading(builds, build, on_step, None).follow()
        return (await builds.get_build(pb.GetBuildRequest(build_id=build))).build

    ended = remote.call(BuildServiceClient, read)
    if ended is None:
        return
    say(f"build {build} {ending_of(ended)}")
    if ended.status is not CoreBuild.Status.SUCCESS:
        print_failure(remote, build)
        raise click.exceptions.Exit(_FAILED)


def print_failure(remote: Remote, build: str) -> None:
    """Print the step that made a build fail, and the last lines of its log; nothing if it didn't fail by a step."""
    request = pb.GetBuildFailureRequest(build_id=build)
    failure = remote.call(BuildServiceClient, lambda builds: builds.get_build_failure(request))
    if failure.step is None:
        return
    say("")
    say(one_line(f"failed step #{failure.step.number}: {failure.step.name}"))
    if failure.filename:
        say(one_line(f"{failure.filename}:{failure.line}: {failure.instruction}"))
    for line in failure.lines:
        say(f"  {shown_text(line.text.rstrip())}")
    tell(f"`stoker builds logs {build} --failed` prints its whole log")


STATUS_WORDS = {
    CoreBuild.Status.RUNNING: "running",
    CoreBuild.Status.SUCCESS: "succeeded",
    CoreBuild.Status.FAILED: "failed",
    CoreBuild.Status.CANCELED: "canceled",
}
"""The word for each status, which is the same on pages and in the API's errors."""


def ending_of(build: pb.Build) -> str:
    """How a build ended, and after how long."""
    word = STATUS_WORDS.get(build.status, "has an unknown status")
    if build.status is CoreBuild.Status.CANCELED:
        word = f"was {build.error or word}"
    if not build.has_field("build_duration_seconds"):
        return word
    return f"{word} after {shown_duration(build.build_duration_seconds)}"


def _failed_step(remote: Remote, build: str) -> int:
    request = pb.GetBuildFailureRequest(build_id=build)
    step = remote.call(BuildServiceClient, lambda builds: builds.get_build_failure(request)).step
    if step is None:
        raise Problem(f"no step made build {build} fail", f"`stoker builds show {build}` says how it ended")
    return step.number


def _state(step: pb.BuildStep) -> str:
    if step.canceled:
        return "canceled"
    if step.error:
        return "failed"
    if step.cached:
        return "cached"
    return "running" if step.completed_at is None else "done"


def _took(step: pb.BuildStep) -> str:
    if step.started_at is None or step.completed_at is None or step.cached:
        return ""
    seconds = (step.completed_at.to_datetime() - step.started_at.to_datetime()).total_seconds()
    return f" after {shown_duration(max(seconds, 0.0))}"
