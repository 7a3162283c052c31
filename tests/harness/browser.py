"""What a browser does with our pages, without its drawing: cookies, forms, redirects."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from html import unescape
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from typing import cast

from tests.harness.server import Server

PASSWORD = "coal and a good draught"
"""That of everybody in tests."""


@dataclass
class Page:
    """A page as it came."""

    status: int
    url: str
    text: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return urllib.parse.urlsplit(self.url).path

    @property
    def words(self) -> str:
        """What a reader sees."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.text)).split())

    def hidden(self, name: str) -> str:
        """The value of a hidden field; empty when there is none."""
        found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)"', self.text)
        return unescape(found[1]) if found else ""


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


@dataclass
class Browser:
    """One person's browser."""

    url: str
    cookies: CookieJar = field(default_factory=CookieJar)

    def get(self, path: str, *, follow: bool = True) -> Page:
        """Open a page; ``path`` may be a whole address."""
        return self._send(urllib.request.Request(urllib.parse.urljoin(self.url, path)), follow=follow)  # noqa: S310

    def post(self, path: str, *, origin: str | None = None, follow: bool = True, **fields: str) -> Page:
        """Send a form, from one of the server's own pages unless another origin is given."""
        body = urllib.parse.urlencode(fields).encode()
        headers = {"origin": self.url if origin is None else origin}
        request = urllib.request.Request(urllib.parse.urljoin(self.url, path), body, headers)  # noqa: S310
        return self._send(request, follow=follow)

    def follow(self, path: str) -> HTTPResponse:
        """Open the stream of events of a page, which may be silent for 15 s."""
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        return opener.open(urllib.parse.urljoin(self.url, path.rstrip("/") + "/events"), timeout=60)

    def submit(self, page: Page, path: str | None = None, **fields: str) -> Page:
        """Send the form of a page, with its hidden fields."""
        hidden = {name: page.hidden(name) for name in ("csrf", "code", "next") if page.hidden(name)}
        return self.post(path or page.path, **hidden | fields)

    def _send(self, request: urllib.request.Request, *, follow: bool) -> Page:
        handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPCookieProcessor(self.cookies)]
        opener = urllib.request.build_opener(*handlers, *([] if follow else [_StayHere()]))
        try:
            with cast("HTTPResponse", opener.open(request, timeout=30)) as response:
                return _page(response.status, response.url, response.read(), dict(response.headers.items()))
        except urllib.error.HTTPError as error:
            with error:
                return _page(error.code, error.url, error.read(), dict(error.headers.items()))


def _page(status: int, url: str | None, content: bytes, headers: dict[str, str]) -> Page:
    return Page(status, url or "", content.decode(), {name.lower(): value for name, value in headers.items()})


def owner_code(server: Server) -> str:
    """The secret of the link that a server without people printed."""
    found = re.search(r"/join#(\w+)", server.output)
    assert found is not None, server.output
    return found[1]


def join(browser: Browser, code: str, **fields: str) -> Page:
    """Take the place that an invitation offers."""
    offered = browser.post("/join", code=code)
    assert offered.status == 200, offered.words
    return browser.submit(offered, "/join/accept", **fields)


def signed_in(server: Server, email: str) -> Browser:
    """A browser in which somebody signed in."""
    browser = Browser(server.url)
    page = browser.post("/sign-in", email=email, password=PASSWORD, next="/")
    assert page.path == "/", page.words
    return browser
