"""The compiled build: mypyc makes C of some modules where that can be done.

Without GFCGI_COMPILE it is tried where a C compiler and Python's headers are, and whatever goes
wrong, pure Python is installed. GFCGI_COMPILE=1 insists, GFCGI_COMPILE=0 leaves it.

Everything else about the package is in pyproject.toml. See docs/architecture.md for which modules
are compiled and what that asks of their code.
"""

from __future__ import annotations

import gzip
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist
from setuptools.errors import BaseError, CCompilerError, SetupError

COMPILED = [
    "gfcgi/process/status/counts.py",
    "gfcgi/protocol/application.py",
    "gfcgi/protocol/events.py",
    "gfcgi/protocol/framing.py",
    "gfcgi/protocol/params.py",
    "gfcgi/protocol/records.py",
    "gfcgi/protocol/responses.py",
    "gfcgi/protocol/states.py",
    "gfcgi/protocol/webserver.py",
    "gfcgi/server/connection.py",
    "gfcgi/server/connection_life.py",
    "gfcgi/server/deadlines.py",
    "gfcgi/server/input_stream.py",
    "gfcgi/server/line.py",
    "gfcgi/server/observers.py",
    "gfcgi/server/output.py",
    "gfcgi/server/own_pages.py",
    "gfcgi/server/phases.py",
    "gfcgi/server/request.py",
    "gfcgi/server/spool.py",
    "gfcgi/server/transport.py",
    "gfcgi/wsgi/environ.py",
    "gfcgi/wsgi/error_stream.py",
    "gfcgi/wsgi/gateway.py",
    "gfcgi/wsgi/headers.py",
    "gfcgi/wsgi/input.py",
    "gfcgi/wsgi/observed.py",
    "gfcgi/wsgi/response.py",
    "gfcgi/wsgi/webserver_quirks.py",
    "gfcgi/wsgi/webserver_rules.py",
]
"""What a request goes through. Together, because they call each other without Python's calls."""

MYPY = [
    "--config-file=",
    f"--cache-dir={os.devnull}",
    # What the build is does not depend on what else is installed where it is made.
    "--no-site-packages",
    "--ignore-missing-imports",
    "--follow-imports=silent",
    # So the classes of gevent and greenlet are unknown: what inherits from them is not compiled,
    # for mypyc would lay it out in memory as if it inherited from nothing.
    "--disallow-subclassing-any",
]

NEEDS = (
    "GFCGI_COMPILE=1 asks for the compiled build, which needs {}. "
    "Without GFCGI_COMPILE the pure Python build needs nothing."
)
COMPILER = "a C compiler and Python's headers (Debian: gcc libc6-dev python3-dev)"

WANTED = os.environ.get("GFCGI_COMPILE", "")
if WANTED not in ("", "0", "1"):
    raise SetupError(
        f"GFCGI_COMPILE={WANTED}: it is 1 for the compiled build, 0 for the pure Python build, "
        "or not set for the one that can be had"
    )
INSISTED = WANTED == "1"


def missing() -> str:
    """Name what is not here for the compiled build; "" if all is, as far as a look can tell."""
    if platform.python_implementation() != "CPython":
        return "CPython"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "a Python with the GIL"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    if not compiler or shutil.which(compiler[0]) is None:
        return "a C compiler"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python.h"
    return ""


class Compile(build_ext):
    """Make the extension modules. Who insists on them gets nothing less; all others pure Python."""

    def run(self) -> None:
        if INSISTED:
            if self.inplace or self.editable_mode:
                raise SetupError("GFCGI_COMPILE=1 does not go with an editable install")
            self._compile()
        elif self.inplace or self.editable_mode:
            self._leave_out("an editable install runs the sources themselves")
        else:
            try:
                self._compile()
                self._try_out()
            except (Exception, SystemExit) as error:  # mypyc ends the process for some errors
                self._leave_out(error)

    def _compile(self) -> None:
        try:
            from mypyc.build import mypycify
        except ImportError as error:
            raise SetupError(NEEDS.format(f"mypy in the build's environment ({error})")) from None
        self._remove_extensions()
        made = mypycify(
            [*MYPY, *COMPILED],
            opt_level="3",
            debug_level="0",
            # Not in the package: mypyc takes the folder that it is in for the root of all modules,
            # and would give them another __file__.
            group_name="gfcgi_compiled",
            target_dir=self.build_temp,
        )
        for extension in made:
            # A warning of a compiler that mypyc does not know yet is no reason to have nothing.
            extension.extra_compile_args.append("-Wno-error")
        self.distribution.ext_modules = made
        self.reinitialize_command(self)
        self.ensure_finalized()
        self.force = True
        super().run()

    def _try_out(self) -> None:
        """Import what was made, as far as the build's environment has what it needs."""
        import_core = "import sys; sys.path.insert(0, sys.argv[1]); import gfcgi.protocol"
        subprocess.run([sys.executable, "-IB", "-c", import_core, self.build_lib], check=True)

    def _leave_out(self, reason: object) -> None:
        """Go on to the pure Python build."""
        self._remove_extensions()
        self.extensions = []
        self.distribution.ext_modules = []
        wheel = self.distribution.get_command_obj("bdist_wheel", create=False)
        if wheel is not None:
            wheel.root_is_pure = True  # it has decided already
        self.warn(f"this is the pure Python build, for it cannot be compiled here: {reason}")

    def _remove_extensions(self) -> None:
        for left_over in Path(self.build_lib).rglob("*.so"):
            left_over.unlink()

    def build_extensions(self) -> None:
        try:
            super().build_extensions()
        except (BaseError, CCompilerError) as error:
            raise SetupError(f"{error}. {NEEDS.format(COMPILER)}" if INSISTED else error) from error


class Archive(sdist):
    """The sdist. Where SOURCE_DATE_EPOCH says its time, the same sources give the same bytes."""

    def make_archive(self, *args: Any, **options: Any) -> str:
        made: str = super().make_archive(*args, **options)
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        if epoch is not None:
            self._without_times(Path(made), int(epoch))
        return made

    def _without_times(self, archive: Path, epoch: int) -> None:
        """Write the archive anew, without what differs from one folder and machine to another."""
        aside = archive.with_name(f"{archive.name}.aside")
        with (
            tarfile.open(archive) as before,
            aside.open("wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=epoch) as packed,
            tarfile.open(mode="w", fileobj=packed, format=tarfile.PAX_FORMAT) as after,
        ):
            for entry in sorted(before, key=lambda entry: entry.name):
                entry.mtime = epoch
                entry.uid = entry.gid = 0
                entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
                entry.pax_headers = {}
                after.addfile(entry, before.extractfile(entry) if entry.isfile() else None)
        aside.replace(archive)


if WANTED == "0":
    setup(cmdclass={"sdist": Archive})
elif not INSISTED and (lacking := missing()):
    print(f"this is the pure Python build; the compiled one needs {lacking}", file=sys.stderr)
    setup(cmdclass={"sdist": Archive})
else:
    setup(
        # Placeholder; mypyc supplies the real list during the build.
        ext_modules=[Extension("gfcgi", sources=[])],
        cmdclass={"sdist": Archive, "build_ext": Compile},
        setup_requires=["mypy>=1.18"],
    )
