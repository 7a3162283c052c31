"""Holds endpoints, prints them, and gives them back when a line comes in: endpoint_async.py PLATFORM..."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack

from depot_client import AsyncClient
from depot_client.client import AsyncBuild
from opened import PROJECT, TOKEN, URL


async def between_reports():
    await asyncio.sleep(0.2)
    return True


async def main():
    async with AsyncClient(URL.hostname, URL.port, TOKEN) as client:
        build_id, build_token = await client.build.create_build(PROJECT)
        async with AsyncBuild(client.build, build_id, build_token, URL.hostname, URL.port) as build:
            # AsyncEndpoint reports no health by itself, other than Endpoint.
            reports = [
                asyncio.create_task(build.buildkit.report_health(build_id, platform, between_reports))
                for platform in sys.argv[1:]
            ]
            async with AsyncExitStack() as held:
                endpoints = [
                    await held.enter_async_context(await build.get_endpoint(platform)) for platform in sys.argv[1:]
                ]
                active = [
                    {
                        "endpoint": endpoint.endpoint,
                        "serverName": endpoint.server_name,
                        "cert": {"cert": endpoint.cert, "key": endpoint.key},
                        "caCert": {"cert": endpoint.ca_cert},
                    }
                    for endpoint in endpoints
                ]
                print(json.dumps({"build": build_id, "active": active}), flush=True)
                await asyncio.to_thread(sys.stdin.readline)
                reporting = [not report.done() for report in reports]
                for report in reports:
                    report.cancel()
                await asyncio.gather(*reports, return_exceptions=True)
        builds = await client.list_builds(PROJECT)
        status = next(one.status for one in builds if one.build_id == build_id)
        print(json.dumps({"reporting": reporting, "status": status}))


asyncio.run(main())
