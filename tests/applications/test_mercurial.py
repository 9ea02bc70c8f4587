"""Mercurial's hgweb.fcgi, as it ships but for its line that imports flup: clone, push, pull."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from servers.applications import Application, Bound
from servers.columns import Column
from servers.harness import PrivateRoot
from servers.site import Site
from servers.webservers import ApacheFcgid, ApacheProxy, Nginx

from .deployments import installed

pytestmark = [pytest.mark.servers, installed("mercurial")]

SHIPPED = """\
#!/usr/bin/env python3
#
# An example FastCGI script for use with flup, edit as necessary

# Path to repo or hgweb config to serve (see 'hg help hgweb')
config = b"/path/to/repo/or/config"

# Uncomment and adjust if Mercurial is not installed system-wide
# (consult "installed modules" path from 'hg debuginstall'):
# import sys; sys.path.insert(0, "/path/to/python/lib")

# Uncomment to send python tracebacks to the browser if an error occurs:
# import cgitb; cgitb.enable()

from mercurial import demandimport

demandimport.enable()
from mercurial.hgweb import hgweb
from flup.server.fcgi import WSGIServer

application = hgweb(config)
WSGIServer(application).run()
"""
MOVED = SHIPPED.replace(
    "from flup.server.fcgi import WSGIServer", "from gfcgi.compat.flup import WSGIServer"
)
WAYS = [
    Column("nginx", Nginx(), Bound()),
    Column("mod_proxy_fcgi", ApacheProxy(), Bound()),
    Column("mod_fcgid", ApacheFcgid(), Application()),
]
PERMISSIONS = "[web]\npush_ssl = false\nallow_push = *\n"
LONG = b"".join(b"line %d of a file that is not small\n" % number for number in range(30_000))


class Hg:
    """The client, with settings of nobody's."""

    def __init__(self, home: Path) -> None:
        settings = {"HOME": str(home), "HGRCPATH": "", "HGUSER": "test"}
        self._environ = {**settings, "PATH": os.environ["PATH"]}

    def __call__(self, *arguments: str | Path) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mercurial", *map(str, arguments)],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode in (0, 1), done.stdout
        return done.stdout


@pytest.mark.parametrize("column", WAYS, ids=str)
def test_clone_push_and_pull_over_hgweb(column: Column, tmp_path: Path) -> None:
    """What one clone pushes another one pulls; large changes too."""
    assert MOVED != SHIPPED
    hg = Hg(tmp_path)
    served = PrivateRoot()
    repository = served.path / "repository"
    hg("init", repository)
    (repository / ".hg/hgrc").write_text(PERMISSIONS)
    for path in [repository, *repository.rglob("*")]:
        served.give(path, 0o755 if path.is_dir() else 0o644)
    script = tmp_path / "hgweb.fcgi"
    script.write_text(MOVED.replace("/path/to/repo/or/config", str(repository)))
    site = Site(column, script, ready="/")
    try:
        site.start()
        url = f"http://127.0.0.1:{site.port}{site.mount}"
        one, two = tmp_path / "one", tmp_path / "two"
        hg("clone", url, one)
        hg("clone", url, two)
        (one / "long").write_bytes(LONG)
        hg("-R", one, "commit", "-A", "-m", "a long file")
        assert "added 1 changesets" in hg("-R", one, "push")
        assert "added 1 changesets" in hg("-R", two, "pull", "-u")
        assert (two / "long").read_bytes() == LONG
        assert b"a long file" in site.get("/shortlog").body
    finally:
        faults = site.stop()
        served.remove()
    assert not faults, faults
