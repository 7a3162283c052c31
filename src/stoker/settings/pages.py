"""How much pages show."""

from __future__ import annotations

from pydantic import Field

from stoker.settings.group import SettingsGroup


class PageSettings(SettingsGroup):
    """How much pages show."""

    page_steps: int = Field(500, ge=1, le=20_000, description="Steps that one page of a build shows.")
    page_name_characters: int = Field(
        500, ge=20, le=10_000, description="Characters of a step's name on a build's page; its own page has all."
    )
    page_step_lines: int = Field(50, ge=1, le=10_000, description="Lines of each step's log on a build's page.")
    page_lines: int = Field(2000, ge=1, le=100_000, description="Lines of logs on a build's page, of all its steps.")
    page_failed_lines: int = Field(20, ge=1, le=10_000, description="Lines of a failed step's log above the others.")
    page_window_lines: int = Field(1000, ge=1, le=10_000, description="Lines on one page of a step's log.")
    page_analysed_steps: int = Field(
        5000,
        ge=0,
        le=100_000,
        description="Steps of a build up to which its critical path and its cache are looked at.",
    )
    page_path_steps: int = Field(100, ge=1, le=10_000, description="Steps of a critical path that are listed.")
    page_warnings: int = Field(100, ge=1, le=10_000, description="Warnings that a build's page lists.")
    page_search_hits: int = Field(200, ge=1, le=10_000, description="Lines that a search of a build's logs finds.")
    page_search_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="How much of a build's logs a search looks at."
    )
    page_projects: int = Field(50, ge=1, le=500, description="Projects on one page of an organization.")
    page_builds: int = Field(25, ge=1, le=500, description="Builds on one page of a project.")
    page_rows: int = Field(100, ge=1, le=500, description="Rows of other lists, such as members, on one page.")
    page_usage_projects: int = Field(20, ge=1, le=500, description="Projects that usage shows one by one.")
    page_trend_builds: int = Field(50, ge=2, le=1000, description="Builds that a project's trends compare.")
