"""Find the application that a person names, and take over what its script asks for.

A target is ``module:callable``, ``module``, or the path of a ``.fcgi`` or ``.py`` file, again with
or without ``:callable``. Without one the callable is what the script gives to ``gfcgi.run``, or
``application`` or ``app``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from gfcgi.errors import AppImportError, ConfigError
from gfcgi.process.handing import Handed, capturing

__all__ = ["Loaded", "load"]

Application = Callable[..., Any]


@dataclass(frozen=True)
class Loaded:
    """An application, the options that its script gives, and what to call it in the log."""

    application: Application
    keywords: Mapping[str, object]
    name: str


class _NotFound(Exception):
    """The target names nothing; the reason is for whoever wrote it."""


def load(target: str) -> Loaded:
    """Import the application.

    Raises ConfigError if the target names nothing, AppImportError with the application's own
    exception as its cause if that is what fails.
    """
    try:
        name, attribute = _split(target)
        with capturing() as handed:
            module = _load(name, handed if not attribute else None)
        return Loaded(_application(module, attribute, handed), handed.keywords, name)
    except _NotFound as reason:
        raise ConfigError(f"{target}: {reason}", option="target", source="TARGET") from None


def _split(target: str) -> tuple[str, str]:
    name, colon, attribute = target.rpartition(":")
    if not colon:
        name, attribute = target, ""
    parts = [] if _is_path(name) else name.split(".")
    if not name or not all(parts) or (colon and not all(attribute.split("."))):
        raise _NotFound("write module:callable, module, or the path of a script")
    return name, attribute


def _is_path(name: str) -> bool:
    return os.sep in name or name.endswith((".fcgi", ".py"))


def _load(name: str, handed: Handed | None) -> ModuleType:
    """Import or run what is named; a script that exits is done if it had handed over by then."""
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)  # as python -m does, but not the program gfcgi
    try:
        return _load_file(name) if _is_path(name) else _import(name)
    except _NotFound:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and handed is not None and handed.called:
            return ModuleType(name)  # sys.exit(gfcgi.run(application))
        raise AppImportError(
            f"{name}: {type(error).__name__} while it was loaded", option="target", source="TARGET"
        ) from error


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            file = f"; for the file, write ./{name}" if os.path.isfile(name) else ""
            raise _NotFound(
                f"there is no module {error.name}, in {os.getcwd()} or installed{file}"
            ) from None
        raise


def _load_file(path: str) -> ModuleType:
    """Run a script the way Python runs one: from its path, with its directory on ``sys.path``."""
    path = os.path.abspath(path)
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise _NotFound(error.strerror or str(error)) from None
    stem, extension = os.path.splitext(os.path.basename(path))
    name = stem if extension == ".py" else "__main__"
    module = ModuleType(name)
    module.__file__ = path
    if name == "__main__" or name not in sys.modules:
        sys.modules[name] = module
    sys.path.insert(0, os.path.dirname(path))
    sys.argv = [path]
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    return module


def _application(module: ModuleType, attribute: str, handed: Handed) -> Application:
    found: object
    if attribute:
        found = module
        for part in attribute.split("."):
            if not hasattr(found, part):
                raise _NotFound(f"there is no {attribute} in it")
            found = getattr(found, part)
        what = attribute
    elif handed.called:
        found, what = handed.application, "what it gives to gfcgi.run"
    else:
        names = [name for name in ("application", "app") if hasattr(module, name)]
        if not names:
            raise _NotFound("there is no application and no app in it")
        found, what = getattr(module, names[0]), names[0]
    if not callable(found):
        raise _NotFound(f"{what} cannot be called: it is of type {type(found).__name__}")
    return found
