"""Apache with mod_fastcgi, which no distribution has any more: tested where somebody built it.

It is looked for among Apache's modules; GFCGI_MOD_FASTCGI=/path/of/mod_fastcgi.so says another
place. Nobody is required to have it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers.harness import python_environment

from .apache import APACHE_MODULES, Apache
from .base import Place

__all__ = ["ApacheFastcgi", "find_mod_fastcgi"]


def find_mod_fastcgi() -> str:
    """The module's path; skips the test where there is none, even in CI."""
    place = _place()
    if place is None:
        pytest.skip("mod_fastcgi is not installed: it has to be built by hand")
    return str(place)


def _place() -> Path | None:
    places = [os.environ.get("GFCGI_MOD_FASTCGI", "")]
    places += [f"{directory}/mod_fastcgi.so" for directory in APACHE_MODULES]
    return next((Path(place) for place in places if place and Path(place).exists()), None)


@dataclass(frozen=True)
class ApacheFastcgi(Apache):
    """mod_fastcgi; ``spawn``: it starts the script when first asked, or with ``static`` at once."""

    spawn: bool = True
    static: bool = False

    def application(self, place: Place) -> str:
        text = place.printed(
            "apache-fastcgi",
            streaming=True,
            spawn=self.spawn,
            processes=1 if self.static else None,
        )
        initial = [f"-initial-env {name}={value}" for name, value in python_environment().items()]
        text = text.replace("-initial-env LANG", " ".join([*initial, "-initial-env LANG"]))
        return f"""\
LoadModule fastcgi_module {find_mod_fastcgi()}
FastCgiIpcDir {place.root.path}/run/fastcgi
{text}"""

    def version(self) -> str:
        place = _place()
        found = re.search(rb"mod_fastcgi-([\w.-]+)", place.read_bytes()) if place else None
        return super().version() + (f", mod_fastcgi {found[1].decode()}" if found else "")
