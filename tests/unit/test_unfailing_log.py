"""gfcgi.unfailing_log: a log line never raises into the code that logs it."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

import gfcgi
from gfcgi.unfailing_log import Log


@pytest.fixture
def raising():
    """A handler of the root logger that raises; gives what it raises."""
    error = LookupError("in logging")

    class Raising(logging.Handler):
        def emit(self, record):
            raise error

    handler = Raising()
    logging.getLogger().addHandler(handler)
    yield error
    logging.getLogger().removeHandler(handler)


def test_a_line_reaches_the_standard_librarys_logger_of_its_name(caplog):
    with caplog.at_level(logging.DEBUG, "gfcgi.tests"):
        log = Log("gfcgi.tests")
        log.debug("a %s", "debug")
        log.info("an info")
        log.warning("a %d", 1)
        log.error("an error", exc_info=ValueError("x"), extra={"only_here": True})
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "a debug"),
        ("INFO", "an info"),
        ("WARNING", "a 1"),
        ("ERROR", "an error"),
    ]
    assert {record.filename for record in caplog.records} == {"test_unfailing_log.py"}
    assert caplog.records[-1].only_here
    try:
        raise KeyError
    except KeyError:
        log.exception("handled")
    assert caplog.records.pop().exc_info[0] is KeyError
    assert caplog.records[-1].exc_info[0] is ValueError


def test_a_line_below_the_level_is_not_logged_and_can_be_spared(caplog):
    log = Log("gfcgi.tests")
    with caplog.at_level(logging.WARNING, "gfcgi.tests"):
        log.info("not this one")
        assert not log.takes(logging.INFO)
        assert log.takes(logging.WARNING)
    assert caplog.records == []


def test_what_a_handler_does_not_take_is_printed_with_the_reason(raising, capsys):
    Log("gfcgi.tests").error("lost %s", "line", exc_info=ValueError("of the application"))
    shown = capsys.readouterr().err
    assert "gfcgi: lost line\n" in shown
    assert "ValueError: of the application" in shown
    assert "the application's logging failed on that line" in shown


def test_a_handler_that_ends_the_process_does_not(capsys):
    class Ending(logging.Handler):
        def emit(self, record):
            raise SystemExit(3)

    handler = Ending()
    logging.getLogger().addHandler(handler)
    try:
        Log("gfcgi.tests").warning("still here")
    finally:
        logging.getLogger().removeHandler(handler)
    assert "still here" in capsys.readouterr().err


@pytest.mark.parametrize("stderr", [None, "closed"])
def test_nothing_is_raised_where_there_is_no_standard_error_either(raising, stderr, monkeypatch):
    class Closed:
        def write(self, text):
            raise ValueError("I/O operation on closed file")

    monkeypatch.setattr("sys.stderr", None if stderr is None else Closed())
    Log("gfcgi.tests").warning("nowhere to go")


def test_a_line_that_does_not_fit_its_values_raises_nothing(raising):
    Log("gfcgi.tests").warning("%d", "no number")


def test_every_logger_of_the_package_is_one_that_does_not_raise():
    package = Path(gfcgi.__file__).parent
    made = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"getLogger\(.gfcgi\.", path.read_text("utf-8"))
    }
    assert made == set()
