"""The example of docs/operators.md, run as it is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.harness.browser import Browser
from tests.harness.environment import plain_environment
from tests.harness.server import Answer, Server
from tests.web.test_people import OWNER, PASSWORD, join, owner_code

GUIDE = Path(__file__).parents[2] / "docs" / "operators.md"
ADDRESS = "https://stoker.example.com"
PAGE = re.compile(r" +(http\S+/logins/\S+)\n")


def test_the_example_works_as_it_is_written(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server()
    browser = Browser(server.url)
    join(browser, owner_code(server), email=OWNER, name="Ada", password=PASSWORD)
    (example,) = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    assert example.count(ADDRESS) == 1
    names = ("ORGANIZATION", "BAKERY", "GROCER", "CI_TOKEN", "TEAM_TOKEN")
    report = "".join(f'echo "{name}=${name}" >>made\n' for name in names)

    script = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", example.replace(ADDRESS, server.url) + report],
        cwd=tmp_path,
        env={
            **plain_environment(),
            "HOME": str(tmp_path),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert script.stdout is not None
    pages = (found[1] for line in script.stdout if (found := PAGE.fullmatch(line)))
    browser.submit(browser.get(next(pages)), decision="approve")
    output, _ = script.communicate(timeout=60)

    assert script.returncode == 0, output
    made = dict(line.split("=", 1) for line in (tmp_path / "made").read_text().splitlines())
    (invited,) = server.query("select email, role from invitations where organization_id = ?", made["ORGANIZATION"])
    assert invited == ("grace@example.com", "owner")
    assert f"{server.url}/join#" in output
    projects = {project["name"]: project for project in seen(server, made["TEAM_TOKEN"]).body["projects"]}
    assert projects["blue-bakery"]["projectId"] == made["BAKERY"]
    assert projects["blue-bakery"]["cachePolicy"]["keepBytes"] == str(20 * 2**30)
    assert projects["green-grocer"]["hardware"] == "HARDWARE_8X16"
    assert [one["name"] for one in seen(server, made["CI_TOKEN"]).body["projects"]] == ["blue-bakery"]
    policies = server.call(
        "depot.core.v1.ProjectService/ListTrustPolicies", {"projectId": made["GROCER"]}, token=made["TEAM_TOKEN"]
    )
    assert policies.body["trustPolicies"][0]["github"] == {"repositoryOwner": "acme", "repository": "green-grocer"}
    assert made["CI_TOKEN"] not in output
    assert made["TEAM_TOKEN"] not in output


def seen(server: Server, token: str) -> Answer:
    return server.call("depot.core.v1.ProjectService/ListProjects", token=token)
