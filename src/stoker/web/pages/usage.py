"""The usage of an organization, by day and by project."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput
from stoker.domain.usage import PeriodName, ProjectUsage, named_period
from stoker.web.charts import chart, lengths
from stoker.web.formats import duration, number
from stoker.web.owner import ContextPages
from stoker.web.page import render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.domain.usage import DayUsage, OrganizationUsage
    from stoker.web.charts import ChartBar

_PERIODS = {
    PeriodName.THIS_MONTH: "This month",
    PeriodName.LAST_MONTH: "Last month",
    PeriodName.LAST_30_DAYS: "Last 30 days",
}


@dataclass(frozen=True, slots=True)
class DailyChart:
    """A chart by day: title, sum, maximum, and each bar with its text."""

    title: str
    total: str
    most: str
    bars: Sequence[tuple[ChartBar, str]]


@dataclass(frozen=True, slots=True)
class Row:
    """A project with the lengths of its bars, or the sum of all other projects, without id."""

    usage: ProjectUsage
    built: float
    kept: float


class UsagePages(ContextPages):
    """Usage, for all members."""

    async def show(self, request: Request) -> Response:
        """GET /organizations/{organization_id}/usage."""
        reader = await self.reader(request)
        chosen = _period(request)
        period = named_period(chosen, self.context.now())
        caller = reader.calling("depot.core.v1.UsageService/GetUsage")
        usage = await self.services.usage.of_organization(caller, period.start, period.end)
        days = await self.services.usage.by_day(caller, period.start, period.end)
        return render(
            "usage.html",
            reader.who,
            reader=reader,
            periods=_PERIODS,
            chosen=chosen,
            period=period,
            last_day=days[-1].day if days else period.start.date(),
            usage=usage,
            totals=_together(usage.projects, ""),
            days=days,
            charts=_charts(days),
            rows=_rows(usage, self.context.page_sizes.usage_projects),
        )


def _period(request: Request) -> PeriodName:
    try:
        return PeriodName(request.query_params.get("period", PeriodName.THIS_MONTH))
    except ValueError as error:
        raise InvalidInput(f"there is no such period; choose one of: {', '.join(PeriodName)}") from error


def _charts(days: Sequence[DayUsage]) -> list[DailyChart]:
    return [
        _chart("Build time", days, lambda day: day.build_time.total_seconds(), duration),
        _chart("Builds", days, lambda day: day.builds, lambda value: number(round(value))),
        _chart("Saved by cache", days, lambda day: day.saved_time.total_seconds(), duration),
    ]


def _chart(
    title: str, days: Sequence[DayUsage], value: Callable[[DayUsage], float], shown: Callable[[float], str]
) -> DailyChart:
    values = [value(day) for day in days]
    words = [f"{day.day:%Y-%m-%d}: {shown(one)}" for day, one in zip(days, values, strict=True)]
    bars = [(bar, words[bar.index]) for bar in chart([one or None for one in values]).bars]
    return DailyChart(title, shown(sum(values)), shown(max(values, default=0)), bars)


def _rows(usage: OrganizationUsage, most: int) -> list[Row]:
    """The projects with the most build time, then the sum of all others, with the caches of those without builds."""
    ordered = sorted(usage.projects, key=lambda one: (-one.build_time, -one.builds, one.project_name))
    shown, others = list(ordered[:most]), ordered[most:]
    rest = usage.cache_bytes - sum(one.cache_bytes for one in usage.projects)
    if others or rest > 0:
        name = f"{number(len(others))} other projects" if others else "Projects without builds"
        together = _together(others, name)
        shown.append(replace(together, cache_bytes=together.cache_bytes + max(rest, 0)))
    built = lengths([one.build_time.total_seconds() for one in shown])
    kept = lengths([one.cache_bytes for one in shown])
    return [Row(*one) for one in zip(shown, built, kept, strict=True)]


def _together(usages: Sequence[ProjectUsage], name: str) -> ProjectUsage:
    return ProjectUsage(
        project_id="",
        project_name=name,
        builds=sum(one.builds for one in usages),
        build_time=sum((one.build_time for one in usages), timedelta(0)),
        machine_time=sum((one.machine_time for one in usages), timedelta(0)),
        cache_bytes=sum(one.cache_bytes for one in usages),
        saved_time=sum((one.saved_time for one in usages), timedelta(0)),
    )
