"""Logins from the command line (`depot login`, `stoker login`): start, approve on a page, finish once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.auth.tokens import hash_secret, new_secret, new_token
from stoker.domain.audit import Action, Party
from stoker.domain.errors import FailedPrecondition, NotFound, PermissionDenied, ResourceExhausted
from stoker.domain.ids import checked_id
from stoker.domain.logins import Login, LoginState, login_state
from stoker.domain.principals import CredentialKind
from stoker.domain.rates import network_of
from stoker.services.audit_log import person_party, record_for_person
from stoker.services.origin import current_origin
from stoker.services.tokens import token_party
from stoker.services.wakeups import login_topic
from stoker.store import logins as login_store
from stoker.store import people as person_store
from stoker.store import tokens as token_store
from stoker.store.locks import Lock
from stoker.store.tokens import StoredToken

if TYPE_CHECKING:
    from stoker.domain.people import Person
    from stoker.domain.principals import Principal
    from stoker.services.core import Core

_CODE_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels: a code never spells anything, and none looks like a digit
_CODE_HALF = 4
_MAX_CLIENT_LENGTH = 200


@dataclass(frozen=True, slots=True)
class StartedLogin:
    """A new login. Only the command line gets its id."""

    id: str
    code: str

    def __repr__(self) -> str:
        """Without the id."""
        return f"StartedLogin(code={self.code!r})"


class LoginService:
    """Use cases of logins."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def start(self, client: str) -> StartedLogin:
        """Start a login from the address that the request comes from.

        Args:
            client: the command line's name for itself, for the person who approves.

        Raises:
            ResourceExhausted: too many wait for their approval.
        """
        limits = self._core.limits.people
        address = network_of(current_origin().address)
        secret = new_secret(self._core.randomness)
        noise = self._core.randomness.token_bytes(2 * _CODE_HALF)
        letters = "".join(_CODE_ALPHABET[byte % len(_CODE_ALPHABET)] for byte in noise)
        now = self._core.now()
        login = Login(
            code=f"{letters[:_CODE_HALF]}-{letters[_CODE_HALF:]}",
            client=client[:_MAX_CLIENT_LENGTH],
            created_at=now,
            expires_at=now + limits.login_lifetime,
        )
        async with self._core.database.write() as tx:
            await tx.lock(Lock.LOGINS)
            if await login_store.count_open_logins(tx, now, address) >= limits.max_open_logins_per_address:
                raise ResourceExhausted(
                    "too many logins from your address wait for their approval; approve or refuse them, or try again "
                    "in some minutes"
                )
            if await login_store.count_open_logins(tx, now) >= limits.max_open_logins:
                raise ResourceExhausted("too many logins wait for their approval; try again in some minutes")
            await login_store.add_login(tx, login, secret.secret_hash, address)
        return StartedLogin(secret.secret, login.code)

    async def look(self, code: str) -> tuple[Login, LoginState]:
        """A login with its state, for the page that approves it.

        Raises:
            NotFound: there is none with that code.
        """
        async with self._core.database.read() as tx:
            login = await login_store.find_login_by_code(tx, code)
        if login is None:
            raise NotFound("there is no login with this code; run the login again")
        return login, login_state(login, self._core.now())

    async def approve(self, code: str, person: Person) -> None:
        """Approve a login: the command line may act as a person.

        Raises:
            FailedPrecondition: it isn't waiting for an approval any more.
            NotFound: there is none with that code.
        """
        async with self._core.database.write() as tx:
            await tx.lock(Lock.LOGINS)
            login = await login_store.find_login_by_code(tx, code)
            pending = _require_pending(login, self._core)
            await login_store.approve_login(tx, code, person.id)
            target = Party("login", code, pending.client)
            await record_for_person(self._core, tx, person_party(person), Action.LOGIN_APPROVE, target, person)
        self._core.wakeups.wake(login_topic(code))

    async def refuse(self, code: str, person: Person) -> None:
        """Refuse a login.

        Raises:
            FailedPrecondition: it isn't waiting for an approval any more.
            NotFound: there is none with that code.
        """
        async with self._core.database.write() as tx:
            await tx.lock(Lock.LOGINS)
            login = await login_store.find_login_by_code(tx, code)
            pending = _require_pending(login, self._core)
            await login_store.refuse_login(tx, code, self._core.now())
            target = Party("login", code, pending.client)
            await record_for_person(self._core, tx, person_party(person), Action.LOGIN_REFUSE, target, person)
        self._core.wakeups.wake(login_topic(code))

    async def finish(self, login_id: str) -> str:
        """Wait for the approval, and create the token, which is handed out only once.

        Raises:
            FailedPrecondition: nobody approved it in time, or its token was handed out before.
            NotFound: there is no such login.
            PermissionDenied: it was refused.
        """
        secret_hash = hash_secret(login_id)
        async with self._core.database.read() as tx:
            login = await login_store.find_login(tx, secret_hash)
        if login is None:
            raise NotFound("this login was not found; run the login again")
        with self._core.wakeups.subscribe(login_topic(login.code)) as subscription:
            while True:
                token = await self._try_to_finish(secret_hash)
                if token is not None:
                    return token
                left = (login.expires_at - self._core.now()).total_seconds()
                await subscription.wait(max(0.0, left))

    async def logged_in(self, person: Person) -> list[StoredToken]:
        """The valid tokens of a person's command lines, the newest first."""
        now = self._core.now()
        async with self._core.database.read() as tx:
            tokens = await token_store.list_person_tokens(tx, person.id)
        return [one for one in reversed(tokens) if one.expires_at is None or one.expires_at > now]

    async def log_out(self, person: Person, token_id: str) -> None:
        """Log a person's command line out.

        Raises:
            NotFound: they have no such token.
        """
        checked = checked_id(token_id, "token_id")
        async with self._core.database.write(durable=True) as tx:
            known = {one.id: one for one in await token_store.list_person_tokens(tx, person.id)}
            if checked not in known:
                raise NotFound("this command line was not found among yours; it may be logged out already")
            await token_store.revoke_token(tx, checked, self._core.now())
            target = token_party(known[checked])
            await record_for_person(self._core, tx, person_party(person), Action.TOKEN_REVOKE, target, person)

    async def log_out_caller(self, principal: Principal) -> None:
        """Revoke the token of a calling person.

        Raises:
            NotFound: the caller isn't a person, or calls without a token of theirs.
        """
        async with self._core.database.read() as tx:
            person = await person_store.find_person(tx, principal.person_id or "")
        if person is None:
            raise NotFound("this credential belongs to no person; its organization or project revokes it")
        await self.log_out(person, principal.credential_id)

    async def _try_to_finish(self, secret_hash: bytes) -> str | None:
        now = self._core.now()
        lifetime = self._core.limits.people.user_token_lifetime
        token = new_token(CredentialKind.USER, self._core.randomness)
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.LOGINS)
            login = await login_store.find_login(tx, secret_hash)
            if login is None:
                raise FailedPrecondition("nobody approved this login in time; run the login again")
            match login_state(login, now):
                case LoginState.PENDING:
                    return None
                case LoginState.EXPIRED:
                    raise FailedPrecondition("nobody approved this login in time; run the login again")
                case LoginState.REFUSED:
                    raise PermissionDenied("this login was refused; run the login again if that was a mistake")
                case LoginState.FINISHED:
                    raise FailedPrecondition("the token of this login was handed out before; run the login again")
                case LoginState.APPROVED:
                    pass
            await login_store.finish_login(tx, login.code, now)
            stored = StoredToken(
                id=self._core.new_id(),
                kind=CredentialKind.USER,
                organization_id=None,
                project_id=None,
                build_id=None,
                description=f"login from {login.client}",
                created_at=now,
                expires_at=None if lifetime is None else now + lifetime,
                person_id=login.person_id,
            )
            await token_store.add_token(tx, stored, token.secret_hash)
        return token.secret


def _require_pending(login: Login | None, core: Core) -> Login:
    if login is None:
        raise NotFound("there is no login with this code; run the login again")
    state = login_state(login, core.now())
    if state is not LoginState.PENDING:
        raise FailedPrecondition(f"this login is {state} already; run the login again if you still need it")
    return login
