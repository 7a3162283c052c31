"""Pages of organizations and projects: who sees what, who may change what, and what is typed."""

from __future__ import annotations

import re
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import quote

import pytest

from stoker.domain.people import Role
from tests.harness.browser import PASSWORD, Browser, Page, join, signed_in
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.people import Registry, invite
from tests.harness.records import when_recorded
from tests.harness.server import Server
from tests.harness.waiting import eventually

MARKUP = "<script>alert(1)</script>"
CONNECT = "depot.cli.v1.BuildService/GetBuildKitConnection"
FINISH = "depot.build.v1.BuildService/FinishBuild"
UUID = "01234567-89ab-cdef-0123-456789abcdef"
TYPED = {"name": "typed", "region": "eu-central-1", "hardware": "8x16", "keep_gb": "20", "keep_days": "3"}


@dataclass
class House:
    """A server with people of every kind, and a second organization."""

    server: Server
    other_organization: str
    owner: Browser
    member: Browser
    viewer: Browser
    stranger: Browser
    """An owner of the other organization."""
    nobody: Browser

    @property
    def organization(self) -> str:
        return self.server.first["DEPOT_ORG_ID"]

    def by_name(self, name: str) -> Browser:
        return getattr(self, name)


@pytest.fixture(scope="module")
def house(strict: Server) -> House:
    server = strict
    other = Registry(server).organization("elsewhere")
    others = [Browser(server.url) for _ in range(3)]
    for browser, name, role, organization in zip(
        others,
        ("mo", "vi", "eve"),
        ("ROLE_MEMBER", "ROLE_VIEWER", "ROLE_OWNER"),
        (None, None, other),
        strict=True,
    ):
        code = invite(server, f"{name}@example.com", role, organization)
        assert join(browser, code, name=name, password=PASSWORD).path == "/"
    return House(server, other, signed_in(server, "ada@example.com"), *others, Browser(server.url))


@pytest.fixture
def project(house: House) -> str:
    """A project of the test's own."""
    return house.server.new_project("a project")


def project_row(house: House, project: str) -> tuple[object, ...]:
    (row,) = house.server.query(
        "select name, region_id, hardware, keep_bytes, keep_days, deleted_at is null from projects where id = ?",
        project,
    )
    return row


def value_of(page: Page, field: str) -> str:
    """What an input has in it."""
    found = re.search(rf'<input id="{field}"[^>]* value="([^"]*)"', page.text)
    assert found is not None, page.text
    return found[1]


def forms_of(page: Page) -> set[str]:
    """Where the forms of a page send what they change."""
    return set(re.findall(r'<form[^>]*method="post" action="([^"]+)"', page.text)) - {"/sign-out"}


# What each kind of reader gets of each page.
SEES = {"owner": 200, "member": 200, "viewer": 200, "stranger": 404}
PAGES = {
    "/organizations/{organization}": SEES,
    "/organizations/{organization}/new-project": SEES | {"viewer": 403},
    "/projects/{project}": SEES,
    "/projects/{project}/settings": SEES,
    "/projects/{project}/tokens": SEES | {"member": 403, "viewer": 403},
    "/projects/{project}/trust-policies": SEES,
}


@pytest.mark.parametrize("template", PAGES)
def test_who_sees_a_page(house: House, template: str) -> None:
    path = template.format(organization=house.organization, project=house.server.project)
    assert {who: house.by_name(who).get(path).status for who in SEES} == PAGES[template]
    asked = house.nobody.get(path)
    assert (asked.status, asked.path) == (200, "/sign-in")
    assert asked.hidden("next") == path


@pytest.mark.parametrize("path", ["/organizations/x", "/projects/x", "/projects/0000000000000000", "/projects/%00"])
def test_addresses_that_lead_nowhere(house: House, path: str) -> None:
    assert house.owner.get(path).status in (400, 404)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("?status=exploded", 400),
        ("?page=x", 400),
        ("?page=0000000000000000", 200),
        ("?status=failed", 200),
        ("?since=yesterday", 400),
        ("?since=2026-01-31&q=web+lint&branch=main&target=web&platform=linux/amd64", 200),
        ("?platform=linux/riscv64", 400),
        (f"?q={129 * 'x'}", 400),
    ],
)
def test_what_an_address_asks_for_must_make_sense(house: House, path: str, status: int) -> None:
    assert house.owner.get(f"/projects/{house.server.project}{path}").status == status


