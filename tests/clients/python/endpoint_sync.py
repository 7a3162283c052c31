"""Holds endpoints, prints them, and gives them back when a line comes in: endpoint_sync.py PLATFORM..."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack

import depot_client.client
from depot_client.client import Build
from opened import PROJECT, TOKEN, URL

# Half a minute otherwise, which is long for a test.
depot_client.client.REPORT_HEALTH_INTERVAL = 0.2

client = depot_client.client.Client(URL.hostname, URL.port, TOKEN)
build_id, build_token = client.build.create_build(PROJECT)
with Build(client.build, build_id, build_token, URL.hostname, URL.port) as build, ExitStack() as held:
    endpoints = [held.enter_context(build.get_endpoint(platform)) for platform in sys.argv[1:]]
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
    sys.stdin.readline()
    reporting = [endpoint._health_thread.is_alive() for endpoint in endpoints]
print(json.dumps({"reporting": reporting, "status": client.get_build(build_id).status}))
