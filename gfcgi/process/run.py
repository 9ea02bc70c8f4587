"""``gfcgi.run``: one line at the end of a script, however the script is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NoReturn

from gfcgi.errors import ConfigError
from gfcgi.options import Options
from gfcgi.process.handing import capture
from gfcgi.process.holding import held_back
from gfcgi.process.inherited import (
    FCGI_LISTENSOCK_FILENO,
    forget_listen_fds,
    is_cgi,
    is_listening,
    listen_fds,
)

__all__ = ["run"]

EXIT_MISUSE = 2


def run(application: Callable[..., Any], **options: Any) -> None:
    """Serve a WSGI application the way this process was started; return when it was stopped.

    - A Web server or a spawner left a listening socket on descriptor 0: serve that.
    - The environment is a CGI request's: answer that one request.
    - systemd handed over sockets (LISTEN_FDS): serve those.
    - ``bind=`` (GFCGI_BIND) or ``http=`` is given: listen there.
    - None of these: say on standard error how to run the script.

    ``options`` are the fields of ``gfcgi.Options``; what is not given comes from the environment
    variables of the same names (GFCGI_...). Wrong options, and the last case, raise SystemExit(2)
    after a line on standard error. The standard library is patched for gevent (``patch=False``
    leaves it alone), so call this before anything that is to cooperate is set up.
    """
    if capture(application, options):
        return
    try:
        _run(application, Options.from_sources(keywords=options, environ=os.environ))
    except ConfigError as error:
        complain(f"gfcgi: {error}")
        raise SystemExit(EXIT_MISUSE) from None


def complain(text: str) -> None:
    """Print to standard error, which may be closed."""
    if sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)


def _run(application: Callable[..., Any], options: Options) -> None:
    if not callable(application):
        raise ConfigError(
            f"a WSGI application can be called; this is of type {type(application).__name__}",
            option="application",
            source="gfcgi.run",
        )
    fds: tuple[int, ...]
    if is_listening(FCGI_LISTENSOCK_FILENO):
        fds, started = (FCGI_LISTENSOCK_FILENO,), "started with a listening socket on descriptor 0"
    elif is_cgi(os.environ):
        _answer_as_cgi(application, options)
        return
    elif fds := listen_fds(os.environ):
        started = "started with LISTEN_FDS"
    elif options.bind or options.http:
        started = f"started with {options.source_of('bind' if options.bind else 'http')}"
    else:
        _say_how_to_run()
    # A Web server's requests may be waiting: whatever comes now, they are to be answered.
    with held_back() if fds else nullcontext():
        _serve(application, options, fds, started)


def _serve(
    application: Callable[..., Any], options: Options, fds: tuple[int, ...], started: str
) -> None:
    _patch(options)
    from gfcgi.process.listeners import adopt_all, bind_all
    from gfcgi.process.log import log, set_up_logging
    from gfcgi.process.patching import warn_of_late_modules
    from gfcgi.process.serving import serve

    set_up_logging(options)
    warn_of_late_modules()
    if fds:
        if options.bind:
            log.info("not listening on %s: %s", ", ".join(options.bind), started)
        listeners = adopt_all(fds)
        forget_listen_fds(os.environ)
        http = None  # a Web server is there; each of its processes would want the same port
    else:
        listeners = bind_all(options)
        http = options.http
    serve(application, options, listeners, name=_script(), started=started, http=http)


def _patch(options: Options) -> None:
    if options.patch:
        from gfcgi.process.patching import patch

        patch()


def _answer_as_cgi(application: Callable[..., Any], options: Options) -> None:
    from gfcgi.process.log import set_up_logging, show_tracebacks_once
    from gfcgi.wsgi.cgi import serve_cgi

    set_up_logging(options)
    show_tracebacks_once()  # wsgi.errors has them as well, and is standard error too
    serve_cgi(application, options)


def _script() -> str:
    return sys.argv[0] if sys.argv and sys.argv[0] not in ("", "-c") else "the application"


def _say_how_to_run() -> NoReturn:
    import shlex

    script = shlex.quote(_script()) if sys.argv and sys.argv[0] not in ("", "-c") else "SCRIPT"
    python = shlex.quote(sys.executable or "python3")  # another one may be without gfcgi
    complain(
        "gfcgi: no Web server started this script, and no bind= says where to listen. To run it:\n"
        f"  in a browser:         {python} -m gfcgi {script} --http\n"
        f"  behind a Web server:  {python} -m gfcgi {script} --bind unix:/run/app.sock"
        "   (or let Apache or spawn-fcgi start it)"
    )
    raise SystemExit(EXIT_MISUSE)
