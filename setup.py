"""The optional compiled build: ``GFCGI_COMPILE=1 pip install .`` has mypyc make C of some modules.

Everything else about the package, and all of it without that variable, is in pyproject.toml. See
docs/architecture.md for which modules are compiled and what that asks of their code.
"""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError, SetupError

COMPILED = [
    "gfcgi/protocol/application.py",
    "gfcgi/protocol/events.py",
    "gfcgi/protocol/framing.py",
    "gfcgi/protocol/params.py",
    "gfcgi/protocol/records.py",
    "gfcgi/protocol/responses.py",
    "gfcgi/protocol/states.py",
    "gfcgi/protocol/webserver.py",
    "gfcgi/server/connection.py",
    "gfcgi/server/output.py",
    "gfcgi/server/request.py",
    "gfcgi/server/streams.py",
    "gfcgi/server/transport.py",
    "gfcgi/wsgi/environ.py",
    "gfcgi/wsgi/errors.py",
    "gfcgi/wsgi/gateway.py",
    "gfcgi/wsgi/headers.py",
    "gfcgi/wsgi/input.py",
    "gfcgi/wsgi/response.py",
    "gfcgi/wsgi/rules.py",
    "gfcgi/wsgi/webservers.py",
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


class Compile(build_ext):
    """Make the extension modules, or fail: whoever asked for them does not get less."""

    def run(self) -> None:
        if self.inplace or self.editable_mode:
            raise SetupError("GFCGI_COMPILE=1 does not go with an editable install")
        try:
            from mypyc.build import mypycify
        except ImportError as error:
            raise SetupError(NEEDS.format(f"mypy in the build's environment ({error})")) from None
        for left_over in Path(self.build_lib, "gfcgi").rglob("*.so"):
            left_over.unlink()
        made = mypycify(
            [*MYPY, *COMPILED],
            opt_level="3",
            debug_level="0",
            group_name="gfcgi.compiled",
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

    def build_extensions(self) -> None:
        try:
            super().build_extensions()
        except (BaseError, CCompilerError) as error:
            compiler = "a C compiler and Python's headers (Debian: gcc libc6-dev python3-dev)"
            raise SetupError(f"{error}. {NEEDS.format(compiler)}") from error


wanted = os.environ.get("GFCGI_COMPILE", "")
if wanted not in ("", "0", "1"):
    raise SetupError(f"GFCGI_COMPILE={wanted}: it is 1 for the compiled build, or not set")
if wanted == "1":
    setup(
        # Stands for those that mypyc names when the build has come so far.
        ext_modules=[Extension("gfcgi", sources=[])],
        cmdclass={"build_ext": Compile},
        setup_requires=["mypy>=1.18"],
    )
else:
    setup()
