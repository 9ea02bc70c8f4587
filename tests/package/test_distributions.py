"""The sdist and the wheel as a person gets them."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("build", reason="the package environment of tox checks the distributions")

DEADLINE_SECONDS = 300


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def sdist(module_clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", "--outdir", out, ".", cwd=module_clone)
    (made,) = out.glob("*.tar.gz")
    return made


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(into, filter="data")
        else:
            archive.extractall(into)
    (tree,) = into.iterdir()
    return tree


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from nothing but the sdist."""
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", out, ".", cwd=unpacked)
    (made,) = out.glob("*.whl")
    return made


def test_the_sdist_carries_everything(module_clone: Path, unpacked: Path) -> None:
    """Whoever packages or changes gfcgi has the tests, the docs and all the configuration."""
    ours = {path.relative_to(module_clone) for path in module_clone.rglob("*") if path.is_file()}
    ours = {path for path in ours if "gfcgi.egg-info" not in path.parts}
    assert {str(path) for path in ours if not (unpacked / path).is_file()} == set()


def test_the_sdist_names_nobody(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        assert {(entry.uname, entry.gname) for entry in archive} == {("root", "root")}


def test_the_wheel_holds_the_package_and_nothing_else(module_clone: Path, wheel: Path) -> None:
    """Tests, examples and docs do not land in anyone's site-packages."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {
        "gfcgi",
        wheel.name.split("-py3")[0] + ".dist-info",
    }
    sources = (module_clone / "gfcgi").rglob("*.py")
    ours = {path.relative_to(module_clone).as_posix() for path in sources}
    assert {name for name in names if name.startswith("gfcgi/")} == {*ours, "gfcgi/py.typed"}


def test_the_metadata_is_good_enough_for_the_package_index(sdist: Path, wheel: Path) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel, cwd=sdist.parent)


def test_the_wheel_installs_both_ways_of_starting_gfcgi(wheel: Path, tmp_path: Path) -> None:
    """``gfcgi`` and ``python -m gfcgi`` say the version that the wheel's name has."""
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    run(programs / "python", "-I", "-m", "pip", "install", "-q", wheel, cwd=tmp_path)
    version = re.match(r"gfcgi-([^-]+)-", wheel.name)
    assert version is not None
    for command in ([programs / "gfcgi"], [programs / "python", "-m", "gfcgi"]):
        assert version[1] in run(*command, "--version", cwd=tmp_path)
