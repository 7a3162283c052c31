"""Another organization that works meanwhile: builds from the cache, one after the other, and a load balancer."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.receiver import Receiver
from tests.harness.server import Server
from tests.harness.waiting import eventually

CREATE_WEBHOOK = "stoker.v1.WebhookService/CreateWebhook"
HEALTH = "/grpc.health.v1.Health/Check"
BALANCER = "127.0.0.250"
HEALTH_PAUSE = 0.1
HEALTH_TIMEOUT = 10.0
STEPS = 3
_SAID = 500
_CATCH_UP_SECONDS = 30.0
# Not the CLI's own lines: it sends those of a short build while it ends, and doesn't wait until they are sent.
_RECORDS = (
    "select id, (select count(*) from steps where build_id = builds.id and solve_ref != 'client'), "
    "(select sum(log_lines) from steps where build_id = builds.id and solve_ref != 'client'), "
    "(select group_concat(distinct record) from solves where build_id = builds.id) "
    "from builds where project_id = ? and status != 'running'"
)


@dataclass
class Noticed:
    """What a neighbour noticed in some time: seconds of builds and health checks, and what failed."""

    builds: list[float] = field(default_factory=list[float])
    health_checks: list[float] = field(default_factory=list[float])
    failures: list[str] = field(default_factory=list[str])
    began: float = field(default_factory=time.monotonic)
    slowest_health_check: float = float("nan")
    slowest_at: float = float("nan")

    def add_health_check(self, began: float, seconds: float) -> None:
        """Note how long a health check took that began then."""
        self.health_checks.append(seconds)
        if seconds >= max(self.health_checks):
            self.slowest_health_check, self.slowest_at = seconds, began - self.began

    @property
    def build_seconds(self) -> float:
        return median(self.builds) if self.builds else float("nan")


@dataclass
class Neighbour:
    """One project of another organization, whose build is in its cache."""

    server: Server
    depot: Depot
    project: str
    context: Path
    receiver: Receiver
    recorded_steps: int = 0
    _new_lines: int = 0
    _lines: dict[str, int] = field(default_factory=dict[str, int])

    @classmethod
    @contextmanager
    def settled(cls, server: Server, folder: Path, project: str | None = None) -> Iterator[Neighbour]:
        """Build once, so that the next builds come from the cache, and have a webhook."""
        home = folder / "home"
        home.mkdir(parents=True)
        receiver = Receiver()
        neighbour = cls(server, Depot(server, home), project or server.project, folder / "context", receiver)
        neighbour.change("first")
        try:
            made = server.call(CREATE_WEBHOOK, {"projectId": neighbour.project, "url": receiver.url})
            assert made.status == 200, made
            first = Noticed()
            neighbour._new_lines = 0
            assert neighbour._build(first), first.failures
            eventually(lambda: neighbour._recorded() > STEPS, "the neighbour's build is recorded", 30)
            eventually(lambda: receiver.received, "the neighbour's webhook is delivered", 30)
            neighbour.recorded_steps = neighbour._recorded()
            yield neighbour
        finally:
            receiver.close()

    def _recorded(self) -> int:
        """How many steps the record of the first build has, when it is complete."""
        query = f"{_RECORDS} order by id limit 1"
        ((_, steps, _, records),) = self.server.query(query, self.project)
        return steps if records == "complete" else 0

    def newest_build(self) -> str:
        """The id of the last build so far."""
        return self.server.query("select max(id) from builds where project_id = ?", self.project)[0][0]

    def unlike(self, after: str) -> list[str]:
        """What is wrong with records and webhooks of builds that began after a build, once they had their time."""
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        while (found := self._unlike(after)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def _unlike(self, after: str) -> list[str]:
        found: list[str] = []
        delivered = {message.content["data"]["build_id"] for message in list(self.receiver.received)}
        for build, *record in self.server.query(_RECORDS + " and id > ? order by id", self.project, after):
            whole = [self.recorded_steps, self._lines.get(build, 0), "complete"]
            if record != whole:
                found.append(f"the record of a neighbour's build {build} is {record} instead of {whole}")
            if build not in delivered:
                found.append(f"the end of a neighbour's build {build} was told to no webhook")
        return found

    def build(self, noticed: Noticed) -> None:
        """Build once; all steps but one that is new come from the cache."""
        new_lines, self._new_lines = self._new_lines, 0
        if self._build(noticed, cached=STEPS):
            self._lines[self.newest_build()] = new_lines

    def change(self, word: str) -> None:
        """Let the last step be a new one, which the next build has to run."""
        steps = run("echo one") + run("echo two") + run(f"seq {_SAID - 1}; echo {word}")
        make_context(self.context, HEADER + steps)
        self._new_lines = _SAID

    def _build(self, noticed: Noticed, cached: int = 0) -> bool:
        began = time.monotonic()
        done = self.depot.build(cwd=self.context, DEPOT_PROJECT_ID=self.project)
        if done.code != 0:
            noticed.failures.append(f"a neighbour's build failed: {done.output[-2000:]}")
            return False
        noticed.builds.append(time.monotonic() - began)
        if done.cached < cached:
            noticed.failures.append(f"a neighbour's build was not cached: {done.output[-2000:]}")
        return True

    def check_health(self, noticed: Noticed) -> None:
        """Ask once whether the server is well, as a load balancer does: with a connection of its own."""
        began = time.monotonic()
        address = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=HEALTH_TIMEOUT, source_address=(BALANCER, 0)
        )
        try:
            with closing(connection):
                connection.request("POST", HEALTH, b"{}", {"content-type": "application/json"})
                answer = connection.getresponse()
                body = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            noticed.failures.append(f"a health check failed: {error!r}")
        else:
            if (answer.status, body.get("status")) != (200, "SERVING"):
                noticed.failures.append(f"a health check was answered {answer.status} {body}")
        noticed.add_health_check(began, time.monotonic() - began)

    @contextmanager
    def working(self) -> Iterator[Noticed]:
        """Builds and health checks go on meanwhile, and one build at least is begun and ended."""
        noticed, stopped = Noticed(), threading.Event()

        def build() -> None:
            while not stopped.is_set():
                self.build(noticed)

        def check() -> None:
            while not stopped.wait(HEALTH_PAUSE):
                self.check_health(noticed)

        threads = [threading.Thread(target=work) for work in (build, check)]
        for thread in threads:
            thread.start()
        try:
            yield noticed
        finally:
            stopped.set()
            for thread in threads:
                thread.join()
