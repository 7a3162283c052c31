"""All tables together, for what is about the whole database."""

from __future__ import annotations

from stoker.store.tables import (
    audit,
    builds,
    credentials,
    duties,
    facts,
    machines,
    organizations,
    origins,
    people,
    records,
    webhooks,
)
from stoker.store.tables.columns import metadata

MODULES = (audit, builds, credentials, duties, facts, machines, organizations, origins, people, records, webhooks)
"""Where tables are. `SCHEMA` has those of a module from its import on."""

SCHEMA = metadata
