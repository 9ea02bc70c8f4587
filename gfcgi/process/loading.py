"""Find the application that a TARGET names, and take over what its script asks for.

Where the target names no callable, it is what the script gives to ``gfcgi.run``, or else
``application`` or ``app``.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import ModuleType, TracebackType
from typing import Any, NamedTuple

from gfcgi.current_directory import REMOVED, current_directory
from gfcgi.errors import AppImportError
from gfcgi.process.captured import CapturedRun
from gfcgi.process.other_servers import line_to_change
from gfcgi.process.signatures import why_not_wsgi
from gfcgi.targets import Target, parse_target, target_error

__all__ = ["Loaded", "load", "show_failure"]

Application = Callable[..., Any]


class Loaded(NamedTuple):
    """An application, the options that its script gives, and what to call it in the log."""

    application: Application
    keywords: Mapping[str, object]
    name: str


class _NotFound(Exception):
    """The target names nothing; the reason is for whoever wrote it."""


def load(target: str, beside: str = "") -> Loaded:
    """Import the application. A file that is not in the current directory may be in ``beside``.

    Raises ConfigError if the target names nothing. Raises AppImportError if the application fails
    while it is loaded; the application's own exception is the cause.
    """
    wanted = parse_target(target)
    if beside and wanted.path and not os.path.exists(wanted.path):
        wanted = wanted.located(beside)
    name = wanted.path or wanted.module
    try:
        with CapturedRun() as captured:
            with _failures_of(name, captured if not wanted.attribute else None):
                module = _load(wanted)
            if captured.called and not wanted.attribute:
                application, what = captured.application, "what it gives to gfcgi.run"
            else:
                application, what = _find(module, wanted.attribute)
            if wanted.factory and callable(application):
                with _failures_of(name):
                    application = application()
                what += "()"
        if isinstance(application, str) and captured.called:
            found = load(application, os.path.dirname(os.path.realpath(wanted.path)))
            return found._replace(keywords={**found.keywords, **captured.keywords})
        if reason := why_not_wsgi(application, what):
            raise _NotFound(reason)
    except _NotFound as reason:
        raise target_error(target, reason) from None
    assert callable(application)
    return Loaded(application, captured.keywords, name)


@contextmanager
def _failures_of(name: str, captured: CapturedRun | None = None) -> Iterator[None]:
    """Raise AppImportError for what the body raises.

    A script may exit once it has called ``gfcgi.run``.
    """
    try:
        yield
    except _NotFound:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and captured is not None and captured.called:
            return  # sys.exit(gfcgi.run(application))
        raise AppImportError(
            f"{name}: {type(error).__name__} while it was loaded", option="target", source="TARGET"
        ) from error


def _load(target: Target) -> ModuleType:
    """Import or run what is named."""
    here = current_directory()
    if here is not None and here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)  # as python -m does, but not the program gfcgi
    return _load_file(target.path) if target.path else _import(target.module)


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            here = current_directory() or "the current directory, which was removed,"
            file = f"; for the file, write ./{name}" if os.path.isfile(name) else ""
            raise _NotFound(
                f"there is no module {error.name}, in {here} or installed{file}"
            ) from None
        raise


def _load_file(path: str) -> ModuleType:
    """Run a script as Python runs one: from its path, with its directory on ``sys.path``.

    Behind a symbolic link that is the directory of the link's target.
    """
    try:
        path = os.path.abspath(path)
    except FileNotFoundError:
        raise _NotFound(REMOVED) from None
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise _NotFound(error.strerror or str(error)) from None
    stem, extension = os.path.splitext(os.path.basename(path))
    name = stem if extension == ".py" else "__main__"
    module = ModuleType(name)
    module.__file__ = path
    if name != "__main__":
        # What shows tracebacks asks it for the lines, and Python 3.15 warns where there is none.
        module.__loader__ = SourceFileLoader(name, path)
        module.__spec__ = ModuleSpec(name, module.__loader__, origin=path)
        module.__spec__.has_location = True
    if name == "__main__" or name not in sys.modules:
        sys.modules[name] = module
    sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    sys.argv = [path]
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    return module


def _find(module: ModuleType, attribute: str) -> tuple[object, str]:
    """The application in a module, and its name there."""
    if attribute:
        found: object = module
        for part in attribute.split("."):
            if not hasattr(found, part):
                raise _NotFound(f"there is no {attribute} in it")
            found = getattr(found, part)
        return found, attribute
    for name in ("application", "app"):
        if hasattr(module, name):
            return getattr(module, name), name
    raise _NotFound("there is no application and no app in it")


def show_failure(error: AppImportError) -> None:
    """Print the application's own traceback to standard error, from its first line of code on."""
    if sys.stderr is None:
        return
    cause = error.__cause__
    assert cause is not None
    if line := line_to_change(cause):
        print(f"gfcgi: {line}", file=sys.stderr, flush=True)
        return
    own = cause.__traceback__
    while own is not None and _is_ours(own):
        own = own.tb_next
    traceback.print_exception(type(cause), cause, own)
    print(f"gfcgi: {error}", file=sys.stderr, flush=True)


def _is_ours(entry: TracebackType) -> bool:
    name = entry.tb_frame.f_globals.get("__name__", "")
    return bool(name == "gfcgi.process.loading" or name.partition(".")[0] == "importlib")
