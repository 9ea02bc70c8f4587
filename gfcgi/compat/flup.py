"""flup 1.0.3's ``WSGIServer``: of ``flup.server.fcgi``, ``fcgi_fork`` and ``fcgi_single``.

One line of a script changes::

    from gfcgi.compat.flup import WSGIServer

    WSGIServer(application).run()
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gfcgi.compat.adapting import adapted, bind_of, is_stopped_by_hup
from gfcgi.errors import ConfigError
from gfcgi.process.run import run_until_stopped
from gfcgi.process.start import EXIT_MISUSE, Start, complain

__all__ = ["WSGIServer"]

POOL_KEYWORDS: Final = frozenset(
    {"jobClass", "jobArgs", "maxChildren", "maxRequests", "maxSpare", "minSpare", "sockTimeout"}
    | {"timeout"}
)
"""About threads and child processes. There are none here, and no need to bound them."""
OVERRIDABLE: Final = ("error", "handler", "_mainloopPeriodic", "_isClientAllowed", "_exit")
MODES: Final = 0o777


class WSGIServer:
    """Serves ``application`` as gfcgi does, with flup's arguments.

    ``environ`` is added to each request's. ``multithreaded=False`` runs one request at a time, and
    ``maxThreads`` so many; others wait. ``bindAddress`` is a path, or a host and a port; without it
    descriptor 0 is served. ``umask`` is for the socket file. ``debug`` shows tracebacks.
    ``forceCGI``, or FCGI_FORCE_CGI=Y in the environment, answers one CGI request. ``multiplexed``
    and ``roles`` say nothing new: both are always possible. The arguments about threads and child
    processes are taken and have no effect.

    What scripts override in subclasses of flup's (``error``, ``handler`` ...) is not called; a line
    on standard error says so.
    """

    def __init__(
        self,
        application: Callable[..., Any],
        environ: Mapping[str, object] | None = None,
        multithreaded: bool = True,
        multiprocess: bool = False,
        bindAddress: object = None,  # noqa: N803 - flup's name
        umask: int | None = None,
        multiplexed: bool = False,
        debug: bool = False,
        roles: Sequence[int] = (1,),
        forceCGI: bool = False,  # noqa: N803
        *,
        maxThreads: int | None = None,  # noqa: N803
        **more: object,
    ) -> None:
        unknown = sorted(set(more) - POOL_KEYWORDS)
        if unknown:
            raise TypeError(f"WSGIServer() got an unexpected keyword argument {unknown[0]!r}")
        for name in OVERRIDABLE:
            if hasattr(type(self), name):
                complain(f"gfcgi: {type(self).__name__}.{name} is flup's, and is not called here")
        flags = dict(environ or {})
        if not multithreaded:
            flags["wsgi.multithread"] = False
        if multiprocess:
            flags["wsgi.multiprocess"] = True
        self._application = adapted(application, flags, maxThreads if multithreaded else 1)
        self._bind = bindAddress
        self._umask = umask
        self._debug = debug
        self._force_cgi = forceCGI or os.environ.get("FCGI_FORCE_CGI", "N").upper()[:1] == "Y"

    def run(self) -> bool:
        """Serve until a signal stops it; True if that was SIGHUP. Raises: SystemExit(2)."""
        options: dict[str, Any] = {}
        try:
            if self._bind is not None:
                options["bind"] = bind_of(self._bind, "bindAddress=")
        except ConfigError as error:
            complain(f"gfcgi: {error}")
            raise SystemExit(EXIT_MISUSE) from None
        if self._umask is not None:
            options["socket_mode"] = MODES & ~self._umask
        if self._debug:
            options["debug"] = True
        start = Start("started as CGI", cgi=True) if self._force_cgi else None
        return is_stopped_by_hup(run_until_stopped(self._application, options, start))  # type: ignore[arg-type]
