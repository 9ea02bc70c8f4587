"""One virtual environment for each server, made before its first run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import venv
from pathlib import Path

from benchmarks.peers import Peer

__all__ = ["environment", "versions"]

ROOT = Path(__file__).parent.parent
GFCGI = ("gfcgi", "pyproject.toml", "setup.py", "setup.cfg", "README.md", "LICENSE")
INSTALL_SECONDS = 900
"""An installation may compile: uWSGI does, and so does one build of gfcgi."""


def environment(folder: Path, peer: Peer) -> Path:
    """Return a Python that has the peer's packages; gfcgi is installed from this checkout anew.

    Raises: subprocess.SubprocessError if they cannot be installed.
    """
    name = peer.name
    home = folder / name
    python = home / "bin" / "python"
    done = home / "installed"
    if not done.exists():
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        _install(python, *(package for package in peer.packages if package != "gfcgi"))
        done.touch()
    if "gfcgi" in peer.packages:
        _install_gfcgi(python, compiled=peer.compiled)
    return python


def _install_gfcgi(python: Path, *, compiled: bool) -> None:
    """Install this checkout as a wheel, built in an empty folder: no old files get into it."""
    with tempfile.TemporaryDirectory(prefix="gfcgi-") as place:
        folder = Path(place, "sources")
        folder.mkdir()
        for name in GFCGI:
            source = ROOT / name
            if source.is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, folder / name, ignore=ignore)
            else:
                shutil.copy(source, folder)
        environ = {**os.environ, "GFCGI_COMPILE": "1" if compiled else "0"}
        _pip(python, "wheel", "--no-deps", "--wheel-dir", place, str(folder), environ=environ)
        (wheel,) = map(str, Path(place).glob("*.whl"))
        _install(python, "--force-reinstall", "--no-deps", wheel)
        _install(python, wheel)


def _install(python: Path, *what: str) -> None:
    if what:
        _pip(python, "install", *what)


def _pip(python: Path, does: str, *what: str, environ: dict[str, str] | None = None) -> None:
    subprocess.run(
        [python, "-m", "pip", does, "--quiet", "--disable-pip-version-check", *what],
        env=environ,
        check=True,
        timeout=INSTALL_SECONDS,
    )


def versions(python: Path) -> dict[str, str]:
    """Return the packages of an environment with their versions, without pip and setuptools."""
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    return {
        package["name"]: package["version"]
        for package in json.loads(listed.stdout)
        if package["name"] not in ("pip", "setuptools")
    }
