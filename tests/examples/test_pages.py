"""The scripts and commands that the pages show, taken from the pages and run."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 60
BOTH_WAYS = pytest.mark.parametrize("by_itself", [True, False], ids=["started", "named"])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text("utf-8")
    return [body for of, body in BLOCK.findall(text) if of == language]


def block(page: str, language: str, part: str) -> str:
    """The one block of a page that has ``part`` in it."""
    (found,) = (body for body in blocks(page, language) if part in body)
    return found


def here_document(page: str, file: str) -> str:
    """What the one ``tee FILE`` of a page's shell blocks writes."""
    found = re.compile(
        rf"tee {re.escape(file)} <<'END'[^\n]*\n(.*?)^END$", re.MULTILINE | re.DOTALL
    )
    (text,) = (match[1] for body in blocks(page, "sh") for match in found.finditer(body))
    return text


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="gfcgi-"))
    yield path
    shutil.rmtree(path)


@contextmanager
def serving(
    folder: Path, target: str, *, by_itself: bool = False, mount: str = ""
) -> Iterator[str]:
    """``gfcgi TARGET`` in the folder, or the script by itself; the address to ask while it runs."""
    address = f"unix:{folder}/app.sock"
    command = [sys.executable, target] if by_itself else [sys.executable, "-m", "gfcgi", target]
    environ = {**os.environ, "GFCGI_BIND": address, "GFCGI_SCRIPT_NAME": mount}
    with open(folder / "log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stderr=log, env=environ
        )
    try:
        until = time.monotonic() + DEADLINE_SECONDS
        while "listening on" not in (said := (folder / "log").read_text("utf-8")):
            assert process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.02)
        yield address
        process.terminate()
        assert process.wait(DEADLINE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()


def ask(address: str, url: str, *options: str) -> str:
    command = [sys.executable, "-m", "gfcgi", "request", address, url, *options]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=DEADLINE_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tutorials_application_greets(folder):
    (folder / "greet.py").write_text(block("tutorial.md", "python", "def application"))
    with serving(folder, "greet.py:application") as address:
        assert ask(address, "/?name=Ada").endswith("\nHello, Ada!\n")


def test_the_tutorials_script_says_how_to_run_it_and_goes_on_working_by_name(folder):
    first, last = "#!/usr/bin/env python3\n", block("tutorial.md", "python", "gfcgi.run")
    assert first in blocks("tutorial.md", "python")
    application = block("tutorial.md", "python", "def application")
    (folder / "greet.py").write_text(f"{first}{application}\n\n{last}")
    by_hand = subprocess.run(
        [sys.executable, "greet.py"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    assert by_hand.returncode == 2
    assert "greet.py --http" in by_hand.stderr
    with serving(folder, "greet.py") as address:
        assert ask(address, "/").endswith("\nHello, world!\n")


def test_cgi_by_hand_prints_the_page():
    command = block("howto/cgi.md", "sh", "env -i REQUEST_METHOD")
    command = command.replace(".venv/bin/python", shlex.quote(sys.executable))
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"\r\n\r\n<html><body><h2>hello world</h2></body></html>")


@BOTH_WAYS
def test_flasks_script_makes_links_below_the_mount_point(folder, by_itself):
    pytest.importorskip("flask")
    (folder / "mysite.py").write_text(
        "import flask\n"
        "def create_app():\n"
        "    app = flask.Flask(__name__)\n"
        "    @app.get('/page')\n"
        "    def page():\n"
        "        return flask.url_for('page')\n"
        "    return app\n"
    )
    (folder / "site.fcgi").write_text(block("howto/django-flask.md", "python", "create_app"))
    with serving(folder, "site.fcgi", by_itself=by_itself, mount="/app") as address:
        assert ask(address, "/app/page").endswith("\n/app/page")
    assert "WARNING" not in (folder / "log").read_text("utf-8")


@BOTH_WAYS
@pytest.mark.skipif(
    importlib.util.find_spec("django") is None, reason="the applications environment has it"
)
def test_djangos_script_serves_the_settings_that_it_names(folder, by_itself):
    (folder / "mysite").mkdir()
    (folder / "mysite" / "__init__.py").write_text("")
    (folder / "mysite" / "settings.py").write_text(
        "SECRET_KEY = 'for tests only'\nALLOWED_HOSTS = ['localhost']\n"
        "ROOT_URLCONF = 'mysite.urls'\nSTATIC_URL = 'static/'\n"
    )
    (folder / "mysite" / "wsgi.py").write_text(
        "import os\n"
        "from django.core.wsgi import get_wsgi_application\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n"
        "application = get_wsgi_application()\n"
    )
    (folder / "mysite" / "urls.py").write_text(
        "from django.conf import settings\n"
        "from django.http import HttpResponse\n"
        "from django.urls import path\n"
        "def page(request):\n"
        "    return HttpResponse(f'{settings.STATIC_URL} {request.scheme}')\n"
        "urlpatterns = [path('page', page)]\n"
    )
    (folder / "mysite.fcgi").write_text(here_document("howto/django-flask.md", "mysite.fcgi"))
    with serving(folder, "mysite.fcgi", by_itself=by_itself, mount="/app") as address:
        assert ask(address, "/app/page", "-H", "Host: localhost").endswith("\n/app/static/ http")
    assert "WARNING" not in (folder / "log").read_text("utf-8")


def test_what_replaces_flup_serves(folder):
    application = block("tutorial.md", "python", "def application")
    after = block("howto/from-flup.md", "python", "gfcgi.run")
    (folder / "moved.fcgi").write_text(f"{application}\n\n{after}")
    with serving(folder, "moved.fcgi") as address:
        assert "Hello" in ask(address, "/")


def test_an_applications_own_logging_has_gfcgis_lines(folder):
    settings = block("howto/logs.md", "python", "dictConfig")
    application = block("tutorial.md", "python", "def application")
    (folder / "logged.py").write_text(f"{settings}\n{application}")
    with serving(folder, "logged.py") as address:
        ask(address, "/")
    log = (folder / "log").read_text("utf-8")
    assert re.search(r"^[\d-]+ [\d:,]+ INFO gfcgi\.\w+: listening on unix:", log, re.MULTILINE)
    assert log.count("listening on") == 1
