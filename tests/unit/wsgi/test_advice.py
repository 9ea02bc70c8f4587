"""gfcgi.wsgi.advice: each kind of advice is logged once."""

from __future__ import annotations

import pytest
import webserver_side as wire
from wsgi_side import Request, hello

from gfcgi.wsgi.advice import Advice, say_left_out


def long_head(advice):
    advice.long_head(
        Request(wire.cgi_params("GET", "/")), 5000, "nginx", 4096, "fastcgi_buffer_size"
    )


def bare_body(advice):
    advice.bare_body("text")


@pytest.mark.parametrize("kind", [long_head, bare_body])
def test_a_kind_is_said_once_for_each_application(kind, caplog):
    first, second = Advice(hello), Advice(hello)
    kind(first)
    kind(first)
    assert len(caplog.records) == 1
    kind(second)
    assert len(caplog.records) == 2


def test_one_kind_does_not_keep_another_from_being_said(caplog):
    advice = Advice(hello)
    long_head(advice)
    bare_body(advice)
    assert [record.getMessage().partition(" ")[0] for record in caplog.records] == ["GET", "the"]


def test_a_header_that_is_left_out_is_named_once_however_it_is_written(caplog):
    for name in ("Connection", "CONNECTION", "Upgrade", "connection"):
        say_left_out(name)
    assert [record.getMessage().split()[2] for record in caplog.records] == [
        "Connection",
        "Upgrade",
    ]
