"""Which build of gfcgi this is (docs/howto/compiled.md), and how tracebacks show its lines."""

from __future__ import annotations

import os
import sys
from functools import partial

__all__ = ["build", "show_lines"]


def build() -> str:
    """Return "compiled" or "pure Python"."""
    from gfcgi.protocol import framing

    return "pure Python" if framing.__file__.endswith(".py") else "compiled"


def show_lines() -> None:
    """Have tracebacks show the lines of the compiled modules that are imported by now.

    A compiled module names its source by the path from the root of the sources, and its loader says
    that there is none. So nobody would look beside the module, where it is.
    """
    if build() == "compiled":
        import linecache

        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None) or ""
            if name.startswith("gfcgi.") and file.endswith(".so"):
                source = os.path.join(os.path.dirname(file), f"{name.rpartition('.')[2]}.py")
                linecache.cache[f"{name.replace('.', '/')}.py"] = (partial(_read, source),)


def _read(source: str) -> str:
    try:
        with open(source, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""
