"""A server with an organization of customers, and people in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stoker.domain.people import Role
from tests.harness.command import Command
from tests.harness.people import Account, Registry
from tests.harness.server import Answer, Server

GITLAB = {
    "name": "gitlab",
    "kind": "gitlab",
    "issuer": "https://gitlab.example.com",
    "audience": "https://stoker.example.com",
}


@dataclass
class Company:
    """An organization with an owner, a member and a viewer."""

    server: Server
    organization: str
    owner: Account
    member: Account
    viewer: Account

    def call(self, method: str, request: dict[str, Any] | None = None) -> Answer:
        """What the API says to the owner."""
        return self.server.call(method, request, token=self.owner.token)

    def project(self, name: str) -> str:
        wanted = {"name": name, "regionId": "us-east-1"}
        return self.call("depot.core.v1.ProjectService/CreateProject", wanted).body["project"]["projectId"]


@pytest.fixture(scope="session")
def operated(make_shared_server: Callable[..., Server]) -> Server:
    """A server that commands are tried on."""
    return make_shared_server(oidc_providers=json.dumps([GITLAB]))


@pytest.fixture(scope="module")
def company(operated: Server) -> Company:
    registry = Registry(operated)
    organization = registry.organization("customers")
    owner, member, viewer = (
        registry.person(f"{role}-{organization}", is_operator=role is Role.OWNER, **{f"o{organization}": role})
        for role in (Role.OWNER, Role.MEMBER, Role.VIEWER)
    )
    return Company(operated, organization, owner, member, viewer)


@pytest.fixture
def stoker(company: Company, tmp_path: Path) -> Command:
    """The command as the owner runs it."""
    return Command(tmp_path, {"DEPOT_API_URL": company.server.url, "DEPOT_TOKEN": company.owner.token})
