"""``python -m wheels [VERSION …]``: make sdist and wheels in ``dist/``, and test each wheel.

The compiled wheels are for Linux with glibc 2.17 or newer (manylinux_2_17). zig is the C compiler,
because it has the headers of old versions of glibc, and auditwheel says whether they are kept to.
There is one for each Python that is here, or for those that are named, as in 3.13. What is in
``dist/`` before goes. Each wheel is installed into a clean environment, and there the unit tests
run on it.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from project_copy import ROOT, copy_project

DIST = ROOT / "dist"
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
GLIBC = "2.17"


def run(*command: str | Path, **variables: str) -> None:
    print("+", *command, flush=True)
    subprocess.run(command, env={**os.environ, **variables}, check=True)


def commit_time() -> str:
    """When the commit was made (seconds of the epoch): the archives say no other time."""
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    try:
        return subprocess.check_output(command, text=True).strip()
    except (OSError, subprocess.SubprocessError):  # an unpacked sdist
        return str(int(time.time()))


def zig() -> str:
    """The value of CC. zig takes for errors what gcc warns of in the code that mypyc makes."""
    return (
        f"{sys.executable} -m ziglang cc -target {platform.machine()}-linux-gnu.{GLIBC}"
        " -Wno-incompatible-function-pointer-types -Wno-int-conversion"
    )


def environment(python: str | Path, folder: Path) -> Path:
    """Make a clean environment and return its Python."""
    run(python, "-I", "-m", "venv", folder)
    made = folder / "bin" / "python"
    run(made, "-I", "-m", "pip", "install", "-q", "--upgrade", "pip")
    return made


def test(python: str, wheel: Path, *, compiled: bool) -> None:
    """Install a wheel and nothing else of the project, and run the unit tests on it."""
    with tempfile.TemporaryDirectory() as folder:
        clean = environment(python, Path(folder, "venv"))
        group = f"{ROOT / 'pyproject.toml'}:test"
        run(clean, "-I", "-m", "pip", "install", "-q", wheel, "--group", group)
        run(clean, "-I", "-m", "gfcgi", "--version")
        parallel = ("-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider", "unit")
        run(clean, "-m", "pytest", "-q", *parallel, GFCGI_EXPECT_COMPILED=str(int(compiled)))


def main(versions: list[str]) -> None:
    os.environ.setdefault("SOURCE_DATE_EPOCH", commit_time())
    shutil.rmtree(DIST, ignore_errors=True)
    here = [python for python in versions or PYTHONS if shutil.which(f"python{python}")]
    with tempfile.TemporaryDirectory() as folder:
        # A copy, so that nothing that was built here before gets into it.
        tree = copy_project(Path(folder, "gfcgi"))
        run(sys.executable, "-m", "build", "--sdist", "--outdir", DIST, tree)
        (sdist,) = DIST.glob("*.tar.gz")
        pip = ("-I", "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir")
        run(sys.executable, *pip, DIST, sdist, GFCGI_COMPILE="0")
        (pure,) = DIST.glob("*.whl")
        test(sys.executable, pure, compiled=False)
        for version in here:
            built = Path(folder, version)
            python = environment(f"python{version}", Path(folder, f"venv-{version}"))
            run(python, *pip, built, sdist, GFCGI_COMPILE="1", CC=zig())
            (wheel,) = built.glob("*.whl")
            tag = f"manylinux_{GLIBC.replace('.', '_')}_{platform.machine()}"
            audit = ("-m", "auditwheel", "repair", "--plat", tag, "--wheel-dir", DIST, wheel)
            run(sys.executable, *audit)
            (made,) = DIST.glob(f"*-cp{version.replace('.', '')}-*.whl")
            test(f"python{version}", made, compiled=True)
    run(sys.executable, "-m", "twine", "check", "--strict", *sorted(DIST.iterdir()))
    print(*sorted(path.name for path in DIST.iterdir()), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