@dataclass
class Form:
    """A form: where it is sent, what with, and whose role is too small for it."""

    path: str
    fields: dict[str, str]
    refused: tuple[str, ...]


FORMS = {
    "create": Form("/organizations/{organization}/new-project", TYPED, ("viewer",)),
    "save": Form("/projects/{project}/settings", TYPED, ("viewer",)),
    "reset": Form("/projects/{project}/settings/reset", {"confirm": "a project"}, ("viewer",)),
    "delete": Form("/projects/{project}/settings/delete", {"confirm": "a project"}, ("viewer", "member")),
    "token": Form("/projects/{project}/tokens", {"description": "x"}, ("viewer", "member")),
    "revoke": Form("/projects/{project}/tokens/{token}/revoke", {}, ("viewer", "member")),
    "trust": Form(
        "/projects/{project}/trust-policies",
        {"provider": "github", "owner": "acme", "source": "web"},
        ("viewer", "member"),
    ),
    "distrust": Form("/projects/{project}/trust-policies/{policy}/remove", {}, ("viewer", "member")),
}


@pytest.fixture
def kept(house: House, project: str) -> tuple[dict[str, str], Callable[[], list[object]]]:
    """A project with a token, a policy and a running build, by their names in paths, and all that forms change."""
    server = house.server
    ids = {"organization": house.organization, "project": project}
    made = server.call("depot.core.v1.ProjectService/CreateToken", {"projectId": project, "description": "kept"})
    github = {"repositoryOwner": "acme", "repository": "kept"}
    added = server.call("depot.core.v1.ProjectService/AddTrustPolicy", {"projectId": project, "github": github})
    ids |= {"token": made.body["tokenId"], "policy": added.body["trustPolicy"]["trustPolicyId"]}
    server.new_build(project)

    def state() -> list[object]:
        return [
            project_row(house, project),
            server.query("select count(*) from projects"),
            server.query("select id, revoked_at from tokens where project_id = ? order by id", project),
            server.query("select id from trust_policies where project_id = ?", project),
            server.query("select status from builds where project_id = ?", project),
        ]

    return ids, state


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_is_sent_by_hand_changes_nothing_without_the_role_for_it(
    house: House, kept: tuple[dict[str, str], Callable[[], list[object]]], name: str
) -> None:
    ids, state = kept
    form, before = FORMS[name], state()
    path = form.path.format(**ids)
    refused: dict[str, int] = {}
    for who in (*form.refused, "stranger"):
        browser = house.by_name(who)
        refused[who] = browser.post(path, csrf=browser.get("/").hidden("csrf"), **form.fields).status
    assert refused == {**dict.fromkeys(form.refused, 403), "stranger": 404}
    assert house.nobody.post(path, **form.fields).path == "/sign-in"
    assert house.owner.post(path, **form.fields).status == 403, "no token of the form"
    csrf = house.owner.get("/").hidden("csrf")
    assert house.owner.post(path, csrf=csrf, origin="https://elsewhere.example", **form.fields).status == 403
    assert state() == before


def test_what_a_reader_may_not_do_is_not_shown(
    house: House, kept: tuple[dict[str, str], Callable[[], list[object]]]
) -> None:
    ids, _ = kept
    base = "/projects/{project}".format(**ids)
    listed = f"/organizations/{house.organization}"
    settings, policies = f"{base}/settings", f"{base}/trust-policies"
    shown = {
        who: forms_of(house.by_name(who).get(settings)) | forms_of(house.by_name(who).get(policies))
        for who in ("owner", "member", "viewer")
    }
    changes = {settings, f"{settings}/reset"}
    assert shown["viewer"] == set()
    assert shown["member"] == changes
    assert shown["owner"] == changes | {f"{settings}/delete", policies, f"{policies}/{ids['policy']}/remove"}
    new = {who: "New project" in house.by_name(who).get(listed).words for who in shown}
    tokens = {who: f'href="{base}/tokens"' in house.by_name(who).get(base).text for who in shown}
    assert new == {"owner": True, "member": True, "viewer": False}
    assert tokens == {"owner": True, "member": False, "viewer": False}
    assert "16 CPUs, 32 GB" in house.viewer.get(settings).words


