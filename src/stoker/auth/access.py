"""Who may call what: one table, one row for each method.

A row says which kinds of credential a method takes, and which role a person needs. Whether the caller may see a project
or build is decided where its row is read, with the same answer (`not_found`) whether it doesn't exist or isn't the
caller's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from stoker.domain.errors import PermissionDenied
from stoker.domain.people import Role
from stoker.domain.principals import CredentialKind

if TYPE_CHECKING:
    from stoker.domain.principals import Principal

_ORG = CredentialKind.ORGANIZATION
_PROJECT = CredentialKind.PROJECT
_BUILD = CredentialKind.BUILD
_USER = CredentialKind.USER
_OIDC = CredentialKind.OIDC


class Open(Enum):
    """Marks methods that need no credential."""

    ANYONE = "anyone"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which kinds of credential a method takes. ``role`` is what a person needs; with None, any person may.

    ``untrusted`` are the kinds that it takes even if the credential is marked as untrusted; none by default.
    """

    kinds: frozenset[CredentialKind]
    role: Role | None = None
    untrusted: frozenset[CredentialKind] = frozenset()


Access = Rule | Open

_SEE = Rule(frozenset({_ORG, _PROJECT, _USER}), Role.VIEWER)
_SEE_ORGANIZATION = Rule(frozenset({_ORG, _USER}), Role.VIEWER)
_CREATE_BUILD = Rule(frozenset({_ORG, _PROJECT, _OIDC, _USER}), Role.MEMBER, untrusted=frozenset({_PROJECT, _OIDC}))
# Many share an untrusted credential, so only a build's own token gets to its machine.
_USE_BUILD = Rule(frozenset({_ORG, _PROJECT, _BUILD, _OIDC, _USER}), Role.MEMBER, untrusted=frozenset({_BUILD}))
# SDKs finish a build with the credential that created it.
_FINISH_BUILD = replace(_USE_BUILD, untrusted=frozenset({_BUILD, _PROJECT, _OIDC}))
_PULL = Rule(frozenset({_ORG, _PROJECT, _BUILD, _USER}), Role.MEMBER)
_WORK_ON_PROJECT = Rule(frozenset({_ORG, _PROJECT, _USER}), Role.MEMBER)
_CHANGE_PROJECTS = Rule(frozenset({_ORG, _USER}), Role.MEMBER)
_DECIDE = Rule(frozenset({_ORG, _USER}), Role.OWNER)
# A machine's token that could make owners or more tokens would outlive its own revocation.
_PEOPLE_DECIDE = Rule(frozenset({_USER}), Role.OWNER)
_MEMBERS_SEE = Rule(frozenset({_USER}), Role.VIEWER)
_ANY_PERSON = Rule(frozenset({_USER}))

