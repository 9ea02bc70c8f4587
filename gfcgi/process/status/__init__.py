"""What the process says of itself by HTTP: the status page, and the ping of load balancers.

``pages`` answers, before the application and beside it; ``counts`` is told of requests, ``shared``
sums over several processes, ``snapshot`` is what is known at one moment, and ``text``, ``html`` and
``openmetrics`` each show it in a form of its own. Only what is here imports prometheus-client.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gfcgi.options import Options

if TYPE_CHECKING:
    from gfcgi.process.status.pages import Status

__all__ = ["status_of", "status_of_one_of_several"]


def status_of(options: Options, *, others: bool) -> Status | None:
    """Return the pages of a process for itself; None if the options ask for none.

    ``others``: other processes may serve on the same sockets. Raises: ConfigError.
    """
    if not (options.status_path or options.ping_path):
        return None
    from gfcgi.process.status.pages import Status  # few ask for it

    alone = ""
    if others:
        alone = f"{_alone()}. Others may serve the same application, and are not known here."
    return Status(options, alone=alone)


def status_of_one_of_several(options: Options) -> Status | None:
    """The same for a process that gunicorn has forked; ``shared.prepare`` was called before that.

    Raises: ConfigError.
    """
    if not (options.status_path or options.ping_path):
        return None
    from gfcgi.process.status import shared
    from gfcgi.process.status.pages import Status

    alone = ""
    if shared.directory is None:
        alone = f"{_alone()}, one of several. "
        if shared.prometheus_is_installed():
            alone += "There was no directory in which they can exchange theirs."
        else:
            alone += "With pip install 'gfcgi[metrics]' it has those of all."
    return Status(options, shared.directory, alone)


def _alone() -> str:
    return f"This page has the numbers of process {os.getpid()} alone"