def test_a_member_makes_a_project(house: House) -> None:
    path = f"/organizations/{house.organization}/new-project"
    page = house.member.get(path)
    assert (value_of(page, "keep_gb"), value_of(page, "keep_days")) == ("50", "14")
    made = house.member.submit(page, path, **TYPED | {"name": " brand new "})
    assert made.status == 200
    assert made.path.startswith("/projects/")
    assert "No builds yet" in made.words
    row = project_row(house, made.path.rpartition("/")[2])
    assert row == ("brand new", "eu-central-1", "8x16", 20 * 1024**3, 3, 1)
    (event,) = house.server.query("select actor_kind, actor_name from audit_events where target_name = 'brand new'")
    assert event == ("person", "mo@example.com")


WRONG = [
    ({"name": " "}, "Name is empty"),
    ({"name": "x" * 200}, "128 is the most"),
    ({"region": "the-moon"}, "not a region"),
    ({"hardware": "1x1"}, "not a size"),
    ({"keep_gb": "many"}, "not a number of GB"),
    ({"keep_gb": "0.0001"}, "keep_bytes"),
    ({"keep_days": "-1"}, "not a number of days"),
    ({"keep_days": "99999"}, "keep_days"),
]


@pytest.mark.parametrize(("fields", "problem"), WRONG)
@pytest.mark.parametrize("where", ["new", "settings"])
def test_what_can_not_be_right_is_said_at_the_form_with_all_that_was_typed(
    house: House, project: str, where: str, fields: dict[str, str], problem: str
) -> None:
    new, settings = f"/organizations/{house.organization}/new-project", f"/projects/{project}/settings"
    path = new if where == "new" else settings
    before = project_row(house, project), house.server.query("select count(*) from projects")
    typed = TYPED | fields
    answer = house.owner.submit(house.owner.get(path), path, **typed)
    assert answer.status == 400
    assert problem in answer.words
    assert {name: value_of(answer, name) for name in ("name", "keep_gb", "keep_days")} == {
        name: typed[name] for name in ("name", "keep_gb", "keep_days")
    }
    for name in ("region", "hardware"):
        assert f'<option value="{typed[name]}" selected>' in answer.text
    assert (project_row(house, project), house.server.query("select count(*) from projects")) == before


def test_settings_are_saved_and_what_was_not_touched_stays_to_the_byte(house: House) -> None:
    wanted = {"name": "exact", "regionId": "us-east-1", "cachePolicy": {"keepBytes": "1234567890", "keepDays": 5}}
    project = house.server.call("depot.core.v1.ProjectService/CreateProject", wanted).body["project"]["projectId"]
    path = f"/projects/{project}/settings"
    page = house.member.get(path)
    shown = value_of(page, "keep_gb")
    fields = {"name": "renamed", "region": "eu-central-1", "hardware": "4x8", "keep_gb": shown, "keep_days": "0"}
    saved = house.member.submit(page, path, **fields)
    assert "were saved" in saved.words
    assert project_row(house, project) == ("renamed", "eu-central-1", "4x8", 1234567890, 0, 1)


