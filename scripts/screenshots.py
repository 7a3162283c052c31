"""Takes the screenshots in docs/screenshots: python -m scripts.screenshots (`make screenshots`).

The projects and their Dockerfiles are made up, but all that the pages show of them is real: a server of its own builds
them with the depot CLI. Their toolchain is busybox under the names of well-known programs, since no image is pulled.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from bench.stack import running_stack
from stoker.runtimes.process.engine.emulation import native_platform
from tests.harness.browser import PASSWORD, Browser, join, owner_code
from tests.harness.chromium import PHONE, Chromium, Seat, running_chromium
from tests.harness.contexts import busybox
from tests.harness.depot import Depot
from tests.harness.records import when_recorded
from tests.harness.server import Server

FOLDER = Path(__file__).parents[1] / "docs" / "screenshots"
EXAMPLE = Path(__file__).with_name("storefront")
MOST_BYTES = 150_000
SIZE = (1200, 860)


def _context(folder: Path) -> Path:
    shutil.copytree(EXAMPLE, folder)
    programs = folder / "toolchain" / "bin"
    programs.mkdir(parents=True)
    shutil.copy(busybox(native_platform().architecture), programs / "busybox")
    shutil.move(folder / "npm", programs / "npm")
    return folder


def _build(server: Server, home: Path, context: Path, project: str, tag: str) -> str:
    Depot(server, home)("build", "--progress", "plain", "-t", tag, "--project", project, ".", cwd=context)
    build = server.builds()[-1][0]
    when_recorded(server, build)
    return build


def _examples(server: Server, home: Path) -> dict[str, str]:
    """Builds to look at, by what became of them."""
    storefront = server.new_project("storefront")
    for name in ("payments-api", "docs-site"):
        project = server.new_project(name)
        _build(server, home, _context(home / name), project, f"acme/{name}:2.0.1")
    context = _context(home / "storefront")
    _build(server, home, context, storefront, "acme/storefront:1.4.4")
    source = context / "src" / "cart.ts"
    source.write_text(source.read_text() + "export const isEmpty = (items: Item[]) => items.length === 0;\n")
    green = _build(server, home, context, storefront, "acme/storefront:1.4.5")
    source = context / "src" / "checkout.ts"
    source.write_text(source.read_text().replace("rate) / 100", "rate / 10)"))
    red = _build(server, home, context, storefront, "acme/storefront:1.4.6")
    return {"project": storefront, "succeeded": green, "failed": red}


def _take(page: Page, name: str) -> None:
    file = FOLDER / f"{name}.png"
    page.screenshot(path=file, animations="disabled", caret="hide")
    size = file.stat().st_size
    sys.stdout.write(f"{file.relative_to(FOLDER.parents[1])}: {size / 1000:.0f} kB\n")
    if size > MOST_BYTES:
        sys.exit(f"error: {file} has more than {MOST_BYTES} bytes")


def _sign_in(seat: Seat) -> None:
    page = seat.open("/")
    page.get_by_label("Email address").fill("ada@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()


def _all(chromium: Chromium, server: Server, examples: dict[str, str]) -> None:
    pages = {
        "overview": "/",
        "project": f"/projects/{examples['project']}",
        "machines": f"/organizations/{server.first['DEPOT_ORG_ID']}/machines",
        "usage": f"/organizations/{server.first['DEPOT_ORG_ID']}/usage",
        "build-failed": f"/builds/{examples['failed']}",
        "build": f"/builds/{examples['succeeded']}#steps",
        "trends": f"/projects/{examples['project']}/trends",
    }
    with chromium.seat(server.url, size=SIZE) as seat:
        _sign_in(seat)
        for name, address in pages.items():
            _take(seat.open(address), name)
        with chromium.seat(server.url, size=SIZE, colours="dark", cookies=seat.context) as dark:
            _take(dark.open(pages["build"]), "build-dark")
        with chromium.seat(server.url, size=PHONE, cookies=seat.context) as phone:
            _take(phone.open(pages["build-failed"]), "build-failed-phone")


def main() -> None:
    """Build the examples and take all screenshots."""
    FOLDER.mkdir(exist_ok=True)
    with running_stack(measure_seconds="1") as stack, tempfile.TemporaryDirectory(prefix="stoker-screenshots-") as name:
        server, home = stack.server, Path(name)
        join(Browser(server.url), owner_code(server), email="ada@example.com", name="Ada Byron", password=PASSWORD)
        examples = _examples(server, home)
        with running_chromium(home / "chromium") as chromium:
            _all(chromium, server, examples)


if __name__ == "__main__":
    main()
