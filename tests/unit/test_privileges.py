from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

from stoker.domain.machines import Desired, Machine, MachineState
from stoker.domain.platforms import Platform
from stoker.domain.privileges import NO_PRIVILEGES, Entitlement, Privileges, privileges_of

MACHINE = Machine(
    id="m",
    organization_id="o",
    project_id="given",
    platform=Platform.AMD64,
    region_id="r",
    desired=Desired.RUNNING,
    state=MachineState.READY,
    run=1,
    volume_id="v",
    placement=None,
    error=None,
    failures=0,
    retry_at=None,
    idle_since=None,
)
NETWORKS = (IPv4Network("10.20.0.0/16"),)
GIVEN = {"given": Privileges(NETWORKS, NETWORKS, frozenset(Entitlement))}


def test_a_machine_has_what_its_project_was_given_and_no_other() -> None:
    assert privileges_of(MACHINE, GIVEN) == GIVEN["given"]
    assert privileges_of(replace(MACHINE, project_id="another"), GIVEN) == NO_PRIVILEGES


def test_an_untrusted_builds_machine_only_loses_by_them() -> None:
    untrusted = replace(MACHINE, build_id="b")

    assert privileges_of(untrusted, GIVEN) == Privileges(denied_networks=NETWORKS)
