"""Flask, with Flask-Admin's file manager, Flask-Login and Flask-WTF."""

from __future__ import annotations

import json

import pytest
from servers.site import Site

from .browser import Browser, Page
from .deployments import installed

pytestmark = [pytest.mark.servers, installed("flask_admin")]

SITE = "flask_files"
READY = "/login/"
NAME, PASSWORD = "anna", "geheim-ß"

# More than Werkzeug keeps in memory, and what a careless reader of multipart would stumble over.
CONTENT = b"--\r\n\r\n\x00\xff--boundary--\r\n" * 130_000 + b"\r\n"

# Flask-Admin's link behind its name is the same wherever it is mounted.
MISLED = ["/admin"]
MASKS = [r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"]


def session(port: int, mount: str) -> list[str]:
    browser = Browser(port, mount, masks=MASKS, misled=MISLED)
    open_the_door(browser)
    upload(browser)
    other_pages(browser)
    leave(browser)
    return browser.transcript


def open_the_door(browser: Browser) -> None:
    page = browser.follow(browser.open("~/admin/files/"))
    assert page.url.startswith(browser.home + "/login/?next=")
    form = page.document.form("login")
    refused = browser.submit(page, form, {"name": NAME, "password": "falsch"})
    assert "That is wrong" in refused.document.text
    page = browser.submit(page, form, {"name": NAME, "password": PASSWORD})
    assert page.status == 302
    page = browser.follow(page)
    assert page.url == browser.home + "/admin/files/"
    assert "first.txt" in page.document.text


def upload(browser: Browser) -> None:
    """Upload a file, find it, read it back whole and in part, delete it."""
    page = browser.open("~/admin/files/upload/")
    page = browser.submit(page, page.document.forms[0], {}, {"upload": ("Größe 大.bin", CONTENT)})
    assert page.status == 302
    page = browser.follow(page)
    assert "Successfully saved file" in page.document.text

    file = browser.open(page.document.link(r"/download/.*\.bin"))
    assert file.body == CONTENT
    part = browser.open(file.url, Range="bytes=3-8")
    assert (part.status, part.body) == (206, CONTENT[3:9])
    again = browser.open(file.url, If_None_Match=file.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    assert browser.head(file.url).body == b""

    form = next(form for form in page.document.forms if ".bin" in dict(form.values).get("path", ""))
    page = browser.submit(page, form)
    assert page.status == 302
    assert "was successfully deleted" in browser.follow(page).document.text


def other_pages(browser: Browser) -> None:
    page = browser.open("~/login/")
    style = browser.open(page.document.link(r"/static/style\.css$"))
    assert (style.status, style.kind) == (200, "text/css")
    browser.open(browser.open("~/admin/").document.link(r"bootstrap.*\.css"))
    missing(browser.open("~/nowhere/"))
    missing(browser.open("~/%C3%A4%20%2B"))
    missing(browser.open("~"))
    for words in ("plain", "Gr%C3%B6%C3%9Fe%20%2B%3B%3D", "a/b/"):
        said = json.loads(browser.open(f"~/words/{words}?q=1&q=%C3%A4+%2B&e=").body)
        assert said["root"] == browser.home + "/"
        assert said["arguments"] == {"q": ["1", "ä +"], "e": [""]}
    assert browser.open("~/words").status == 404
    forged = browser.post("~/admin/files/delete/", "application/x-www-form-urlencoded", b"path=a")
    assert forged.status == 400
    assert "CSRF" in forged.document.text


def missing(page: Page) -> None:
    assert page.status == 404
    assert page.document.title == "Not here"


def leave(browser: Browser) -> None:
    page = browser.open("~/logout/")
    # An absolute address, made of the request's host.
    assert page.headers["Location"] == browser.home + "/login/"
    assert browser.follow(page).status == 200
    assert browser.open("~/admin/files/").status == 302


def test_session_is_the_same_as_under_flasks_own_server(
    under_its_own_server: list[str], site: Site
) -> None:
    assert session(site.port, site.mount) == under_its_own_server
