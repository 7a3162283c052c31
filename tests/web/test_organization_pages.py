"""An organization's pages: members, machines, usage, tokens, webhooks, settings, audit log; and a person's account."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from stoker.domain.ids import new_id
from stoker.domain.people import Role
from stoker.store.tables.columns import microseconds
from tests.harness.browser import PASSWORD, Browser, Page, join, owner_code
from tests.harness.curl import HTTP_1, Curl
from tests.harness.people import CLOCK, RANDOMNESS, Registry, invite
from tests.harness.receiver import Receiver
from tests.harness.server import Server

MARKUP = "<script>alert(1)</script>"
NOBODY = "0" * 16
PROJECTS = "depot.core.v1.ProjectService"
GIGABYTE = 1024**3
OF_ALL = ("members", "machines", "usage")
OF_OWNERS = ("tokens", "webhooks", "settings")


@dataclass
class House:
    """An organization with somebody in each role, and somebody of another one."""

    server: Server
    organization: str
    browsers: dict[str, Browser]
    people: dict[str, str]
    ids: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def owner(self) -> Browser:
        return self.browsers["owner"]

    def address(self, page: str) -> str:
        return f"/audit?organization={self.organization}" if page == "audit" else self.path(page)

    def path(self, page: str) -> str:
        return f"/organizations/{self.organization}/{page}"

    def submit(self, page: str, who: str = "owner", **fields: str) -> Page:
        """Send a form of a page, as somebody whose browser has it from a page of their own."""
        browser = self.browsers[who]
        return browser.post(self.path(page), csrf=browser.get("/password").hidden("csrf"), **fields)

    def write(self, sql: str, *values: object) -> None:
        self.server.write(sql, *values)

    def standing(self) -> list[Any]:
        """All that forms can change here."""
        queries = (
            "select person_id, role from memberships order by 1, organization_id",
            "select id from invitations order by 1",
            "select id, revoked_at from tokens where kind = 'organization' order by 1",
            "select id from webhooks order by 1",
            "select id, name from organizations order by 1",
            "select count(*) from webhook_deliveries",
        )
        return [self.server.query(query) for query in queries]

    def stays_out_of_sight(self, secret: str) -> bool:
        """Whether a secret is neither logged nor stored."""
        return secret not in self.server.output and secret.encode() not in self.server.stored()


@pytest.fixture(scope="module")
def house(make_server: Callable[..., Server]) -> House:
    server = make_server(webhook_private_addresses="true", webhook_timeout_seconds="5", forms_burst="10000")
    registry = Registry(server)
    browsers = {name: Browser(server.url) for name in ("owner", "member", "viewer", "outsider", "nobody")}
    join(browsers["owner"], owner_code(server), email="owner@example.com", name="Ada", password=PASSWORD)
    for name, role in (("member", "MEMBER"), ("viewer", "VIEWER"), ("outsider", "VIEWER")):
        code = invite(server, f"{name}@example.com", f"ROLE_{role}")
        join(browsers[name], code, name=name.title(), password=PASSWORD)
    people = {row[0].partition("@")[0]: row[1] for row in server.query("select email, id from people")}
    registry.remove_from_all(people["outsider"])
    registry.add_member(registry.organization("Elsewhere"), people["outsider"], Role.OWNER)
    house = House(server, server.first["DEPOT_ORG_ID"], browsers, people)
    house.submit("members", action="invite", email="open@example.com", role="viewer")
    house.submit("tokens", action="create", description="standing")
    house.submit("webhooks", action="create", project=server.project, url="http://127.0.0.1:9/standing")
    house.ids = {
        "person": people["viewer"],
        "invitation": server.query("select id from invitations where email = 'open@example.com'")[0][0],
        "token": server.query("select id from tokens where description = 'standing'")[0][0],
        "webhook": server.query("select id from webhooks")[0][0],
        "project": server.project,
    }
    return house


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def once(page: Page) -> str:
    """What a page shows this once."""
    found = re.search(r'class="copied" value="([^"]*)"', page.text)
    assert found is not None, page.words
    return unescape(found[1])


def cells(page: Page, first: str) -> list[str]:
    """The words of a row of a table, by its first cell."""
    for row in re.findall(r"<tr[^>]*>(.*?)</tr>", page.text, re.DOTALL):
        found = [
            " ".join(unescape(re.sub(r"<[^>]*>", " ", cell)).split())
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        ]
        if found[0].startswith(first):
            return found
    raise AssertionError(f"no row of {first}: {page.words}")


# Who sees what.


@pytest.mark.parametrize("page", [*OF_ALL, *OF_OWNERS, "audit"])
def test_each_role_sees_what_the_table_says(house: House, page: str) -> None:
    others = 200 if page in OF_ALL else 403
    seen = {name: browser.get(house.address(page)) for name, browser in house.browsers.items()}
    assert {name: seen[name].status for name in ("owner", "member", "viewer")} == {
        "owner": 200,
        "member": others,
        "viewer": others,
    }
    assert seen["nobody"].path == "/sign-in"
    assert seen["outsider"].status == 404
    gone = house.browsers["outsider"].get(house.address(page).replace(house.organization, NOBODY))
    said = seen["outsider"].words.replace(house.organization, NOBODY)
    assert (gone.status, gone.words) == (404, said), "knowing an id tells nothing"


def test_only_owners_are_offered_what_only_they_may(house: House) -> None:
    owner, viewer = (house.browsers[name].get(house.path("members")) for name in ("owner", "viewer"))
    for words in ("Invite a person", "Open invitations", "Tokens", "Webhooks", "Settings", "Audit log"):
        assert words in owner.words
        assert words not in viewer.words
    assert "open@example.com" not in viewer.words
    assert viewer.text.count("<form") == 1, "to sign out"


# Forms, by whoever may not send them.

FORMS: list[tuple[str, dict[str, str]]] = [
    ("members", {"action": "invite", "email": "new@example.com", "role": "owner"}),
    ("members", {"action": "withdraw", "invitation": "{invitation}"}),
    ("members", {"action": "change-role", "person": "{person}", "role": "owner"}),
    ("members", {"action": "remove", "person": "{person}"}),
    ("tokens", {"action": "create", "description": "mine"}),
    ("tokens", {"action": "revoke", "token": "{token}"}),
    ("webhooks", {"action": "create", "project": "{project}", "url": "https://example.com/"}),
    ("webhooks", {"action": "test", "webhook": "{webhook}"}),
    ("webhooks", {"action": "delete", "webhook": "{webhook}"}),
    ("settings", {"name": "taken over"}),
]


@pytest.mark.parametrize(("page", "fields"), FORMS)
def test_a_form_of_whoever_may_not_send_it_changes_nothing(house: House, page: str, fields: dict[str, str]) -> None:
    filled = {name: value.format(**house.ids) for name, value in fields.items()}
    before = house.standing()
    answers = {name: house.submit(page, name, **filled) for name in ("member", "viewer", "outsider", "nobody")}
    assert [answers[name].status for name in ("member", "viewer", "outsider")] == [403, 403, 404]
    assert answers["nobody"].path == "/sign-in"
    path, csrf = house.path(page), house.owner.get("/password").hidden("csrf")
    assert house.owner.post(path, **filled).status == 403, "without the token of the form"
    assert house.owner.post(path, csrf="0" * 64, **filled).status == 403
    assert house.owner.post(path, csrf=csrf, origin="https://elsewhere.example", **filled).status == 403
    assert house.standing() == before


@pytest.mark.parametrize(
    ("page", "fields", "status", "says"),
    [
        ("members", {"action": "invite", "email": "nowhere", "role": "viewer"}, 400, "not an email address"),
        ("members", {"action": "invite", "email": "a@example.com", "role": "emperor"}, 400, "no such role"),
        ("members", {"action": "invite", "email": "a@example.com"}, 400, "no such role"),
        ("members", {"action": "change-role", "person": NOBODY, "role": "owner"}, 404, "not found"),
        ("members", {"action": "change-role", "person": "{person}", "role": ""}, 400, "no such role"),
        ("members", {"action": "remove", "person": "../x"}, 400, "not an id"),
        ("members", {"action": "withdraw", "invitation": NOBODY}, 404, "not found"),
        ("members", {}, 400, "doesn't say what to do"),
        ("tokens", {"action": "create", "last_day": "someday"}, 400, "last day is not a date"),
        ("tokens", {"action": "create", "last_day": "9999-12-31"}, 400, "last day is not a date"),
        ("tokens", {"action": "create", "last_day": "2001-01-01"}, 400, "must be in the future"),
        ("tokens", {"action": "create", "description": "x" * 200}, 400, "is the most"),
        ("tokens", {"action": "revoke", "token": NOBODY}, 404, "not found"),
        ("tokens", {"action": "anything"}, 400, "doesn't say what to do"),
        ("webhooks", {"action": "create", "project": "{project}", "url": "ftp://example.com"}, 400, "not an address"),
        ("webhooks", {"action": "create", "project": NOBODY, "url": "https://example.com"}, 404, "not found"),
        ("webhooks", {"action": "test", "webhook": NOBODY}, 404, "not found"),
        ("webhooks", {"action": "delete", "webhook": ""}, 400, "empty"),
        ("webhooks", {}, 400, "doesn't say what to do"),
        ("settings", {"name": "  "}, 400, "empty"),
        ("settings", {"name": "a\x07b"}, 400, "control characters"),
    ],
)
def test_what_can_not_be_is_told_and_changes_nothing(
    house: House, page: str, fields: dict[str, str], status: int, says: str
) -> None:
    before = house.standing()
    answer = house.submit(page, **{name: value.format(**house.ids) for name, value in fields.items()})
    assert (answer.status, says in answer.words) == (status, True), answer.words
    assert 'role="alert"' in answer.text, "it is the page again, with what is wrong"
    assert house.standing() == before


@pytest.mark.parametrize(
    "address",
    ["members?after=x", "members?after=-1", "machines?after=1e3", "tokens?after=9999999999", "usage?period=x"],
)
def test_an_address_that_asks_for_nothing_is_refused(house: House, address: str) -> None:
    assert house.owner.get(house.path(address)).status == 400


# Members.


def test_an_invitation_is_shown_once_works_and_can_be_withdrawn(house: House) -> None:
    shown = house.submit("members", action="invite", email="Guest@example.com", role="member")
    link = once(shown)
    assert shown.path == house.path("members"), "the link is in no address of ours"
    code = link.removeprefix(f"{house.server.url}/join#")
    assert re.fullmatch(r"\w{20,}", code)
    listed = house.owner.get(house.path("members"))
    assert cells(listed, "guest@example.com")[1] == "member"
    assert code not in listed.text
    assert house.stays_out_of_sight(code)
    guest = Browser(house.server.url)
    assert "default member" in join(guest, code, name="Guest", password=PASSWORD).words
    assert guest.get(house.path("members")).status == 200

    again = once(house.submit("members", action="invite", email="late@example.com", role="viewer")).partition("#")[2]
    (found,) = house.server.query("select id from invitations where email = 'late@example.com'")
    house.submit("members", action="withdraw", invitation=found[0])
    assert "late@example.com" not in house.owner.get(house.path("members")).words
    assert Browser(house.server.url).post("/join", code=again).status == 404


def test_an_owner_changes_a_role_and_removes_a_member(house: House) -> None:
    leaver = Browser(house.server.url)
    join(leaver, invite(house.server, "leaver@example.com", "ROLE_VIEWER"), name="Leaver", password=PASSWORD)
    person = house.server.query("select id from people where email = 'leaver@example.com'")[0][0]
    assert leaver.get(house.path("tokens")).status == 403
    changed = house.submit("members", action="change-role", person=person, role="owner")
    assert (changed.status, changed.path) == (200, house.path("members"))
    assert leaver.get(house.path("tokens")).status == 200
    house.submit("members", action="change-role", person=person, role="member")
    assert leaver.get(house.path("tokens")).status == 403
    assert "leaver@example.com" not in house.submit("members", action="remove", person=person).words
    assert leaver.get(house.path("members")).status == 404


def test_the_last_owner_stays_and_another_may_go(house: House) -> None:
    outsider = house.browsers["outsider"]
    (elsewhere,) = house.server.query("select id from organizations where name = 'Elsewhere'")
    path, me = f"/organizations/{elsewhere[0]}/members", house.people["outsider"]
    before = house.standing()
    page = outsider.get(path)
    for fields in ({"action": "remove"}, {"action": "change-role", "role": "member"}):
        refused = outsider.submit(page, path, person=me, **fields)
        assert (refused.status, "needs an owner" in refused.words) == (409, True)
    assert house.standing() == before
    # Nor does an owner of one organization change another.
    assert outsider.submit(page, house.path("members"), action="remove", person=me).status == 404

    co_owner = Browser(house.server.url)
    join(co_owner, invite(house.server, "co@example.com", "ROLE_OWNER"), name="Co", password=PASSWORD)
    mine = house.server.query("select id from people where email = 'co@example.com'")[0][0]
    gone = co_owner.submit(co_owner.get(house.path("members")), action="remove", person=mine)
    assert (gone.status, gone.path) == (200, "/")


def test_a_long_list_of_members_comes_in_parts(house: House) -> None:
    registry = Registry(house.server)
    organization = registry.organization("Crowd")
    registry.add_member(organization, house.people["owner"], Role.OWNER)
    house.write(
        "with recursive n (i) as (select 0 union all select i + 1 from n where i < 100) "
        "insert into people (id, email, name, is_operator, created_at) "
        "select printf('%016d', i), printf('crowd-%03d@example.com', i), '', 0, 0 from n"
    )
    house.write(
        "insert into memberships (organization_id, person_id, role, created_at) "
        "select ?, id, 'viewer', 0 from people where email like 'crowd-%'",
        organization,
    )
    first = house.owner.get(f"/organizations/{organization}/members")
    assert "crowd-099@" in first.text
    assert "crowd-100@" not in first.text
    (more,) = re.findall(r'href="([^"]*)">More', first.text)
    rest = house.owner.get(unescape(more))
    assert ("crowd-100@" in rest.text, "crowd-099@" in rest.text, ">More<" in rest.text) == (True, False, False)
    (back,) = re.findall(r'href="([^"]*)">Back', rest.text)
    assert "crowd-000@" in house.owner.get(unescape(back)).text


# Tokens, webhooks, settings.


def test_a_token_is_shown_once_works_and_is_revoked(house: House) -> None:
    last_day = datetime.now(UTC).date() + timedelta(days=30)
    shown = house.submit("tokens", action="create", description="CI", last_day=f"{last_day}")
    secret = once(shown)
    assert shown.path == house.path("tokens")
    assert house.server.call(f"{PROJECTS}/ListProjects", token=secret).status == 200
    assert house.stays_out_of_sight(secret)
    listed = house.owner.get(house.path("tokens"))
    assert secret not in listed.text
    (token,) = house.server.query("select id, expires_at from tokens where description = 'CI'")
    assert token[1] == microseconds(datetime(*last_day.timetuple()[:3], tzinfo=UTC) + timedelta(days=1))
    assert cells(listed, "CI")[1] == token[0]
    house.submit("tokens", action="revoke", token=token[0])
    assert "CI" not in house.owner.get(house.path("tokens")).text.partition("Create a token")[0].partition("<table")[2]
    assert house.server.call(f"{PROJECTS}/ListProjects", token=secret).code == "unauthenticated"


def test_a_webhook_is_added_tried_and_removed(house: House, receiver: Receiver) -> None:
    shown = house.submit("webhooks", action="create", project=house.server.project, url=f"{receiver.url}/hook?a=b")
    secret = once(shown)
    (webhook,) = house.server.query("select id from webhooks where url like '%hook?a=b'")
    address = f"{receiver.url}/hook"
    assert cells(house.owner.get(house.path("webhooks")), address)[2] == "none"
    tried = house.submit("webhooks", action="test", webhook=webhook[0])
    assert tried.path == house.path("webhooks")
    assert cells(tried, address)[2] == "delivered just now test, HTTP 204"
    assert receiver.received[0].is_signed_with(secret)
    receiver.answer = lambda _: (500, {})
    refused = cells(house.submit("webhooks", action="test", webhook=webhook[0]), address)[2]
    assert refused.startswith("failed")
    assert "HTTP 500" in refused
    assert address not in house.submit("webhooks", action="delete", webhook=webhook[0]).text
    assert house.stays_out_of_sight(secret)


def test_a_form_reaches_into_no_other_organization_of_its_sender(house: House) -> None:
    registry = Registry(house.server)
    organization = registry.organization("Second")
    registry.add_member(organization, house.people["owner"], Role.OWNER)
    page, before = house.owner.get("/password"), house.standing()
    for name, fields in FORMS:
        filled = {key: value.format(**house.ids) for key, value in fields.items()}
        if filled.get("action") not in {None, "invite"} and (name, filled["action"]) != ("tokens", "create"):
            refused = house.owner.submit(page, f"/organizations/{organization}/{name}", **filled)
            assert refused.status == 404, refused.words
    assert house.standing() == before


def test_names_are_text_and_nothing_more(house: House) -> None:
    registry = Registry(house.server)
    organization = registry.organization("Plain")
    registry.add_member(organization, house.people["owner"], Role.OWNER)
    path, page = f"/organizations/{organization}", house.owner.get("/password")
    registry.person("eve", **{f"o{organization}": Role.MEMBER})
    house.write("update people set name = ? where email = 'eve@example.com'", MARKUP)
    house.owner.submit(page, f"{path}/settings", name=MARKUP)
    secret = once(house.owner.submit(page, f"{path}/tokens", action="create", description=MARKUP))
    wanted = {"name": MARKUP, "regionId": "us-east-1"}
    project = house.server.call(f"{PROJECTS}/CreateProject", wanted, token=secret).body["project"]["projectId"]
    house.owner.submit(page, f"{path}/webhooks", action="create", project=project, url="https://example.com/'x'")
    past_build(house, project, organization, datetime.now(UTC) - timedelta(minutes=9), timedelta(minutes=5))
    machine(house, project, organization, error=MARKUP)
    for name in (*OF_ALL, *OF_OWNERS):
        seen = house.owner.get(f"{path}/{name}")
        assert seen.status == 200
        assert MARKUP in unescape(seen.text), name
        assert "<script>" not in seen.text, name
        assert " style=" not in seen.text, "the policy would not let it have an effect"
    shown = house.owner.submit(page, f"{path}/members", action="invite", email='"><b>', role="viewer")
    assert shown.status == 400
    assert "<b>" not in shown.text


# Machines and usage.


def past_build(
    house: House,
    project: str,
    organization: str,
    started: datetime,
    took: timedelta,
    *,
    saved: timedelta = timedelta(0),
) -> str:
    build = new_id(CLOCK, RANDOMNESS)
    times = [microseconds(moment) for moment in (started, started, started + took)]
    house.write(
        "insert into builds (id, organization_id, project_id, status, created_at, started_at, finished_at, "
        "saved_microseconds) values (?, ?, ?, 'succeeded', ?, ?, ?, ?)",
        *(build, organization, project, *times, saved // timedelta(microseconds=1)),
    )
    return build


def machine(house: House, project: str, organization: str, platform: str = "linux/amd64", **more: object) -> str:
    made = new_id(CLOCK, RANDOMNESS)
    values = {
        "id": made,
        "organization_id": organization,
        "project_id": project,
        "platform": platform,
        "region_id": "",
        "desired": "stopped",
        "state": "stopped",
        "run": 1,
        "failures": 0,
        "created_at": 0,
        "changed_at": microseconds(CLOCK.now() - timedelta(hours=3)),
        **more,
    }
    names = ", ".join(values)
    house.write(f"insert into machines ({names}) values ({', '.join('?' * len(values))})", *values.values())  # noqa: S608
    return made


def hold(house: House, build: str, machine_id: str, project: str, began: datetime, ended: datetime | None) -> None:
    house.write(
        "insert into leases (id, build_id, project_id, platform, machine_id, created_at, expires_at, ended_at) "
        "values (?, ?, ?, 'linux/amd64', ?, ?, ?, ?)",
        *(new_id(CLOCK, RANDOMNESS), build, project, machine_id, microseconds(began)),
        *(microseconds(CLOCK.now() + timedelta(hours=1)), None if ended is None else microseconds(ended)),
    )


@pytest.fixture
def yard(house: House) -> tuple[str, Callable[[str], str]]:
    """An organization of its own that the owner owns, and what makes projects in it."""
    registry = Registry(house.server)
    organization = registry.organization("Yard")
    registry.add_member(organization, house.people["owner"], Role.OWNER)
    page = house.owner.get("/password")
    token = once(house.owner.submit(page, f"/organizations/{organization}/tokens", action="create"))

    def new_project(name: str) -> str:
        wanted = {"name": name, "regionId": "us-east-1", "hardware": "HARDWARE_8X16"}
        return house.server.call(f"{PROJECTS}/CreateProject", wanted, token=token).body["project"]["projectId"]

    return organization, new_project


def test_machines_are_shown_with_their_state_cache_use_and_cost(
    house: House, yard: tuple[str, Callable[[str], str]]
) -> None:
    organization, new_project = yard
    now = CLOCK.now()
    busy, broken, gone = (new_project(name) for name in ("busy", "broken", "gone"))
    # The month may just have begun, so all that counts lies within the last minutes, and what is compared is no number.
    build = past_build(house, busy, organization, now - timedelta(minutes=30), timedelta(minutes=10))
    first = machine(house, busy, organization, idle_since=microseconds(now))
    hold(house, build, first, busy, now - timedelta(minutes=30), now - timedelta(minutes=20))
    house.write(
        "insert into volumes (id, project_id, platform, region_id, state, created_at, failures, size_bytes) "
        "values (?, ?, 'linux/amd64', '', 'active', ?, 0, ?)",
        *(new_id(CLOCK, RANDOMNESS), busy, microseconds(now - timedelta(days=2)), 10 * GIGABYTE),
    )
    paused = {"crashes": 3, "retry_at": microseconds(now + timedelta(hours=1)), "error": "it ended unexpectedly"}
    machine(house, broken, organization, **paused)
    machine(house, gone, organization)
    house.write("update projects set deleted_at = ? where id = ?", microseconds(now), gone)

    page = house.owner.get(f"/organizations/{organization}/machines")

    name, state, size, builds, cache, last_use, cost = cells(page, "busy")
    assert (name, state, size, builds) == ("busy linux/amd64", "stopped 3 hours ago", "8x16", "none")
    assert (cache, last_use) == ("10 GB of 50 GB", "20 minutes ago")
    in_month = max(timedelta(0), min(timedelta(minutes=10), now - timedelta(minutes=20) - month_of(now)))
    assert cost.startswith("10 min " if in_month == timedelta(minutes=10) else "")
    days = min(timedelta(days=2), now - month_of(now)) / timedelta(days=1)
    assert abs(float(cost.split()[-2]) - 10 * days) < 0.2
    state = cells(page, "broken")[1]
    assert state.startswith("paused after 3 crashes")
    assert "it ended unexpectedly" in state
    assert cells(page, "broken")[4:6] == ["not measured yet", "never"]
    assert "gone" not in page.words


def month_of(now: datetime) -> datetime:
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def test_builds_that_hold_a_machine_are_named(house: House, yard: tuple[str, Callable[[str], str]]) -> None:
    organization, new_project = yard
    project, now = new_project("shared"), CLOCK.now()
    builds = Registry(house.server).builds(project, organization, 7)
    held = machine(house, project, organization)
    for build in sorted(builds):
        hold(house, build, held, project, now, None)
    page = house.owner.get(f"/organizations/{organization}/machines")
    assert cells(page, "shared")[3].startswith("7 ")
    assert cells(page, "shared")[5] == "now"
    assert re.findall(r'href="/builds/(\w+)"', page.text) == sorted(builds)[:5]
    # The end of the server would wait for them.
    house.write("update leases set ended_at = created_at where machine_id = ?", held)


def test_a_long_list_of_machines_comes_in_parts(house: House, yard: tuple[str, Callable[[str], str]]) -> None:
    organization, new_project = yard
    template = new_project("p-000")
    for number in range(1, 102):
        house.write(
            "insert into projects select printf('%016d', ?), organization_id, printf('p-%03d', ?), region_id, "
            "hardware, keep_bytes, keep_days, created_at, deleted_at from projects where id = ?",
            *(number, number, template),
        )
        machine(house, f"{number:016}", organization)
    first = house.owner.get(f"/organizations/{organization}/machines")
    (more,) = re.findall(r'href="([^"]*)">More', first.text)
    rest = house.owner.get(unescape(more))
    names = [re.findall(r">(p-\d+)</a>", page.text) for page in (first, rest)]
    assert names == [[f"p-{number:03}" for number in range(1, 101)], ["p-101"]]


def test_usage_is_shown_by_day_and_by_project(house: House, yard: tuple[str, Callable[[str], str]]) -> None:
    organization, new_project = yard
    midnight = CLOCK.now().replace(hour=0, minute=0, second=0, microsecond=0)
    small, large = new_project("small"), new_project("large")
    minute = timedelta(minutes=1)
    past_build(house, small, organization, midnight - timedelta(days=2, minutes=-60), 5 * minute, saved=7 * minute)
    # Over a midnight: ten minutes of one day, and twenty of the next.
    past_build(house, large, organization, midnight - timedelta(days=2, minutes=10), 30 * minute)
    past_build(house, large, organization, midnight - timedelta(days=40), 30 * minute)
    # Over more than a whole day.
    past_build(house, large, organization, midnight - timedelta(days=6, minutes=10), timedelta(days=1, minutes=15))

    page = house.owner.get(f"/organizations/{organization}/usage?period=last-30-days")

    days = {day: cells(page, f"{(midnight - timedelta(days=day)).date()}")[1:] for day in (7, 6, 5, 4, 3, 2, 1, 0)}
    assert days == {
        7: ["1", "10 min", "0.0 s"],
        6: ["0", "1 d", "0.0 s"],
        5: ["0", "5 min", "0.0 s"],
        4: ["0", "0.0 s", "0.0 s"],
        3: ["1", "10 min", "0.0 s"],
        2: ["1", "25 min", "7 min"],
        1: ["0", "0.0 s", "0.0 s"],
        0: ["0", "0.0 s", "0.0 s"],
    }
    assert cells(page, "large")[1:3] == ["2", "1 d"]
    assert cells(page, "small")[1:] == ["1", "5 min", "0.0 s", "7 min", "0 B"]
    charts = re.findall(r'<svg[^>]*role="img" aria-label="([^"]*)">(.*?)</svg>', page.text, re.DOTALL)
    assert [label.partition(":")[0] for label, _ in charts] == [
        "Build time by day",
        "Builds by day",
        "Saved by cache by day",
    ]
    assert [bars.count("<rect") for _, bars in charts] == [5, 3, 1], "one for each day with something"
    assert "3 in all, 1 at most" in charts[1][0]


def test_a_period_is_chosen_by_its_name(house: House, yard: tuple[str, Callable[[str], str]]) -> None:
    organization, new_project = yard
    project, first = new_project("monthly"), month_of(CLOCK.now())
    past_build(house, project, organization, first - timedelta(minutes=5), timedelta(minutes=3))
    path = f"/organizations/{organization}/usage"
    assert "monthly" not in house.owner.get(path).words, "it is this month, unless another is chosen"
    last = house.owner.get(f"{path}?period=last-month")
    assert cells(last, "monthly")[1:3] == ["1", "3 min"]
    assert cells(last, f"{(first - timedelta(days=1)).date()}")[1] == "1"
    assert 'period=last-month" aria-current="page"' in last.text


def test_many_projects_are_put_together_with_caches_of_those_without_builds(
    house: House, yard: tuple[str, Callable[[str], str]]
) -> None:
    organization, new_project = yard
    begun = CLOCK.now() - timedelta(hours=1)
    for number in range(22):
        past_build(house, new_project(f"q-{number:02}"), organization, begun, timedelta(seconds=100 - number))
    house.write(
        "insert into volumes (id, project_id, platform, region_id, state, created_at, failures, size_bytes) "
        "values (?, ?, 'linux/amd64', '', 'active', 0, 0, ?)",
        *(new_id(CLOCK, RANDOMNESS), new_project("quiet"), 3 * GIGABYTE),
    )
    page = house.owner.get(f"/organizations/{organization}/usage?period=last-30-days")
    assert re.findall(r">(q-\d+)</a>", page.text) == [f"q-{number:02}" for number in range(20)]
    assert cells(page, "2 other projects")[1:] == ["2", "2 min 39 s", "0.0 s", "0.0 s", "3 GB"]


# The audit log, and a person's own account.


def test_the_audit_log_is_downloaded_whole(house: House, yard: tuple[str, Callable[[str], str]]) -> None:
    organization, new_project = yard
    new_project("written")
    house.write(
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < 1100) "
        "insert into audit_events (id, organization_id, occurred_at, actor_kind, actor_id, actor_name, action, "
        "target_kind, target_id, target_name, detail, address, request_id) "
        "select printf('%016d', i), ?, i, 'person', '', 'old@example.com', 'build.share', 'build', '', ?, '', '', '' "
        "from n",
        *(organization, MARKUP),
    )
    page = house.owner.get(f"/audit?organization={organization}")
    assert 'aria-current="page">Audit log' in page.text
    (link,) = re.findall(r'href="([^"]*)">Download all as JSON', page.text)
    whole = house.owner.get(unescape(link))
    assert whole.headers["content-type"] == "application/json"
    assert whole.headers["content-disposition"].startswith("attachment")
    events = json.loads(whole.text)["events"]
    assert len({event["eventId"] for event in events}) == len(events) > 1100
    assert events[-1] == {
        "eventId": f"{1:016}",
        "organizationId": organization,
        "occurredAt": "1970-01-01T00:00:00.000001Z",
        "actor": {"kind": "person", "name": "old@example.com"},
        "action": "build.share",
        "target": {"kind": "build", "name": MARKUP},
    }
    token = Registry(house.server).person("auditor", **{f"o{organization}": Role.OWNER}).token
    wanted = {"organizationId": organization, "pageSize": 20}
    assert house.server.call("stoker.v1.AuditService/ListEvents", wanted, token=token).body["events"] == events[:20]
    only = json.loads(house.owner.get(f"{unescape(link)}project".replace("action=", "action=")).text)["events"]
    assert {event["action"] for event in only} == {"project.create"}
    path = f"/audit/events.json?organization={organization}"
    assert [house.browsers[name].get(path).status for name in ("member", "outsider")] == [403, 404]
    assert house.browsers["nobody"].get(path).path == "/sign-in"


def test_a_person_sees_their_command_lines_and_logs_them_out(house: House, tmp_path: Path) -> None:
    member = house.browsers["member"]
    assert member.get("/account").words.count("No command line is logged in") == 1
    login = house.server.call(
        "depot.cli.v1beta1.LoginService/StartLogin", token="", headers={"user-agent": f"tool {MARKUP}"}
    ).body
    member.submit(member.get(login["approveUrl"]), decision="approve")
    curl = Curl(house.server, HTTP_1, tmp_path)
    finished = curl.stream("depot.cli.v1beta1.LoginService/FinishLogin", {"id": login["id"]}, token="none")
    secret = finished.messages[0]["token"]
    assert house.server.call(f"{PROJECTS}/ListProjects", token=secret).status == 200

    page = member.get("/account")
    assert f"tool {MARKUP}" in unescape(page.text)
    assert "<script>" not in page.text
    assert secret not in page.text
    (token,) = re.findall(r'name="token" value="(\w+)"', page.text)
    assert house.browsers["nobody"].get("/account").path == "/sign-in"
    viewer = house.browsers["viewer"]
    assert viewer.submit(viewer.get("/account"), token=token).status == 404, "it is another's"
    assert member.post("/account", token=token).status == 403, "without the token of the form"
    assert member.submit(page, token="x").status == 400
    assert house.server.call(f"{PROJECTS}/ListProjects", token=secret).status == 200

    assert "No command line is logged in" in member.submit(page, token=token).words
    assert house.server.call(f"{PROJECTS}/ListProjects", token=secret).code == "unauthenticated"
    recorded = house.server.query("select actor_name from audit_events where target_id = ?", token)
    assert recorded == [("member@example.com",)]