@pytest.mark.parametrize("what", ["reset", "delete"])
def test_what_can_not_be_taken_back_needs_the_name(house: House, project: str, what: str) -> None:
    build, _ = house.server.new_build(project)
    path = f"/projects/{project}/settings"
    page = house.owner.get(path)
    wrong = house.owner.submit(page, f"{path}/{what}", confirm="A project")
    assert wrong.status == 400
    assert "type the project's name" in wrong.words
    assert value_of(wrong, f"confirm-{what}") == "A project"
    assert project_row(house, project)[-1] == 1
    assert house.server.query("select status from builds where id = ?", build) == [("running",)]
    done = house.owner.submit(page, f"{path}/{what}", confirm="a project")
    assert done.status == 200
    ((status, error),) = house.server.query("select status, error from builds where id = ?", build)
    assert (status, what in error) == ("failed", True)
    if what == "reset":
        assert "cache was reset" in done.words
        assert house.owner.get(f"/projects/{project}").status == 200
    else:
        assert done.path == f"/organizations/{house.organization}"
        assert house.owner.get(f"/projects/{project}").status == 404


def test_a_token_is_shown_once_and_works_until_it_is_revoked(house: House, project: str) -> None:
    server, path = house.server, f"/projects/{project}/tokens"
    page = house.owner.get(path)
    assert "No tokens yet" in page.words
    made = house.owner.submit(page, path, description="for CI", untrusted="yes")
    found = re.search(r'id="secret">(stoker_\w+)<', made.text)
    assert found is not None, made.words
    secret = found[1]
    assert made.url.endswith(path), "no secret in an address"
    assert made.headers["cache-control"] == "no-store"
    again = house.owner.get(path)
    assert secret not in again.text
    assert "for CI untrusted just now never never" in again.words
    assert server.call("depot.build.v1.BuildService/CreateBuild", {"projectId": project}, token=secret).status == 200
    assert server.query("select untrusted from builds where project_id = ?", project) == [(1,)]
    eventually(lambda: house.owner.get(path).words.count(" never") == 1, "its use is noted")
    (revoke,) = forms_of(again) - {path}
    assert "No tokens yet" in house.owner.submit(again, revoke).words
    assert server.call("depot.build.v1.BuildService/CreateBuild", {"projectId": project}, token=secret).status == 401
    assert house.owner.submit(again, revoke).status == 404


def test_a_description_that_is_too_long_is_kept_in_the_form(house: House, project: str) -> None:
    path = f"/projects/{project}/tokens"
    answer = house.owner.submit(house.owner.get(path), path, description="y" * 200, untrusted="yes")
    assert answer.status == 400
    assert "128 is the most" in answer.words
    assert value_of(answer, "description") == "y" * 200
    assert "checked" in answer.text
    assert not house.server.query("select 1 from tokens where project_id = ?", project)


@pytest.mark.parametrize(
    ("provider", "owner", "source"),
    [
        ("github", "acme", "web"),
        ("buildkite", "acme", "web"),
        ("circleci", UUID, UUID),
        ("our-gitlab", "acme/x", "web"),
    ],
)
def test_trust_policies_are_added_and_removed(
    house: House, project: str, provider: str, owner: str, source: str
) -> None:
    path = f"/projects/{project}/trust-policies"
    page = house.owner.get(path)
    added = house.owner.submit(page, path, provider=provider, owner=f" {owner} ", source=source, untrusted="yes")
    assert f"{owner}/{source} untrusted" in added.words
    assert f"{owner}/{source} untrusted" in house.viewer.get(path).words
    columns = "provider, owner, source, untrusted"
    stored = house.server.query(f"select {columns} from trust_policies where project_id = ?", project)  # noqa: S608
    assert stored == [(provider, owner, source, 1)]
    (remove,) = forms_of(added) - {path}
    assert "No CI is trusted yet" in house.owner.submit(added, remove).words
    assert house.owner.submit(added, remove).status == 404


