"""All pages as one ASGI application."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from stoker.domain.errors import NotFound
from stoker.web.live import Live
from stoker.web.page import Pages, page, told
from stoker.web.page_limits import LIVE_PATH
from stoker.web.pages.account import AccountPages
from stoker.web.pages.audit import AuditPages
from stoker.web.pages.build import BuildPages
from stoker.web.pages.home import HomePages
from stoker.web.pages.join import JoinPages
from stoker.web.pages.log_file import LogFilePages
from stoker.web.pages.login import LoginPages
from stoker.web.pages.machine import MachinePages
from stoker.web.pages.member import MemberPages
from stoker.web.pages.organization_settings import OrganizationSettingsPages
from stoker.web.pages.organization_token import OrganizationTokenPages
from stoker.web.pages.project import ProjectPages
from stoker.web.pages.project_list import ProjectListPages
from stoker.web.pages.project_settings import ProjectSettingsPages
from stoker.web.pages.project_token import ProjectTokenPages
from stoker.web.pages.sign_in import SignInPages
from stoker.web.pages.step import StepPages
from stoker.web.pages.trend import TrendPages
from stoker.web.pages.trust_policy import TrustPolicyPages
from stoker.web.pages.usage import UsagePages
from stoker.web.pages.webhook import WebhookPages
from stoker.web.security import Security
from stoker.web.seen_build import BuildRendering

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.web.page import Endpoint, WebContext

_STATIC = Path(__file__).parent / "static"
_ORGANIZATION = "/organizations/{organization_id}"


def web_application(context: WebContext) -> Starlette:
    """The pages of a server."""
    sign_in, join = SignInPages(context), JoinPages(context)
    live = Live(context.live_refreshes_per_second)
    rendering = BuildRendering(live, context.build_pages)
    logins, home, builds = LoginPages(context), HomePages(context, live), BuildPages(context, rendering)
    steps, files = StepPages(context, rendering), LogFilePages(context, rendering)
    account, audit, machines = AccountPages(context), AuditPages(context), MachinePages(context, live)
    changed = {
        "members": MemberPages(context),
        "tokens": OrganizationTokenPages(context),
        "webhooks": WebhookPages(context),
        "settings": OrganizationSettingsPages(context),
    }
    routes = [
        ("/", "GET", home.show),
        (LIVE_PATH, "GET", home.events),
        ("/sign-in", "GET", sign_in.show),
        ("/sign-in", "POST", sign_in.sign_in),
        ("/sign-in/company", "GET", sign_in.begin_company),
        ("/sign-in/callback", "GET", sign_in.finish_company),
        ("/sign-out", "POST", sign_in.sign_out),
        ("/password", "GET", sign_in.show_password),
        ("/password", "POST", sign_in.change_password),
        ("/join", "GET", join.show),
        ("/join", "POST", join.look),
        ("/join/accept", "POST", join.accept),
        ("/logins/{code}", "GET", logins.show),
        ("/logins/{code}", "POST", logins.decide),
        ("/projects/{project_id}/trends", "GET", TrendPages(context).show),
        *_project_routes(context, live),
        ("/account", "GET", account.show),
        ("/account", "POST", account.log_out),
        ("/audit", "GET", audit.show),
        ("/audit/events.json", "GET", audit.download),
        (f"{_ORGANIZATION}/machines", "GET", machines.show),
        (f"{_ORGANIZATION}/machines{LIVE_PATH}", "GET", machines.events),
        (f"{_ORGANIZATION}/usage", "GET", UsagePages(context).show),
        *((f"{_ORGANIZATION}/{name}", "GET", pages.show) for name, pages in changed.items()),
        *((f"{_ORGANIZATION}/{name}", "POST", pages.change) for name, pages in changed.items()),
        ("/builds/{build_id}/cancel", "POST", builds.cancel),
        ("/builds/{build_id}/share", "POST", builds.share),
        ("/builds/{build_id}/attestations/{number}", "GET", builds.attestation),
        *(
            (f"{base}{path}", "GET", endpoint)
            for base in ("/builds/{build_id}", "/share/{share_id}")
            for path, endpoint in (
                ("", builds.show),
                ("/search", builds.search),
                (LIVE_PATH, builds.events),
                ("/steps/{number}", steps.show),
                (f"/steps/{{number}}{LIVE_PATH}", steps.events),
                ("/steps/{number}/log.txt", files.download_step),
                ("/steps/{number}/raw.txt", files.show_step),
                ("/log.txt", files.download_build),
            )
        ),
    ]
    missing = _Missing(context)
    return Starlette(
        routes=[
            *(
                Route(
                    path,
                    page(context.randomness, endpoint, is_stream=path.endswith(LIVE_PATH)),
                    methods=[method],
                )
                for path, method, endpoint in routes
            ),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ],
        middleware=[Middleware(Security, is_https=context.cookies.is_https)],
        exception_handlers={404: missing.show, 405: missing.show},
    )


def _project_routes(context: WebContext, live: Live) -> list[tuple[str, str, Endpoint]]:
    projects, builds = ProjectListPages(context, live), ProjectPages(context, live)
    settings = ProjectSettingsPages(context)
    tokens, policies = ProjectTokenPages(context), TrustPolicyPages(context)
    organization, project = "/organizations/{organization_id}", "/projects/{project_id}"
    return [
        (organization, "GET", projects.show),
        (f"{organization}{LIVE_PATH}", "GET", projects.events),
        (f"{organization}/new-project", "GET", projects.show_new),
        (f"{organization}/new-project", "POST", projects.create),
        (project, "GET", builds.show),
        (f"{project}{LIVE_PATH}", "GET", builds.events),
        (f"{project}/settings", "GET", settings.show),
        (f"{project}/settings", "POST", settings.save),
        (f"{project}/settings/reset", "POST", settings.reset),
        (f"{project}/settings/delete", "POST", settings.delete),
        (f"{project}/tokens", "GET", tokens.show),
        (f"{project}/tokens", "POST", tokens.create),
        (f"{project}/tokens/{{token_id}}/revoke", "POST", tokens.revoke),
        (f"{project}/trust-policies", "GET", policies.show),
        (f"{project}/trust-policies", "POST", policies.add),
        (f"{project}/trust-policies/{{policy_id}}/remove", "POST", policies.remove),
    ]


class _Missing(Pages):
    async def show(self, request: Request, _error: Exception) -> Response:
        return told(NotFound("There is no such page. Check the address, or go to the start page."))
