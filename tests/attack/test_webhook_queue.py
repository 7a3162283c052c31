"""Webhooks of one organization that nobody answers take nothing from those of another."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stoker.domain.principals import CredentialKind
from tests.harness.command import Command
from tests.harness.people import Registry, blank_token
from tests.harness.receiver import Receiver
from tests.harness.server import Server
from tests.harness.waiting import eventually

WEBHOOKS = "stoker.v1.WebhookService"
OF_WEBHOOK, OF_ORGANIZATION, OF_SERVER = 2, 4, 6


@pytest.fixture(scope="module")
def bounded(make_server: Callable[..., Server]) -> Server:
    """A server of little patience: what fails is not tried again for as long as this test lasts."""
    return make_server(
        webhook_private_addresses="true",
        webhook_retry_seconds="600",
        webhook_timeout_seconds="20",
        max_webhook_deliveries=str(OF_SERVER),
        max_webhook_deliveries_per_organization=str(OF_ORGANIZATION),
        max_webhook_deliveries_per_webhook=str(OF_WEBHOOK),
        parallel_webhooks="2",
        parallel_webhooks_per_organization="1",
    )


@pytest.fixture
def hanging() -> Iterator[Receiver]:
    """A receiver that takes messages and never answers."""
    receiver, release = Receiver(), threading.Event()

    def hang(_: object) -> tuple[int, dict[str, str]]:
        release.wait(60)
        return 200, {}

    receiver.answer = hang
    yield receiver
    release.set()
    receiver.close()


@dataclass
class Tenant:
    """An organization with a project."""

    server: Server
    token: str
    project: str

    @classmethod
    def settle(cls, server: Server) -> Tenant:
        registry = Registry(server)
        organization = registry.organization("tenant")
        token = registry.token(blank_token(CredentialKind.ORGANIZATION, organization_id=organization))
        wanted = {"name": "told", "regionId": "us-east-1"}
        made = server.call("depot.core.v1.ProjectService/CreateProject", wanted, token=token)
        return cls(server, token, made.body["project"]["projectId"])

    def call(self, method: str, **request: Any) -> dict[str, Any]:
        answer = self.server.call(method, request, token=self.token)
        assert answer.status == 200, answer
        return answer.body

    def webhook(self, url: str) -> str:
        return self.call(f"{WEBHOOKS}/CreateWebhook", projectId=self.project, url=url)["webhook"]["webhookId"]

    def finish_build(self) -> None:
        build = self.call("depot.build.v1.BuildService/CreateBuild", projectId=self.project)["buildId"]
        self.call("depot.build.v1.BuildService/FinishBuild", buildId=build, success={})

    def dropped(self) -> list[int]:
        """How many messages of each webhook were dropped."""
        listed = self.call(f"{WEBHOOKS}/ListWebhooks", projectId=self.project)["webhooks"]
        return [int(one.get("dropped", 0)) for one in listed]

    def states(self, webhook: str) -> list[str]:
        listed = self.call(f"{WEBHOOKS}/ListDeliveries", webhookId=webhook).get("deliveries", [])
        return [one["state"].removeprefix("DELIVERY_STATE_").lower() for one in listed]


@pytest.mark.bound(
    "max_webhook_deliveries",
    "max_webhook_deliveries_per_organization",
    "max_webhook_deliveries_per_webhook",
    "parallel_webhooks",
    "parallel_webhooks_per_organization",
)
def test_a_flood_of_one_organization_drops_and_delays_only_its_own(
    bounded: Server, hanging: Receiver, tmp_path: Path
) -> None:
    flooding, neighbour = Tenant.settle(bounded), Tenant.settle(bounded)
    slow = [flooding.webhook(f"{hanging.url}/{number}") for number in range(3)]
    receiver = Receiver()
    quick = neighbour.webhook(receiver.url)
    for _ in range(3):
        flooding.finish_build()

    # Both slots would be taken by two that hang, for 20 s each.
    eventually(lambda: hanging.received, "the first slow one is sent to")
    neighbour.finish_build()
    eventually(lambda: neighbour.states(quick) == ["delivered"], "the neighbour's is delivered meanwhile", 15)
    assert len(hanging.received) == 1
    assert neighbour.dropped() == [0]

    # 2 of the first, 2 of the second, and 4 in all: the rest was dropped, which its owner can see.
    assert [len(flooding.states(webhook)) for webhook in slow] == [2, 1, 1]
    assert flooding.dropped() == [1, 2, 2]
    environment = {"DEPOT_API_URL": bounded.url, "DEPOT_TOKEN": flooding.token, "DEPOT_PROJECT_ID": flooding.project}
    listed = Command(tmp_path, environment).apart("webhooks", "list").lines
    assert [line.split()[-2] for line in listed] == ["DROPPED", "1", "2", "2"]

    # A test is sent beside all that, to one that isn't even full.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    refusing = flooding.webhook(nobody)
    tried = flooding.call(f"{WEBHOOKS}/TestWebhook", webhookId=refusing)["delivery"]
    assert tried["state"] == "DELIVERY_STATE_FAILED"
    assert tried["attempts"] == 1

    # The server's bound is reached by a third one, whose messages are dropped too, and counted.
    third = Tenant.settle(bounded)
    unheard = [third.webhook(nobody) for _ in range(2)]
    for _ in range(2):
        third.finish_build()
    assert sum(len(third.states(webhook)) for webhook in unheard) == OF_SERVER - OF_ORGANIZATION
    assert sum(third.dropped()) == 2
    receiver.close()


@pytest.mark.bound("webhook_attempts_per_second", "webhook_attempts_burst")
def test_an_organization_has_so_many_attempts_and_another_has_its_own(make_server: Callable[..., Server]) -> None:
    server = make_server(
        webhook_private_addresses="true", webhook_attempts_per_second="0.001", webhook_attempts_burst="3"
    )
    flooding, neighbour, receiver = Tenant.settle(server), Tenant.settle(server), Receiver()
    flooded, quick = flooding.webhook(f"{receiver.url}/flooded"), neighbour.webhook(f"{receiver.url}/quick")
    for _ in range(5):
        flooding.finish_build()
    eventually(lambda: flooding.states(flooded).count("delivered") == 3, "it has its attempts")
    neighbour.finish_build()
    eventually(lambda: neighbour.states(quick) == ["delivered"], "the neighbour has its own")
    assert flooding.states(flooded).count("waiting") == 2
    receiver.close()
