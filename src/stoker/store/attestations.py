"""Attestations of builds, compressed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select

from stoker.domain.solve_history import Attestation
from stoker.store.tables.records import attestations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stoker.store.database import Transaction


@dataclass(frozen=True, slots=True)
class AttestationNote:
    """An attestation that is kept, without its content; ``number`` is its place in the build, from 1."""

    number: int
    attestation: Attestation
    size_bytes: int


async def add_attestations(tx: Transaction, build_id: str, ref: str, new: Sequence[Attestation]) -> None:
    """Store the attestations of a solve, once."""
    mine = attestations.c.build_id == build_id
    known = await tx.execute(select(attestations.c.number).where(mine, attestations.c.solve_ref == ref).limit(1))
    if known.one_or_none() is not None:
        return
    last = int((await tx.execute(select(func.coalesce(func.max(attestations.c.number), 0)).where(mine))).scalar_one())
    rows = [
        {
            "build_id": build_id,
            "number": number,
            "solve_ref": ref,
            "predicate_type": one.predicate_type,
            "platform": one.platform,
            "size_bytes": len(one.content),
            "content": zlib.compress(one.content),
        }
        for number, one in enumerate(new, last + 1)
    ]
    if rows:
        await tx.execute_many(insert(attestations), rows)


async def kept_attestation_bytes(tx: Transaction, build_id: str) -> int:
    """The stored size of a build's attestations, uncompressed."""
    query = select(func.coalesce(func.sum(attestations.c.size_bytes), 0)).where(attestations.c.build_id == build_id)
    return int((await tx.execute(query)).scalar_one())


async def attestations_of(tx: Transaction, build_id: str) -> list[AttestationNote]:
    """The attestations of a build, without contents."""
    columns = (
        attestations.c.number, attestations.c.predicate_type, attestations.c.platform, attestations.c.size_bytes
    )  # fmt: skip
    query = select(*columns).where(attestations.c.build_id == build_id).order_by(attestations.c.number)
    return [
        AttestationNote(row.number, Attestation(row.predicate_type, row.platform, b""), row.size_bytes)
        for row in await tx.execute(query)
    ]


async def find_attestation(tx: Transaction, build_id: str, number: int) -> Attestation | None:
    """One of a build, whole."""
    query = select(attestations).where(attestations.c.build_id == build_id, attestations.c.number == number)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else Attestation(row.predicate_type, row.platform, zlib.decompress(row.content))


async def delete_attestations(tx: Transaction, build_ids: Sequence[str]) -> int:
    """Remove the rows of builds; returns how many."""
    return (await tx.execute(delete(attestations).where(attestations.c.build_id.in_(build_ids)))).rowcount
