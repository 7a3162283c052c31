"""The public keys of issuers: fetched on demand, cached, and fetched again for an unknown key id.

Issuers are independent: while one is slow or down, only its own tokens wait or fail.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from stoker.auth.issuer_documents import DocumentUnavailable
from stoker.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stoker.domain.clock import Clock

_DISCOVERY = "/.well-known/openid-configuration"
_MAX_ISSUERS = 1000
_MAX_KEYS = 100
_MIN_RSA_BITS = 2048
_KEY_TYPES: dict[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}

PublicKey = RSAKey | ECKey | OKPKey

_log = logging.getLogger(__name__)


class Documents(Protocol):
    """A source of published documents."""

    async def fetch(self, url: str) -> Mapping[str, Any]:
        """The JSON object at ``url``, or DocumentUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class KeyTimes:
    """How long keys are cached.

    Attributes:
        fresh: keys younger than this are used without a fetch.
        kept: older keys are used if a fetch fails; beyond this age the issuer counts as unreachable.
        between_looks: shortest time between two fetches, however many unknown key ids are requested.
    """

    between_looks: timedelta
    fresh: timedelta = timedelta(minutes=15)
    kept: timedelta = timedelta(hours=12)


class _Issuer:
    """What is known of one issuer."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.keys: dict[str, PublicKey] = {}
        self.fetched_at: float | None = None
        self.looked_at: float | None = None
        self.failed = False
        self.look: asyncio.Task[None] | None = None


class IssuerKeys:
    """Finds the keys of issuers."""

    def __init__(self, documents: Documents, clock: Clock, times: KeyTimes) -> None:
        self._documents = documents
        self._clock = clock
        self._times = times
        self._issuers: dict[str, _Issuer] = {}

    async def find(self, issuer: str, key_id: str) -> PublicKey | None:
        """The issuer's key with that id, or None.

        Raises:
            Unavailable: the issuer can't be reached, and its cached keys don't suffice.
        """
        known = self._known(issuer)
        if key_id in known.keys and self._age(known) < self._times.fresh:
            return known.keys[key_id]
        await self._look(known)
        key = known.keys.get(key_id) if self._age(known) < self._times.kept else None
        if key is None and known.failed:
            raise Unavailable(f"the keys of {issuer} can't be fetched at the moment; try again")
        return key

    def _known(self, name: str) -> _Issuer:
        known = self._issuers.pop(name, None) or _Issuer(name)
        self._issuers[name] = known  # the least recently used one is dropped first
        if len(self._issuers) > _MAX_ISSUERS:
            del self._issuers[next(iter(self._issuers))]
        return known

    def _age(self, known: _Issuer) -> timedelta:
        if known.fetched_at is None:
            return timedelta.max
        return timedelta(seconds=self._clock.monotonic() - known.fetched_at)

    async def _look(self, known: _Issuer) -> None:
        """Fetch the issuer's keys, once for all who wait, unless they were fetched just now."""
        now, pause = self._clock.monotonic(), self._times.between_looks.total_seconds()
        if known.look is None and (known.looked_at is None or now - known.looked_at >= pause):
            known.looked_at = now
            known.look = asyncio.create_task(self._refresh(known), name=f"keys of {known.name}")
        if known.look is not None:
            await asyncio.shield(known.look)  # the others still wait when one caller is cancelled

    async def _refresh(self, known: _Issuer) -> None:
        try:
            keys = await self._fetch(known.name)
        except DocumentUnavailable as error:
            known.failed = True
            _log.warning("the keys of %s can't be fetched: %s", known.name, error)
        except Exception:
            known.failed = True
            _log.exception("the keys of %s can't be fetched", known.name)
        else:
            known.failed = False
            known.keys, known.fetched_at = keys, self._clock.monotonic()
        finally:
            known.look = None

    async def _fetch(self, issuer: str) -> dict[str, PublicKey]:
        configuration = await self._documents.fetch(issuer.rstrip("/") + _DISCOVERY)
        if configuration.get("issuer") != issuer:
            raise DocumentUnavailable(f"its configuration is of another issuer, {configuration.get('issuer')!r:.200}")
        url = configuration.get("jwks_uri")
        if not isinstance(url, str) or urlsplit(url).scheme not in ("https", urlsplit(issuer).scheme):
            raise DocumentUnavailable("its configuration has no jwks_uri with https")
        entries = (await self._documents.fetch(url)).get("keys")
        if not isinstance(entries, list):
            raise DocumentUnavailable(f"{url} has no list of keys")
        keys: dict[str, PublicKey] = {}
        for entry in cast("list[object]", entries)[:_MAX_KEYS]:
            key = _public_key(entry)
            if key is not None and key.kid:
                keys[key.kid] = key
        return keys


def _public_key(entry: object) -> PublicKey | None:
    """A key that can sign tokens; None for any other, such as a shared secret, which an issuer must not publish."""
    if not isinstance(entry, dict):
        return None
    fields: dict[str, Any] = entry  # pyright: ignore[reportUnknownVariableType]
    key_type = fields.get("kty")
    key_class = _KEY_TYPES.get(key_type) if isinstance(key_type, str) else None
    if key_class is None or fields.get("use", "sig") != "sig" or not isinstance(fields.get("kid"), str):
        return None
    try:
        key = key_class.import_key(fields)
        if isinstance(key, RSAKey) and key.public_key.key_size < _MIN_RSA_BITS:
            return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key