METHODS: dict[str, Access] = {
    "depot.build.v1.BuildService/CreateBuild": _CREATE_BUILD,
    "depot.build.v1.BuildService/FinishBuild": _FINISH_BUILD,
    "depot.build.v1.BuildService/GetBuildStepLogs": _SEE,
    "depot.build.v1.BuildService/GetBuildSteps": _SEE,
    "depot.build.v1.RegistryService/DeleteImage": _WORK_ON_PROJECT,
    "depot.build.v1.RegistryService/ListImages": _SEE,
    "depot.buildkit.v1.BuildKitService/GetEndpoint": _USE_BUILD,
    "depot.buildkit.v1.BuildKitService/ReleaseEndpoint": _USE_BUILD,
    "depot.buildkit.v1.BuildKitService/ReportHealth": _USE_BUILD,
    "depot.cli.v1.BuildService/CreateBuild": _CREATE_BUILD,
    "depot.cli.v1.BuildService/FinishBuild": _FINISH_BUILD,
    "depot.cli.v1.BuildService/GetBuild": _USE_BUILD,
    "depot.cli.v1.BuildService/GetBuildKitConnection": _USE_BUILD,
    "depot.cli.v1.BuildService/GetPullInfo": _PULL,
    "depot.cli.v1.BuildService/GetPullToken": _PULL,
    "depot.cli.v1.BuildService/ListBuilds": _SEE,
    "depot.cli.v1.BuildService/ReportBuildContext": _USE_BUILD,
    "depot.cli.v1.BuildService/ReportBuildHealth": _USE_BUILD,
    "depot.cli.v1.BuildService/ReportStatus": _USE_BUILD,
    "depot.cli.v1.BuildService/ReportStatusStream": _USE_BUILD,
    "depot.cli.v1.BuildService/ReportTimings": _USE_BUILD,
    "depot.cli.v1.PushService/FinishPush": _PULL,
    "depot.cli.v1.PushService/StartPush": _PULL,
    "depot.cli.v1beta1.LoginService/FinishLogin": Open.ANYONE,
    "depot.cli.v1beta1.LoginService/StartLogin": Open.ANYONE,
    "depot.cli.v1beta1.ProjectsService/ListProjects": _SEE,
    "depot.cli.v1beta1.ProjectsService/ResetProjectCache": _WORK_ON_PROJECT,
    "depot.core.v1.BuildService/GetBuild": _SEE,
    "depot.core.v1.BuildService/ListBuilds": _SEE,
    "depot.core.v1.BuildService/ShareBuild": _WORK_ON_PROJECT,
    "depot.core.v1.BuildService/StopSharingBuild": _WORK_ON_PROJECT,
    "depot.core.v1.OrganizationService/ListOrganizations": Rule(frozenset({_ORG, _USER})),
    "depot.core.v1.ProjectService/AddTrustPolicy": _DECIDE,
    "depot.core.v1.ProjectService/CreateProject": _CHANGE_PROJECTS,
    "depot.core.v1.ProjectService/CreateToken": _DECIDE,
    "depot.core.v1.ProjectService/DeleteProject": _DECIDE,
    "depot.core.v1.ProjectService/DeleteToken": _DECIDE,
    "depot.core.v1.ProjectService/GetProject": _SEE,
    "depot.core.v1.ProjectService/ListProjects": _SEE,
    "depot.core.v1.ProjectService/ListTokens": _DECIDE,
    "depot.core.v1.ProjectService/ListTrustPolicies": _SEE_ORGANIZATION,
    "depot.core.v1.ProjectService/RemoveTrustPolicy": _DECIDE,
    "depot.core.v1.ProjectService/ResetProject": _WORK_ON_PROJECT,
    "depot.core.v1.ProjectService/UpdateProject": _CHANGE_PROJECTS,
    "depot.core.v1.ProjectService/UpdateToken": _DECIDE,
    "depot.core.v1.UsageService/GetProjectUsage": _SEE,
    "depot.core.v1.UsageService/GetUsage": _SEE_ORGANIZATION,
    "depot.core.v1.UsageService/ListProjectUsage": _SEE_ORGANIZATION,
    "depot.registry.v1beta1.RegistryService/BatchDeleteImage": _CHANGE_PROJECTS,
    "depot.registry.v1beta1.RegistryService/CreateRepository": _CHANGE_PROJECTS,
    "depot.registry.v1beta1.RegistryService/CreateToken": _DECIDE,
    "depot.registry.v1beta1.RegistryService/DeleteRepository": _DECIDE,
    "depot.registry.v1beta1.RegistryService/DeleteRetentionPolicy": _CHANGE_PROJECTS,
    "depot.registry.v1beta1.RegistryService/DeleteTag": _CHANGE_PROJECTS,
    "depot.registry.v1beta1.RegistryService/GetImageDetail": _SEE_ORGANIZATION,
    "depot.registry.v1beta1.RegistryService/GetRetentionPolicy": _SEE_ORGANIZATION,
    "depot.registry.v1beta1.RegistryService/ListImages": _SEE_ORGANIZATION,
    "depot.registry.v1beta1.RegistryService/ListRepositories": _SEE_ORGANIZATION,
    "depot.registry.v1beta1.RegistryService/ListTokens": _DECIDE,
    "depot.registry.v1beta1.RegistryService/RevokeToken": _DECIDE,
    "depot.registry.v1beta1.RegistryService/UpsertRetentionPolicy": _CHANGE_PROJECTS,
    "grpc.health.v1.Health/Check": Open.ANYONE,
    "grpc.health.v1.Health/Watch": Open.ANYONE,
    # The messages are public, and tools request them before they send a token.
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Open.ANYONE,
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Open.ANYONE,
    "stoker.v1.AccountService/GetAccount": _ANY_PERSON,
    "stoker.v1.AccountService/LogOut": _ANY_PERSON,
    "stoker.v1.AuditService/ListEvents": _PEOPLE_DECIDE,
    "stoker.v1.BuildService/CancelBuild": _WORK_ON_PROJECT,
    "stoker.v1.BuildService/GetBuild": _SEE,
    "stoker.v1.BuildService/GetBuildFailure": _SEE,
    "stoker.v1.BuildService/ListBuildSteps": _SEE,
    "stoker.v1.BuildService/ListBuildWarnings": _SEE,
    "stoker.v1.BuildService/ListBuilds": _SEE,
    "stoker.v1.BuildService/ListLogLines": _SEE,
    "stoker.v1.CacheService/ShowCache": _SEE,
    "stoker.v1.MachineService/ListMachines": _SEE_ORGANIZATION,
    "stoker.v1.OrganizationService/ChangeMemberRole": _PEOPLE_DECIDE,
    "stoker.v1.OrganizationService/CreateInvitation": _PEOPLE_DECIDE,
    "stoker.v1.OrganizationService/CreateOrganization": _ANY_PERSON,
    "stoker.v1.OrganizationService/CreateToken": _PEOPLE_DECIDE,
    "stoker.v1.OrganizationService/ListInvitations": _PEOPLE_DECIDE,
    "stoker.v1.OrganizationService/ListMembers": _MEMBERS_SEE,
    "stoker.v1.OrganizationService/ListTokens": _PEOPLE_DECIDE,
    "stoker.v1.OrganizationService/RemoveMember": _PEOPLE_DECIDE,
    "stoker.v1.OrganizationService/RenameOrganization": _PEOPLE_DECIDE,
    "stoker.v1.OrganizationService/RevokeInvitation": _PEOPLE_DECIDE,
    "stoker.v1.OrganizationService/RevokeToken": _PEOPLE_DECIDE,
    "stoker.v1.QueueService/ListQueue": _SEE_ORGANIZATION,
    "stoker.v1.TrustService/AddPolicy": _DECIDE,
    "stoker.v1.TrustService/CreateProjectToken": _DECIDE,
    "stoker.v1.TrustService/ListPolicies": _SEE_ORGANIZATION,
    "stoker.v1.TrustService/ListProjectTokens": _DECIDE,
    "stoker.v1.WebhookService/CreateWebhook": _DECIDE,
    "stoker.v1.WebhookService/DeleteWebhook": _DECIDE,
    "stoker.v1.WebhookService/ListDeliveries": _DECIDE,
    "stoker.v1.WebhookService/ListWebhooks": _DECIDE,
    "stoker.v1.WebhookService/TestWebhook": _DECIDE,
}
_NOTHING = Rule(frozenset())


