"""`stoker policies`: whose CI may build in a project without a token of ours."""

from __future__ import annotations

import click
from protobuf import Oneof

from stoker._gen.depot.core.v1 import project_pb as pb
from stoker._gen.depot.core.v1.project_connect import ProjectServiceClient
from stoker.cli.confirmation import confirm, yes_flag
from stoker.cli.output import print_json, print_made, print_table, tell
from stoker.cli.remote import Remote, remote_command
from stoker.cli.terminal import Problem

_PROJECT_FLAG = click.option(
    "--project", "project_id", envvar="DEPOT_PROJECT_ID", required=True, help="Id of the project."
)


@click.group("policies")
def command() -> None:
    """Whose CI may build in a project.

    A trust policy lets one source build there with the OIDC token that its CI has anyway.
    """


@command.command("list")
@_PROJECT_FLAG
@remote_command
def list_policies(remote: Remote, project_id: str) -> None:
    """List a project's trust policies."""
    answer = _list(remote, project_id)
    if remote.as_json:
        print_json(answer)
        return
    rows = [(one.trust_policy_id, *_source(one)) for one in answer.trust_policies]
    empty = "the project trusts no CI; `stoker policies add` changes that"
    print_table(("ID", "PROVIDER", "SOURCE"), rows, empty=empty)


@command.command("add")
@click.argument("provider")
@click.argument("source")
@_PROJECT_FLAG
@remote_command
def add_policy(remote: Remote, provider: str, source: str, project_id: str) -> None:
    """Let the CI of one SOURCE build in a project, and print the policy's id.

    \b
    stoker policies add github OWNER/REPOSITORY
    stoker policies add buildkite ORGANIZATION/PIPELINE
    stoker policies add circleci ORGANIZATION-UUID/PROJECT-UUID

    Another PROVIDER is one that the server's settings name, such as a GitLab: GROUP/SUBGROUP/PROJECT.
    """  # noqa: D301
    owner, separator, name = source.rpartition("/")
    if not separator:
        raise click.UsageError(f"{source} is not OWNER/NAME, such as acme/app")
    request = _request(project_id, provider, owner, name)
    answer = remote.call(ProjectServiceClient, lambda projects: projects.add_trust_policy(request))
    if remote.as_json or answer.trust_policy is None:
        print_json(answer)
    else:
        shown = " ".join(_source(answer.trust_policy))
        print_made(f"the project {project_id} trusts {shown} by the policy:", answer.trust_policy.trust_policy_id)


@command.command("remove")
@click.argument("policy")
@_PROJECT_FLAG
@yes_flag
@remote_command
def remove_policy(remote: Remote, policy: str, project_id: str, yes: bool) -> None:  # noqa: FBT001
    """Trust what POLICY, an id, names no longer."""
    found = next((one for one in _list(remote, project_id).trust_policies if one.trust_policy_id == policy), None)
    if found is None:
        raise Problem(f"the project {project_id} has no policy {policy}", "`stoker policies list` has them")
    shown = " ".join(_source(found))
    confirm(f"Let {shown} build in the project {project_id} no longer", yes=yes)
    request = pb.RemoveTrustPolicyRequest(project_id=project_id, trust_policy_id=policy)
    answer = remote.call(ProjectServiceClient, lambda projects: projects.remove_trust_policy(request))
    if remote.as_json:
        print_json(answer)
    else:
        tell(f"the project {project_id} trusts {shown} no longer")


def _list(remote: Remote, project_id: str) -> pb.ListTrustPoliciesResponse:
    request = pb.ListTrustPoliciesRequest(project_id=project_id)
    return remote.call(ProjectServiceClient, lambda projects: projects.list_trust_policies(request))


def _request(project_id: str, provider: str, owner: str, name: str) -> pb.AddTrustPolicyRequest:
    request = pb.AddTrustPolicyRequest(project_id=project_id)
    match provider:
        case "buildkite":
            buildkite = pb.TrustPolicy.Buildkite(organization_slug=owner, pipeline_slug=name)
            request.provider = Oneof(field="buildkite", value=buildkite)
        case "circleci":
            circleci = pb.TrustPolicy.CircleCI(organization_uuid=owner, project_uuid=name)
            request.provider = Oneof(field="circleci", value=circleci)
        case _:
            # The wire has three providers; every other is written as GitHub, with its name before the owner.
            prefix = "" if provider == "github" else f"{provider}:"
            github = pb.TrustPolicy.GitHub(repository_owner=prefix + owner, repository=name)
            request.provider = Oneof(field="github", value=github)
    return request


def _source(policy: pb.TrustPolicy) -> tuple[str, str]:
    match policy.provider:
        case Oneof(field="buildkite", value=pb.TrustPolicy.Buildkite() as buildkite):
            return "buildkite", f"{buildkite.organization_slug}/{buildkite.pipeline_slug}"
        case Oneof(field="circleci", value=pb.TrustPolicy.CircleCI() as circleci):
            return "circleci", f"{circleci.organization_uuid}/{circleci.project_uuid}"
        case Oneof(field="github", value=pb.TrustPolicy.GitHub() as github):
            provider, _, owner = github.repository_owner.rpartition(":")
            return provider or "github", f"{owner}/{github.repository}"
        case _:
            return "", ""