@pytest.mark.parametrize(
    ("fields", "status", "problem"),
    [
        ({"provider": "github", "owner": "acme", "source": "*"}, 400, "patterns are not supported"),
        ({"provider": "circleci", "owner": "acme", "source": UUID}, 400, "give a UUID"),
        ({"provider": "nowhere", "owner": "acme", "source": "web"}, 400, "not an OIDC provider"),
        ({"provider": "github", "owner": "acme", "source": "there", "untrusted": "yes"}, 409, "remove that first"),
    ],
)
def test_a_policy_that_can_not_be_is_kept_in_its_form(
    house: House, project: str, fields: dict[str, str], status: int, problem: str
) -> None:
    github = {"repositoryOwner": "acme", "repository": "there"}
    house.server.call("depot.core.v1.ProjectService/AddTrustPolicy", {"projectId": project, "github": github})
    path = f"/projects/{project}/trust-policies"
    answer = house.owner.submit(house.owner.get(path), path, **fields)
    assert answer.status == status
    assert problem in answer.words
    if fields["provider"] != "nowhere":
        assert value_of(answer, f"{fields['provider']}-owner") == fields["owner"]
        assert value_of(answer, f"{fields['provider']}-source") == fields["source"]
    assert len(house.server.query("select 1 from trust_policies where project_id = ?", project)) == 1


def test_the_start_page_of_one_organization_has_its_projects(house: House) -> None:
    page = house.viewer.get("/")
    assert "default viewer" in page.words
    assert f'href="/projects/{house.server.project}"' in page.text
    assert "New project" not in page.words
    assert "elsewhere" not in page.words
    assert "No projects yet" in house.stranger.get("/").words


def test_the_start_page_of_several_organizations_tells_them_apart(house: House) -> None:
    registry, server = Registry(house.server), house.server
    quiet, busy = registry.organization("quiet"), registry.organization(MARKUP)
    browser = Browser(server.url)
    join(browser, invite(server, "two@example.com", "ROLE_VIEWER", quiet), name="Two", password=PASSWORD)
    ((person,),) = server.query("select id from people where email = 'two@example.com'")
    registry.add_member(busy, person, Role.MEMBER)
    token = registry.person("busy", **{f"o{busy}": Role.OWNER}).token
    wanted = {"name": "noisy", "regionId": "us-east-1"}
    made = server.call("depot.core.v1.ProjectService/CreateProject", wanted, token=token).body["project"]["projectId"]
    for build in registry.builds(made, busy, 3)[:2]:
        assert server.call(FINISH, {"buildId": build, "success": {}}, token=token).status == 200
    page = browser.get("/")
    first, _, second = page.words.partition("Projects 1 ")
    assert f"quiet viewer Projects Members Usage Organization {quiet} Projects 0 Builds, last 7 days 0" in first
    assert second.startswith("Builds, last 7 days 3 Success rate 100 % Running 1 Waiting 0")
    assert "noisy running" in second
    assert MARKUP in page.words
    assert MARKUP not in page.text


def test_many_projects_come_in_pages_and_are_found(house: House) -> None:
    registry, server = Registry(house.server), house.server
    crowd = registry.organization("crowd")
    browser = Browser(server.url)
    join(browser, invite(server, "crowd@example.com", "ROLE_MEMBER", crowd), name="C", password=PASSWORD)
    token = registry.person("crowd-owner", **{f"o{crowd}": Role.OWNER}).token
    for number in range(105):
        wanted = {"name": f"service {number:03}", "regionId": "us-east-1"}
        assert server.call("depot.core.v1.ProjectService/CreateProject", wanted, token=token).status == 200
    base = f"/organizations/{crowd}"
    seen: list[str] = []
    path: str | None = base
    while path is not None:
        page = browser.get(path)
        seen += re.findall(r"service \d{3}(?=</a>)", page.text)
        more = re.search(rf'href="({base}\?page=\w+)">More projects', page.text)
        path = more[1] if more else None
    assert seen == [f"service {number:03}" for number in range(105)]
    found = browser.get(f"{base}?search={quote('ICE 07')}")
    assert re.findall(r"service \d{3}(?=</a>)", found.text) == [f"service 07{digit}" for digit in range(10)]
    nothing = browser.get(f"{base}?search={quote(MARKUP)}")
    assert f"No project here has “{MARKUP}” in its name" in nothing.words
    assert MARKUP not in nothing.text
    assert browser.get(f"{base}?search={'x' * 500}").status == 400


