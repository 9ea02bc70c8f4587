"""A browser for tests: cookies, forms, uploads; it writes down whatever a person or a cache sees.

It checks as it goes that every address in an answer, in a header field or anywhere in its text, has
the scheme, the host and the port of the Web server and lies below the mount point.
"""

from __future__ import annotations

import hashlib
import http.client
import http.cookiejar
import re
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from functools import cached_property
from typing import final
from urllib.parse import urljoin, urlsplit

from servers.exchange import DEADLINE_SECONDS

from .page import Document, Files, Form

#: The Web server's and the connection's own, of no concern to the application.
_NOT_THE_APPLICATIONS = {
    "accept-ranges",
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "server",
    "transfer-encoding",
}
#: Different in every run; that they are there is written down.
_CHANGING = {"etag", "expires", "last-modified"}
_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 5
_MOST_SHOWN = 20_000
"""Bytes of a text that is shown whole where it differs; of others the hash."""


@dataclass(frozen=True)
class Page:
    """One answer."""

    url: str
    status: int
    headers: Message
    body: bytes

    @property
    def kind(self) -> str:
        """The media type."""
        return self.headers.get_content_type() if "Content-Type" in self.headers else "none"

    @property
    def is_text(self) -> bool:
        """Whether there are words, and so perhaps addresses, in it."""
        return self.kind.startswith("text/") or self.kind.endswith(("xml", "json", "javascript"))

    @cached_property
    def document(self) -> Document:
        """The page's content; it must be HTML."""
        assert self.kind == "text/html", (self.url, self.status, self.kind)
        return Document(self.body.decode("utf-8"))


@final
class Browser:
    """One person's session at one Web server.

    ``masks`` are patterns of what differs from run to run; ``foreign`` are beginnings of addresses
    of other sites that the application links to; ``misled`` are the links in which the application
    itself forgets the mount point, whoever serves it.
    """

    def __init__(
        self,
        port: int,
        mount: str,
        *,
        masks: Sequence[str] = (),
        foreign: Sequence[str] = (),
        misled: Sequence[str] = (),
    ) -> None:
        self.host = f"127.0.0.1:{port}"
        self.port = port
        self.mount = mount
        self.home = f"http://{self.host}{mount}"
        self.transcript: list[str] = []
        self.credentials = ""
        self._masks = [re.compile(mask) for mask in masks]
        self._foreign = tuple(foreign)
        self._misled = misled
        self._jar = http.cookiejar.CookieJar()

    # -- what a person does

    def open(self, where: str, **headers: str) -> Page:
        """GET a link of an answer, or a path below the mount point that begins with ``~``."""
        return self._exchange("GET", where, None, headers)

    def head(self, where: str) -> Page:
        """The same with HEAD."""
        return self._exchange("HEAD", where, None, {})

    def post(self, where: str, content_type: str, body: bytes) -> Page:
        """POST anything."""
        return self._exchange("POST", where, body, {"Content-Type": content_type})

    def submit(
        self,
        page: Page,
        form: Form,
        values: Mapping[str, str] | None = None,
        files: Files | None = None,
        press: str = "",
    ) -> Page:
        """Fill in a form of a page and send it, by the button with the name ``press`` if any."""
        kind, body = form.encode(values or {}, files or {}, press)
        where = urljoin(page.url, form.action)
        if form.method == "GET":
            return self._exchange("GET", where.partition("?")[0] + "?" + body.decode(), None, {})
        headers = {"Content-Type": kind, "Origin": f"http://{self.host}", "Referer": page.url}
        return self._exchange("POST", where, body, headers)

    def follow(self, page: Page) -> Page:
        """Go where an answer redirects to, and on until there is a page."""
        for _ in range(_MOST_REDIRECTS):
            if page.status not in _REDIRECTS:
                return page
            page = self.open(urljoin(page.url, page.headers["Location"]))
        raise AssertionError(f"redirected again and again: {self.transcript[-40:]}")

    # -- how

    def _exchange(
        self, method: str, where: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Page:
        url = self.home + where[1:] if where.startswith("~") else urljoin(self.home + "/", where)
        url = url.partition("#")[0]
        self._check(url)
        # The cookie jar's view of a request.
        described = urllib.request.Request(url, method=method)
        self._jar.add_cookie_header(described)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        cookie = described.get_header("Cookie")
        if cookie:
            sent["Cookie"] = cookie
        if self.credentials:
            sent["Authorization"] = self.credentials
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)
        try:
            connection.request(method, url.removeprefix(f"http://{self.host}") or "/", body, sent)
            response = connection.getresponse()
            page = Page(url, response.status, response.headers, response.read())
            self._jar.extract_cookies(response, described)
        finally:
            connection.close()
        self._write_down(method, page)
        return page

    def _write_down(self, method: str, page: Page) -> None:
        fields = [self._field(page, name.lower(), value) for name, value in page.headers.items()]
        lines = [f"{method} {page.url} -> {page.status}", *sorted(filter(None, fields))]
        if page.is_text and page.body:
            self._check_text(page)
        if page.kind == "text/html" and page.body:
            lines += self._seen(page)
        elif page.is_text and len(page.body) <= _MOST_SHOWN:
            lines += page.body.decode("utf-8").splitlines()
        else:
            lines.append(f"  {len(page.body)} bytes {hashlib.sha256(page.body).hexdigest()}")
        self.transcript += [self._masked(line) for line in lines]

    def _field(self, page: Page, name: str, value: str) -> str:
        """A header field as it is written down, or nothing."""
        if name in _NOT_THE_APPLICATIONS:
            return ""
        if name in ("location", "content-location"):
            self._check(urljoin(page.url, value))
        if name in _CHANGING:
            value = "…"
        if name == "set-cookie":
            value = re.sub(r"^([^=]*=)[^;]+", r"\1…", value)
            value = re.sub(r"(?i)(expires=)[^;]+", r"\1…", value)
        return f"  {name}: {value}"

    def _seen(self, page: Page) -> list[str]:
        document = page.document
        lines = [f"  title {document.title}", f"  text {document.text}"]
        for link in document.links:
            if link not in self._misled:
                self._check(urljoin(page.url, link))
            lines.append(f"  link {link}")
        for form in document.forms:
            where = f"{form.method} {form.action or '(here)'}"
            lines.append(f"  form {where} {' '.join(sorted(form.names))}")
        return lines

    def _check(self, url: str) -> None:
        """Whether an absolute address is one of the application's own, or of a known other site."""
        parts = urlsplit(url)
        if parts.scheme in ("mailto", "javascript", "data") or url.startswith(self._foreign):
            return
        assert (parts.scheme, parts.netloc) == ("http", self.host), url
        assert (parts.path + "/").startswith(self.mount + "/"), f"{url} is not below {self.mount}"

    def _check_text(self, page: Page) -> None:
        """Addresses that are in no attribute: in a script, in a feed, in the text."""
        for found in re.findall(rb"https?://(?:127\.0\.0\.1|localhost)[^\s\"'<>&\\]*", page.body):
            self._check(found.decode("ascii"))

    def _masked(self, line: str) -> str:
        line = line.replace(self.host, "HOST")
        for mask in self._masks:
            line = mask.sub("…", line)
        return line
