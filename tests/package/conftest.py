"""A copy of the project to build in, so that nothing is left in the tree that is tested."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRACKED = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return copy_project(tmp_path / "clone")


@pytest.fixture(scope="module")
def module_clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("clone") / "tree")


def copy_project(to: Path) -> Path:
    """Copy what a clone has, or all of an unpacked sdist."""
    if not (ROOT / ".git").exists():
        return Path(shutil.copytree(ROOT, to))
    listed = subprocess.run(TRACKED, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return to
