"""gfcgi.wsgi.access_lines: one line a request, whatever a client has chosen."""

from __future__ import annotations

import json
import os
import re
import time

import pytest
import webserver_side as wire
from hypothesis import given
from hypothesis import strategies as some

from gfcgi.wsgi.access_lines import ATOMS, line_maker
from gfcgi.wsgi.observed import Observed


def ended(head=b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n", sent=5, **params):
    observed = Observed(wire.cgi_params(**params), None, None)
    if head:
        observed.count(head)
    observed.sent = sent
    observed.end()
    # 2026-11-27 12:00:00 UTC, and half a second in which this may be slow.
    observed.began = time.monotonic() - time.time() + 1_795_780_800.5
    observed.ended = observed.began + 1.2345678
    return observed


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_combined_is_apaches():
    line = line_maker("combined")(
        ended(
            REQUEST_URI="/a%20b?c=d",
            REMOTE_ADDR="192.0.2.7",
            REMOTE_USER="ann",
            HTTP_REFERER="http://example.com/",
            HTTP_USER_AGENT="Mozilla/5.0 (X11)",
        )
    )
    assert line == (
        '192.0.2.7 - ann [27/Nov/2026:12:00:00 +0000] "GET /a%20b?c=d HTTP/1.1" 200 5'
        ' "http://example.com/" "Mozilla/5.0 (X11)"'
    )


def test_what_is_not_there_is_a_dash():
    params = {"REMOTE_ADDR": "", "HTTP_USER_AGENT": "", "SERVER_PROTOCOL": "HTTP/1.0"}
    line = line_maker("combined")(ended(head=b"", sent=0, **params))
    assert line == '- - - [27/Nov/2026:12:00:00 +0000] "GET / HTTP/1.0" 499 - "-" "-"'


def test_every_atom_that_is_documented_has_a_value():
    values = {
        "h": "192.0.2.7",
        "l": "-",
        "u": "ann",
        "t": "[27/Nov/2026:12:00:00 +0000]",
        "r": "PUT /app/x?a=b HTTP/1.1",
        "m": "PUT",
        "U": "/app/x",
        "q": "a=b",
        "H": "HTTP/1.1",
        "s": "201",
        "B": "5",
        "b": "5",
        "f": "-",
        "a": "agent",
        "T": "1",
        "M": "1234",
        "D": "1234567",
        "L": "1.234568",
        "p": f"<{os.getpid()}>",
        "{X-Name}i": "asked",
        "{content-type}i": "a/b",
        "{location}o": "/new",
        "{APP_NOTE}e": "7",
        "{absent}i": "-",
        "{absent}o": "-",
        "{absent}e": "-",
    }
    observed = ended(
        b"Status: 201 Created\r\nLocation: /new\r\n\r\n",
        REQUEST_METHOD="PUT",
        SCRIPT_NAME="/app",
        PATH_INFO="/x",
        QUERY_STRING="a=b",
        REQUEST_URI="",
        REMOTE_ADDR="192.0.2.7",
        REMOTE_USER="ann",
        HTTP_USER_AGENT="agent",
        HTTP_X_NAME="asked",
        CONTENT_TYPE="a/b",
    )
    observed.environ["APP_NOTE"] = 7
    for atom, value in values.items():
        assert line_maker(f"%({atom})s")(observed) == value, atom
    named = {atom if atom[0] != "{" else "{NAME}" + atom[-1] for atom in values}
    assert named == set(ATOMS)


def test_a_format_may_have_widths_percent_signs_and_other_text():
    line = line_maker("%(s)6s|%(s)-6s|100 %% {done}\n%(m)s")(ended())
    assert line == "   200|200   |100 % {done}\\x0aGET"


@pytest.mark.parametrize("text", ["%(x)s", "%(h)d", "%h", "%(h)", "{h}", "", "%(h)s %", "%({a}z)s"])
def test_a_format_with_another_atom_is_refused(text):
    with pytest.raises(ValueError, match="write combined, json, or a format such as"):
        line_maker(text)


def test_a_client_can_neither_break_a_line_nor_forge_a_field():
    line = line_maker("combined")(
        ended(
            REQUEST_METHOD="GET",
            REQUEST_URI='/" 200 1\r\n\x1b[31m\\',
            REMOTE_USER='ann [x] "GET',
            REMOTE_ADDR="1.2.3.4 5",
            HTTP_USER_AGENT="caf\xc3\xa9\x85",
            HTTP_REFERER='"\n',
        )
    )
    assert line == (
        r"1.2.3.4\x205 - ann\x20[x]\x20\"GET [27/Nov/2026:12:00:00 +0000]"
        r' "GET /\" 200 1\x0d\x0a\x1b[31m\\ HTTP/1.1" 200 5 "\"\x0a" "caf\xc3\xa9\x85"'
    )


octets = some.binary().map(lambda data: data.decode("latin-1"))


@given(octets, octets, octets, octets)
def test_a_line_is_one_line_of_ascii_whatever_the_octets(uri, user, agent, header):
    observed = ended(
        header.encode("latin-1") + b"\r\n\r\n",
        REQUEST_URI=uri,
        REMOTE_USER=user,
        HTTP_USER_AGENT=agent,
    )
    for text in ("combined", "json", '%(r)s %(u)s "%({user-agent}i)s" %({a}o)s'):
        line = line_maker(text)(observed)
        assert line.isascii()
        assert line.isprintable()
    assert line_maker("combined")(observed).replace("\\\\", "").replace('\\"', "").count('"') == 6


@given(some.text(), octets)
def test_json_is_an_object_whatever_the_text(user, uri):
    observed = ended(REQUEST_URI=uri)
    observed.environ["REMOTE_USER"] = user
    line = line_maker("json")(observed)
    read = json.loads(line)
    assert read["uri"] == uri.encode("latin-1").decode("utf-8", "backslashreplace") or uri == ""
    line.encode("ascii")
    json.dumps(read).encode()  # no half of a surrogate pair


def test_json_has_what_people_look_for():
    observed = ended(
        REQUEST_URI="/caf\xc3\xa9\xff",
        REMOTE_ADDR="192.0.2.7",
        HTTP_HOST="example.com",
        HTTP_USER_AGENT='a"b',
    )
    observed.cut = True
    read = json.loads(line_maker("json")(observed))
    assert re.fullmatch(r"2026-11-27T12:00:00\.\d{3}Z", read.pop("time"))
    assert read == {
        "remote_addr": "192.0.2.7",
        "remote_user": "",
        "method": "GET",
        "uri": "/café\\xff",
        "protocol": "HTTP/1.1",
        "host": "example.com",
        "status": 200,
        "bytes_sent": 5,
        "bytes_received": 0,
        "seconds": 1.234568,
        "referer": "",
        "user_agent": 'a"b',
        "aborted": False,
        "cut": True,
        "pid": os.getpid(),
    }
