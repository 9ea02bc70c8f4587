"""What the compiled build (docs/howto/compiled.md) takes that a machine may not have."""

from __future__ import annotations

import shlex
import shutil
import sysconfig
from pathlib import Path

__all__ = ["missing"]


def missing() -> str:
    """Name what is not here of a C compiler and Python's headers; "" if both are."""
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        return f"a C compiler ({compiler})"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python's headers (Python.h)"
    return ""
