"""gfcgi.process.workers.arbiter: gunicorn's settings, and a program in its arbiter."""

from __future__ import annotations

import logging
import os
import signal
import sys

import pytest

from gfcgi.options import Options

pytest.importorskip("gunicorn")

from gfcgi.process.workers.arbiter import _Application, _run_program

HELPED = """\
import subprocess
with open("helper", "w") as file:
    file.write(str(subprocess.Popen(["sleep", "45"]).pid))
print("done")
"""


def test_a_helper_that_a_program_leaves_behind_holds_nobody_up(tmp_path):
    """It has the program's standard output."""
    try:
        printed = _run_program(
            [sys.executable, "-c", HELPED],
            environ=dict(os.environ),
            directory=str(tmp_path),
            keep=[],
            seconds=30,
        )
    finally:
        os.kill(int((tmp_path / "helper").read_text()), signal.SIGKILL)
    assert printed == "done"


def test_one_that_takes_too_long_is_killed_and_its_output_is_returned(tmp_path):
    printed = _run_program(
        [sys.executable, "-c", "import time; print('began', flush=True); time.sleep(600)"],
        environ=dict(os.environ),
        directory=str(tmp_path),
        keep=[],
        seconds=3,
    )
    assert printed == "began\nit was not loaded after 3 seconds"


OPTIONS = "--bind 127.0.0.1:1 -w 7 -k sync --threads 5 --graceful-timeout 1"
FILE = """\
bind = "127.0.0.1:1"
workers = 7
worker_class = "sync"
threads = 5
graceful_timeout = 1
"""


@pytest.mark.parametrize("place", ["variable", "file"])
@pytest.mark.parametrize(("threads", "theirs"), [(0, 1), (3, 3)])
def test_our_options_hold_and_each_of_gunicorns_that_cannot_is_named(
    tmp_path, monkeypatch, caplog, place, threads, theirs
):
    file = tmp_path / "conf.py"
    file.write_text(FILE)
    monkeypatch.setenv("GUNICORN_CMD_ARGS", OPTIONS if place == "variable" else f"-c {file}")
    options = Options(processes=2, threads=threads, graceful_timeout_seconds=10.5)
    with caplog.at_level(logging.WARNING, "gfcgi"):
        cfg = _Application(lambda: None, options, ["fd://9"], "app").cfg
    assert (cfg.bind, cfg.workers, cfg.threads) == (["fd://9"], 2, theirs)
    assert cfg.worker_class_str == "gfcgi.gunicorn.Worker"
    assert cfg.graceful_timeout == 13  # two more than ours, so that who is cut can end
    if place == "variable":
        where = "GUNICORN_CMD_ARGS"
        names = ["--bind", "--workers", "--worker-class", "--threads", "--graceful-timeout"]
    else:
        where = str(file)
        names = ["bind", "workers", "worker_class", "threads", "graceful_timeout"]
    said = [message.split(" with --processes: ")[0] for message in caplog.messages]
    assert sorted(said) == sorted(f"{where}: {name} has no effect" for name in names)


def test_nothing_is_said_of_gunicorns_other_options(monkeypatch, caplog):
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--access-logfile - --max-requests 9")
    with caplog.at_level(logging.WARNING, "gfcgi"):
        cfg = _Application(lambda: None, Options(processes=2), ["fd://9"], "app").cfg
    assert cfg.max_requests == 9
    assert caplog.messages == []
