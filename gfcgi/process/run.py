"""``gfcgi.run``: one line at the end of a script, however the script is started."""

from __future__ import annotations

import os
import sys

from gfcgi.current_directory import REMOVED, current_directory
from gfcgi.errors import ConfigError
from gfcgi.process.captured import capture
from gfcgi.process.start import (
    EXIT_MISUSE,
    Start,
    answer,
    begin,
    complain,
    end,
    find_start,
    load_application,
    prepare,
)

TYPE_CHECKING = False  # signals are held when ``run`` begins: what takes time is imported later

if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import Signals
    from typing import Any, NoReturn

    from typing_extensions import Unpack  # mypy brings it; typing has it since Python 3.11

    from gfcgi.option_keywords import OptionKeywords
    from gfcgi.options import Options
    from gfcgi.process.start import Start

__all__ = ["run", "run_until_stopped"]


def run(application: Callable[..., Any] | str, **options: Unpack[OptionKeywords]) -> None:
    """Serve a WSGI application the way this process was started; return when it was stopped.

    ``application`` may also be a text that names one, such as ``"mysite:create_app()"`` or
    ``"mysite.py"``: it is loaded once the standard library has been patched.

    - A Web server or a spawner left a listening socket on descriptor 0: serve that.
    - The environment is a CGI request's: answer that one request.
    - systemd handed over sockets (LISTEN_FDS): serve those.
    - ``bind=`` (GFCGI_BIND) or ``http=`` is given: listen there.
    - None of these: say on standard error how to run the script.

    ``options`` are the fields of ``gfcgi.Options``; what is not given comes from the environment
    variable of the same name, such as ``GFCGI_BIND``. The standard library is patched for gevent
    (``patch=False`` leaves it alone), so call this before you set up anything that must cooperate.

    Raises: SystemExit(2), after a line on standard error, for an option that cannot be used, an
    address that cannot be listened on, and the last case above; SystemExit(3), after the
    traceback, if the application that a text names fails while it is loaded.
    """
    run_until_stopped(application, options)


def run_until_stopped(
    application: Callable[..., Any] | str, options: OptionKeywords, start: Start | None = None
) -> Signals | None:
    """Do what ``run`` does; return the signal that stopped it, None if none did.

    ``start`` is used instead of what was handed over to this process.
    """
    if capture(application, options) or _is_imported_by_a_child():
        return None
    begin()
    try:
        return _run(application, options, start)
    except ConfigError as error:
        complain(f"gfcgi: {error}")
        raise SystemExit(EXIT_MISUSE) from None
    except FileNotFoundError:
        if current_directory() is not None:
            raise
        complain(f"gfcgi: {REMOVED}")
        raise SystemExit(EXIT_MISUSE) from None
    finally:
        end()


def _is_imported_by_a_child() -> bool:
    """Return whether multiprocessing runs the script in a process that it has spawned.

    It does so to find the child's own function there. The application is served by the parent.
    """
    processes = sys.modules.get("multiprocessing.process")
    return processes is not None and getattr(processes.current_process(), "_inheriting", False)


def _run(
    application: Callable[..., Any] | str, keywords: OptionKeywords, start: Start | None
) -> Signals | None:
    from gfcgi.options import Options
    from gfcgi.process.inherited import unused
    from gfcgi.process.signatures import why_not_wsgi

    options = Options.from_sources(keywords=keywords, environ=os.environ)
    if not isinstance(application, str):
        name = getattr(application, "__name__", "the application")
        if reason := why_not_wsgi(application, name):
            raise ConfigError(reason, option="application", source="gfcgi.run")
    if start is None:
        start = find_start(os.environ)
    if start.by_hand and not options.bind and not options.http:
        for line in unused(os.environ, ()):
            complain(f"gfcgi: {line}")
        _say_how_to_run()
    prepare(start, options)
    if isinstance(application, str):
        application, options = _load(application, keywords, start, options)
    return answer(application, options, start, os.environ, name=_script() or "the application")


def _load(
    target: str, keywords: OptionKeywords, start: Start, options: Options
) -> tuple[Callable[..., Any], Options]:
    """Load what a TARGET names. A file's own ``gfcgi.run`` may have options as well; ours win."""
    from gfcgi.options import Options

    beside = os.path.dirname(os.path.realpath(_script()))
    loaded = load_application(target, start, options, beside)
    options = Options.from_sources({**loaded.keywords, **keywords}, environ=os.environ)
    return loaded.application, options


def _script() -> str:
    """The script's path as Python was given it; empty if there is none."""
    return sys.argv[0] if sys.argv and sys.argv[0] != "-c" else ""


def _say_how_to_run() -> NoReturn:
    import shlex

    from gfcgi.option_parsers import DEFAULT_HTTP
    from gfcgi.own_command import own_archive, own_command

    if own_archive() is not None:  # it starts itself, and no other program reads it
        command = shlex.join(own_command())
        browser, web_server = f"GFCGI_HTTP={DEFAULT_HTTP} {command}", f"GFCGI_BIND=%s {command}"
    else:
        script = shlex.quote(_script()) if _script() else "SCRIPT"
        python = shlex.quote(sys.executable or "python3")  # another one may be without gfcgi
        command = f"{python} -m gfcgi {script}"
        browser, web_server = f"{command} --http", f"{command} --bind %s"
    complain(
        "gfcgi: no Web server started this script, and no bind= says where to listen. To run it:\n"
        f"  in a browser:         {browser}\n"
        f"  behind a Web server:  {web_server % 'unix:/run/app.sock'}"
        "   (or let Apache or spawn-fcgi start it)"
    )
    raise SystemExit(EXIT_MISUSE)
