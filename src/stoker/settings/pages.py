"""How much pages show, and how many are made at once."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from stoker.settings.group import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PageSettings:
    """How much pages show, and how many are made at once."""

    page_steps: int = Field(default=500, ge=1, le=20_000, description="Steps that one page of a build shows.")
    page_name_characters: int = Field(
        default=500,
        ge=20,
        le=10_000,
        description="Characters of a step's name on a build's page; its own page has all.",
    )
    page_step_lines: int = Field(default=50, ge=1, le=10_000, description="Lines of each step's log on a build's page.")
    page_lines: int = Field(
        default=2000, ge=1, le=100_000, description="Lines of logs on a build's page, of all its steps."
    )
    page_failed_lines: int = Field(
        default=20, ge=1, le=10_000, description="Lines of a failed step's log above the others."
    )
    page_window_lines: int = Field(default=1000, ge=1, le=10_000, description="Lines on one page of a step's log.")
    page_analysed_steps: int = Field(
        default=5000,
        ge=0,
        le=100_000,
        description="Steps of a build up to which its critical path and its cache are looked at.",
    )
    page_path_steps: int = Field(default=100, ge=1, le=10_000, description="Steps of a critical path that are listed.")
    page_warnings: int = Field(default=100, ge=1, le=10_000, description="Warnings that a build's page lists.")
    page_search_hits: int = Field(
        default=200, ge=1, le=10_000, description="Lines that a search of a build's logs finds."
    )
    page_found_lines: int = Field(
        default=10_000, ge=1, le=100_000, description="Lines that a search of one step's log counts and leads to."
    )
    page_search_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1024, description="How much of a build's logs, or of a step's, a search looks at."
    )
    page_projects: int = Field(default=50, ge=1, le=500, description="Projects on one page of an organization.")
    page_builds: int = Field(default=25, ge=1, le=500, description="Builds on one page of a project.")
    page_rows: int = Field(default=100, ge=1, le=500, description="Rows of other lists, such as members, on one page.")
    page_usage_projects: int = Field(default=20, ge=1, le=500, description="Projects that usage shows one by one.")
    page_trend_builds: int = Field(default=50, ge=2, le=1000, description="Builds that a project's trends compare.")
    max_live_pages: int = Field(default=5000, ge=1, description="Pages that are followed live at once.")
    max_live_pages_per_address: int = Field(
        default=500, ge=1, description="The same from one address, and of one person who is signed in."
    )
    live_refreshes_per_second: float = Field(
        default=50,
        gt=0,
        description="Refreshes of all live pages a second; with more viewers each is refreshed less often.",
    )
    max_build_pages: int = Field(
        default=500,
        ge=1,
        description="Pages and searches of builds that are being made or wait for it; one is made at a time.",
    )
    max_build_pages_per_address: int = Field(
        default=20, ge=1, description="The same for one address, and for one person who is signed in."
    )
    forms_per_second: float = Field(default=1, gt=0, description="Forms, such as a sign-in, a second from one address.")
    forms_burst: int = Field(default=100, ge=1, description="Forms at once, beyond that rate.")
