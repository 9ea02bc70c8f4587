"""gfcgi.process.request_logs and access_log: what the options ask for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import webserver_side as wire

from gfcgi.options import Options
from gfcgi.process import line_outputs, renewal
from gfcgi.process.request_logs import RequestLogs
from gfcgi.wsgi.observed import Observed


def ended():
    observed = Observed(wire.cgi_params(), None, None)
    observed.count(b"Status: 200 OK\r\n\r\nhello")
    observed.end()
    return observed


def test_nothing_is_made_and_imported_where_nothing_is_asked_for():
    code = (
        "import sys; from gfcgi.options import Options\n"
        "from gfcgi.process.request_logs import RequestLogs\n"
        "logs = RequestLogs(Options())\n"
        "with logs: logs.reopen()\n"
        "logs.close()\n"
        "assert logs.observers == []\n"
        "assert not {'gfcgi.process.access_log', 'gfcgi.process.slow_log'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_access_log_is_a_file_beside_where_the_process_was_started(tmp_path, monkeypatch):
    monkeypatch.setattr(renewal, "origin", None)
    monkeypatch.chdir(tmp_path)
    logs = RequestLogs(Options(access_log="log", access_log_format="%(s)s %(B)s"))
    monkeypatch.chdir("/")
    (observer,) = logs.observers
    for _ in range(2):
        observed = ended()
        observer.request_begun(observed)
        observer.request_ended(observed)
    (tmp_path / "log").rename(tmp_path / "old")
    logs.reopen()
    observer.request_ended(ended())
    logs.close()
    assert (tmp_path / "old").read_text() == "200 5\n200 5\n"
    assert (tmp_path / "log").read_text() == "200 5\n"


@pytest.mark.parametrize(("cgi", "fd"), [(False, 1), (True, 2)])
def test_a_dash_is_standard_output_and_under_cgi_standard_error(cgi, fd):
    reading, writing = os.pipe()
    before = os.dup(fd)
    os.dup2(writing, fd)
    try:
        logs = RequestLogs(Options(access_log="-", access_log_format="%(s)s"), cgi=cgi)
        logs.observers[0].request_ended(ended())
        logs.close()
    finally:
        os.dup2(before, fd)
        os.close(before)
        os.close(writing)
    with open(reading) as read:
        assert read.read() == "200\n"


def test_syslog_is_the_machines(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(line_outputs.Syslog.__init__, "__kwdefaults__", {"path": f"{tmp_path}/log"})
    logs = RequestLogs(Options(access_log="syslog"))
    logs.observers[0].request_ended(ended())
    logs.close()
    assert f"the access log (syslog): {tmp_path}/log: No such file" in caplog.text


def test_under_cgi_the_slow_log_tells_of_the_end(caplog):
    (observer,) = RequestLogs(Options(slow_log_seconds=0.001), cgi=True).observers
    observed = Observed(wire.cgi_params(), None, None)
    observer.request_begun(observed)
    observed.began -= 2
    observed.end()
    observer.request_ended(observed)
    assert "GET / from 127.0.0.1 took 2.0 s in all" in caplog.text
