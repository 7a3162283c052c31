"""The life of a project, its tokens and its trust policies. Prints what each call returned."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict

import grpc
from opened import done, opened

PROVIDERS = [
    {"github": {"repository_owner": "acme", "repository": "app"}},
    {
        "circleci": {
            "organization_uuid": "11111111-2222-4333-8444-555555555555",
            "project_uuid": "66666666-7777-4888-9999-aaaaaaaaaaaa",
        }
    },
    {"buildkite": {"organization_slug": "acme", "pipeline_slug": "app"}},
    {"provider": {"type": "github", "repository_owner": "acme", "repository": "lib"}},
]


def plain(project):
    return {"id": project.project_id, "name": project.name, "region": project.region_id}


async def main():
    async with opened() as client:
        # Not client.create_project and client.update_project, which pass what the service below them doesn't take.
        created = await done(client.project.create_project("by depot-client", "eu-central-1"))
        project = created.project_id
        listed = await done(client.list_projects())
        updated = await done(client.project.update_project(project, "renamed", "us-east-1"))

        token = await done(client.create_token(project, "for CI"))
        tokens = [await done(client.list_tokens(project))]
        await done(client.update_token(token.token_id, "for the new CI"))
        tokens.append(await done(client.list_tokens(project)))
        await done(client.delete_token(token.token_id))
        tokens.append(await done(client.list_tokens(project)))

        added = [await done(client.add_trust_policy(project, **provider)) for provider in PROVIDERS]
        policies = await done(client.list_trust_policies(project))
        left = []
        for policy in added:
            await done(client.remove_trust_policy(project, policy.trust_policy_id))
            left.append(len(await done(client.list_trust_policies(project))))

        await done(client.reset_project(project))
        await done(client.delete_project(project))
        try:
            await done(client.delete_project(project))
            again = None
        except grpc.RpcError as error:
            again = [error.code().name, error.details()]

    said = {
        "created": plain(created),
        "listed": [one.project_id for one in listed],
        "updated": plain(updated),
        "token": asdict(token),
        "tokens": [[asdict(one) for one in page] for page in tokens],
        "added": [asdict(one) for one in added],
        "policies": [asdict(one) for one in policies],
        "left": left,
        "again": again,
    }
    print(json.dumps(said))


asyncio.run(main())