def test_builds_come_in_pages_and_by_status(house: House, project: str) -> None:
    ids = Registry(house.server).builds(project, house.organization, 30)
    for build in ids[:3]:
        ended = house.server.call(FINISH, {"buildId": build, "error": {"error": "it broke"}})
        assert ended.status == 200, ended
    base = f"/projects/{project}"
    page = house.viewer.get(base)
    more = re.search(rf'href="({base}\?page=\w+)">Older builds', page.text)
    assert more is not None
    older = house.viewer.get(more[1])
    assert re.findall(r'href="/builds/(\w+)"', page.text + older.text) == ids
    assert "Older builds" not in older.words
    assert 'id="reload"' in page.text
    failed = house.viewer.get(f"{base}?status=failed")
    assert re.findall(r'href="/builds/(\w+)"', failed.text) == ids[:3]
    assert 'id="reload"' not in failed.text, "all of these are over"
    assert "<option selected>failed" in failed.text
    assert "No builds match: status “succeeded”" in house.viewer.get(f"{base}?status=succeeded").words
    listed = house.viewer.get(f"/organizations/{house.organization}?search={project}")
    assert "failed just now 0 % of 3" in listed.words


def test_a_real_build_and_its_cache_are_on_the_pages(house: House, project: str, tmp_path: Path) -> None:
    server = house.server
    context = make_context(tmp_path / "context", HEADER + "MAINTAINER ada\n" + run("echo hello"))
    for _ in range(2):
        assert Depot(server, tmp_path).build(cwd=context, DEPOT_PROJECT_ID=project).code == 0
    last = server.builds(project)[-1][0]
    when_recorded(server, last)
    page = house.viewer.get(f"/projects/{project}")
    # BuildKit quotes the Dockerfile in its warning of MAINTAINER.
    ((platform,),) = server.query("select distinct platform from leases where project_id = ?", project)
    row = re.search(
        rf"succeeded Dockerfile organization token made on the first start {platform.removeprefix('linux/')} "
        rf"(\d+) of (\d+) [\d.]+ s (?:just now|1 minute ago) {last}",
        page.words,
    )
    assert row is not None, page.words
    assert 0 < int(row[1]) <= int(row[2])
    listed = f"/organizations/{house.organization}?search={project}"
    measured = r"a project succeeded (just now|\d+ minutes? ago) 100 % of 2 [\d.]+ [KM]B us-east-1"
    eventually(lambda: re.search(measured, house.viewer.get(listed).words), "its cache is measured", 60)


def test_who_waits_for_a_turn_is_told_the_place_in_line(house: House, project: str) -> None:
    server = house.server
    made = [server.new_build(project) for _ in range(3)]
    for build, token in made:
        wanted = {"buildId": build, "platform": "BUILDER_PLATFORM_AMD64"}
        assert server.call(CONNECT, wanted, token=token).status == 200
    page = house.viewer.get(f"/projects/{project}")
    assert f"waiting, 1st in line Build {made[1][0]}" in page.words
    assert f"waiting, 2nd in line Build {made[2][0]}" in page.words
    assert f"running Build {made[0][0]}" in page.words
    assert "Waiting 2" in house.viewer.get("/").words
    for build, token in reversed(made):
        assert server.call(FINISH, {"buildId": build, "success": {}}, token=token).status == 200


