"""Reads where a build comes from in the verified claims of a CI's OIDC token.

Claims are those of
GitHub (https://docs.github.com/en/actions/reference/security/oidc),
GitLab (https://docs.gitlab.com/ci/secrets/id_token_authentication/),
Buildkite (https://buildkite.com/docs/agent/v3/cli-oidc) and
CircleCI (https://circleci.com/docs/openid-connect-tokens/).
A claim that is missing or of another type leaves its part unknown. The addresses of web pages are put together from the
issuer and from parts that were checked, so no claim can lead elsewhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from stoker.domain.build_origins import NO_ORIGIN, BuildOrigin, CiRun, CommitSource, origin_text
from stoker.domain.git_addresses import (
    NO_REF,
    NO_REPOSITORY,
    GitRef,
    Repository,
    parse_ref,
    parse_repository,
    parse_revision,
    repository_at,
)
from stoker.domain.trust_policies import ProviderKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from stoker.domain.trust_policies import VerifiedClaims

_NUMBER = re.compile(r"[0-9]{1,20}")
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PULL_REQUEST_REF = re.compile(r"refs/(?:pull|merge-requests)/")


def origin_of_claims(claims: VerifiedClaims) -> BuildOrigin:
    """What the claims of a token say of the origin of builds that it creates."""
    kind = claims.provider.kind
    return NO_ORIGIN if kind is None else _READERS[kind](claims)


def _github(claims: VerifiedClaims) -> BuildOrigin:
    host = _github_host(claims.issuer)
    repository = repository_at(host, _text(claims, "repository"))
    # Re-runs have the number of the first one; they differ in their attempt.
    run_id, number, attempt = (_number(claims, name) for name in ("run_id", "run_number", "run_attempt"))
    url = ""
    if host and repository.path and run_id:
        url = f"https://{host}/{quote(repository.path)}/actions/runs/{run_id}"
        url += f"/attempts/{attempt}" if attempt not in {"", "1"} else ""
    ref = parse_ref(_text(claims, "ref"))
    if ref.pull_request:
        ref = GitRef(branch=_text(claims, "head_ref"), pull_request=ref.pull_request)
    run = CiRun(
        ProviderKind.GITHUB,
        host=host,
        number=number or run_id,
        workflow=_text(claims, "workflow"),
        actor=_text(claims, "actor"),
        url=url,
    )
    return BuildOrigin(commit=_commit(repository, ref, _text(claims, "sha")), run=run)


def _gitlab(claims: VerifiedClaims) -> BuildOrigin:
    host = _host_of(claims.issuer, with_path=True)
    repository = repository_at(host, _text(claims, "project_path"))
    number = _number(claims, "pipeline_id")
    name, path = _text(claims, "ref"), _text(claims, "ref_path")
    if _PULL_REQUEST_REF.match(path):
        ref = GitRef(branch="" if name == path else name, pull_request=parse_ref(path).pull_request)
    else:
        ref = GitRef(tag=name) if _text(claims, "ref_type") == "tag" else GitRef(branch=name)
    run = CiRun(
        ProviderKind.GITLAB,
        host=host,
        number=number,
        actor=_text(claims, "user_login"),
        url=f"https://{host}/{quote(repository.path)}/-/pipelines/{number}"
        if host and repository.path and number
        else "",
    )
    return BuildOrigin(commit=_commit(repository, ref, _text(claims, "sha")), run=run)


def _buildkite(claims: VerifiedClaims) -> BuildOrigin:
    """Buildkite doesn't say which repository a pipeline builds; its commit may be ``HEAD``."""
    host = "buildkite.com" if _host_of(claims.issuer) == "agent.buildkite.com" else ""
    organization, pipeline = (_text(claims, name) for name in ("organization_slug", "pipeline_slug"))
    number = _number(claims, "build_number")
    is_linked = host and number and _SLUG.fullmatch(organization) and _SLUG.fullmatch(pipeline)
    tag = _text(claims, "build_tag")
    ref = GitRef(tag=tag) if tag else GitRef(branch=_text(claims, "build_branch"))
    run = CiRun(
        ProviderKind.BUILDKITE,
        host=host,
        number=number,
        workflow=f"{organization}/{pipeline}" if organization and pipeline else "",
        url=f"https://{host}/{organization}/{pipeline}/builds/{number}" if is_linked else "",
    )
    return BuildOrigin(commit=_commit(NO_REPOSITORY, ref, _text(claims, "build_commit")), run=run)


def _circleci(claims: VerifiedClaims) -> BuildOrigin:
    """CircleCI says neither the commit nor a number, and of the user an id alone."""
    host = "app.circleci.com" if _host_of(claims.issuer) == "oidc.circleci.com" else ""
    repository = parse_repository(_text(claims, "oidc.circleci.com/vcs-origin"))
    workflow = _text(claims, "oidc.circleci.com/workflow-id")
    is_id = _UUID.fullmatch(workflow) is not None
    run = CiRun(
        ProviderKind.CIRCLECI,
        host=host,
        number=workflow.partition("-")[0] if is_id else "",
        url=f"https://{host}/pipelines/workflows/{workflow}" if host and is_id else "",
    )
    ref = parse_ref(_text(claims, "oidc.circleci.com/vcs-ref"))
    return BuildOrigin(commit=CommitSource(repository=repository, ref=ref), run=run)


_READERS: dict[ProviderKind, Callable[[VerifiedClaims], BuildOrigin]] = {
    ProviderKind.GITHUB: _github,
    ProviderKind.GITLAB: _gitlab,
    ProviderKind.BUILDKITE: _buildkite,
    ProviderKind.CIRCLECI: _circleci,
}


def _commit(repository: Repository, ref: GitRef, revision: str) -> CommitSource:
    return CommitSource(
        repository=repository, ref=ref if ref.is_known else NO_REF, revision=parse_revision(revision)[0]
    )


def _github_host(issuer: str) -> str:
    """The host of GitHub's pages: github.com, a tenant of GHE.com, or a GitHub Enterprise Server."""
    host = _host_of(issuer)
    if host == "token.actions.githubusercontent.com":
        return "github.com"
    tenant = re.fullmatch(r"token\.actions\.([a-z0-9-]+\.ghe\.com)", host)
    if tenant is not None:
        return tenant[1]
    return host if urlsplit(issuer).path.rstrip("/") == "/_services/token" else ""


def _host_of(issuer: str, *, with_path: bool = False) -> str:
    """Host and port of an issuer, perhaps with its path; empty for one that isn't reached over https."""
    parts = urlsplit(issuer)
    if parts.scheme != "https" or parts.username is not None:
        return ""
    return parts.netloc.lower() + (parts.path.rstrip("/") if with_path else "")


def _text(claims: VerifiedClaims, name: str) -> str:
    return origin_text(claims.values.get(name))


def _number(claims: VerifiedClaims, name: str) -> str:
    """A number of a claim; providers write them as numbers or as texts."""
    value = _text(claims, name)
    return value if _NUMBER.fullmatch(value) else ""
