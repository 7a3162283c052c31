"""Steps as a record has them, for decisions that need no machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stoker.domain.steps import Step, work_key

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)


def at(seconds: float | None) -> datetime | None:
    return None if seconds is None else BEGIN + timedelta(seconds=seconds)


def step(
    number: int,
    begun: float | None = 0,
    ended: float | None = 1,
    *,
    needs: tuple[Step, ...] = (),
    name: str = "step",
    digest: str | None = None,
    platform: str = "linux/amd64",
    cached: bool = False,
    error: str | None = None,
    log_lines: int = 0,
) -> Step:
    return Step(
        build_id="b", number=number, solve_ref="s", digest=digest or f"d{number}", name=name, group="",
        platform=platform, started_at=at(begun), completed_at=at(ended), cached=cached, error=error,
        inputs=tuple(one.digest for one in needs),
        work_key=work_key(name, platform, [one.work_key for one in needs]), transfers=(),
        stdout_bytes=0, stderr_bytes=0, log_lines=log_lines, dropped_bytes=0, clipped=False, saved=None,
    )  # fmt: skip
