"""What is logged of every request: the access log and the slow log.

Few people ask for them, so that what they need is imported when it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gfcgi.options import Options

if TYPE_CHECKING:
    from gfcgi.process.access_log import AccessLog
    from gfcgi.process.slow_log import SlowLog

__all__ = ["RequestLogs"]


class RequestLogs:
    """The logs that the options ask for. ``cgi``: this process has one request, and no loop.

    ``observers`` are for the server. As a context it looks at what runs, in the loop.
    """

    def __init__(self, options: Options, *, cgi: bool = False) -> None:
        self.access: AccessLog | None = None
        self.slow: SlowLog | None = None
        if options.access_log:
            from gfcgi.process.access_log import access_log

            self.access = access_log(options, cgi=cgi)
        if options.slow_log_seconds:
            from gfcgi.process.slow_log import slow_log

            self.slow = slow_log(options.slow_log_seconds, cgi=cgi)

    @property
    def observers(self) -> Sequence[Any]:
        return [one for one in (self.access, self.slow) if one is not None]

    def reopen(self) -> None:
        """Open the access log's file anew: it may have been renamed."""
        if self.access is not None:
            self.access.reopen()

    def close(self) -> None:
        if self.access is not None:
            self.access.close()

    def __enter__(self) -> None:
        if self.slow is not None:
            self.slow.start()

    def __exit__(self, *exception: object) -> None:
        if self.slow is not None:
            self.slow.stop()
