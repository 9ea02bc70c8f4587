"""The real Web server's answer, beside the one that the application gives: whose fault is it?"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gfcgi.checking.findings import Answer, Finding, fault, hint
from gfcgi.errors import ConfigError

__all__ = ["Page", "check_website", "get_page"]

MAX_BODY_BYTES: Final = 1024 * 1024

REMEDIES: Final = {
    401: "the Web server asks for a password: see auth_basic, or AuthType, for this URL",
    403: "the Web server's user may not read or start it, or the configuration does not let it:"
    " Require all granted, Options +ExecCGI, SetHandler",
    404: "the URL leads nowhere: compare the location or Alias with what gfcgi config prints",
    500: "Apache could not start the script or got no headers: see its error log",
    502: "the Web server cannot reach the application: compare the socket's path in both, and see"
    " its error log",
    503: "the Web server cannot reach the application: compare the socket's path in both, and see"
    " its error log",
    504: "the Web server waits too briefly: raise fastcgi_read_timeout, FcgidIOTimeout or"
    " -idle-timeout",
}


@dataclass(frozen=True)
class Page:
    """What a Web server answered."""

    answer: Answer
    server: str


def get_page(url: str, seconds: float) -> Page | Finding:
    """Ask a Web server as a browser does. Raises: ConfigError for what is no URL."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"{url}: {error}", option="url", source="--url") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"{url}: write a URL, as in http://localhost/app", option="url", source="--url"
        )
    start = time.monotonic()
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        # It is asked what it answers, not who it is.
        unverified = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(
            parts.hostname, port, timeout=seconds, context=unverified
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, port, timeout=seconds)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("GET", target, headers={"User-Agent": "gfcgi check"})
        response = connection.getresponse()
        answer = Answer(
            response.status,
            response.reason,
            time.monotonic() - start,
            response.getheader("Content-Type") or "",
            response.read(MAX_BODY_BYTES),
        )
        return Page(answer, response.getheader("Server") or "the Web server")
    except TimeoutError:
        return fault(
            "website-timeout",
            f"{url} gives no answer in {seconds:g} s",
            "see the Web server's error log",
        )
    except (OSError, http.client.HTTPException) as error:
        return fault(
            "website-unreachable",
            f"{url} cannot be asked: {error}",
            "start the Web server, and see that it listens at this address",
        )
    finally:
        connection.close()


def check_website(url: str, page: Page, direct: Answer | None, steady: bool) -> Iterator[Finding]:
    """Compare the Web server's answer with the application's own.

    ``direct`` is None if the application gave none; ``steady`` says that it gave the same page
    twice, so that another one from the Web server means something.
    """
    status = page.answer.status
    shown = f"{page.server} answers {status} {page.answer.reason} for {url}"
    if page.answer.body.startswith(b"#!"):
        yield fault(
            "website-source",
            f"it is the Web server: {page.server} sends the script itself instead of starting it",
            "Options +ExecCGI and SetHandler fcgid-script or fastcgi-script for its directory",
        )
    elif direct is None or direct.status >= 500:
        if status >= 400:
            yield hint(
                "website-application",
                f"it is the application: {shown}, and asked directly the application fails too",
                "mend what the lines above say, then ask again",
            )
    elif status >= 400 and status != direct.status:
        yield fault(
            "website-server",
            f"it is the Web server: {shown}, and the application itself {direct.status}"
            f" {direct.reason}",
            REMEDIES.get(status, "see the Web server's error log"),
        )
    elif status == direct.status and steady and page.answer.body != direct.body:
        yield hint(
            "website-page",
            f"{page.server} gives another page for {url} than the application: "
            f"{len(page.answer.body)} bytes, not {len(direct.body)}",
            "see whether the URL leads to this application",
        )
