"""Whether a callable looks like a WSGI application, before the first request calls it.

It is asked how it can be called, and is not called. In doubt it is a WSGI application.
"""

from __future__ import annotations

import inspect

__all__ = ["why_not_wsgi"]


def why_not_wsgi(found: object, name: str) -> str:
    """Return what to write instead, as one line; empty if it may be a WSGI application.

    ``name`` is its name where it is defined, such as ``create_app``.
    """
    if not callable(found):
        return f"{name} cannot be called: it is of type {type(found).__name__}"
    if _is_coroutine_function(found):
        return _asgi(name)
    try:
        # Not that of what it wraps: an adapter may wrap an application of another kind.
        signature = inspect.signature(found, follow_wrapped=False)
    except Exception:  # compiled code does not say, and a proxy may fail in any way
        return ""
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return ""
    if _fits(signature, 0):  # no application has defaults for both of its arguments
        return f"{name} takes no environ: if it makes the application, write {name}()"
    if _fits(signature, 2):
        return ""
    if _fits(signature, 3):
        return _asgi(name)
    return f"{name} cannot be called with environ and start_response: it is no WSGI application"


def _asgi(name: str) -> str:
    return (
        f"{name} is an ASGI application, and gfcgi serves WSGI:"
        f" write application = a2wsgi.ASGIMiddleware({name}) and serve that"
    )


def _is_coroutine_function(found: object) -> bool:
    call = getattr(type(found), "__call__", None)  # noqa: B004 - the function, for its kind
    return inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(call)


def _fits(signature: inspect.Signature, number: int) -> bool:
    try:
        signature.bind(*[None] * number)
    except TypeError:
        return False
    return True
