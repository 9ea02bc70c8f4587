"""Replace a thing of a module, so that whoever asks gevent for the original finds it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from gevent import monkey

__all__ = ["replace"]


def replace(module: ModuleType, name: str, value: object) -> None:
    """Set ``module.name``; ``gevent.monkey.get_original`` and ``saved`` keep what was there."""
    its: Any = monkey
    its.patch_item(module, name, value)
