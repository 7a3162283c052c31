"""Webhooks: signed, tried again, kept over a restart, bounded, and sent to nowhere but the internet."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stoker.pki.authority import Authority, open_authority
from tests.harness.command import Command
from tests.harness.people import CLOCK
from tests.harness.receiver import Receiver
from tests.harness.server import Server
from tests.harness.waiting import eventually

WEBHOOKS = "stoker.v1.WebhookService"
FINISH = "depot.build.v1.BuildService/FinishBuild"
FAST = {"webhook_private_addresses": "true", "webhook_retry_seconds": "0.05", "webhook_timeout_seconds": "5"}


@pytest.fixture(scope="module")
def telling(make_server: Callable[..., Server]) -> Server:
    """A server that may tell this host."""
    return make_server(**FAST)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def create(server: Server, project: str, url: str) -> tuple[str, str]:
    """A new webhook's id and secret."""
    made = server.call(f"{WEBHOOKS}/CreateWebhook", {"projectId": project, "url": url})
    assert made.status == 200, made
    return made.body["webhook"]["webhookId"], made.body["secret"]


def finish_build(server: Server, project: str, **result: Any) -> str:
    """The id of a build that has ended."""
    build, _ = server.new_build(project)
    assert server.call(FINISH, {"buildId": build, **(result or {"success": {}})}).status == 200
    return build


def deliveries(server: Server, webhook: str) -> list[dict[str, Any]]:
    return server.call(f"{WEBHOOKS}/ListDeliveries", {"webhookId": webhook}).body.get("deliveries", [])


def states(server: Server, webhook: str) -> list[str]:
    return [one["state"].removeprefix("DELIVERY_STATE_").lower() for one in deliveries(server, webhook)]


def test_the_end_of_a_build_is_told_and_signed(telling: Server, receiver: Receiver) -> None:
    project = telling.new_project()
    webhook, secret = create(telling, project, f"{receiver.url}/hook?a=b")

    build = finish_build(telling, project)

    eventually(lambda: states(telling, webhook) == ["delivered"], "it is delivered")
    (received,) = receiver.received
    assert received.path == "/hook?a=b"
    assert received.headers["content-type"] == "application/json"
    assert received.is_signed_with(secret)
    assert not received.is_signed_with(create(telling, project, receiver.url)[1])
    data = received.content["data"]
    assert received.content["type"] == "build.finished"
    assert (data["build_id"], data["project_id"], data["status"]) == (build, project, "succeeded")
    assert data["url"] == f"{telling.url}/builds/{build}"
    assert data["duration_seconds"] is None, "it never had an endpoint"
    assert data["finished_at"].endswith("Z")
    (delivery,) = deliveries(telling, webhook)
    assert (delivery["deliveryId"], delivery["httpStatus"], delivery["attempts"]) == (received.id, 204, 1)
    assert secret not in str(telling.query("select * from webhooks"))


def test_a_message_says_what_the_build_is_called_and_where_it_comes_from(telling: Server, receiver: Receiver) -> None:
    project = telling.new_project()
    create(telling, project, receiver.url)
    options = [
        {"command": "COMMAND_BAKE", "targetName": name, "tags": [f"ghcr.io/acme/{name}:1"]} for name in ("web", "lint")
    ]
    wanted = {"projectId": project, "options": options}
    build = telling.call("depot.cli.v1.BuildService/CreateBuild", wanted).body["buildId"]
    assert telling.call(FINISH, {"buildId": build, "success": {}}).status == 200

    eventually(lambda: receiver.received, "it is told")
    data = receiver.received[0].content["data"]
    assert (data["build_id"], data["title"]) == (build, "acme/web:1")
    assert data["origin"] == {
        "summary": "",
        "command": "bake",
        "tags": ["ghcr.io/acme/web:1", "ghcr.io/acme/lint:1"],
        "targets": ["web", "lint"],
        "repository": "",
        "branch": "",
        "git_tag": "",
        "pull_request": "",
        "revision": "",
        "commit_url": "",
        "ci_run": None,
    }


def test_the_server_s_key_is_its_owner_s_alone(telling: Server, receiver: Receiver) -> None:
    _, secret = create(telling, telling.project, receiver.url)
    key = telling.data / "pki" / "webhooks.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    stored = telling.stored()
    assert secret.removeprefix("whsec_").encode() not in stored


