"""Regions with settings of their own, on one host: nothing of one is in another, and projects move between them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness.browser import PASSWORD, Browser, join, owner_code
from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot, Result
from tests.harness.leftovers import leftovers
from tests.harness.server import Server
from tests.harness.waiting import eventually

MEBIBYTE = 1024**2
REGIONS = f"""
min_free_percent = 1

[regions.north-1]
network_pool = "10.231.0.0/16"
max_machine_cpus = 1
volume_store = "directory"

[regions.south-1]
runtime = "process"
network_pool = "10.232.0.0/16"
max_machine_memory_bytes = {512 * MEBIBYTE}
volume_image_bytes = {1024 * MEBIBYTE}
volume_headroom_bytes = {64 * MEBIBYTE}
"""
PROJECTS = "depot.core.v1.ProjectService"


@dataclass
class Region:
    name: str
    project: str
    depot: Depot
    context: Path

    def build(self) -> Result:
        built = self.depot.build(cwd=self.context, DEPOT_PROJECT_ID=self.project)
        assert built.code == 0, built.output
        return built

    @property
    def server(self) -> Server:
        return self.depot.server

    @property
    def volumes(self) -> set[str]:
        """The volumes in the region's own folder."""
        folder = self.server.data / "regions" / self.name / "volumes"
        return {path.name for path in folder.iterdir() if not path.name.startswith(".")} if folder.is_dir() else set()

    @property
    def placement(self) -> dict[str, Any]:
        (machine,) = self.server.machines(self.project)
        return machine.placement


@pytest.fixture(scope="module")
def regional(make_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    file = tmp_path_factory.mktemp("settings") / "stoker.toml"
    file.write_text(REGIONS)
    return make_server("--config", str(file))


def region(server: Server, name: str, tmp_path: Path) -> Region:
    made = server.call(f"{PROJECTS}/CreateProject", {"name": f"of {name}", "regionId": name})
    context = make_context(tmp_path / name, HEADER + run("ip -4 addr show; echo built"))
    return Region(name, made.body["project"]["projectId"], Depot(server, tmp_path), context)


def test_a_region_that_is_not_configured_is_refused_with_those_that_are(regional: Server) -> None:
    for method, asked in (
        ("CreateProject", {"name": "nowhere", "regionId": "us-east-1"}),
        ("UpdateProject", {"projectId": regional.project, "regionId": "us-east-1"}),
    ):
        refused = regional.call(f"{PROJECTS}/{method}", asked)
        assert refused.code == "invalid_argument"
        assert refused.message.endswith("use one of: north-1, south-1")


def test_two_regions_have_machines_networks_and_volumes_apart(regional: Server, tmp_path: Path) -> None:
    north, south = region(regional, "north-1", tmp_path), region(regional, "south-1", tmp_path)
    in_north, in_south = north.build(), south.build()
    assert "inet 10.231." in in_north.output
    assert "inet 10.232." in in_south.output
    assert north.placement["cpus"] == 1
    assert south.placement["memory_bytes"] == 512 * MEBIBYTE
    volumes = dict(regional.query("select project_id, id from volumes where state = 'active'"))
    assert volumes[north.project] in north.volumes
    assert volumes[south.project] in south.volumes
    assert north.volumes.isdisjoint(south.volumes)
    assert not (regional.data / "volumes").exists()

    before = south.volumes, south.placement
    assert regional.call(f"{PROJECTS}/ResetProject", {"projectId": north.project}).status == 200
    eventually(lambda: volumes[north.project] not in north.volumes, "the cache in north-1 is deleted")
    assert (south.volumes, south.placement) == before
    assert south.build().cached > in_south.cached, "its cache is as it was"


def test_a_project_moves_to_an_empty_cache_and_back_to_its_old_one(regional: Server, tmp_path: Path) -> None:
    one = region(regional, "north-1", tmp_path)
    first = one.build()
    assert one.build().cached > first.cached
    (old,) = (row[0] for row in regional.query("select id from volumes where project_id = ?", one.project))
    stoker = Command(tmp_path, {"DEPOT_TOKEN": regional.token, "DEPOT_API_URL": regional.url})

    moved = stoker("projects", "update", one.project, "--region", "south-1")
    assert moved.code == 0, moved.output
    assert f"{one.project} is in south-1 now: the next build starts with an empty cache" in moved.output
    assert "the old cache is deleted in 24 hours" in moved.output
    built = one.build()
    assert built.cached == first.cached
    assert "inet 10.232." in built.output
    note = "the project was moved from north-1 to south-1, where its cache began empty"
    (build_id,) = regional.builds(one.project)[-1][:1]
    assert f"warning: {note}" in stoker("builds", "show", build_id).output
    asked = {"organizationId": regional.first["DEPOT_ORG_ID"]}
    machines = regional.call("stoker.v1.MachineService/ListMachines", asked).body["machines"]
    assert note in json.dumps([machine for machine in machines if machine["projectId"] == one.project])
    assert old in one.volumes, "it stays for a while"

    back = stoker("projects", "update", one.project, "--region", "north-1")
    assert "has the cache again that it had in this region before" in back.output
    assert one.build().cached > first.cached
    browser = Browser(regional.url)
    join(browser, owner_code(regional), email="ada@example.com", name="Ada", password=PASSWORD)
    path = f"/projects/{one.project}/settings"
    fields = {"name": "moved", "region": "south-1", "hardware": "16x32", "keep_gb": "50", "keep_days": "14"}
    page = browser.submit(browser.get(path), path, **fields)
    assert "The project has the cache again that it had in this region before." in page.words
    page = browser.submit(browser.get(path), path, **(fields | {"region": "north-1"}))
    assert "The project has the cache again" in page.words

    states = regional.query("select region_id, state from volumes where project_id = ?", one.project)
    assert sorted(states) == [("north-1", "active"), ("south-1", "deleting")]


def test_nothing_of_any_region_is_left_when_the_server_ends(regional: Server) -> None:
    regional.stop()
    assert leftovers(regional) == []
    for name in tomllib.loads(REGIONS)["regions"]:
        assert list((regional.data / "regions" / name / "machines").glob("*")) == []
