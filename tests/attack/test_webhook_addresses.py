"""Webhooks reach no address of this host, whatever it is and however it is written."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.harness.receiver import Receiver
from tests.harness.server import Server

WEBHOOKS = "stoker.v1.WebhookService"
# Of the internet by their ranges (AS112: RFC 7534, RFC 7535), and this host's own for as long as this test runs.
OWN, OWN_IPV6, OWN_RANGE = "192.175.48.77", "2620:4f:8000:48::77", "192.175.48.128/26"


@pytest.fixture(scope="module")
def own_addresses() -> Iterator[None]:
    """Public addresses on the loopback device, and a whole range that the kernel takes for this host's."""
    added = (
        ("addr", "replace", f"{OWN}/32", "dev", "lo"),
        ("addr", "replace", f"{OWN_IPV6}/128", "dev", "lo"),
        ("route", "replace", "local", OWN_RANGE, "dev", "lo"),
    )
    for command in added:
        subprocess.run(["ip", *command], check=True)
    yield
    for kind, _, *rest in added:
        subprocess.run(["ip", kind, "del", *rest], check=True)


@pytest.mark.parametrize(
    ("listens", "host"),
    [
        (OWN, OWN),
        (OWN, f"[::ffff:{OWN}]"),
        (OWN, "[::ffff:c0af:304d]"),
        (OWN, f"[64:ff9b::{OWN}]"),
        (OWN_IPV6, f"[{OWN_IPV6}]"),
        (OWN_IPV6, "[2620:004F:8000:48:0:0:0:77]"),
        ("192.175.48.130", "192.175.48.130"),
    ],
)
@pytest.mark.usefixtures("own_addresses")
def test_public_addresses_of_this_host_get_no_webhook(server: Server, listens: str, host: str) -> None:
    receiver = Receiver(host=listens)
    url = f"http://{host}:{receiver.port}/internal"
    created = server.call(f"{WEBHOOKS}/CreateWebhook", {"projectId": server.new_project(), "url": url})
    tried = server.call(f"{WEBHOOKS}/TestWebhook", {"webhookId": created.body["webhook"]["webhookId"]}).body["delivery"]
    receiver.close()
    assert tried["state"] == "DELIVERY_STATE_FAILED"
    assert "is this server's own host" in tried["error"]
    assert receiver.received == []


@pytest.mark.parametrize(
    "host", ["192.0.0.8", "[3fff::1]", "[5f00::1]", "[64:ff9b:1::1]", "[100:0:0:1::1]", "[2002::1]"]
)
def test_special_addresses_that_are_newer_than_python_s_table_are_refused(server: Server, host: str) -> None:
    request = {"projectId": server.project, "url": f"http://{host}/"}
    answer = server.call(f"{WEBHOOKS}/CreateWebhook", request)
    assert (answer.code, "private network" in answer.message) == ("invalid_argument", True)


def test_what_the_operator_denies_gets_no_webhook(make_server: Callable[..., Server]) -> None:
    server = make_server(denied_networks="127.0.0.0/8", webhook_private_addresses="true")
    receiver = Receiver()
    created = server.call(f"{WEBHOOKS}/CreateWebhook", {"projectId": server.project, "url": receiver.url})
    tried = server.call(f"{WEBHOOKS}/TestWebhook", {"webhookId": created.body["webhook"]["webhookId"]}).body["delivery"]
    receiver.close()
    assert "denied_networks" in tried["error"]
    assert receiver.received == []
