"""A login of a command line: begun here, approved by a person on a page of the server."""

from __future__ import annotations

import asyncio
import platform
from dataclasses import dataclass, field
from importlib.metadata import version

from connectrpc.code import Code

from stoker._gen.depot.cli.v1beta1 import login_pb as pb
from stoker._gen.depot.cli.v1beta1.login_connect import LoginServiceClient
from stoker.client.errors import ApiError, UntrustedCertificate, plain_errors
from stoker.client.transport import first_answer, open_transport

_CALL_TIMEOUT_MS = 30_000
_RETRY_SECONDS = 1.0
_MOST_RETRIES = 60


@dataclass(frozen=True, slots=True)
class StartedLogin:
    """A login that waits for its approval at ``approve_url``. Its id is for us alone."""

    id: str = field(repr=False)
    approve_url: str


async def start_login(url: str) -> StartedLogin:
    """Start a login. The one who approves sees that it is ours, and from which machine.

    Raises:
        ApiError: the API refused the call, or can't be reached.
    """
    client = LoginServiceClient(url, http_client=open_transport(url))
    with plain_errors(url):
        answer = await client.start_login(
            pb.StartLoginRequest(),
            headers={"user-agent": f"stoker/{version('stoker')} ({platform.node()})"},
            timeout_ms=_CALL_TIMEOUT_MS,
        )
    return StartedLogin(answer.id, answer.approve_url)


async def finish_login(url: str, login: StartedLogin) -> str:
    """Wait for the approval; the token. A server that is away for less than a minute is waited for.

    Raises:
        ApiError: the login was refused, or nobody approved it in time, or the API is not there.
    """
    for retries_left in reversed(range(_MOST_RETRIES)):
        try:
            return await _token(url, login)
        except UntrustedCertificate:
            raise
        except ApiError as error:
            if error.code not in {None, Code.UNAVAILABLE} or not retries_left:
                raise
        await asyncio.sleep(_RETRY_SECONDS)
    raise ApiError("the API ended the login without a token")


async def _token(url: str, login: StartedLogin) -> str:
    client = LoginServiceClient(url, http_client=open_transport(url))
    with plain_errors(url):
        answers = client.finish_login(pb.FinishLoginRequest(id=login.id))
        token = await first_answer(answers, lambda answer: answer.token or None)
    if token is None:
        raise ApiError("the API ended the login without a token", Code.UNAVAILABLE)
    return token
