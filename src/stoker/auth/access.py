"""Who may call what: one table, one row a method.

Here it is decided which kinds of credential a method takes at all. Whose project or build it may be used on is decided
where the row is read, with the same answer (`not_found`) for what isn't there and for what isn't the caller's.
"""

from __future__ import annotations

from enum import Enum

from stoker.domain.errors import PermissionDenied
from stoker.domain.principals import CredentialKind

_ORG = CredentialKind.ORGANIZATION
_PROJECT = CredentialKind.PROJECT
_BUILD = CredentialKind.BUILD
_OIDC = CredentialKind.OIDC


class Open(Enum):
    """Marks methods that need no credential."""

    ANYONE = "anyone"


Access = frozenset[CredentialKind] | Open

_ORG_ONLY = frozenset({_ORG})
_ORG_OR_PROJECT = frozenset({_ORG, _PROJECT})
_CREATE_BUILD = frozenset({_ORG, _PROJECT, _OIDC})
_ANY_TOKEN = frozenset({_ORG, _PROJECT, _BUILD})
_USE_BUILD = frozenset({_ORG, _PROJECT, _BUILD, _OIDC})

METHODS: dict[str, Access] = {
    "depot.build.v1.BuildService/CreateBuild": _CREATE_BUILD,
    "depot.build.v1.BuildService/FinishBuild": _USE_BUILD,
    "depot.build.v1.BuildService/GetBuildStepLogs": _ORG_OR_PROJECT,
    "depot.build.v1.BuildService/GetBuildSteps": _ORG_OR_PROJECT,
    "depot.build.v1.RegistryService/DeleteImage": _ORG_OR_PROJECT,
    "depot.build.v1.RegistryService/ListImages": _ORG_OR_PROJECT,
    "depot.buildkit.v1.BuildKitService/GetEndpoint": _USE_BUILD,
    "depot.buildkit.v1.BuildKitService/ReleaseEndpoint": _USE_BUILD,
    "depot.buildkit.v1.BuildKitService/ReportHealth": _USE_BUILD,
    "depot.cli.v1.BuildService/CreateBuild": _CREATE_BUILD,
    "depot.cli.v1.BuildService/FinishBuild": _USE_BUILD,
    "depot.cli.v1.BuildService/GetBuild": _USE_BUILD,
    "depot.cli.v1.BuildService/GetBuildKitConnection": _USE_BUILD,
    "depot.cli.v1.BuildService/GetPullInfo": _ANY_TOKEN,
    "depot.cli.v1.BuildService/GetPullToken": _ANY_TOKEN,
    "depot.cli.v1.BuildService/ListBuilds": _ORG_OR_PROJECT,
    "depot.cli.v1.BuildService/ReportBuildContext": _USE_BUILD,
    "depot.cli.v1.BuildService/ReportBuildHealth": _USE_BUILD,
    "depot.cli.v1.BuildService/ReportStatus": _USE_BUILD,
    "depot.cli.v1.BuildService/ReportStatusStream": _USE_BUILD,
    "depot.cli.v1.BuildService/ReportTimings": _USE_BUILD,
    "depot.cli.v1.PushService/FinishPush": _ANY_TOKEN,
    "depot.cli.v1.PushService/StartPush": _ANY_TOKEN,
    "depot.cli.v1beta1.LoginService/FinishLogin": Open.ANYONE,
    "depot.cli.v1beta1.LoginService/StartLogin": Open.ANYONE,
    "depot.cli.v1beta1.ProjectsService/ListProjects": _ORG_OR_PROJECT,
    "depot.cli.v1beta1.ProjectsService/ResetProjectCache": _ORG_OR_PROJECT,
    "depot.core.v1.BuildService/GetBuild": _ORG_OR_PROJECT,
    "depot.core.v1.BuildService/ListBuilds": _ORG_OR_PROJECT,
    "depot.core.v1.BuildService/ShareBuild": _ORG_OR_PROJECT,
    "depot.core.v1.BuildService/StopSharingBuild": _ORG_OR_PROJECT,
    "depot.core.v1.OrganizationService/ListOrganizations": _ORG_ONLY,
    "depot.core.v1.ProjectService/AddTrustPolicy": _ORG_ONLY,
    "depot.core.v1.ProjectService/CreateProject": _ORG_ONLY,
    "depot.core.v1.ProjectService/CreateToken": _ORG_ONLY,
    "depot.core.v1.ProjectService/DeleteProject": _ORG_ONLY,
    "depot.core.v1.ProjectService/DeleteToken": _ORG_ONLY,
    "depot.core.v1.ProjectService/GetProject": _ORG_OR_PROJECT,
    "depot.core.v1.ProjectService/ListProjects": _ORG_OR_PROJECT,
    "depot.core.v1.ProjectService/ListTokens": _ORG_ONLY,
    "depot.core.v1.ProjectService/ListTrustPolicies": _ORG_ONLY,
    "depot.core.v1.ProjectService/RemoveTrustPolicy": _ORG_ONLY,
    "depot.core.v1.ProjectService/ResetProject": _ORG_OR_PROJECT,
    "depot.core.v1.ProjectService/UpdateProject": _ORG_ONLY,
    "depot.core.v1.ProjectService/UpdateToken": _ORG_ONLY,
    "depot.core.v1.UsageService/GetProjectUsage": _ORG_OR_PROJECT,
    "depot.core.v1.UsageService/GetUsage": _ORG_ONLY,
    "depot.core.v1.UsageService/ListProjectUsage": _ORG_ONLY,
    "grpc.health.v1.Health/Check": Open.ANYONE,
    "grpc.health.v1.Health/Watch": Open.ANYONE,
}


def require_kind(method: str, kind: CredentialKind) -> None:
    """Pass when ``method`` (``package.Service/Method``) takes this kind of credential.

    Raises:
        PermissionDenied: it doesn't. A method that isn't in the table takes none.
    """
    allowed = METHODS.get(method, frozenset[CredentialKind]())
    if isinstance(allowed, Open) or kind in allowed:
        return
    wanted = " or ".join(f"{k} token" for k in sorted(allowed)) or "nothing"
    raise PermissionDenied(f"{method} doesn't take a token of this kind ({kind}); it takes: {wanted}")


def is_open(method: str) -> bool:
    """Whether ``method`` needs no credential."""
    return METHODS.get(method) is Open.ANYONE
