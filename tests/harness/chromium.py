"""A real browser: the system's Chromium, driven by Playwright, with nothing of whoever runs the tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.harness.depot import NODE_MODULES
from tests.harness.environment import plain_environment
from tests.harness.waiting import eventually

DESKTOP, PHONE = (1280, 900), (360, 740)
_AXE = NODE_MODULES / "axe-core" / "axe.min.js"
# Chromium refuses to sandbox itself as root, and /dev/shm is small in many containers.
_FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
_MOST_MILLISECONDS = 30_000
_SERIOUS = frozenset({"serious", "critical"})


@dataclass
class Seat:
    """A browser window of somebody, with cookies of its own, and all that its pages complained of."""

    context: BrowserContext
    page: Page
    problems: list[str] = field(default_factory=list[str])

    def open(self, address: str) -> Page:
        self.page.goto(address)
        return self.page

    def axe(self, *rules: str) -> list[str]:
        """The serious and critical violations of accessibility that axe-core finds on the page, of rules or of all."""
        if not self.page.evaluate("'axe' in window"):
            # Chromium heeds no Content-Security-Policy for what is evaluated from outside of the page.
            self.page.evaluate(_AXE.read_text())
        which: dict[str, Any] = {"runOnly": rules} if rules else {}
        found: dict[str, Any] = self.page.evaluate(
            "which => axe.run(document, which)", {"resultTypes": ["violations"], "preload": False, **which}
        )
        return [
            f"{one['id']}: {element['html'][:200]} {element['failureSummary']}"
            for one in found["violations"]
            if one["impact"] in _SERIOUS
            for element in one["nodes"]
        ]


@dataclass
class Chromium:
    """One running browser."""

    browser: Browser

    @contextmanager
    def seat(
        self,
        address: str,
        *,
        size: tuple[int, int] = DESKTOP,
        colours: Literal["light", "dark"] = "light",
        cookies: BrowserContext | None = None,
    ) -> Generator[Seat]:
        """A window on a server's pages, with the cookies of another one where one is given."""
        context = self.browser.new_context(
            base_url=address,
            viewport={"width": size[0], "height": size[1]},
            color_scheme=colours,
            reduced_motion="reduce",
            locale="en-GB",
            timezone_id="UTC",
        )
        try:
            context.set_default_timeout(_MOST_MILLISECONDS)
            if cookies is not None:
                context.add_cookies(cookies.cookies())  # pyright: ignore[reportArgumentType]
            seat = Seat(context, context.new_page())
            context.on("console", lambda said: seat.problems.append(said.text) if _complains(said) else None)
            context.on("weberror", lambda error: seat.problems.append(str(error.error)))
            yield seat
        finally:
            context.close()


_COMPLAINTS = frozenset({"error", "warning"})
# Whenever a network appears on the host, as with each machine, the browser breaks what it loads; pages try again.
_OF_THE_HOST = "net::ERR_NETWORK_CHANGED"


def _complains(said: ConsoleMessage) -> bool:
    return said.type in _COMPLAINTS and _OF_THE_HOST not in said.text


def chromium_binary() -> str:
    """The Chromium that the set-up installs. A snap can't use a profile in a test's folder."""
    named = os.environ.get("STOKER_CHROMIUM")
    found = [named] if named else [shutil.which("chromium"), shutil.which("google-chrome")]
    usable = [path for path in found if path and not path.startswith("/snap/")]
    assert usable, "Chromium is missing; run `make test`, which installs it on Debian, or name one in STOKER_CHROMIUM"
    return usable[0]


@contextmanager
def running_chromium(folder: Path) -> Iterator[Chromium]:
    """A browser whose profile and home are in ``folder``, gone with all its processes at the end.

    Until then this thread can't run asyncio, which Playwright's own loop takes.
    """
    binary = chromium_binary()
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as environment:
            # Playwright's driver takes the environment of its start, and gives it to the browser.
            own = plain_environment() | {"HOME": str(folder), "TMPDIR": str(folder)}
            for name in set(os.environ) - set(own):
                environment.delenv(name)
            for name, value in own.items():
                environment.setenv(name, value)
            playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=binary, args=_FLAGS, env=own)
        stack.callback(browser.close)
        expect.set_options(timeout=_MOST_MILLISECONDS)
        yield Chromium(browser)
    eventually(lambda: not processes_of(lambda line: str(folder) in line), "the browser has ended")


def processes_of(is_meant: Callable[[str], bool]) -> list[int]:
    """The ids of the processes whose command lines are meant, with spaces between their arguments."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if line and is_meant(line):
                found.append(int(entry.name))
    return found
