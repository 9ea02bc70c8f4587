"""Django and its admin."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urljoin

import pytest
from servers.site import Site

from .browser import Browser, Page
from .deployments import WAYS_WITH_FILES, Project, behind, installed

pytestmark = [pytest.mark.servers, installed("django")]

SITE = "django_admin"
READY = "/admin/login/"
NAME, PASSWORD = "anna", "geheim-ß"

# More than Django keeps in memory, and what a careless reader of multipart would stumble over.
CONTENT = b"--\r\n\r\n\x00\xff--boundary--\r\n" * 130_000 + b"\r\n"

KINDS = {
    "css": {"text/css"},
    "js": {"text/javascript", "application/javascript"},
    "svg": {"image/svg+xml"},
}
"""The ending of a file, and the media types that a Web server may give it."""

MASKS = [r'"\?csrfmiddlewaretoken=[^&]*']


def session(port: int, mount: str) -> list[str]:
    browser = Browser(port, mount, masks=MASKS)
    open_the_door(browser)
    uploaded(browser)
    other_pages(browser)
    leave(browser)
    return browser.transcript


def open_the_door(browser: Browser) -> None:
    page = browser.follow(browser.open("~/admin"))
    assert page.url == f"{browser.home}/admin/login/?next={browser.mount}/admin/"
    form = page.document.form("login-form")

    refused = browser.submit(page, form, {"username": NAME, "password": "falsch"})
    assert "Please enter the correct username" in refused.document.text

    page = browser.submit(page, form, {"username": NAME, "password": PASSWORD})
    assert page.status == 302
    page = browser.follow(page)
    assert page.url == browser.home + "/admin/"
    assert page.document.title.startswith("Site administration")


def uploaded(browser: Browser) -> None:
    """Upload a file, find it, read it back, delete it."""
    page = browser.open("~/admin/documents/document/add/")
    form = page.document.form("document_form")
    page = browser.submit(
        page, form, {"title": "Größe & 大"}, {"file": ("Größe 大.bin", CONTENT)}, "_continue"
    )
    assert page.status == 302
    page = browser.follow(page)
    assert "was added successfully" in page.document.text
    change = page

    file = browser.open(page.document.link("/media/"))
    assert hashlib.sha256(file.body).digest() == hashlib.sha256(CONTENT).digest()
    again = browser.open(file.url, If_Modified_Since=file.headers["Last-Modified"])
    assert (again.status, again.body) == (304, b"")
    assert browser.head(file.url).body == b""

    # An absolute address, made of the request's host.
    page = browser.open(page.document.link("/admin/r/"))
    assert page.headers["Location"] == file.url

    found = browser.open("~/admin/documents/document/?q=Gr%C3%B6%C3%9Fe+%26")
    assert "Größe & 大" in found.document.text
    assert "Größe & 大" not in browser.open("~/admin/documents/document/?q=%E5%B0%8F").document.text
    page = browser.open(change.document.link("/delete/$"))
    page = browser.follow(browser.submit(page, page.document.forms[-1]))
    assert "was deleted successfully" in page.document.text


def other_pages(browser: Browser) -> None:
    home = browser.open("~/admin/")
    style = browser.open(home.document.link(r"\.css$"))
    assert (style.status, style.kind) == (200, "text/css")
    assert browser.open("~/admin/jsi18n/").kind == "text/javascript"
    missing(browser.open("~/nowhere/"))
    missing(browser.open("~/static/nowhere%20%C3%A4.css"))
    missing(browser.open("~"))
    forged = browser.post("~/admin/logout/", "application/x-www-form-urlencoded", b"a=b")
    assert forged.status == 403
    assert "CSRF verification failed" in forged.document.text


def missing(page: Page) -> None:
    assert page.status == 404
    assert page.document.title == "Not Found"


def leave(browser: Browser) -> None:
    home = browser.open("~/admin/")
    page = browser.submit(home, home.document.form("logout-form"))
    assert "Log in again" in browser.follow(page).document.text
    page = browser.open("~/admin/")
    assert page.status == 302
    assert page.headers["Location"] == f"{browser.mount}/admin/login/?next={browser.mount}/admin/"


def test_session_is_the_same_as_under_djangos_own_server(
    under_its_own_server: list[str], site: Site
) -> None:
    assert session(site.port, site.mount) == under_its_own_server


@pytest.mark.parametrize("way", WAYS_WITH_FILES)
def test_admin_looks_as_it_should_with_files_that_the_web_server_sends(
    way: str, project: Project, mount: str
) -> None:
    """Each style sheet, script and picture of a page, and what these name, is there and whole."""
    with behind(way, project, mount, READY, WAYS_WITH_FILES) as site:
        browser = Browser(site.port, site.mount, masks=MASKS)
        page = browser.follow(browser.open("~/admin"))
        form = page.document.form("login-form")
        pages = [page, browser.submit(page, form, {"username": NAME, "password": PASSWORD})]
        pages += [
            browser.follow(pages[-1]),
            browser.open("~/admin/documents/document/add/"),
            browser.open("~/admin/auth/user/"),
        ]
        base = f"{browser.home}/static/"
        wanted = {
            urljoin(page.url, link)
            for page in pages[:1] + pages[2:]
            for link in page.document.links
        }
        files: dict[str, Page] = {}
        while missing := {url for url in wanted if url.startswith(base)} - files.keys():
            url = missing.pop()
            files[url] = file = browser.open(url)
            if file.kind == "text/css":
                named = re.findall(r"""url\(["']?([^"')]+)["']?\)""", file.body.decode())
                wanted |= {urljoin(url, name) for name in named if not name.startswith("data:")}
        for url, file in files.items():
            assert file.status == 200, url
            assert file.body == (project.directory / "collected" / url[len(base) :]).read_bytes()
            assert "X-Content-Type-Options" not in file.headers, "Django sent it"
            assert file.kind in KINDS[url.rpartition(".")[2]]
        endings = {url.rpartition(".")[2] for url in files}
        assert endings == {"css", "js", "svg"}
        assert len(files) > 15
