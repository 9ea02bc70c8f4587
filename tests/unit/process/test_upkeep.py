"""gfcgi.process.upkeep: what renews the process, and what does not."""

from __future__ import annotations

import os
import sys
from types import ModuleType

import pytest

from gfcgi import limits
from gfcgi.errors import AppImportError
from gfcgi.options import Options
from gfcgi.process import renewal, upkeep
from gfcgi.process.broken import BrokenApplication
from gfcgi.process.renewal import load_aside
from gfcgi.process.upkeep import Upkeep


class Background:
    """Stands in for gfcgi.server.background.Background: it works when it is woken."""

    def __init__(self, work, seconds):
        self.wake = work
        self.seconds = seconds

    def start(self):
        pass

    def stop(self):
        pass

    def pause(self, seconds):
        pass


class Manager:
    """Stands in for gfcgi.process.service_manager.ServiceManager."""

    def __init__(self, calls):
        self.told = calls.told = []

    def ready(self):
        self.told.append("ready")

    def reloading(self):
        self.told.append("reloading")


class Calls(list):
    """What was done; ``told`` is what the service manager was told.

    ``stopped`` says whether a signal has stopped the process.
    """

    stopped = False


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Make one, in the directory of an application; what it does is noted in ``calls``."""
    background = ModuleType("gfcgi.server.background")
    background.Background = Background
    monkeypatch.setitem(sys.modules, "gfcgi.server.background", background)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(renewal, "origin", None)
    monkeypatch.setattr(renewal, "load_aside", lambda seconds: calls.append("load") or failure[0])
    calls, failure = Calls(), [""]

    def make(application=None, **options):
        made = Upkeep(
            application,
            Options(**options),
            name="site.fcgi",
            manager=Manager(calls),
            sockets=list,
            stop=lambda: calls.append("stop"),
            stopped=lambda: bool(calls.stopped),
        )
        made.calls, made.failure = calls, failure
        return made

    return make


def test_a_signal_renews_the_process_once_the_new_version_could_be_loaded(made):
    one = made()
    with one:
        assert one._background.seconds is None
        one.ask("SIGHUP")
        assert one.renewing
        one.ask("SIGHUP")
    assert one.calls == ["load", "stop"]
    assert one.calls.told == ["reloading"]


def test_a_signal_that_came_before_has_its_effect_at_the_start(made):
    one = made()
    one.ask("SIGHUP")
    assert one.calls == []
    with one:
        assert one.calls == ["load", "stop"]


def test_a_version_that_cannot_be_loaded_does_no_harm_and_is_logged(made, caplog):
    one = made()
    one.failure[0] = "SyntaxError: invalid syntax"
    with one:
        one.ask("SIGHUP")
    assert not one.renewing
    assert one.calls == ["load"]
    assert (
        "the new version cannot be loaded, and the old one serves on:\nSyntaxError" in caplog.text
    )


def test_a_changed_file_renews_it_and_so_does_restart_txt(made, tmp_path):
    for name in ("site.fcgi", "restart.txt", "further.ini"):
        one = made(reload=True, reload_file="further.ini")
        one.calls.clear()
        with one:
            one._background.wake()
            assert not one.renewing
            (tmp_path / name).write_text(name)
            one._background.wake()
            assert one.renewing


@pytest.mark.parametrize("seen", [True, False])
def test_only_a_change_that_nobody_has_seen_is_no_reason_twice(made, tmp_path, monkeypatch, seen):
    """An application may write one of its files whenever it is loaded."""
    (tmp_path / "site.fcgi").write_text("one")
    origin = renewal.Origin()
    origin.time_ns = os.stat(tmp_path / "site.fcgi").st_mtime_ns - (not seen)
    monkeypatch.setattr(renewal, "origin", origin)
    one = made(reload=True)
    if seen:
        (tmp_path / "site.fcgi").write_text("another")
    with one:
        one._background.wake()
    assert one.kept is not None
    assert one.kept.presumed is not seen


def test_what_has_changed_before_the_last_trial_counts_no_more(made, tmp_path):
    one = made(reload=True)
    with one:
        (tmp_path / "site.fcgi").write_text("one")
        one._background.wake()
        assert one.kept is not None
        since = one.kept.since_ns
        assert one.can_still_be_loaded()
        assert one.kept.since_ns == since
        (tmp_path / "restart.txt").touch()
        assert one.can_still_be_loaded()
    assert one.kept.since_ns > since
    assert one.calls == ["load", "stop", "load"]


def test_a_broken_version_is_tried_again_when_the_file_changes_that_breaks_it(made, tmp_path):
    (tmp_path / "site.fcgi").write_text("import shop")
    one = made(reload=True)
    one.failure[0] = f'  File "{tmp_path}/shop.py", line 1\nSyntaxError: invalid syntax\n'
    with one:
        (tmp_path / "site.fcgi").write_text("import shop, more")
        one._background.wake()
        one._background.wake()
        assert one.calls == ["load"]
        one.failure[0] = ""
        (tmp_path / "shop.py").write_text("mended = True")
        one._background.wake()
    assert one.calls == ["load", "load", "stop"]


def test_what_could_not_be_started_is_started_again_without_a_trial(made, tmp_path):
    failed = AppImportError("there is no module shop", option="target", source="TARGET")
    one = made(BrokenApplication(failed, debug=False))
    with one:
        one._background.wake()
        assert one.calls == []
        (tmp_path / "site.fcgi").write_text("mended")
        one._background.wake()
    assert one.calls == ["stop"]


def test_a_connection_that_comes_after_a_change_waits_for_the_new_version(made, tmp_path):
    one = made(reload=True)
    with one:
        assert one.may_accept()
        wake, one._background.wake = one._background.wake, lambda: None
        (tmp_path / "site.fcgi").write_text("two")
        assert not one.may_accept()
        assert not one.may_accept()
        wake()
        assert one.renewing
        assert not one.may_accept()
    assert one.calls == ["load", "stop"]


def test_a_connection_waits_no_longer_for_a_version_that_cannot_be_loaded(made, tmp_path):
    one = made(reload=True)
    one.failure[0] = "no"
    with one:
        (tmp_path / "site.fcgi").write_text("two")
        assert not one.may_accept()  # after which it is loaded, and that fails
        assert one.calls == ["load"]
        assert one.may_accept()
    assert one.calls == ["load"]


def test_a_connection_waits_for_some_seconds_at_most(made, tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(upkeep.time, "monotonic", lambda: now[0])
    one = made(reload=True)
    with one:
        one._background.wake = lambda: None
        (tmp_path / "site.fcgi").write_text("two")
        assert not one.may_accept()
        now[0] += limits.HELD_SECONDS
        assert one.may_accept()


def test_looking_at_many_files_takes_a_twentieth_of_the_time_in_the_end(made, monkeypatch):
    now, looks = [100.0], []
    monkeypatch.setattr(upkeep.time, "monotonic", lambda: now[0])
    one = made(reload=True)

    def changed():
        looks.append(now[0])
        now[0] += 0.01
        return ""

    with one:
        monkeypatch.setattr(one._files, "changed", changed)
        while now[0] < 120:
            assert one.may_accept()
            now[0] += 0.001
    assert looks[1] - looks[0] < 0.02  # one for each connection
    assert 140 <= len(looks) <= 160  # 0.5 s at first, and then 1 s of 20


def test_without_reload_connections_are_not_kept_waiting(made, tmp_path):
    one = made()
    with one:
        (tmp_path / "site.fcgi").write_text("two")
        assert one.may_accept()


def test_so_many_requests_renew_it_and_a_tenth_more_at_most(made):
    one = made(max_requests=20)
    answered = []
    application = one.counted(lambda environ, start_response: answered.append(environ) or [])
    with one:
        while not one.renewing:
            application({}, None)
    assert 20 <= len(answered) <= 22


def test_without_a_most_the_application_is_called_directly(made):
    assert made().counted(print) is print


def test_after_a_failed_trial_requests_ask_again_only_later(made, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(upkeep.time, "monotonic", lambda: now[0])
    one = made(max_requests=1)
    one.failure[0] = "no"
    application = one.counted(lambda environ, start_response: [])
    with one:
        for _ in range(3):
            application({}, None)
            one._background.wake()
        assert one.calls == ["load"]
        one.failure[0] = ""
        now[0] = 3600.0
        one._background.wake()
    assert one.calls == ["load", "load", "stop"]


@pytest.mark.parametrize("lacking", ["pipe", "program"])
def test_a_trial_that_cannot_be_started_is_one_that_failed(made, monkeypatch, caplog, lacking):
    def fail(*_, **__):
        tried.append(lacking)
        raise OSError("there is none")

    tried, now = [], [0.0]
    one = made(max_requests=1)
    monkeypatch.setattr(upkeep.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(renewal, "origin", renewal.Origin())
    monkeypatch.setattr(renewal, "load_aside", load_aside)
    background = sys.modules["gfcgi.server.background"]
    monkeypatch.setattr(background, "run_program", fail, raising=False)
    if lacking == "pipe":
        monkeypatch.setattr(renewal.os, "pipe", fail)
    application = one.counted(lambda environ, start_response: [])
    with one:
        for _ in range(3):
            application({}, None)
            one._background.wake()
        assert len(tried) == 1
        assert not one.renewing
        assert one.calls.told == ["reloading", "ready"]
        now[0] = 3600.0
        one._background.wake()
    assert len(tried) == 2
    assert caplog.text.count("serves on:\nit could not be started: there is none") == 2


def test_a_process_that_has_been_stopped_is_not_renewed(made, monkeypatch, tmp_path):
    looks = []
    one = made(reload=True)
    with one:
        one.calls.stopped = True
        monkeypatch.setattr(one._files, "changed", lambda: looks.append("site.fcgi") or looks[0])
        (tmp_path / "site.fcgi").write_text("two")
        one.ask("SIGHUP")
        one._background.wake()
    assert looks == []
    assert one.calls == []
    assert one.calls.told == []


@pytest.mark.parametrize("failure", ["", "no"])
def test_a_process_that_is_stopped_during_the_trial_is_not_renewed(made, monkeypatch, failure):
    def load(seconds):
        one.calls.stopped = True
        return failure

    one = made()
    monkeypatch.setattr(renewal, "load_aside", load)
    with one:
        one.ask("SIGHUP")
    assert not one.renewing
    assert one.calls == []
    assert one.calls.told == ["reloading"]


def test_a_process_that_is_stopped_while_files_settle_is_not_renewed(made, monkeypatch, tmp_path):
    one = made(reload=True)
    with one:
        monkeypatch.setattr(one._files, "settle", lambda pause: setattr(one.calls, "stopped", True))
        (tmp_path / "site.fcgi").write_text("two")
        one._background.wake()
    assert one.calls == []
    assert one.calls.told == []


def test_memory_renews_it_unless_it_takes_as_much_from_the_beginning(made, monkeypatch, caplog):
    taken = [100]
    monkeypatch.setattr(upkeep, "resident_bytes", lambda: taken[0])
    one = made(max_memory_bytes=1000)
    with one:
        one._background.wake()
        assert not one.renewing
        taken[0] = 1001
        one._background.wake()
        assert one.renewing
    one = made(max_memory_bytes=1000)
    with one:
        one._background.wake()
        assert not one.renewing
    assert "max_memory_bytes=1000 is less than the process takes" in caplog.text


def test_memory_is_known_where_the_system_has_no_proc(monkeypatch):
    known = upkeep.resident_bytes()

    def missing(*arguments):
        raise FileNotFoundError(*arguments)

    monkeypatch.setattr("builtins.open", missing)
    assert upkeep.resident_bytes() > known / 10


def test_an_error_in_it_is_logged_and_it_goes_on(made, monkeypatch, caplog):
    one = made(reload=True)
    with one:
        monkeypatch.setattr(one._files, "changed", lambda: 1 / 0)
        one._background.wake()
    assert "ZeroDivisionError" in caplog.text


def test_log_files_are_reopened_when_somebody_asks(made, monkeypatch):
    reopened = []
    monkeypatch.setattr(upkeep, "reopen_log_files", lambda: reopened.append(True))
    one = made()
    one.reopen()
    with one:
        assert reopened == [True]
        one.reopen()
    assert reopened == [True, True]
    assert os.getcwd()