def test_what_fails_is_tried_again_as_the_same_message(telling: Server, receiver: Receiver) -> None:
    project = telling.new_project()
    webhook, secret = create(telling, project, receiver.url)
    receiver.answer = lambda _: (500 if len(receiver.received) < 3 else 200, {})

    finish_build(telling, project, error={"error": "no"})

    eventually(lambda: states(telling, webhook) == ["delivered"], "the third attempt is taken")
    assert deliveries(telling, webhook)[0]["attempts"] == 3
    assert len({one.id for one in receiver.received}) == len({one.body for one in receiver.received}) == 1
    assert all(one.is_signed_with(secret) for one in receiver.received)
    assert receiver.received[0].content["data"]["status"] == "failed"


def test_a_redirect_is_not_followed(telling: Server, receiver: Receiver) -> None:
    webhook, _ = create(telling, telling.new_project(), f"{receiver.url}/first")
    receiver.answer = lambda _: (307, {"location": f"{receiver.url}/second"})

    tried = telling.call(f"{WEBHOOKS}/TestWebhook", {"webhookId": webhook}).body["delivery"]

    assert (tried["state"], tried["httpStatus"]) == ("DELIVERY_STATE_FAILED", 307)
    assert "redirects are not followed" in tried["error"]
    assert [one.path for one in receiver.received] == ["/first"]
    assert receiver.received[0].content["type"] == "test"


def test_a_receiver_that_hangs_holds_up_nobody_else(make_server: Callable[..., Server], receiver: Receiver) -> None:
    server = make_server(**(FAST | {"webhook_timeout_seconds": "1", "parallel_webhooks": "2"}))
    slow = Receiver()
    release = threading.Event()

    def hang(_: object) -> tuple[int, dict[str, str]]:
        release.wait(60)
        return 200, {}

    slow.answer = hang
    project = server.new_project()
    hanging, _ = create(server, project, slow.url)
    quick, _ = create(server, project, receiver.url)
    for _ in range(5):
        finish_build(server, project)

    eventually(lambda: states(server, quick) == ["delivered"] * 5, "the quick one has got all")

    eventually(lambda: any("no answer within 1 s" in one.get("error", "") for one in deliveries(server, hanging)), "")
    assert "delivered" not in states(server, hanging)
    release.set()
    slow.close()


