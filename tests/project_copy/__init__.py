"""A copy of the project to build in, so that nothing is left in the tree that is tested."""

from __future__ import annotations

import shutil
from fnmatch import filter as matching
from pathlib import Path

__all__ = ["ROOT", "copy_project"]

ROOT = Path(__file__).resolve().parents[2]
IGNORED = [".git", *(ROOT / ".gitignore").read_text("utf-8").split()]


def copy_project(to: Path) -> Path:
    """Copy what a clone has. git is not asked: there may be none, nor a repository."""
    return Path(shutil.copytree(ROOT, to, ignore=_ignored))


def _ignored(folder: str, names: list[str]) -> set[str]:
    """Which names of a folder ``.gitignore`` leaves out; ``/name`` is one at the root."""
    return {
        name
        for pattern in IGNORED
        if not pattern.startswith("/") or Path(folder) == ROOT
        for name in matching(names, pattern.strip("/"))
    }
