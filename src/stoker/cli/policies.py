"""`stoker policies`: whose CI may build in a project without a token of ours."""

from __future__ import annotations

import click

from stoker._gen.depot.core.v1 import project_pb as pb
from stoker._gen.depot.core.v1.project_connect import ProjectServiceClient
from stoker._gen.stoker.v1 import trust_pb
from stoker._gen.stoker.v1.trust_connect import TrustServiceClient
from stoker.cli.confirmation import confirm, yes_flag
from stoker.cli.output import print_made, print_table
from stoker.cli.project_choice import project_flag
from stoker.cli.remote import Remote, remote_command
from stoker.cli.terminal import Problem, tell


@click.group("policies")
def command() -> None:
    """Trust policies: whose CI may build in a project.

    A trust policy lets one repository or pipeline build there with its CI's own OIDC token.
    """


@command.command("list")
@project_flag
@remote_command
def list_policies(remote: Remote, project_id: str) -> None:
    """List a project's trust policies."""
    answer = _list(remote, project_id)
    remote.finish_json(answer)
    rows = [(one.policy_id, *_source(one), "no" if one.untrusted else "yes") for one in answer.policies]
    empty = "the project trusts no CI; `stoker policies add` changes that"
    print_table(("ID", "PROVIDER", "SOURCE", "TRUSTED"), rows, empty=empty)


@command.command("add")
@click.argument("provider")
@click.argument("source")
@project_flag
@click.option(
    "--untrusted", is_flag=True, help="For code of strangers, such as forks: its builds can't change the cache."
)
@remote_command
def add_policy(remote: Remote, provider: str, source: str, project_id: str, untrusted: bool) -> None:  # noqa: FBT001
    """Let the CI of SOURCE build in a project, and print the policy's id.

    \b
    stoker policies add github OWNER/REPOSITORY
    stoker policies add buildkite ORGANIZATION/PIPELINE
    stoker policies add circleci ORGANIZATION-UUID/PROJECT-UUID

    The server's settings may name more providers, such as a GitLab: GROUP/SUBGROUP/PROJECT.
    """  # noqa: D301
    owner, separator, name = source.rpartition("/")
    if not separator:
        raise click.UsageError(f"{source} is not OWNER/NAME, such as acme/app")
    request = trust_pb.AddPolicyRequest(
        project_id=project_id, provider=provider, owner=owner, source=name, untrusted=untrusted
    )
    answer = remote.call(TrustServiceClient, lambda trust: trust.add_policy(request))
    one = remote.part(answer, answer.policy)
    shown = " ".join(_source(one))
    does = "takes untrusted builds of" if untrusted else "trusts"
    print_made(f"the project {project_id} {does} {shown} by the policy:", one.policy_id)


@command.command("remove")
@click.argument("policy")
@project_flag
@yes_flag
@remote_command
def remove_policy(remote: Remote, policy: str, project_id: str, yes: bool) -> None:  # noqa: FBT001
    """Remove a trust policy. POLICY is its id."""
    found = next((one for one in _list(remote, project_id).policies if one.policy_id == policy), None)
    if found is None:
        raise Problem(f"the project {project_id} has no policy {policy}", "`stoker policies list` lists them")
    shown = " ".join(_source(found))
    confirm(f"Let {shown} build in the project {project_id} no longer", yes=yes)
    request = pb.RemoveTrustPolicyRequest(project_id=project_id, trust_policy_id=policy)
    answer = remote.call(ProjectServiceClient, lambda projects: projects.remove_trust_policy(request))
    remote.finish_json(answer)
    tell(f"the project {project_id} trusts {shown} no longer")


def _list(remote: Remote, project_id: str) -> trust_pb.ListPoliciesResponse:
    request = trust_pb.ListPoliciesRequest(project_id=project_id)
    return remote.call(TrustServiceClient, lambda trust: trust.list_policies(request))


def _source(policy: trust_pb.Policy) -> tuple[str, str]:
    return policy.provider, f"{policy.owner}/{policy.source}"