def admitted(method: str, principal: Principal) -> Principal:
    """Check that ``method`` (``package.Service/Method``) takes this caller, and add the role that it needs.

    Raises:
        PermissionDenied: it doesn't, or the caller is a person whose role is too small in every organization that they
            may mean. A method that isn't in the table takes nobody.
    """
    rule = METHODS.get(method, _NOTHING)
    if isinstance(rule, Open):
        return principal
    if principal.kind not in rule.kinds:
        wanted = " or ".join(f"{kind} token" for kind in sorted(rule.kinds)) or "nothing"
        raise PermissionDenied(f"{method} doesn't take a token of this kind ({principal.kind}); it takes: {wanted}")
    if principal.untrusted and principal.kind not in rule.untrusted:
        raise PermissionDenied(
            f"{method} doesn't take an untrusted {principal.kind} token; create a build with it, "
            "and use that build's own token"
        )
    if principal.kind is not _USER or rule.role is None:
        return principal
    if not any(role.covers(rule.role) for role in principal.roles.values()):
        raise PermissionDenied(f"{method} needs the role {rule.role}; ask an owner of your organization for it")
    return replace(principal, needed_role=rule.role)


def is_open(method: str) -> bool:
    """Whether ``method`` needs no credential."""
    return METHODS.get(method) is Open.ANYONE


def chooses_organization(method: str) -> bool:
    """Whether ``x-depot-org`` applies. Not where people list their organizations, or they could not leave one that
    they lost.
    """
    rule = METHODS.get(method, _NOTHING)
    return isinstance(rule, Rule) and rule.role is not None
