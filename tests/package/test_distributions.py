"""The sdist and the wheel as a person gets them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from sysconfig import get_config_var

import compiling
import pytest

pytest.importorskip("build", reason="the package environment of tox checks the distributions")

DEADLINE_SECONDS = 300

needs_a_compiler = pytest.mark.skipif(
    bool(compiling.missing()) and not os.environ.get("GFCGI_REQUIRE_SERVERS"),
    reason=f"{compiling.missing()} is not here",
)


def run(*command: str | Path, cwd: Path, status: int = 0, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == status, done.stdout
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
    build = (sys.executable, "-m", "build", "--wheel", "--outdir", out, ".")
    run(*build, cwd=unpacked, GFCGI_COMPILE="0")
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def compiled_wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is built where there is a compiler and nobody says which build it is to be."""
    out = tmp_path_factory.mktemp("compiled-wheel")
    build = (sys.executable, "-m", "build", "--wheel", "--outdir", out, ".")
    run(*build, cwd=unpacked, GFCGI_COMPILE="")
    (made,) = out.glob("*.whl")
    return made


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def sources(tree: Path) -> set[str]:
    return {path.relative_to(tree).as_posix() for path in (tree / "gfcgi").rglob("*.py")}


def test_the_sdist_carries_everything(module_clone: Path, unpacked: Path) -> None:
    """Whoever packages or changes gfcgi has the tests, the docs and all the configuration."""
    ours = {path.relative_to(module_clone) for path in module_clone.rglob("*") if path.is_file()}
    ours = {path for path in ours if "gfcgi.egg-info" not in path.parts}
    assert {str(path) for path in ours if not (unpacked / path).is_file()} == set()


def test_the_same_sources_give_the_same_sdist(module_clone: Path, tmp_path: Path) -> None:
    """Whoever builds a release again gets the bytes that were uploaded."""
    made = []
    for number, umask in enumerate((0o022, 0o077)):
        tree = Path(
            shutil.copytree(module_clone, tmp_path / str(number), copy_function=shutil.copy)
        )
        for path in tree.rglob("*"):
            os.utime(path, (number, 1_000_000_000 + number))
        out = tmp_path / f"out{number}"
        build = (sys.executable, "-m", "build", "--sdist", "--outdir", out, ".")
        before = os.umask(umask)
        try:
            run(*build, cwd=tree, SOURCE_DATE_EPOCH="1700000000", GFCGI_COMPILE="0")
        finally:
            os.umask(before)
        (archive,) = out.glob("*.tar.gz")
        made.append(archive.read_bytes())
    assert made[0] == made[1]


def test_the_sdist_names_nobody(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        assert {(entry.uname, entry.gname) for entry in archive} == {("root", "root")}


def test_the_wheel_holds_the_package_and_nothing_else(module_clone: Path, wheel: Path) -> None:
    """Tests, examples and docs do not land in anyone's site-packages, nor anything compiled."""
    names = contents(wheel)
    version, _ = wheel.name.split("-py3-none-any.whl")
    assert {name.split("/")[0] for name in names} == {"gfcgi", f"{version}.dist-info"}
    ours = sources(module_clone)
    assert {name for name in names if name.startswith("gfcgi/")} == {*ours, "gfcgi/py.typed"}


@needs_a_compiler
def test_the_compiled_wheel_has_extension_modules_beside_all_the_sources(
    module_clone: Path, compiled_wheel: Path
) -> None:
    assert not compiled_wheel.name.endswith("-any.whl")
    names = contents(compiled_wheel)
    suffix = get_config_var("EXT_SUFFIX")
    extensions = {name.removesuffix(suffix) for name in names if name.endswith(suffix)}
    ours = sources(module_clone)
    assert {f"{name}.py" for name in extensions} - ours == {"gfcgi_compiled__mypyc.py"}
    assert len(extensions) > 10
    rest = {name for name in names if name.startswith("gfcgi/") and not name.endswith(suffix)}
    assert rest == {*ours, "gfcgi/py.typed"}


@needs_a_compiler
def test_the_compiled_wheel_needs_what_the_pure_one_needs(
    module_clone: Path, compiled_wheel: Path, tmp_path: Path
) -> None:
    """It answers where gevent, greenlet and what these need are all that is installed."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-I", "-m", "pip", "install", "-q", compiled_wheel, cwd=tmp_path)
    listed = run(python, "-I", "-m", "pip", "list", "--format=freeze", cwd=tmp_path)
    packages = {line.split("=")[0] for line in listed.splitlines() if "==" in line}
    needed = {"gevent", "greenlet", "zope.event", "zope.interface"}
    assert packages - {"pip", "setuptools"} == {"gfcgi", *needed}
    hello = module_clone / "examples" / "hello.fcgi"
    address = f"{tmp_path}/socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        server = subprocess.Popen([python, "-I", hello], stdin=listener)
    with server:
        try:
            ask = (python, "-I", "-m", "gfcgi", "request", f"unix:{address}", "/")
            answer = run(*ask, cwd=tmp_path)
        finally:
            server.terminate()
    assert "<h2>hello world</h2>" in answer
    assert server.returncode == 0


def test_without_a_compiler_there_is_an_error_and_no_wheel(unpacked: Path, tmp_path: Path) -> None:
    """Who asks for the compiled build does not get the pure one instead."""
    build = (sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ".")
    said = run(*build, cwd=unpacked, status=1, GFCGI_COMPILE="1", CC="no-such-compiler")
    assert "GFCGI_COMPILE=1 asks for the compiled build, which needs a C compiler" in said
    assert list(tmp_path.iterdir()) == []


def broken_compiler(folder: Path) -> str:
    """A compiler that is there and cannot compile."""
    compiler = folder / "broken-cc"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o755)
    return str(compiler)


@pytest.mark.parametrize("compiler", ["no-such-compiler", "broken"])
def test_where_it_cannot_be_compiled_there_is_the_pure_wheel(
    compiler: str, wheel: Path, unpacked: Path, tmp_path: Path
) -> None:
    """Nobody has to know of compilers to install gfcgi."""
    out = tmp_path / "out"
    build = (sys.executable, "-m", "build", "--wheel", "--outdir", out, ".")
    cc = broken_compiler(tmp_path) if compiler == "broken" else compiler
    said = run(*build, cwd=unpacked, GFCGI_COMPILE="", CC=cc)
    assert "this is the pure Python build" in said
    (made,) = out.iterdir()
    assert made.name == wheel.name
    assert contents(made) == contents(wheel)


def test_an_editable_install_runs_the_sources(clone: Path, tmp_path: Path) -> None:
    """What is changed there has its effect at once, also where there is a compiler."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = (python, "-I", "-m", "pip", "install", "-q", "--no-deps", "-e", clone)
    run(*install, cwd=tmp_path, GFCGI_COMPILE="")
    where = "import gfcgi.protocol.params as module; print(module.__file__)"
    said = run(python, "-I", "-c", where, cwd=tmp_path)
    assert said == f"{clone}/gfcgi/protocol/params.py\n"


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
