"""gfcgi out of an archive, as shiv and pex make them: what it prints needs no installation."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest

import gfcgi


@pytest.fixture
def archive(tmp_path):
    """An archive of gfcgi's sources, without the modules that gevent has compiled."""
    sources = tmp_path / "sources"
    shutil.copytree(
        Path(gfcgi.__file__).parent,
        sources / "gfcgi",
        ignore=shutil.ignore_patterns("__pycache__", "*.so"),
    )
    path = tmp_path / "web.pyz"
    zipapp.create_archive(
        sources, path, interpreter=sys.executable, main="gfcgi.commands:main", compressed=True
    )
    shutil.rmtree(sources)
    return path


def test_the_command_that_is_printed_serves_the_application(start, ask, tmp_path, archive, hello):
    hello.rename(tmp_path / "mysite.py")
    printed = subprocess.run(
        [f"./{archive.name}", "config", "systemd", "mysite"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    command = re.search(r"^ExecStart=(.*)$", printed, re.MULTILINE)[1].split()
    assert command == [str(archive), "mysite"]
    # The archive is what its Python runs: the tests' processes are started by that.
    process = start(*command, "--bind", "unix:web.sock")
    process.until_logged("listening on")
    assert b"hello world" in ask(str(tmp_path / "web.sock")).response(1).body
    assert (
        "web.pyz"
        in subprocess.run(
            [archive, "--help"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
    )


def test_check_starts_the_application_from_the_archive(tmp_path, archive, hello):
    hello.rename(tmp_path / "mysite.py")
    done = subprocess.run(
        [archive, "check", "mysite"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_application_in_an_archive_is_told_how_to_run_it(tmp_path, hello):
    sources = tmp_path / "application"
    sources.mkdir()
    hello.rename(sources / "__main__.py")
    zipapp.create_archive(sources, tmp_path / "site.pyz", interpreter=sys.executable)
    done = subprocess.run(
        [tmp_path / "site.pyz"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2
    assert f" GFCGI_HTTP=127.0.0.1:8000 {tmp_path}/site.pyz\n" in done.stderr
    assert f" GFCGI_BIND=unix:/run/app.sock {tmp_path}/site.pyz " in done.stderr
