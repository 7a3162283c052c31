"""Calls the Build API as any other client does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protobuf import Oneof

from stoker._gen.depot.buildkit.v1 import buildkit_pb
from stoker._gen.depot.buildkit.v1.buildkit_connect import BuildKitServiceClient
from stoker._gen.depot.cli.v1 import build_pb as pb
from stoker._gen.depot.cli.v1.build_connect import BuildServiceClient
from stoker.client.errors import ApiError, plain_errors
from stoker.client.transport import first_answer, open_transport
from stoker.domain.leases import Endpoint
from stoker.domain.platforms import Platform

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from pyqwest import Client

    from stoker.client.buildctl import BuildInput

_CALL_TIMEOUT_MS = 30_000
_PLATFORMS = {Platform.AMD64: buildkit_pb.Platform.AMD64, Platform.ARM64: buildkit_pb.Platform.ARM64}


@dataclass(frozen=True, slots=True)
class RemoteBuild:
    """A build that the API created for us, and the address of its page."""

    id: str
    token: str
    url: str

    def __repr__(self) -> str:
        """Without the token."""
        return f"RemoteBuild(id={self.id!r})"


class Api:
    """The calls that a build makes, with one token, on one connection."""

    def __init__(self, url: str, token: str, resources: AsyncExitStack, http: Client) -> None:
        self._url = url
        self._token = token
        self._http = http
        self._resources = resources

    async def create_build(self, project_id: str, build: BuildInput | None = None) -> RemoteBuild:
        """Create a build in a project. The server records what it is of.

        Raises:
            ApiError: the API refused the call, or can't be reached.
        """
        request = pb.CreateBuildRequest(project_id=project_id, options=[] if build is None else [_options(build)])
        client = await self._resources.enter_async_context(BuildServiceClient(self._url, http_client=self._http))
        with plain_errors(self._url):
            created = await client.create_build(request, headers=_bearer(self._token), timeout_ms=_CALL_TIMEOUT_MS)
        return RemoteBuild(created.build_id, created.build_token, created.build_url)

    async def endpoint(self, build: RemoteBuild, platform: Platform) -> Endpoint:
        """Wait for an endpoint of a build.

        Raises:
            ApiError: the API refused the call, or can't be reached.
        """
        client = await self._resources.enter_async_context(BuildKitServiceClient(self._url, http_client=self._http))
        request = buildkit_pb.GetEndpointRequest(build_id=build.id, platform=_PLATFORMS[platform])
        with plain_errors(self._url):
            endpoint = await first_answer(client.get_endpoint(request, headers=_bearer(build.token)), _endpoint)
        if endpoint is None:
            raise ApiError("the API ended the stream without an endpoint")
        return endpoint

    async def report_health(self, build: RemoteBuild, platform: Platform) -> None:
        """Report a build's health.

        Raises:
            ApiError: the API refused the call, or can't be reached.
        """
        client = await self._resources.enter_async_context(BuildKitServiceClient(self._url, http_client=self._http))

        async def once() -> AsyncIterator[buildkit_pb.ReportHealthRequest]:
            yield buildkit_pb.ReportHealthRequest(build_id=build.id, platform=_PLATFORMS[platform])

        with plain_errors(self._url):
            await client.report_health(once(), headers=_bearer(build.token), timeout_ms=_CALL_TIMEOUT_MS)

    async def finish_build(self, build: RemoteBuild, error: str | None, *, canceled: bool = False) -> None:
        """Report a build's result.

        Raises:
            ApiError: the API refused the call, or can't be reached.
        """
        request = pb.FinishBuildRequest(build_id=build.id)
        if canceled:
            request.result = Oneof(field="canceled", value=pb.FinishBuildRequest.BuildCanceled())
        elif error is None:
            request.result = Oneof(field="success", value=pb.FinishBuildRequest.BuildSuccess())
        else:
            request.result = Oneof(field="error", value=pb.FinishBuildRequest.BuildError(error=error))
        client = await self._resources.enter_async_context(BuildServiceClient(self._url, http_client=self._http))
        with plain_errors(self._url):
            await client.finish_build(request, headers=_bearer(build.token), timeout_ms=_CALL_TIMEOUT_MS)


@asynccontextmanager
async def open_api(url: str, token: str) -> AsyncGenerator[Api]:
    """Open a connection to the API at ``url``."""
    async with AsyncExitStack() as resources:
        yield Api(url.rstrip("/"), token, resources, open_transport(url))


def _options(build: BuildInput) -> pb.BuildOptions:
    options = pb.BuildOptions(
        command=pb.Command.BUILD,
        tags=list(build.tags),
        push=any("push=true" in output for output in build.outputs),
        load=build.load,
    )
    if build.target:
        options.target_name = build.target
    return options


def _endpoint(answer: buildkit_pb.GetEndpointResponse) -> Endpoint | None:
    match answer.connection:
        case Oneof(field="active", value=active) if active.cert and active.cert.cert and active.cert.key:
            return Endpoint(
                address=active.endpoint,
                server_name=active.server_name,
                certificate=active.cert.cert.cert,
                private_key=active.cert.key.key,
                ca_certificate=active.ca_cert.cert if active.ca_cert else "",
            )
        case _:
            return None


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def keep_alive(api: Api, build: RemoteBuild, platform: Platform, interval_seconds: float) -> None:
    """Report health until cancelled. Failed reports are not retried; the next one follows."""
    while True:
        await asyncio.sleep(interval_seconds)
        try:
            await api.report_health(build, platform)
        except ApiError:
            continue
