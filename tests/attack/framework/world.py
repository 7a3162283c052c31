"""A server with an organization that attacks and one that does not."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from stoker.domain.people import Role
from stoker.domain.principals import CredentialKind
from tests.attack.framework.attack import Given
from tests.harness.endpoint import get_endpoint
from tests.harness.people import Account, Registry, blank_token
from tests.harness.server import Server

CREATE_BUILD = "depot.build.v1.BuildService/CreateBuild"
FINISH_BUILD = "depot.build.v1.BuildService/FinishBuild"
CREATE_PROJECT = "depot.core.v1.ProjectService/CreateProject"
CREATE_TOKEN = "depot.core.v1.ProjectService/CreateToken"
CREATE_UNTRUSTED_TOKEN = "stoker.v1.TrustService/CreateProjectToken"


@dataclass
class World:
    """A server, the attacker's organization, and what attacks have begun there.

    Attributes:
        organization: the attackers'.
        neighbours: the server's first organization, which the attackers don't belong to.
        neighbours_events: how many events its audit log had before.
    """

    server: Server
    folder: Path
    organization: str
    organization_token: str
    owner: Account
    project: str
    project_token: str
    untrusted_token: str
    neighbours: str
    neighbours_events: int

    @classmethod
    def make(cls, server: Server, folder: Path) -> World:
        registry = Registry(server)
        organization = registry.organization("attackers")
        owner = registry.person(f"attacker-{secrets.token_hex(4)}", **{f"o{organization}": Role.OWNER})
        whole = registry.token(blank_token(CredentialKind.ORGANIZATION, organization_id=organization))
        project = _new_project(server, "attack", whole)
        wanted = {"projectId": project, "description": "attack"}
        token = _body(server, CREATE_TOKEN, wanted, whole)["secret"]
        untrusted = _body(server, CREATE_UNTRUSTED_TOKEN, wanted | {"untrusted": True}, whole)["secret"]
        neighbours = server.first["DEPOT_ORG_ID"]
        ((events,),) = server.query("select count(*) from audit_events where organization_id = ?", neighbours)
        return cls(server, folder, organization, whole, owner, project, token, untrusted, neighbours, events)

    def new_project(self, name: str) -> str:
        """One more project of the attackers."""
        return _new_project(self.server, name, self.organization_token)

    def new_token(self, project: str) -> str:
        """A token of a project of theirs."""
        wanted = {"projectId": project, "description": "attack"}
        return _body(self.server, CREATE_TOKEN, wanted, self.organization_token)["secret"]

    def new_build(self, *, untrusted: bool = True) -> tuple[str, str]:
        """The id and the token of a new build of the attackers."""
        credential = self.untrusted_token if untrusted else self.project_token
        made = _body(self.server, CREATE_BUILD, {"projectId": self.project}, credential)
        return made["buildId"], made["buildToken"]

    def build_with_token(self) -> Given:
        """An untrusted build that runs."""
        build, token = self.new_build()
        return {"build": build, "token": token}

    def build_with_endpoint(self) -> Given:
        """An untrusted build that has its machine."""
        given = self.build_with_token()
        endpoint = get_endpoint(self.server, given["build"], given["token"], self.folder / given["build"])
        return given | {
            "address": endpoint.address,
            "server_name": endpoint.server_name,
            "folder": str(endpoint.folder),
            "buildctl": str(self.server.engine.buildctl),
        }

    def finish_builds(self) -> None:
        """End all builds of the attackers, those that attacks made themselves too."""
        running = "select id from builds where organization_id = ? and status = 'running'"
        for (build,) in self.server.query(running, self.organization):
            ended = {"buildId": build, "success": {}}
            self.server.call(FINISH_BUILD, ended, token=self.organization_token)


def _new_project(server: Server, name: str, token: str) -> str:
    wanted = {"name": name, "regionId": "us-east-1"}
    return _body(server, CREATE_PROJECT, wanted, token)["project"]["projectId"]


def _body(server: Server, method: str, request: dict[str, object], token: str) -> Given:
    answer = server.call(method, request, token=token)
    assert answer.status == 200, (method, answer)
    return answer.body
