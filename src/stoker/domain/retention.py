"""Fair shares of a common bound: owners of few items keep all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Owner = tuple[str | None, str, str]
"""The owner of events: an organization (None for the server), and an actor by kind and id."""


def fair_level(counts: Iterable[int], most: int) -> int:
    """The largest number of items that each owner may keep, so that all together keep at most ``most``.

    Owners with less leave the rest to the others: of 10, 100 and 1000 with 300 at most, the last keeps 190.
    """
    left, sizes = most, sorted(counts)
    for done, size in enumerate(sizes):
        share = left // (len(sizes) - done)
        if size > share:
            return share
        left -= size
    return max(sizes, default=0)


def surplus_events(
    counts: Mapping[Owner, int], per_actor: int, per_organization: int, on_server: int
) -> dict[Owner, int]:
    """How many events to delete, by owner. Owners without surplus are left out.

    Args:
        counts: how many there are.
        per_actor: how many of one actor may be kept in an organization.
        per_organization: how many of an organization.
        on_server: how many of all.
    """
    organizations: dict[str | None, dict[Owner, int]] = {}
    for owner, count in counts.items():
        organizations.setdefault(owner[0], {})[owner] = min(count, per_actor)
    wanted = {name: min(sum(actors.values()), per_organization) for name, actors in organizations.items()}
    level = fair_level(wanted.values(), on_server)
    found: dict[Owner, int] = {}
    for name, actors in organizations.items():
        of_each = fair_level(actors.values(), min(wanted[name], level))
        found |= {owner: counts[owner] - min(count, of_each) for owner, count in actors.items()}
    return {owner: surplus for owner, surplus in found.items() if surplus > 0}
