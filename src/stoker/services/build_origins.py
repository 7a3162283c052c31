"""Adds what a build's client sends to what is known of the build's origin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.build_origins import merged
from stoker.domain.build_titles import title_of
from stoker.services.wakeups import build_topic, builds_topics
from stoker.store import build_origins as origin_store
from stoker.store import builds as build_store

if TYPE_CHECKING:
    from stoker.domain.build_origins import BuildOrigin
    from stoker.services.core import Core
    from stoker.store.database import Transaction


async def note_origin(core: Core, tx: Transaction, build_id: str, sent: BuildOrigin) -> None:
    """Add what a client sent, and wake the readers of the build's pages if that changes anything."""
    known = await origin_store.origin_of(tx, build_id)
    origin = merged(known, sent)
    build = None if origin == known else await build_store.find_any_build(tx, build_id)
    if build is None:
        return
    title = title_of(origin)
    await origin_store.save_origin(tx, build_id, origin, title)
    await build_store.set_title(tx, build_id, title)
    topics = (build_topic(build_id), *builds_topics(build.organization_id, build.project_id))
    tx.after_commit(lambda: core.wakeups.wake(*topics))
