"""The audit log: who changed what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput
from stoker.domain.shortening import shortened

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.projects import Project

MAX_TEXT_LENGTH = 300


class Action(StrEnum):
    """An action. The part before the dot is the kind of its target."""

    BUILD_CANCEL = "build.cancel"
    BUILD_SHARE = "build.share"
    BUILD_STOP_SHARING = "build.stop-sharing"
    INVITATION_CREATE = "invitation.create"
    INVITATION_REVOKE = "invitation.revoke"
    LOGIN_APPROVE = "login.approve"
    LOGIN_REFUSE = "login.refuse"
    MEMBER_CHANGE_ROLE = "member.change-role"
    MEMBER_JOIN = "member.join"
    MEMBER_REMOVE = "member.remove"
    ORGANIZATION_CREATE = "organization.create"
    ORGANIZATION_RENAME = "organization.rename"
    PASSWORD_CHANGE = "password.change"  # noqa: S105
    PASSWORD_RESET = "password.reset"  # noqa: S105
    POLICY_ADD = "policy.add"
    POLICY_REMOVE = "policy.remove"
    PROJECT_CREATE = "project.create"
    PROJECT_DELETE = "project.delete"
    PROJECT_RESET_CACHE = "project.reset-cache"
    PROJECT_UPDATE = "project.update"
    SIGN_IN = "sign-in.success"
    SIGN_IN_FAILED = "sign-in.failure"
    TOKEN_CREATE = "token.create"  # noqa: S105
    TOKEN_DESCRIBE = "token.describe"  # noqa: S105
    TOKEN_REVOKE = "token.revoke"  # noqa: S105
    WEBHOOK_CREATE = "webhook.create"
    WEBHOOK_DELETE = "webhook.delete"


@dataclass(frozen=True, slots=True)
class Party:
    """An actor or a target: its kind, its id, and a name for people, which is not secret.

    The kind of an actor is ``person``, a kind of token (``organization token``, ``project token``, ``build token``,
    ``OIDC token``), ``server`` for commands on the server's host, or ``nobody`` for a stranger.
    """

    kind: str
    id: str
    name: str


NOBODY = Party("nobody", "", "")


def server_party(command: str) -> Party:
    """The operator on the server's host, named after the command."""
    return Party("server", "", command)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """An event of the audit log. ``organization_id`` is None for events of the whole server.

    ``address`` and ``request_id`` are empty for events without a request.
    """

    id: str
    organization_id: str | None
    occurred_at: datetime
    actor: Party
    action: Action
    target: Party
    detail: str
    address: str
    request_id: str


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """A filter of events; None and "" match all.

    ``actor`` is an id or a name; ``action`` is one, or the part before its dot. Times are from ``since`` on and before
    ``until``.
    """

    since: datetime | None = None
    until: datetime | None = None
    actor: str = ""
    action: str = ""

    @property
    def actions(self) -> tuple[Action, ...]:
        """The actions that match; none if all do.

        Raises:
            InvalidInput: there is no such action.
        """
        wanted = tuple(one for one in Action if self.action in (one.value, one.value.partition(".")[0]))
        if self.action and not wanted:
            kinds = ", ".join(dict.fromkeys(one.value.partition(".")[0] for one in Action))
            raise InvalidInput(f"there is no action {self.action[:40]!r}; use one such as project.create, or: {kinds}")
        return wanted


def bounded_text(text: str) -> str:
    """``text``, without its middle if it is longer than the limit."""
    return shortened(text, MAX_TEXT_LENGTH)


def described_change(before: Project, after: Project) -> str:
    """The differences between two versions of a project; empty if there are none."""
    pairs = (
        ("name", before.name, after.name),
        ("region", before.region_id, after.region_id),
        ("hardware", before.hardware.value, after.hardware.value),
        ("kept bytes", before.cache_policy.keep_bytes, after.cache_policy.keep_bytes),
        ("kept days", before.cache_policy.keep_days, after.cache_policy.keep_days),
    )
    return ", ".join(f"{name} {old} → {new}" for name, old, new in pairs if old != new)
