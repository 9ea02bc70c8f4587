"""Whether anything that is installed wants to be told of monkey-patching.

A package can ask for it with an entry point, such as ``gevent.plugins.monkey.will_patch_module``
(see gevent.monkey). gevent looks for them before and after each module that it patches, and each
time it has importlib.metadata read all that is installed: that is a third of the time of patching
where four packages are installed, and more than half where a hundred are. Almost nobody has such a
package.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from typing import Final

__all__ = ["may_be_installed"]

GROUPS: Final = b"gevent.plugins."
"""What the names of the entry points' groups begin with."""
GEVENT: Final = "gevent-"
"""How its own metadata is called: its plugin warns of arguments of patch_all, and we give none."""


def may_be_installed() -> bool:
    """Look where importlib.metadata looks, without importing it; in doubt the answer is yes."""
    if any(finder is not PathFinder and _finds_packages(finder) for finder in sys.meta_path):
        return True
    for place in sys.path:
        try:
            names = os.listdir(place or os.curdir)
        except FileNotFoundError:
            continue
        except OSError:  # a zip file
            return True
        if any(_asks(os.path.join(place, name)) for name in names if _is_package(name)):
            return True
    return False


def _finds_packages(finder: object) -> bool:
    return hasattr(finder, "find_distributions")


def _is_package(name: str) -> bool:
    """Whether it is called as the directory of a package's metadata is: .dist-info, .egg-info."""
    return name.lower().endswith("-info") and not name.startswith(GEVENT)


def _asks(folder: str) -> bool:
    try:
        with open(os.path.join(folder, "entry_points.txt"), "rb") as file:
            return GROUPS in file.read()
    except OSError:  # most packages have none
        return False