def test_what_waits_is_delivered_after_the_api_was_killed(telling: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    project = telling.new_project()
    webhook, secret = create(telling, project, f"http://127.0.0.1:{port}/")
    build = finish_build(telling, project)
    eventually(lambda: deliveries(telling, webhook)[0].get("attempts", 0) >= 1, "it was tried in vain")
    assert states(telling, webhook) == ["waiting"]

    os.kill(telling.part("api"), signal.SIGKILL)
    receiver = Receiver(port)

    eventually(lambda: receiver.received, "it is tried after the restart")
    eventually(lambda: states(telling, webhook) == ["delivered"], "and is done")
    assert receiver.received[0].content["data"]["build_id"] == build
    assert receiver.received[0].is_signed_with(secret), "the key is the same"
    receiver.close()


def test_it_gives_up_when_its_time_is_over_and_keeps_to_its_queue(make_server: Callable[..., Server]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    server = make_server(**(FAST | {"webhook_hours": "0"}))
    project = server.new_project()
    webhook, _ = create(server, project, nobody)
    finish_build(server, project)
    eventually(lambda: states(server, webhook) == ["failed"], "it is given up")

    bounded = make_server(**(FAST | {"max_webhook_deliveries_per_webhook": "3", "webhook_retry_seconds": "600"}))
    project = bounded.new_project()
    webhook, _ = create(bounded, project, nobody)
    for _ in range(5):
        finish_build(bounded, project)
    assert states(bounded, webhook) == ["waiting"] * 3
    assert (bounded.data / "logs" / "api.log").read_text().count("too many wait") == 2
    tried = bounded.call(f"{WEBHOOKS}/TestWebhook", {"webhookId": webhook}).body["delivery"]
    assert tried["state"] == "DELIVERY_STATE_FAILED", "a test is sent nevertheless"


def test_the_builds_that_a_deleted_project_ends_are_told(telling: Server, receiver: Receiver) -> None:
    project = telling.new_project()
    create(telling, project, receiver.url)
    build, _ = telling.new_build(project)

    assert telling.call("depot.core.v1.ProjectService/DeleteProject", {"projectId": project}).status == 200

    eventually(lambda: receiver.received, "it is told")
    assert receiver.received[0].content["data"]["build_id"] == build


def test_a_deleted_webhook_is_told_nothing(telling: Server, receiver: Receiver) -> None:
    project = telling.new_project()
    receiver.answer = lambda _: (500, {})
    deleted, _ = create(telling, project, f"{receiver.url}/deleted")
    kept, _ = create(telling, project, f"{receiver.url}/kept")
    finish_build(telling, project)
    assert telling.call(f"{WEBHOOKS}/DeleteWebhook", {"webhookId": deleted}).status == 200
    receiver.answer = lambda _: (200, {})
    receiver.received.clear()

    finish_build(telling, project)

    eventually(lambda: states(telling, kept) == ["delivered"] * 2, "the other one is told")
    assert telling.query("select count(*) from webhook_deliveries where webhook_id = ?", deleted) == [(0,)]
    listed = telling.call(f"{WEBHOOKS}/ListWebhooks", {"projectId": project}).body["webhooks"]
    assert [one["webhookId"] for one in listed] == [kept]


PRIVATE = [
    "http://127.0.0.1/",
    "http://10.0.0.1:8080/",
    "https://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://0.0.0.0/",
]
WRONG = [
    "",
    "ftp://example.com/",
    "https:///path",
    "https://user:password@example.com/",
    "https://example.com/#part",
    "http://0x7f.1/",
    "http://2130706433/",
    "http://127.1/",
    "http://exa mple.com/",
    "http://example.com\\@127.0.0.1/",
    "https://example.com:0/",
    "https://example.com:99999/",
    "https://example.com/" + "x" * 1000,
]


@pytest.mark.parametrize("url", PRIVATE + WRONG)
def test_addresses_that_are_not_public_or_not_addresses_are_refused(server: Server, url: str) -> None:
    answer = server.call(f"{WEBHOOKS}/CreateWebhook", {"projectId": server.project, "url": url})
    assert answer.code == "invalid_argument"
    assert ("private network" in answer.message) == (url in PRIVATE)


def test_a_name_that_leads_to_this_host_is_refused_when_it_is_looked_up(server: Server, receiver: Receiver) -> None:
    webhook, _ = create(server, server.new_project(), f"http://localhost:{receiver.port}/")

    tried = server.call(f"{WEBHOOKS}/TestWebhook", {"webhookId": webhook}).body["delivery"]

    assert tried["state"] == "DELIVERY_STATE_FAILED"
    assert "private network" in tried["error"]
    assert receiver.received == []


def tls_receiver(authority: Authority, folder: Path) -> Receiver:
    pair = authority.issue_server(("127.0.0.1",), timedelta(days=1))
    folder.mkdir(exist_ok=True)
    (folder / "pair.pem").write_text(pair.certificate + pair.private_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pair.pem")
    return Receiver(tls=context)


def test_https_is_checked(make_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known, other = (open_authority(tmp_path / name, name, CLOCK) for name in ("known", "other"))
    (tmp_path / "ca.pem").write_text(known.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    server = make_server(**FAST)
    for authority, expected in ((known, "DELIVERY_STATE_DELIVERED"), (other, "DELIVERY_STATE_FAILED")):
        receiver = tls_receiver(authority, tmp_path / "files")
        webhook, _ = create(server, server.project, receiver.url)
        tried = server.call(f"{WEBHOOKS}/TestWebhook", {"webhookId": webhook}).body["delivery"]
        assert tried["state"] == expected, tried
        assert len(receiver.received) == (expected == "DELIVERY_STATE_DELIVERED")
        receiver.close()


def test_the_commands(telling: Server, receiver: Receiver, tmp_path: Path) -> None:
    project = telling.new_project()
    stoker = Command(
        tmp_path, {"DEPOT_API_URL": telling.url, "DEPOT_TOKEN": telling.token, "DEPOT_PROJECT_ID": project}
    )

    secret = stoker.apart("webhooks", "create", receiver.url).stdout.strip()
    assert secret.startswith("whsec_")
    (webhook, *_, url) = stoker.apart("webhooks", "list").lines[1].split()
    assert url == receiver.url
    assert "delivered" in stoker.apart("webhooks", "test", webhook).stderr
    assert receiver.received[0].is_signed_with(secret)
    receiver.answer = lambda _: (410, {})
    failed = stoker.apart("webhooks", "test", webhook)
    assert (failed.code, "answered with status 410" in failed.stderr) == (1, True)
    lines = stoker.apart("webhooks", "deliveries", webhook).lines
    assert [line.split()[1:4] for line in lines[1:]] == [["test", "failed", "1"], ["test", "delivered", "1"]]
    assert len(stoker.apart("webhooks", "deliveries", webhook, "--json").json["deliveries"]) == 2
    assert stoker.apart("webhooks", "delete", webhook).code != 0, "it asks first"
    assert stoker.apart("webhooks", "delete", webhook, "--yes").code == 0
    assert stoker.apart("webhooks", "list").lines == []
