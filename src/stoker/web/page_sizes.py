"""How much one page shows. All are settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PageSizes:
    """Bounds of pages.

    Attributes:
        steps: of a build on one page.
        name_characters: of a step's name there; its own page has all of it.
        step_lines: of each step's log on the build's page.
        lines: of all logs there.
        failed_lines: of the failed step's log, above the others.
        window_lines: of a step's log on one of its own pages.
        trend_builds: that trends compare.
        path_steps: of a critical path that are listed.
        warnings: that are listed.
        search_hits: lines that a search finds.
        search_bytes: of a build's logs that a search looks at.
        projects: of an organization on one page.
        builds: of a project on one page.
        rows: of every other list, such as members and machines, on one page.
        usage_projects: that usage shows one by one, before all others together.
    """

    steps: int
    name_characters: int
    step_lines: int
    lines: int
    failed_lines: int
    window_lines: int
    trend_builds: int
    path_steps: int
    warnings: int
    search_hits: int
    search_bytes: int
    projects: int
    builds: int
    rows: int
    usage_projects: int
