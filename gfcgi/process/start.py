"""How this process was started, and what follows from it.

``gfcgi.run`` in a script and ``gfcgi TARGET`` on the command line go the same way::

    begin()                      hold the signals, open descriptors 0, 1 and 2
    start = find_start(...)      what was handed over to this process
    prepare(start, options)      patch the standard library, before the application is loaded
    answer(application, ...)     serve on sockets, or answer one CGI request

What was handed over comes before ``bind=``, which a script may have for another place: a listening
socket on descriptor 0, the environment of a CGI request, the sockets of LISTEN_FDS, in this order.
Only ``--bind`` and ``--http`` on the command line itself come before it.

``begin`` comes before everything else, so what takes time is imported inside functions.
"""

from __future__ import annotations

import sys

from gfcgi.process import descriptors, renewal, signals

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping
    from signal import Signals
    from typing import Any, Final

    from gfcgi.options import Options
    from gfcgi.process.listeners import Listener
    from gfcgi.process.loading import Loaded

__all__ = [
    "EXIT_BROKEN_APPLICATION",
    "EXIT_MISUSE",
    "Start",
    "answer",
    "answer_with_processes",
    "begin",
    "complain",
    "end",
    "find_start",
    "load_application",
    "prepare",
]

EXIT_MISUSE: Final = 2
EXIT_BROKEN_APPLICATION: Final = 3


def begin(*, command: bool = False) -> None:
    """Do what comes before everything else: hold the signals, open descriptors 0, 1 and 2.

    ``command`` says that our own program was started, not a script. Whoever calls this calls
    ``end`` in the end.
    """
    signals.hold()
    descriptors.open_standard()
    renewal.begin(command=command)


def end() -> None:
    """Have signals their own effect again, and watch no more."""
    watchdog = sys.modules.get("gfcgi.process.watchdog")
    if watchdog is not None:
        watchdog.stop()
    signals.release()


class Start:
    """What was handed over to this process.

    ``fds`` are listening sockets; ``cgi`` means one CGI request instead; ``trial`` means that the
    application is loaded and nothing is served (``renewal``). ``description`` says how it was
    started, for the log, and is empty if nothing was handed over.
    """

    def __init__(
        self,
        description: str = "",
        fds: tuple[int, ...] = (),
        *,
        cgi: bool = False,
        trial: bool = False,
    ) -> None:
        self.description = description
        self.fds = fds
        self.cgi = cgi
        self.trial = trial

    @property
    def by_hand(self) -> bool:
        """Nothing was handed over: the options say where to listen."""
        return not self.fds and not self.cgi and not self.trial

    def waited_for(self, options: Options) -> bool:
        """Requests may be waiting for this process on sockets that were open before it."""
        inherited = any(address.startswith("fd:") for address in options.bind)
        return bool(self.fds or inherited or renewal.passed_on)

    def survives_failure(self, options: Options) -> bool:
        """The process serves an error page if the application cannot be loaded."""
        return not self.trial and not self.cgi and (self.waited_for(options) or options.reload)


def find_start(environ: Mapping[str, str], *, chosen: bool = False) -> Start:
    """Find out what was handed over.

    ``chosen``: a person chose where to listen on the command line. Raises ConfigError if LISTEN_FDS
    is for this process and cannot be used.
    """
    from gfcgi.process import inherited

    if renewal.is_trial():
        return Start("started to find out whether it can be", trial=True)
    if chosen:
        return Start()
    if inherited.is_listening(inherited.FCGI_LISTENSOCK_FILENO):
        fds: tuple[int, ...] = (inherited.FCGI_LISTENSOCK_FILENO,)
        return Start("started with a listening socket on descriptor 0", fds)
    if inherited.is_cgi(environ):
        return Start("started as CGI", cgi=True)
    if fds := inherited.listen_fds(environ):
        return Start("started with LISTEN_FDS", fds)
    return Start()


def prepare(start: Start, options: Options) -> None:
    """Make the process ready for the application to be loaded.

    Signals have their effect again unless requests may be waiting. What is printed reaches the log
    line by line, and waits for no reader. The standard library is patched unless the options forbid
    it; one CGI request does not need it, and threads are not to have it. From now on somebody
    watches whether the process stands still (``watchdog``).
    """
    from gfcgi.process.unread_output import never_wait_for_readers

    print_line_by_line()
    never_wait_for_readers()
    if not start.waited_for(options):
        signals.release()
    if start.cgi:
        return
    if options.processes and not start.trial:
        from gfcgi.process.workers import need_gunicorn

        need_gunicorn(options)
        return  # each of them does the rest by itself
    if options.threads:
        from gfcgi.process.patching import leave_alone

        leave_alone()
    elif options.patch:
        from gfcgi.process.patching import patch

        patch(options.no_cooperative)
    from gfcgi.process import watchdog

    watchdog.start(options)


def load_application(target: str, start: Start, options: Options, beside: str = "") -> Loaded:
    """Load what TARGET names.

    If that fails and the process survives it, this is an application that serves an error page.
    Otherwise it raises ConfigError, or SystemExit(3) after the application's own traceback.
    """
    from gfcgi.errors import AppImportError, ConfigError
    from gfcgi.process.loading import Loaded, load, show_failure

    try:
        loaded = load(target, beside)
        type(options).from_sources(loaded.keywords)  # a wrong one of the script's fails here
        return loaded
    except ConfigError as error:
        survives = start.survives_failure(options)
        if isinstance(error, AppImportError):
            show_failure(error)
            if not survives:
                raise SystemExit(EXIT_BROKEN_APPLICATION) from None
        elif not survives:
            raise
        else:
            complain(f"gfcgi: {error}")
        from gfcgi.process.broken import BrokenApplication

        name = target.rpartition(":")[0] or target
        return Loaded(BrokenApplication(error, debug=options.debug), {}, name)