def test_who_began_a_build_is_on_its_page_and_in_the_list(house: House, project: str) -> None:
    server, base = house.server, f"/projects/{project}"
    (before,) = Registry(server).builds(project, house.organization, 1)
    made = server.call("depot.core.v1.ProjectService/CreateToken", {"projectId": project, "description": MARKUP})
    mo = Registry(server).person("mo-too", **{f"o{house.organization}": Role.MEMBER})
    secrets = {"": server.token, MARKUP: made.body["secret"], mo.email: mo.token}
    found: dict[str, str] = {}
    for name, secret in secrets.items():
        created = server.call("depot.build.v1.BuildService/CreateBuild", {"projectId": project}, token=secret)
        found[name] = created.body["buildId"]
    gone = {"tokenId": made.body["tokenId"]}
    assert server.call("depot.core.v1.ProjectService/DeleteToken", gone).status == 200
    ((organization_token,),) = server.query("select begun_by_id from builds where id = ?", found[""])
    words = {
        before: "unknown",
        found[""]: "organization token made on the first start",
        found[MARKUP]: f"project token {MARKUP}",
        found[mo.email]: mo.email,
    }
    listed = house.viewer.get(base)
    for build, said in words.items():
        assert f"Triggered by {said}" in house.viewer.get(f"/builds/{build}").words
        assert f"running Build {build} {'' if said == 'unknown' else said}".rstrip() in listed.words
    for text in (listed.text, house.viewer.get(f"/builds/{found[MARKUP]}").text):
        assert MARKUP not in text
        assert not [secret for secret in secrets.values() if secret in text]
    for by, wanted in (("ALERT(1", MARKUP), ("mo-too@", mo.email), (organization_token, "")):
        shown = house.viewer.get(f"{base}?status=running&by={quote(by)}")
        assert re.findall(r'href="/builds/(\w+)"', shown.text) == [found[wanted]]
        assert value_of(shown, "by") == escape(by)
    nobody = house.viewer.get(f"{base}?status=failed&by={quote(MARKUP)}")
    assert f"No builds match: status “failed”, triggered by “{MARKUP}”" in nobody.words
    assert house.viewer.get(f"{base}?by={'x' * 500}").status == 400
    page = house.owner.get(f"/builds/{found[mo.email]}")
    shared = house.owner.submit(page, f"{page.path}/share", decision="share")
    link = re.search(r'id="shared" href="(/share/\w+)"', shared.text)
    assert link is not None
    assert mo.email not in house.nobody.get(link[1]).text


def next_change(events: HTTPResponse) -> None:
    """Read on to the end of the next event that says that there is something new."""
    while events.readline() != b"event: changed\n":
        pass


@pytest.mark.parametrize(
    "template", ["/", "/organizations/{organization}", "/organizations/{organization}/machines", "/projects/{project}"]
)
def test_a_list_of_builds_tells_when_there_is_more(house: House, project: str, template: str) -> None:
    path = template.format(organization=house.organization, project=project)
    assert 'src="/static/live.js"' in house.viewer.get(path).text
    for who, status in (("nobody", 403), ("stranger", 404)):
        if path != "/" or who == "nobody":
            with pytest.raises(urllib.error.HTTPError) as refused:
                house.by_name(who).follow(path)
            assert refused.value.code == status
    with house.viewer.follow(path) as events, house.owner.follow(path) as others:
        assert events.headers["content-type"].startswith("text/event-stream")
        assert events.readline().startswith(b"retry: ")
        next_change(events)
        next_change(others)
        build, token = house.server.new_build(project)
        next_change(events)
        next_change(others)
        row = f"/builds/{build}" if path == f"/organizations/{house.organization}" else f'<tr id="build-{build}">'
        assert path.endswith("/machines") or row in house.viewer.get(path).text
        assert house.server.call(FINISH, {"buildId": build, "success": {}}, token=token).status == 200
        next_change(events)
        next_change(others)
        succeeded = f"succeeded Build {build}"
        eventually(lambda: succeeded in house.viewer.get(f"/projects/{project}").words, "its end is on the page")


def test_no_html_of_names_gets_into_pages(house: House) -> None:
    project = house.server.new_project(MARKUP)
    tokens = house.server.call(
        "depot.core.v1.ProjectService/CreateToken", {"projectId": project, "description": MARKUP}
    )
    assert tokens.status == 200
    for path in ("", "/settings", "/tokens", "/trust-policies"):
        page = house.owner.get(f"/projects/{project}{path}")
        assert MARKUP in page.words or MARKUP.replace("<", "&lt;").replace(">", "&gt;") in page.text
        assert MARKUP not in page.text
        assert "style=" not in page.text, "the policy would not let it have an effect"
        assert "<script>" not in page.text
        assert "unsafe" not in page.headers["content-security-policy"]
    for path in ("/", f"/organizations/{house.organization}"):
        page = house.owner.get(path)
        assert "&lt;script&gt;alert(1)" in page.text
        assert MARKUP not in page.text
