"""A copy of the project to build in, so that nothing is left in the tree that is tested."""

from __future__ import annotations

from pathlib import Path

import pytest
from project_copy import copy_project


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return copy_project(tmp_path / "clone")


@pytest.fixture(scope="module")
def module_clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("clone") / "tree")
