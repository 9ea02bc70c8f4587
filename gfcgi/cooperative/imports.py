"""Call a function with a module when that has been imported, and import without lazy loaders."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, cast

__all__ = ["lazy_loaders_put_off", "when_imported"]

Act = Callable[[ModuleType], None]

_waiting: dict[str, list[Act]] = {}
_being_found: set[str] = set()
"""Names that we ask the other finders for: one of them may be ourselves, wrapped by somebody, as
Mercurial's demandimport wraps every finder."""


def when_imported(name: str, act: Act) -> None:
    """Call ``act`` with the module ``name``: now if it is imported, else right after its code ran.

    ``act`` must not raise: that would fail the application's import.
    """
    module = sys.modules.get(name)
    if module is not None:
        act(module)
        return
    if not any(type(finder) is _Finder for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    _waiting.setdefault(name, []).append(act)


@contextmanager
def lazy_loaders_put_off() -> Iterator[None]:
    """Have what is imported within load at once, though a script made imports lazy.

    Mercurial's demandimport does so by ``importlib.util.LazyLoader``. Since Python 3.12 a module
    written in C that deletes a name of its own while it loads, as gevent's do, recurses there
    without end.
    """
    util = sys.modules.get("importlib.util")
    if util is None:  # nobody can have made imports lazy with it
        yield
        return
    lazily = util.LazyLoader.exec_module
    util.LazyLoader.exec_module = _load_at_once
    try:
        yield
    finally:
        util.LazyLoader.exec_module = lazily


def _load_at_once(lazy: Any, module: ModuleType) -> None:
    """``LazyLoader.exec_module`` without the delay."""
    spec = module.__spec__
    assert spec is not None
    spec.loader = module.__loader__ = lazy.loader
    lazy.loader.exec_module(module)


class _Finder:
    """Finds what the other finders find, with a loader that calls the waiting functions."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _waiting or name in _being_found:
            return None
        _being_found.add(name)
        try:
            for finder in sys.meta_path:
                find_spec = getattr(finder, "find_spec", None)
                spec: ModuleSpec | None = find_spec and find_spec(name, path, target)
                if spec is not None:
                    if spec.loader is not None:
                        spec.loader = cast(Any, _Loader(spec.loader))
                    return spec
            return None
        finally:
            _being_found.discard(name)


class _Loader:
    """Loads as ``loader`` does, which is in the module's attributes when its code runs."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        spec.loader = self._loader  # some loaders look for themselves there
        module: ModuleType | None = self._loader.create_module(spec)
        spec.loader = self  # type: ignore[assignment]
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None
        spec.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        for act in _waiting.pop(spec.name, ()):
            act(module)
