"""The current directory was removed: absolute paths work, and anything else is one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

IN_A_REMOVED_DIRECTORY = """\
import os, sys
os.mkdir("removed")
os.chdir("removed")
os.rmdir("../removed")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
REMOVED = "the current directory was removed: change to another one, or write absolute paths"


@pytest.mark.parametrize("way", ["command", "script", "reload"])
def test_an_absolute_path_is_served(start, ask, tmp_path, hello, way):
    place = f"{tmp_path}/web.sock"
    arguments = [hello] if way == "script" else ["-m", "gfcgi", hello, "--bind", f"unix:{place}"]
    environ = {**os.environ, "GFCGI_BIND": f"unix:{place}"}
    if way == "reload":
        arguments.append("--reload")
    process = start("-c", IN_A_REMOVED_DIRECTORY, *arguments, env=environ)
    process.until_logged("listening on")
    assert b"hello world" in ask(place).response(1).body
    if way == "reload":
        hello.write_text(hello.read_text().replace("hello world", "hello again"))
        process.until_logged("(?s)listening on.*listening on")
        assert b"hello again" in ask(place).response(1).body
    process.send(signal.SIGTERM)
    assert process.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("app.fcgi", f"TARGET: 'app.fcgi': {REMOVED}"),
        ("mysite", "TARGET: 'mysite': there is no module mysite, in the current directory, which "),
        ("mysite --bind unix:web.sock", f"--bind: 'unix:web.sock': {REMOVED}"),
        ("config nginx app.fcgi", REMOVED),
        ("config systemd mysite", REMOVED),
        ("check mysite", REMOVED),
        ("check app.fcgi", REMOVED),
        ("request script:app.fcgi /", REMOVED),
        ("request unix:web.sock /", f"ADDRESS: 'unix:web.sock': {REMOVED}"),
        ("show recording", "FILE: recording: No such file or directory"),
    ],
)
def test_a_relative_one_is_refused_in_one_line(tmp_path, arguments, line):
    command = ["-c", IN_A_REMOVED_DIRECTORY, "-m", "gfcgi", *arguments.split()]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr.startswith(f"gfcgi: {line}")
    assert done.stderr.count("\n") == 1
    assert done.returncode == 2


def test_a_configuration_for_an_absolute_path_is_printed(tmp_path, hello):
    done = subprocess.run(
        [sys.executable, "-c", IN_A_REMOVED_DIRECTORY, "-m", "gfcgi", "config", "nginx", hello],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert f" -m gfcgi {hello} " in done.stdout


def test_a_script_that_names_a_relative_address_gets_one_line(tmp_path):
    script = tmp_path / "app.py"
    script.write_text("import gfcgi\ngfcgi.run(lambda e, s: [], bind='unix:web.sock')")
    done = subprocess.run(
        [sys.executable, "-c", IN_A_REMOVED_DIRECTORY, script],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (2, f"gfcgi: bind=: 'unix:web.sock': {REMOVED}\n")
