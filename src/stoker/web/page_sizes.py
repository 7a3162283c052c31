"""How much one page shows. All bounds are settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PageSizes:
    """Bounds of pages.

    Attributes:
        steps: of a build on one page.
        name_characters: of a step's name there; the step's own page has all of them.
        step_lines: of each step's log on the build's page.
        lines: of all logs there.
        failed_lines: of the failed step's log, above the others.
        window_lines: of a step's log on one of its own pages.
        trend_builds: that trends compare.
        path_steps: of a critical path that are listed.
        warnings: that are listed.
        search_hits: lines that a search returns.
        found_lines: that a search of a step's log finds.
        search_bytes: of logs that a search reads.
        projects: of an organization on one page.
        builds: of a project on one page.
        rows: of every other list, such as members and machines, on one page.
        usage_projects: that usage lists, before the sum of all others.
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
    found_lines: int
    search_bytes: int
    projects: int
    builds: int
    rows: int
    usage_projects: int
