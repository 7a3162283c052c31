"""Creates builds, reads them, and ends them. Prints what each call returned."""

from __future__ import annotations

import asyncio
import json

import grpc
from depot_client.api.depot.build.v1.build_pb2 import FinishBuildRequest
from depot_client.api.depot.core.v1.build_pb2 import (
    Build,
    GetBuildRequest,
    ShareBuildRequest,
    StopSharingBuildRequest,
)
from opened import PROJECT, done, opened


async def main():
    async with opened() as client:
        good = (await done(client.create_build(PROJECT))).build_id
        bad = (await done(client.create_build(PROJECT))).build_id
        await done(client.finish_build(good))
        # client.finish_build(bad, error=...) gives its error to the message in a way that no message takes.
        failure = FinishBuildRequest(build_id=bad, error=FinishBuildRequest.BuildError(error="our tests failed"))
        await done(client.build.stub.FinishBuild(failure))
        # The same goes for AsyncClient.get_build, and for sharing with both clients.
        got = (await done(client.core_build.stub.GetBuild(GetBuildRequest(build_id=good)))).build
        shared = await done(client.core_build.stub.ShareBuild(ShareBuildRequest(build_id=good)))
        await done(client.core_build.stub.StopSharingBuild(StopSharingBuildRequest(build_id=good)))
        listed = await done(client.list_builds(PROJECT))
        try:
            await done(client.finish_build(good))
            again = None
        except grpc.RpcError as error:
            again = [error.code().name, error.details()]

    status = Build.Status.Name
    said = {
        "good": good,
        "bad": bad,
        "got": [got.build_id, status(got.status)],
        "listed": [[build.build_id, status(build.status)] for build in listed],
        "shared": shared.share_url,
        "again": again,
    }
    print(json.dumps(said))


asyncio.run(main())
