"""What the standard library had before gevent patched it, for a thread that is not gevent's."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

__all__ = ["original"]


def original(module: str, name: str) -> Any:
    """Return ``module.name`` as it is without monkey-patching."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        return getattr(import_module(module), name)
    return monkey.get_original(module, name)
