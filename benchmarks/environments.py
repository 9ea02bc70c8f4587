"""A virtual environment for each server, made when it is first wanted."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import venv
from pathlib import Path

from benchmarks.peers import Peer

__all__ = ["environment", "versions"]

ROOT = Path(__file__).parent.parent
GFCGI = ("gfcgi", "pyproject.toml", "setup.cfg", "README.md", "LICENSE")
INSTALL_SECONDS = 900
"""uWSGI is compiled."""


def environment(folder: Path, peer: Peer) -> Path:
    """Return the Python that has the peer's packages installed; gfcgi's are always those of now.

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
        _install_gfcgi(python)
    return python


def _install_gfcgi(python: Path) -> None:
    """Install this checkout as a wheel, with nothing left over in it from an earlier build."""
    with tempfile.TemporaryDirectory(prefix="gfcgi-") as folder:
        for name in GFCGI:
            source = ROOT / name
            if source.is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, Path(folder, name), ignore=ignore)
            else:
                shutil.copy(source, folder)
        _install(python, "--force-reinstall", "--no-deps", folder)
        _install(python, folder)


def _install(python: Path, *what: str) -> None:
    if what:
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what],
            check=True,
            timeout=INSTALL_SECONDS,
        )


def versions(python: Path) -> dict[str, str]:
    """The packages of an environment, but for those that every one has."""
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
