"""`connectrpc.conformance.v1.ConformanceService`: answers with what each request asks it to answer.

What it has to do is written in the comments of the suite's service.proto.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any as Anything

from conformance_protos.connectrpc.conformance.v1 import service_pb as pb
from conformance_protos.connectrpc.conformance.v1.config_pb import Code as ProtoCode
from conformance_protos.connectrpc.conformance.v1.service_connect import ConformanceService
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.request import Headers, RequestContext
from protobuf import Message, Oneof
from protobuf.wkt import Any

Context = RequestContext[Anything, Anything]
Info = pb.ConformancePayload.RequestInfo


class Conformance(ConformanceService):
    """The service under test."""

    async def unary(self, request: pb.UnaryRequest, ctx: Context, /) -> pb.UnaryResponse:
        return pb.UnaryResponse(payload=await _one(request.response_definition, ctx, [request]))

    async def idempotent_unary(self, request: pb.IdempotentUnaryRequest, ctx: Context, /) -> pb.IdempotentUnaryResponse:
        return pb.IdempotentUnaryResponse(payload=await _one(request.response_definition, ctx, [request]))

    async def client_stream(
        self, request: AsyncIterator[pb.ClientStreamRequest], ctx: Context, /
    ) -> pb.ClientStreamResponse:
        requests = [message async for message in request]
        definition = requests[0].response_definition if requests else None
        return pb.ClientStreamResponse(payload=await _one(definition, ctx, requests))

    async def server_stream(
        self, request: pb.ServerStreamRequest, ctx: Context, /
    ) -> AsyncIterator[pb.ServerStreamResponse]:
        definition = request.response_definition
        if definition is None:
            return
        _add_metadata(definition, ctx)
        for number, data in enumerate(definition.response_data):
            await asyncio.sleep(definition.response_delay_ms / 1000)
            info = _info(ctx, [request]) if number == 0 else None
            yield pb.ServerStreamResponse(payload=pb.ConformancePayload(data=data, request_info=info))
        if definition.error is not None:
            raise _error(definition.error, None if definition.response_data else _info(ctx, [request]))

    async def bidi_stream(
        self, request: AsyncIterator[pb.BidiStreamRequest], ctx: Context, /
    ) -> AsyncIterator[pb.BidiStreamResponse]:
        definition: pb.StreamResponseDefinition | None = None
        full_duplex = False
        requests: list[pb.BidiStreamRequest] = []
        left: list[bytes] = []
        sent = 0
        async for message in request:
            if definition is None and message.response_definition is not None:
                definition, full_duplex = message.response_definition, message.full_duplex
                left = list(definition.response_data)
                _add_metadata(definition, ctx)
            requests.append(message)
            if definition is not None and full_duplex:
                if not left:
                    break
                await asyncio.sleep(definition.response_delay_ms / 1000)
                info = _info(ctx, requests) if sent == 0 else Info(requests=_packed(requests))
                yield pb.BidiStreamResponse(payload=pb.ConformancePayload(data=left.pop(0), request_info=info))
                sent += 1
                requests = []
        if definition is None:
            return
        for data in left:
            await asyncio.sleep(definition.response_delay_ms / 1000)
            info = _info(ctx, requests) if sent == 0 else None
            yield pb.BidiStreamResponse(payload=pb.ConformancePayload(data=data, request_info=info))
            sent += 1
        if definition.error is not None:
            raise _error(definition.error, None if sent else _info(ctx, requests))


async def _one(
    definition: pb.UnaryResponseDefinition | None, ctx: Context, requests: Iterable[Message]
) -> pb.ConformancePayload:
    info = _info(ctx, requests)
    if definition is None:
        return pb.ConformancePayload(request_info=info)
    _add_metadata(definition, ctx)
    await asyncio.sleep(definition.response_delay_ms / 1000)
    match definition.response:
        case Oneof(field="error", value=pb.Error() as error):
            raise _error(error, info)
        case Oneof(field="response_data", value=bytes() as data):
            return pb.ConformancePayload(data=data, request_info=info)
        case _:
            return pb.ConformancePayload(request_info=info)


def _info(ctx: Context, requests: Iterable[Message]) -> Info:
    timeout = ctx.timeout_ms
    return Info(
        request_headers=[
            pb.Header(name=name, value=list(ctx.request_headers.getall(name))) for name in ctx.request_headers
        ],
        timeout_ms=None if timeout is None else int(timeout),
        requests=_packed(requests),
        # The library doesn't tell handlers the query, which the suite takes into account.
        connect_get_info=pb.ConformancePayload.ConnectGetInfo() if ctx.http_method == "GET" else None,
    )


def _packed(requests: Iterable[Message]) -> list[Any]:
    return [Any.pack(request) for request in requests]


def _add_metadata(definition: pb.UnaryResponseDefinition | pb.StreamResponseDefinition, ctx: Context) -> None:
    _add(definition.response_headers, ctx.response_headers)
    _add(definition.response_trailers, ctx.response_trailers)


def _add(source: Iterable[pb.Header], target: Headers) -> None:
    for header in source:
        for value in header.value:
            target.add(header.name, value)


def _error(error: pb.Error, info: Info | None) -> ConnectError:
    code = Code(ProtoCode(error.code).name.lower())
    details: list[Message] = [*error.details, *([] if info is None else [info])]
    return ConnectError(code, error.message or "", details)
