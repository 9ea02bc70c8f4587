"""A project of an application, prepared once and copied for everyone who serves it."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from servers.applications import Address, Application, Bound
from servers.columns import Column
from servers.exchange import HTTPClient
from servers.harness import PrivateRoot, Program, free_port, python_environment, wait_until
from servers.site import Site
from servers.webservers import (
    ApacheFcgid,
    ApacheProxy,
    Asking,
    Caddy,
    HAProxy,
    Nginx,
    Place,
    WebServer,
)

__all__ = ["WAYS", "WAYS_WITH_FILES", "Project", "behind", "installed", "own_server", "prepare"]

SITES = Path(__file__).resolve().parent / "sites"
PREPARE_SECONDS = 120.0


def installed(package: str) -> pytest.MarkDecorator:
    """Skip without the application. It is not imported: one that is there but broken must fail."""
    return pytest.mark.skipif(
        importlib.util.find_spec(package) is None,
        reason="the applications environment of tox has it, on the Pythons that it supports",
    )


@dataclass(frozen=True)
class Project:
    """A directory of ``sites/``, which has in it:

    - ``prepare.py``, which makes its databases in its own directory;
    - ``own_server.py PORT MOUNT``, the application under the server that comes with it;
    - ``NAME.fcgi``, the script that a Web server or a person starts.
    """

    directory: Path

    @property
    def script(self) -> Path:
        """The script for gfcgi. It finds the rest in the directory ``project`` beside it."""
        return self.directory / f"{self.directory.name}.fcgi"

    def copy_to(self, root: PrivateRoot) -> Path:
        """Put a copy of everything where a started script looks for it."""
        to = root.path / "www" / "project"
        shutil.copytree(self.directory, to)
        for path in [to, *to.rglob("*")]:
            root.give(path, 0o755 if path.is_dir() else 0o644)
        return to


def prepare(name: str, into: Path) -> Project:
    """Make one of the ``sites/`` ready to be served, in the directory ``into``."""
    directory = into / name
    shutil.copytree(SITES / name, directory, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, directory / "prepare.py"],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PREPARE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return Project(directory)


@dataclass(frozen=True, kw_only=True)
class Deployed(Application):
    """An application with its project beside the script, started as ``how`` says."""

    project: Project
    how: Application

    def address(self, root: PrivateRoot) -> Address:
        return self.how.address(root)

    def command(self, script: Path, address: Address) -> list[str]:
        return self.how.command(script, address)

    def start(self, root: PrivateRoot, script: Path, address: Address) -> Program | None:
        self.project.copy_to(root)
        return self.how.start(root, script, address)


Ways = Mapping[str, tuple[WebServer, Application]]

#: A Web server, and how the application behind it is started.
WAYS: Ways = {
    "nginx": (Nginx(keep_conn=True), Bound()),
    "apache-fcgid": (ApacheFcgid(), Application()),
    "haproxy": (HAProxy(), Bound(tcp=True)),
}


def collected(place: Place) -> dict[str, Any]:
    """The options that have a Web server send the files that ``prepare.py`` has collected."""
    return {"static": [f"{place.mount}/static={place.root.path}/www/project/collected"]}


#: Web servers that send the application's files by themselves.
WAYS_WITH_FILES: Ways = {
    "nginx": (Asking(Nginx(keep_conn=True), collected), Bound()),
    "apache-proxy": (Asking(ApacheProxy(), collected), Bound()),
    "apache-fcgid": (Asking(ApacheFcgid(), collected), Application()),
    "caddy": (Asking(Caddy(), collected), Bound()),
}


@contextmanager
def behind(way: str, project: Project, mount: str, ready: str, ways: Ways = WAYS) -> Iterator[Site]:
    """gfcgi behind a Web server, with ``ready`` a path that answers 200 to everyone."""
    server, how = ways[way]
    column = Column(way, server, Deployed(project=project, how=how), mount)
    site = Site(column, project.script, ready)
    with site.running():
        yield site
        complaints = complaints_in(site)
    assert not complaints, complaints


def complaints_in(site: Site) -> list[str]:
    """What gfcgi warned of, in its own log or in the Web server's."""
    said = (site.error_log() + site.application_log()).splitlines()
    return [line for line in said if re.search(r"gfcgi\[\d+\] (?!INFO)[A-Z]+:", line)]


@contextmanager
def own_server(project: Project, mount: str, ready: str) -> Iterator[int]:
    """The application under its own server; gives the port."""
    root = PrivateRoot()
    directory = project.copy_to(root)
    port = free_port()
    command = [sys.executable, str(directory / "own_server.py"), str(port), mount]
    program = Program(root, "own-server", command, python_environment())

    def answers() -> bool:
        assert not program.exited(), root.read_logs()
        try:
            with HTTPClient(port) as client:
                return client.request("GET", mount + ready).status == 200
        except OSError:
            return False

    try:
        wait_until(answers, "the application's own server", pause=0.1)
        yield port
    finally:
        faults = program.stop()
        root.remove()
    assert not faults, faults
