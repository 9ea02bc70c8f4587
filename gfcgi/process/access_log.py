"""The access log: a line for each request that has ended."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from gfcgi.options import Options
from gfcgi.process import renewal
from gfcgi.process.line_outputs import Descriptor, File, LineOutput, Syslog
from gfcgi.wsgi.access_lines import line_maker
from gfcgi.wsgi.observed import Observed

__all__ = ["AccessLog", "access_log"]

_WHAT: Final = "the access log"


class AccessLog:
    """An observer that has ``make`` make a line of each request, and writes it to ``output``."""

    def __init__(self, make: Callable[[Observed], str], output: LineOutput) -> None:
        self._make = make
        self._output = output
        self.reopen = output.reopen
        self.close = output.close

    def request_begun(self, observed: Observed) -> None:
        """There is nothing to say yet."""

    def request_ended(self, observed: Observed) -> None:
        self._output.write(self._make(observed))


def access_log(options: Options, *, cgi: bool) -> AccessLog:
    """The access log that the options ask for. ``cgi``: standard output is the response."""
    return AccessLog(line_maker(options.access_log_format), _output(options.access_log or "", cgi))


def _output(place: str, cgi: bool) -> LineOutput:
    if place == "syslog":
        return Syslog(_WHAT)
    if place == "-":
        return Descriptor(_WHAT, 2 if cgi else 1)
    return File(_WHAT, os.path.join(renewal.directory(), place))
