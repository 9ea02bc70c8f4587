"""The status as a page for people."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser

from gfcgi.process.status.html import HEADERS, as_html
from gfcgi.process.status.snapshot import Snapshot

Make = Callable[..., Snapshot]
MADE_BY_US = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "dl", "div", "dt", "dd"),
    *("small", "table", "thead", "tbody", "tr", "th", "td", "code"),
}
WITHOUT_END = {"meta"}


class Reader(HTMLParser):
    """Notes every element with its attributes, and sees that they are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in WITHOUT_END:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.text += data


def test_nothing_that_a_client_chooses_becomes_markup(hostile: Snapshot) -> None:
    page = Reader(as_html(hostile))
    assert {tag for tag, _ in page.elements} <= MADE_BY_US
    assert "<script>alert(1)</script>\"'&\\x1b[31m\\né" in page.text
    for _, attributes in page.elements:
        assert not {name for name in attributes if name.startswith("on")}
        assert not {"src", "href", "style"} & attributes.keys()


def test_page_needs_nothing_from_outside_and_may_run_nothing(snapshot: Make) -> None:
    text = as_html(snapshot())
    assert not re.search(r"https?:|url\(|@import", text)
    (policy,) = (value for name, value in HEADERS if name == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    style = text.partition("<style>")[2].partition("</style>")[0]
    (allowed,) = re.findall(r"'sha256-([^']+)'", policy)
    assert b64decode(allowed) == sha256(style.encode()).digest()


def test_page_asks_anew_by_itself(snapshot: Make) -> None:
    meta = [attributes for tag, attributes in Reader(as_html(snapshot())).elements if tag == "meta"]
    assert {"http-equiv": "refresh", "content": "5"} in meta


def test_page_has_the_numbers(snapshot: Make, numbers: Callable[..., dict[str, float]]) -> None:
    status = snapshot(
        processes={7: numbers({"2xx": 10}), 8: numbers({"2xx": 20})},
        ended={"requests_2xx_total": 5.0},
        more=2,
    )
    page = Reader(as_html(status))
    for part in ("2xx35", "7 (this one)", "app.py, line 3, in sleep", "2 younger ones", "ended5"):
        assert part in page.text.replace("\n", ""), part


def test_page_of_one_process_alone_says_so(snapshot: Make) -> None:
    note = "These are <all> there are."
    assert note in Reader(as_html(snapshot(alone=note, standing=()))).text
