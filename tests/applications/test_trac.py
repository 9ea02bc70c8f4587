"""Trac, which checks passwords by itself: HTTP's Basic scheme and a cookie."""

from __future__ import annotations

import base64

import pytest
from servers.site import Site

from .browser import Browser, Page
from .deployments import installed

pytestmark = [pytest.mark.servers, installed("trac")]

SITE = "trac_project"
READY = "/wiki"
CREDENTIALS = "Basic " + base64.b64encode(b"anna:geheim").decode("ascii")

# Smaller than Trac's own limit of 256 KB, and what a careless reader of multipart stumbles over.
CONTENT = b"--\r\n\r\n\x00\xff--boundary--\r\n" * 10_000 + b"\r\n"

FOREIGN = ["https://trac.edgewall.org/", "http://trac.edgewall.org/", "http://www.edgewall.org/"]
MASKS = [
    r"\d{4}-\d\d-\d\dT\d\d(?::|%3A)\d\d(?::|%3A)\d\dZ",
    r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT",
    r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d",
    r"\w{3} \d\d?, \d{4}, \d\d?:\d\d:\d\d\s[AP]M",  # the same, where Babel is installed
    r"\d+ \w+ ago",
    r"(?<=/ticket/1/)\d+",  # a moment in microseconds
]


def session(port: int, mount: str) -> list[str]:
    browser = Browser(port, mount, masks=MASKS, foreign=FOREIGN)
    open_the_door(browser)
    write_a_ticket(browser)
    attach_a_file(browser)
    other_pages(browser)
    leave(browser)
    return browser.transcript


def open_the_door(browser: Browser) -> None:
    page = browser.open("~")
    assert "Welcome to Trac" in page.document.text
    page = browser.open("~/login")
    assert (page.status, page.headers["WWW-Authenticate"]) == (401, 'Basic realm="Probe"')
    browser.credentials = CREDENTIALS
    page = browser.open("~/login")
    browser.credentials = ""  # from here on there is the cookie
    assert page.headers["Location"] == browser.home
    assert "logged in as anna" in browser.follow(page).document.text


def write_a_ticket(browser: Browser) -> None:
    page = browser.open("~/newticket")
    words = {"field_summary": "Größe & 大", "field_description": "See [wiki:WikiStart], #1\r\nand"}
    page = browser.submit(page, page.document.form("propertyform"), words, press="submit")
    assert page.status == 303
    assert page.headers["Location"] == browser.home + "/ticket/1"
    page = browser.follow(page)
    assert "Größe & 大" in page.document.title
    page = browser.submit(
        page, page.document.form("propertyform"), {"comment": "ä"}, press="submit"
    )
    assert page.headers["Location"] == browser.home + "/ticket/1#comment:1"
    browser.follow(page)


def attach_a_file(browser: Browser) -> None:
    """Upload a file, find it, read it back alone and in an archive, delete it."""
    page = browser.open("~/ticket/1")
    page = browser.submit(page, page.document.form("attachfile"))
    attachment = {"attachment": ("Größe 大.bin", CONTENT)}
    page = browser.submit(page, page.document.forms[-1], {"description": "ä"}, attachment)
    assert page.headers["Location"] == browser.home + "/attachment/ticket/1/"
    page = browser.follow(page)

    file = browser.open(page.document.link(r"/raw-attachment/.*\.bin"))
    assert file.body == CONTENT
    again = browser.open(file.url, If_Modified_Since=file.headers["Last-Modified"])
    assert (again.status, again.body) == (304, b"")
    assert browser.head(file.url).body == b""

    page = browser.open(page.document.link(r"/attachment/.*\.bin"))
    page = browser.submit(page, page.document.form("/attachment/ticket/1/Gr"))
    assert "Are you sure" in page.document.text
    page = browser.submit(page, page.document.forms[-1])
    assert page.headers["Location"] == browser.home + "/ticket/1"


def other_pages(browser: Browser) -> None:
    home = browser.open("~/wiki")
    style = browser.open(home.document.link(r"/trac\.css$"))
    assert (style.status, style.kind) == (200, "text/css")
    # Absolute addresses within XML, made of the request's host.
    for where in ("~/timeline?format=rss&ticket=on&daysback=30", "~/search/opensearch"):
        feed = browser.open(where)
        assert feed.kind.endswith("+xml")
        assert browser.home.encode() in feed.body
    assert browser.open("~/report/1?format=csv").kind == "text/csv"
    jump = browser.open("~/search?q=%231")
    assert jump.headers["Location"] == browser.home + "/ticket/1"
    assert "Größe & 大" in browser.open("~/search?q=Gr%C3%B6%C3%9Fe&ticket=on").document.text
    for where in ("~/nowhere/%C3%A4%20b", "~/ticket/99", "~/chrome/common/nowhere.css"):
        missing(browser.open(where))
    assert "does not exist" in browser.open("~/wiki/Gr%C3%B6%C3%9Fe%2BX").document.text
    forged = browser.post("~/newticket", "application/x-www-form-urlencoded", b"field_summary=a")
    assert forged.status == 400
    assert "Missing or invalid form token" in forged.document.text


def missing(page: Page) -> None:
    assert page.status == 404
    assert page.document.title.startswith("Error: ")


def leave(browser: Browser) -> None:
    page = browser.open("~/wiki")
    page = browser.submit(page, page.document.form("logout"), press="logout")
    # Back to the Referer, which Trac compares with its own address.
    assert page.headers["Location"] == browser.home + "/wiki"
    assert "Login" in browser.follow(page).document.text
    assert browser.open("~/newticket").status == 403


def test_session_is_the_same_as_under_tracd(under_its_own_server: list[str], site: Site) -> None:
    assert session(site.port, site.mount) == under_its_own_server