def answer(
    application: Callable[..., Any],
    options: Options,
    start: Start,
    environ: MutableMapping[str, str],
    *,
    name: str,
) -> Signals | None:
    """Answer the CGI request, or serve until a signal stops it, which is returned.

    Raises: ConfigError.
    """
    from gfcgi.process.log import log, set_up_logging

    if options.processes and not start.cgi and not start.trial:
        answer_with_processes(lambda: (application, options), options, start, environ, name=name)
        return None
    if not start.cgi:
        from gfcgi.process.patching import settle

        settle(options)
    if start.trial:
        renewal.report_success()
    set_up_logging(options)
    if start.cgi:
        _answer_cgi(application, options)
        return None
    from gfcgi.process.broken import BrokenApplication
    from gfcgi.process.inherited import unused
    from gfcgi.process.listeners import close_passed_on, take_over_all
    from gfcgi.process.parents import Starter, starter
    from gfcgi.process.patching import warn_of_late_modules, warn_of_late_options
    from gfcgi.process.serving import serve

    warn_of_late_modules()
    warn_of_late_options(options)
    for line in (*unused(environ, start.fds), *_misspelt(environ)):
        log.warning("%s", line)
    listeners = _listen(start, options, environ)
    if isinstance(application, BrokenApplication):
        listeners += take_over_all()
        log.warning("every request gets an error page until a file of the application changes")
    # Each of the processes that a Web server starts would want the same port for HTTP.
    http = options.http if start.by_hand else None
    close_passed_on(http)
    return serve(
        application,
        options,
        listeners,
        name=name,
        started=_how(start, options),
        http=http,
        starter=starter() if start.fds[:1] == (0,) else Starter.OTHER,
    )


def answer_with_processes(
    load: Callable[[], tuple[Callable[..., Any], Options]],
    options: Options,
    start: Start,
    environ: MutableMapping[str, str],
    *,
    name: str,
) -> None:
    """Serve with several processes, which gunicorn makes and watches, until it is stopped.

    Each of them calls ``load``. Raises: ConfigError, and SystemExit unless all ended well; in the
    processes that gunicorn forks, always SystemExit.
    """
    from gfcgi.errors import ConfigError
    from gfcgi.process.inherited import forget_listen_fds, unused
    from gfcgi.process.log import log, set_up_logging
    from gfcgi.process.workers import need_gunicorn

    need_gunicorn(options)
    if options.http and start.by_hand:
        raise ConfigError(
            "it is for development, with one process; leave one of the two out",
            option="http",
            source=options.source_of("http"),
        )
    watchdog = sys.modules.get("gfcgi.process.watchdog")
    if watchdog is not None:
        watchdog.stop()
    from gfcgi.process.workers.arbiter import left_by_predecessor, serve_with_arbiter

    set_up_logging(options)
    for line in (*unused(environ, start.fds), *_misspelt(environ)):
        log.warning("%s", line)
    left = left_by_predecessor(environ)
    listeners = [] if left else _listen(start, options, environ)
    forget_listen_fds(environ)  # gunicorn would take them for its own
    serve_with_arbiter(load, options, listeners, name=name, started=_how(start, options))


def _misspelt(environ: Mapping[str, str]) -> list[str]:
    """What to say of variables that look like our options and are none."""
    from dataclasses import fields

    from gfcgi.options import Options, variable_names

    known = {name for option in fields(Options) for name in variable_names(option)}
    if not any(name.startswith("GFCGI_") and name not in known for name in environ):
        return []
    from gfcgi.foreign_options import misspelt_variables  # for this alone

    return misspelt_variables(environ, known)


def _answer_cgi(application: Callable[..., Any], options: Options) -> None:
    from gfcgi.process.log import show_tracebacks_once
    from gfcgi.process.request_logs import RequestLogs
    from gfcgi.wsgi.cgi import serve_cgi

    show_tracebacks_once()  # wsgi.errors has them as well, and is standard error too
    serve_cgi(application, options, RequestLogs(options, cgi=True).observers)


def _listen(start: Start, options: Options, environ: MutableMapping[str, str]) -> list[Listener]:
    from gfcgi.process.inherited import forget_listen_fds
    from gfcgi.process.listeners import adopt_all, bind_all
    from gfcgi.process.log import log

    if start.by_hand:
        return bind_all(options)
    if options.bind:
        log.info("not listening on %s: %s", ", ".join(options.bind), start.description)
    listeners = adopt_all(start.fds)
    forget_listen_fds(environ)
    return listeners


def _how(start: Start, options: Options) -> str:
    if start.description:
        return start.description
    if options.bind or options.http:
        return f"started with {options.source_of('bind' if options.bind else 'http')}"
    return "started without --bind"


def print_line_by_line() -> None:
    """Let what ``print`` writes reach a file or a pipe with the end of its line.

    Python keeps it until there are 8 KB, or until the process ends: for a server that is never.
    """
    reconfigure = getattr(sys.stdout, "reconfigure", None)  # not if the application replaced it
    if reconfigure is not None:
        reconfigure(line_buffering=True)


def complain(text: str) -> None:
    """Print to standard error, which may be closed."""
    if sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)
