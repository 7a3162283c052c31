"""Usage by project and period, as callers see it. docs/usage.md says what each number means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stoker.domain.ids import new_id
from stoker.domain.people import Role
from stoker.domain.principals import CredentialKind
from stoker.store.tables.columns import microseconds
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.people import CLOCK, RANDOMNESS, Registry, blank_token
from tests.harness.server import Answer, Server
from tests.harness.waiting import eventually

USAGE = "depot.core.v1.UsageService"
PROJECTS = "depot.core.v1.ProjectService"
DAY = datetime(2024, 3, 1, tzinfo=UTC)
MANY = 100_000
INSERT_BUILD = (
    "insert into builds (id, organization_id, project_id, status, error, created_at, started_at, finished_at) "
)


def on(hour: float, day: int = 0) -> datetime:
    return DAY + timedelta(days=day, hours=hour)


def wire(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def period(start: datetime, end: datetime) -> dict[str, str]:
    return {"startAt": wire(start), "endAt": wire(end)}


def whole(days: int, first: int = 0) -> dict[str, str]:
    return period(on(0, first), on(0, first + days))


@dataclass
class Tenant:
    """An organization of its own, whose builds of the past a test writes down itself."""

    server: Server
    id: str
    token: str
    machines: dict[tuple[str, str], str] = field(default_factory=dict)

    def call(self, method: str, request: dict[str, object] | None = None) -> Answer:
        return self.server.call(method, request, token=self.token)

    def ask(self, method: str, **request: object) -> Answer:
        answer = self.call(f"{USAGE}/{method}", request)
        assert answer.status == 200, answer
        return answer

    def project_usage(self, project: str, **when: str) -> tuple[int, int]:
        """(builds, seconds) of a project."""
        usage = self.ask("GetProjectUsage", projectId=project, **when).body["usage"]
        assert usage["projectId"] == project
        return usage.get("buildCount", 0), usage.get("buildDurationSeconds", 0)

    def container_builds(self, **when: str) -> dict[str, tuple[int, float]]:
        """(builds, minutes) by the name of the project."""
        listed = self.ask("GetUsage", **when).body.get("containerBuild", [])
        return {one["projectName"]: (one.get("buildCount", 0), one.get("minutesBilled", 0)) for one in listed}

    def new_project(self, name: str) -> str:
        """A project that has been there since before all that is written down."""
        created = self.call(f"{PROJECTS}/CreateProject", {"name": name, "regionId": "us-east-1"})
        project = created.body["project"]["projectId"]
        self.write("update projects set created_at = ? where id = ?", microseconds(on(0, -900)), project)
        return project

    def write(self, sql: str, *values: object) -> None:
        self.server.write(sql, *values)

    def past_build(
        self,
        project: str,
        created: datetime,
        started: datetime | None,
        finished: datetime | None,
        *platforms: str,
    ) -> None:
        """A build that held a machine for each of the platforms for as long as it ran."""
        build = new_id(CLOCK, RANDOMNESS)
        times = [None if moment is None else microseconds(moment) for moment in (created, started, finished)]
        status = "running" if finished is None else "succeeded"
        values = (build, self.id, project, status, *times)
        self.write(INSERT_BUILD + "values (?, ?, ?, ?, null, ?, ?, ?)", *values)
        for platform in platforms:
            lease, machine = new_id(CLOCK, RANDOMNESS), self.machine(project, platform)
            values = (lease, build, project, platform, machine, times[1], times[2], times[2], "done")
            self.write("insert into leases values (?, ?, ?, ?, ?, ?, ?, ?, ?)", *values)

    def machine(self, project: str, platform: str) -> str:
        if (project, platform) not in self.machines:
            self.machines[project, platform] = machine = new_id(CLOCK, RANDOMNESS)
            self.write(
                "insert into machines (id, organization_id, project_id, platform, region_id, desired, state, run, "
                "failures, created_at, changed_at) values (?, ?, ?, ?, '', 'stopped', 'stopped', 0, 0, 0, 0)",
                *(machine, self.id, project, platform),
            )
        return self.machines[project, platform]

    def cache(self, project: str, platform: str, size: int) -> None:
        self.machine(project, platform)
        self.write(
            "insert into volumes (id, project_id, platform, region_id, state, created_at, failures, size_bytes, "
            "measured_at) values (?, ?, ?, '', 'active', 0, 0, ?, 0)",
            *(new_id(CLOCK, RANDOMNESS), project, platform, size),
        )


@pytest.fixture(scope="module")
def hasty(make_server: Callable[..., Server]) -> Server:
    """A server that stops machines at once, and looks at volumes and tokens often."""
    return make_server(idle_seconds="1", measure_seconds="1", token_use_seconds="1")


@pytest.fixture
def tenant(hasty: Server) -> Tenant:
    return new_tenant(hasty)


def new_tenant(server: Server) -> Tenant:
    registry = Registry(server)
    organization = registry.organization("tenant")
    token = registry.token(blank_token(CredentialKind.ORGANIZATION, organization_id=organization))
    return Tenant(server, organization, token)


@pytest.fixture
def project(tenant: Tenant) -> str:
    """A project with builds within the day, over both its ends, and outside of it."""
    made = tenant.new_project("busy")
    minute = 1 / 60
    tenant.past_build(made, on(10), on(10 + minute), on(10 + 11 * minute), "linux/amd64")
    tenant.past_build(made, on(-10 * minute), on(-5 * minute), on(5 * minute), "linux/amd64")
    tenant.past_build(
        made, on(24 - 6 * minute), on(24 - 5 * minute), on(24 + 10 * minute), "linux/amd64", "linux/arm64"
    )
    tenant.past_build(made, on(12), None, on(12 + minute))
    tenant.past_build(made, on(50), on(50), on(51), "linux/amd64")
    return made


def test_builds_are_counted_where_they_began_and_timed_within_the_period(tenant: Tenant, project: str) -> None:
    assert tenant.project_usage(project, **whole(1)) == (3, (10 + 5 + 5) * 60)
    assert tenant.project_usage(project, **whole(1, first=-1)) == (1, 5 * 60)
    assert tenant.project_usage(project, **whole(1, first=1)) == (0, 10 * 60)
    assert tenant.project_usage(project, **whole(1, first=4)) == (0, 0)


def test_each_hold_on_a_machine_counts_within_the_period(tenant: Tenant, project: str) -> None:
    assert tenant.container_builds(**whole(1)) == {"busy": (3, 10 + 5 + 2 * 5)}
    assert tenant.container_builds(**whole(1, first=1)) == {"busy": (0, 2 * 10)}
    assert tenant.container_builds(**whole(1, first=4)) == {}


def test_periods_side_by_side_add_up_to_the_whole(tenant: Tenant, project: str) -> None:
    hours = [tenant.project_usage(project, **period(on(hour), on(hour + 6))) for hour in range(-24, 96, 6)]
    whole_time = tenant.project_usage(project, **period(on(-24), on(96)))
    assert (sum(builds for builds, _ in hours), sum(seconds for _, seconds in hours)) == whole_time
    assert whole_time == (5, (10 + 10 + 15 + 60) * 60)


def test_a_running_build_counts_up_to_now(tenant: Tenant) -> None:
    project, now = tenant.new_project("running"), datetime.now(UTC)
    began = now - timedelta(hours=1)
    tenant.past_build(project, began, began, None)
    for end in (None, now + timedelta(days=1)):
        when = {"startAt": wire(now - timedelta(minutes=30))} | ({} if end is None else {"endAt": wire(end)})
        builds, seconds = tenant.project_usage(project, **when)
        assert builds == 0, "it began before"
        assert 30 * 60 <= seconds < 40 * 60
    assert tenant.project_usage(project, **period(began, began + timedelta(minutes=10))) == (1, 600)
    assert tenant.project_usage(project, **period(began - timedelta(hours=1), began)) == (0, 0)


def test_without_a_period_it_is_this_month_up_to_now(tenant: Tenant) -> None:
    before = datetime.now(UTC)
    body = tenant.ask("GetUsage").body
    after = datetime.now(UTC)
    start, end = datetime.fromisoformat(body["periodStart"]), datetime.fromisoformat(body["periodEnd"])
    assert before <= end <= after
    assert start == end.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    asked = tenant.ask("GetUsage", **whole(7)).body
    assert (asked["periodStart"], asked["periodEnd"]) == (wire(on(0)), wire(on(0, 7)))


@pytest.mark.parametrize("method", ["GetProjectUsage", "GetUsage", "ListProjectUsage"])
@pytest.mark.parametrize(
    ("when", "says"),
    [
        (period(on(1), on(0)), "start_at is after end_at"),
        (whole(401), "longer than 400 days"),
        ({"startAt": "2999-01-01T00:00:00Z"}, "start_at is in the future"),
        ({"endAt": "0001-01-01T00:00:00Z"}, "before 1970"),
        ({"startAt": "yesterday"}, "not a valid"),
    ],
)
def test_a_period_that_can_not_be_is_refused(tenant: Tenant, method: str, when: dict[str, object], says: str) -> None:
    request = when | ({"projectId": tenant.new_project("asked")} if method == "GetProjectUsage" else {})
    answer = tenant.call(f"{USAGE}/{method}", request)
    assert (answer.code, says in answer.message) == ("invalid_argument", True), answer


def test_a_time_that_is_none_is_refused_in_binary_too(hasty: Server) -> None:
    far = bytes([0x0A, 0x0B, 0x08, *([0xFF] * 8), 0x7F, 0x00][:13])
    headers = {"content-type": "application/proto"}
    answer = hasty.call(f"{USAGE}/GetUsage", raw=far, headers=headers)
    assert answer.code == "invalid_argument", answer


def test_a_deleted_projects_builds_stay_under_its_name(tenant: Tenant, project: str) -> None:
    tenant.cache(project, "linux/amd64", 10**9)
    assert tenant.call(f"{PROJECTS}/DeleteProject", {"projectId": project}).status == 200

    assert tenant.container_builds(**whole(1)) == {"busy": (3, 25)}
    listed = tenant.ask("ListProjectUsage", **whole(1)).body["usage"]
    assert listed == [{"projectId": project, "buildCount": 3, "buildDurationSeconds": 1200}]
    assert tenant.call(f"{USAGE}/GetProjectUsage", {"projectId": project}).code == "not_found"
    later = period(datetime.now(UTC), datetime.now(UTC) + timedelta(days=1))
    assert tenant.ask("ListProjectUsage", **later).body == {}, "it wasn't there any more"


def test_caches_are_in_gb_whatever_the_period(tenant: Tenant) -> None:
    project, other = tenant.new_project("two platforms"), tenant.new_project("little")
    tenant.cache(project, "linux/amd64", 1_200_000_000)
    tenant.cache(project, "linux/arm64", 400_000_000)
    tenant.cache(other, "linux/amd64", 300_000_000)

    storage = tenant.ask("GetUsage", **whole(1)).body["storage"]

    assert storage == [{"storageType": "layer_cache", "totalGb": pytest.approx(1.9)}]
    usage = {one["projectId"]: one for one in tenant.ask("ListProjectUsage", **whole(1)).body["usage"]}
    assert (usage[project]["layerCacheSizeGb"], usage[other]) == (2, {"projectId": other})


def test_pages_together_are_all_projects_that_there_were_in_the_period(tenant: Tenant) -> None:
    projects = [tenant.new_project(f"project {number}") for number in range(7)]
    tenant.write("update projects set created_at = ? where id = ?", microseconds(on(0, 1)), projects[2])
    tenant.past_build(projects[4], on(1), on(1), on(2), "linux/amd64")
    seen: list[dict[str, object]] = []
    token = ""
    for _ in range(3):
        body = tenant.ask("ListProjectUsage", **whole(1), pageSize=2, pageToken=token).body
        seen += body["usage"]
        token = body.get("nextPageToken", "")
    assert [one["projectId"] for one in seen] == [*projects[:2], *projects[3:]]
    assert seen[3] == {"projectId": projects[4], "buildCount": 1, "buildDurationSeconds": 3600}
    assert token == ""


@pytest.mark.parametrize(("name", "value"), [("pageSize", -1), ("pageSize", 501), ("pageToken", "nonsense")])
def test_a_page_that_can_not_be_is_refused(tenant: Tenant, name: str, value: object) -> None:
    assert tenant.call(f"{USAGE}/ListProjectUsage", {name: value}).code == "invalid_argument"


def test_nobody_sees_what_others_used(tenant: Tenant, project: str, hasty: Server) -> None:
    other = new_tenant(hasty)
    assert other.call(f"{USAGE}/GetProjectUsage", {"projectId": project, **whole(1)}).code == "not_found"
    assert other.container_builds(**whole(1)) == {}
    assert other.ask("ListProjectUsage", **whole(1)).body == {}
    unknown = other.call(f"{USAGE}/GetProjectUsage", {"projectId": "0000000000000000"})
    assert unknown.code == "not_found"


def test_a_projects_own_token_sees_its_project_only(tenant: Tenant, project: str) -> None:
    other = tenant.new_project("other")
    token = tenant.call(f"{PROJECTS}/CreateToken", {"projectId": project}).body["secret"]
    server = tenant.server
    own = server.call(f"{USAGE}/GetProjectUsage", {"projectId": project, **whole(1)}, token=token)
    assert own.body["usage"]["buildCount"] == 3
    assert server.call(f"{USAGE}/GetProjectUsage", {"projectId": other}, token=token).code == "not_found"
    for method in ("GetUsage", "ListProjectUsage"):
        assert server.call(f"{USAGE}/{method}", token=token).code == "permission_denied"


def test_a_viewer_sees_what_their_organization_used_and_a_member_of_nothing_sees_nothing(
    tenant: Tenant, project: str
) -> None:
    registry = Registry(tenant.server)
    viewer = registry.person("viewer", **{f"o{tenant.id}": Role.VIEWER}).token
    nobody = registry.person("nobody").token
    for method in ("GetUsage", "ListProjectUsage", "GetProjectUsage"):
        request = whole(1) | ({"projectId": project} if method == "GetProjectUsage" else {})
        own = tenant.ask(method, **request).body
        assert tenant.server.call(f"{USAGE}/{method}", request, token=viewer).body == own
        assert tenant.server.call(f"{USAGE}/{method}", request, token=nobody).code == "permission_denied"


def test_a_hundred_thousand_builds_are_summed_up(tenant: Tenant) -> None:
    project = tenant.new_project("huge")
    every, first, each = 60_000_000, microseconds(DAY), 30_000_000  # a build every minute, which takes half of one
    tenant.write(
        INSERT_BUILD  # noqa: S608
        + "with recursive n (i) as (select cast(0 as bigint) union all select i + 1 from n where i + 1 < ?) "
        "select substr(cast(10000000000000000 + i as text), 2), "
        "?, ?, 'succeeded', null, ? + i * ?, ? + i * ?, ? + i * ? + ? "
        "from n",
        *(MANY, tenant.id, project, first, every, first, every, first, every, each),
    )
    end = DAY + timedelta(minutes=MANY)
    assert tenant.project_usage(project, **period(DAY, end)) == (MANY, MANY * 30)
    # Cut in the middle of a build at either end.
    inside = period(DAY + timedelta(seconds=75), end - timedelta(seconds=105))
    assert tenant.project_usage(project, **inside) == (MANY - 3, (MANY - 4) * 30 + 15 + 15)
    assert tenant.container_builds(**period(DAY, end)) == {"huge": (MANY, 0)}


def test_a_real_build_and_its_cache_are_counted(hasty: Server, tmp_path: Path) -> None:
    project = hasty.new_project("real")
    began = datetime.now(UTC)
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    assert Depot(hasty, tmp_path).build(cwd=context, DEPOT_PROJECT_ID=project).code == 0

    def sizes() -> list[tuple[int | None]]:
        return hasty.query(
            "select size_bytes from volumes join machines using (project_id, platform) where project_id = ? "
            "and volumes.state = 'active' and machines.state = 'stopped' and measured_at >= changed_at",
            project,
        )

    eventually(sizes, "the machine stops and its volume is measured")
    body = hasty.call(f"{USAGE}/GetUsage", {"startAt": wire(began)}).body
    (built,) = [one for one in body["containerBuild"] if one["projectName"] == "real"]
    assert built["buildCount"] == 1
    assert 0 < built["minutesBilled"] < 2
    assert "githubActionsJobs" not in body
    assert "agentSandbox" not in body
    on_disk = (sizes()[0][0] or 0) / 1000**3
    assert body["storage"] == [{"storageType": "layer_cache", "totalGb": pytest.approx(on_disk, rel=1e-3)}]
    assert on_disk > 0

    assert hasty.call(f"{PROJECTS}/ResetProject", {"projectId": project}).status == 200

    assert hasty.call(f"{USAGE}/GetUsage").body["storage"] == [{"storageType": "layer_cache"}]
