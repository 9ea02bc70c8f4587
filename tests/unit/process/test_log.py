"""gfcgi.process.log: our lines reach standard error, or the application's own log."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import sys

import pytest

from gfcgi.options import Options
from gfcgi.process.log import set_up_logging, show_tracebacks_once, write_at_once


@pytest.fixture(autouse=True)
def our_logger():
    """Our logger as it is at a process's start."""
    ours = logging.getLogger("gfcgi")
    before = ours.handlers[:], ours.level
    ours.handlers = []
    ours.setLevel(logging.NOTSET)
    yield
    ours.handlers = before[0]
    ours.setLevel(before[1])


def unconfigured(monkeypatch):
    """An application that set up no logging; standard error is returned.

    Called in the test itself, because pytest sets up its own logging and capture before each.
    """
    logging.getLogger().handlers.clear()
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_a_line_says_when_which_process_and_how_bad(monkeypatch):
    stderr = unconfigured(monkeypatch)
    set_up_logging(Options())
    logging.getLogger("gfcgi.process").info("listening on %s", "x")
    logging.getLogger("gfcgi.process").debug("not shown")
    assert re.fullmatch(r"[\d-]+ [\d:,]+ gfcgi\[\d+\] INFO: listening on x\n", stderr.getvalue())


def test_it_is_set_up_once(monkeypatch):
    stderr = unconfigured(monkeypatch)
    set_up_logging(Options())
    set_up_logging(Options(log_level="error"))
    logging.getLogger("gfcgi").info("once")
    assert stderr.getvalue().count("once") == 1


def test_the_level_is_the_options_unless_the_application_set_one():
    set_up_logging(Options(log_level="error"))
    assert logging.getLogger("gfcgi").level == logging.ERROR
    logging.getLogger("gfcgi").setLevel(logging.DEBUG)
    set_up_logging(Options(log_level="error"))
    assert logging.getLogger("gfcgi").level == logging.DEBUG


def test_an_application_that_logs_gets_our_lines_once_even_if_it_sets_up_later(monkeypatch):
    stderr = unconfigured(monkeypatch)
    set_up_logging(Options())
    own = io.StringIO()
    logging.getLogger().addHandler(logging.StreamHandler(own))
    logging.getLogger("gfcgi").info("hello")
    assert own.getvalue() == "hello\n"
    assert stderr.getvalue() == ""


def test_a_closed_standard_error_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    set_up_logging(Options())
    assert logging.getLogger("gfcgi").handlers == []


def test_tracebacks_of_the_application_may_be_left_to_who_shows_its_error_output(monkeypatch):
    stderr = unconfigured(monkeypatch)
    set_up_logging(Options())
    show_tracebacks_once()
    for name in ("gfcgi.wsgi", "gfcgi.server"):
        try:
            raise LookupError(name)
        except LookupError:
            logging.getLogger(name).exception("failed")
    lines = stderr.getvalue().splitlines()
    assert [line for line in lines if line.startswith("LookupError")] == [
        "LookupError: gfcgi.server"
    ]
    assert len([line for line in lines if line.endswith("ERROR: failed")]) == 2


def test_a_traceback_that_is_nowhere_else_is_not_left_out(monkeypatch):
    stderr = unconfigured(monkeypatch)
    set_up_logging(Options())
    show_tracebacks_once()
    error = LookupError("here")
    logging.getLogger("gfcgi.wsgi").error("failed", exc_info=error, extra={"only_here": True})
    assert stderr.getvalue().endswith("ERROR: failed\nLookupError: here\n")


@pytest.mark.parametrize("once", [False, True])
def test_neither_message_nor_exception_forges_a_line_or_controls_the_terminal(monkeypatch, once):
    stderr = unconfigured(monkeypatch)
    set_up_logging(Options())
    if once:
        show_tracebacks_once()
    forged = "2026-11-25 12:00:00,000 gfcgi[1] INFO: forged"
    try:
        raise ValueError(f"\x1b[2J\n{forged}")
    except ValueError:
        logging.getLogger("gfcgi.process").exception("failed: %s", f"\x1b[2J\n{forged}")
    text = stderr.getvalue()
    assert text.count("INFO: forged") == 2
    assert "\x1b" not in text
    assert not re.search("^2026-11-25 12:00:00,000", text, re.MULTILINE)


def test_a_line_that_cannot_wait_goes_past_logging(capfd):
    write_at_once("WARNING", "it stands: café\n  below")
    printed = capfd.readouterr().err
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} gfcgi\[\d+\] WARNING: it stands: café\n  below\n",
        printed,
    )


def test_a_line_that_cannot_wait_does_not_wait_for_a_reader():
    """Nobody reads the pipe, and it is full."""
    reading, writing = os.pipe()
    before = os.dup(2)
    try:
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, b"x" * 4096)
        os.set_blocking(writing, True)
        os.dup2(writing, 2)
        write_at_once("WARNING", "lost")
    finally:
        os.dup2(before, 2)
        for descriptor in (before, reading, writing):
            os.close(descriptor)
