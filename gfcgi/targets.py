"""A TARGET on a command line: which application a person means.

============================  ==========================================================
``mysite.wsgi``               a module
``mysite.wsgi:make.app``      a callable in it
``hello.fcgi``, ``site.py``   a file: what has a slash or ends in ``.fcgi`` or ``.py``
``./started:app``             a callable in a file
``mysite:create_app()``       what a callable returns: a factory of the application
============================  ==========================================================
"""

from __future__ import annotations

import os
import re
from typing import Final, NamedTuple

from gfcgi.errors import ConfigError

__all__ = ["Target", "parse_target", "target_error"]

_MODULE: Final = re.compile(r"[\w-]+(?:\.[\w-]+)*")
"""Import takes any file's name, so a hyphen may be there."""
_CALLABLE: Final = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*)(\(\))?")


class Target(NamedTuple):
    """A file's ``path``, as it was written, or a ``module``; the other one is empty.

    ``attribute`` is the callable's dotted name, empty where it is not said; ``factory`` says that
    it returns the application.
    """

    path: str = ""
    module: str = ""
    attribute: str = ""
    factory: bool = False

    def __str__(self) -> str:
        attribute = f"{self.attribute}()" if self.factory else self.attribute
        return ":".join(filter(None, [self.path or self.module, attribute]))

    def located(self, directory: str) -> Target:
        """The same with an absolute path, where a relative one begins at ``directory``."""
        if not self.path:
            return self
        return self._replace(path=os.path.normpath(os.path.join(directory, self.path)))

    @property
    def name(self) -> str:
        """What to call files and sections after it: a script's stem or the outermost package."""
        name = self.module.partition(".")[0] or os.path.splitext(os.path.basename(self.path))[0]
        return re.sub(r"[^A-Za-z0-9_-]", "-", name).strip("-") or "app"


def parse_target(text: str) -> Target:
    """Read TARGET, without a look at what is there. Raises ConfigError."""
    name, colon, attribute = text.rpartition(":")
    if not colon:
        name, attribute = text, ""
    found = _CALLABLE.fullmatch(attribute)
    if found or not colon:
        attribute, factory = (found[1], bool(found[2])) if found else ("", False)
        if os.sep in name or name.endswith((".fcgi", ".py")):
            return Target(path=name, attribute=attribute, factory=factory)
        if _MODULE.fullmatch(name):
            return Target(module=name, attribute=attribute, factory=factory)
    raise target_error(text, "write module:callable, module, or the path of a script")


def target_error(text: str, reason: object) -> ConfigError:
    """Say why TARGET cannot be used."""
    return ConfigError(f"{text!r}: {reason}", option="target", source="TARGET")
