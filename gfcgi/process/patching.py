"""Monkey-patching: done once, as early as we can, and what came before it put right or named.

What a module took hold of before and cannot be put right, such as a subclass of ``socket.socket``
or a lock made at import, stops every request for as long as it waits.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Final

from gfcgi.cooperative.notices import tell
from gfcgi.cooperative.stale import late_modules
from gfcgi.errors import ConfigError
from gfcgi.options import Options
from gfcgi.process.log import log

__all__ = [
    "late_modules",
    "leave_alone",
    "patch",
    "settle",
    "warn_of_late_modules",
    "warn_of_late_options",
]

NAMED_MODULES: Final = 8
"""How many modules a warning names before it only counts them."""


def patch(left_out: Collection[str] = ()) -> None:
    """Make the standard library cooperative, as far as nothing has done it.

    ``left_out`` are names of parts of ``gfcgi.cooperative``.
    """
    from gfcgi import cooperative
    from gfcgi.cooperative.standard_library import patch_standard_library, renew_what_is_stale

    patch_standard_library()
    cooperative.install(left_out)
    renew_what_is_stale()


def leave_alone() -> None:
    """Have the standard library stay as it is, also where the script imports ``gfcgi.patched``."""
    from gfcgi import cooperative

    cooperative.leave_alone()


def settle(options: Options) -> None:
    """See to it that what was patched, or was not, goes with the options: the script's own too.

    Raises: ConfigError where ``options.threads`` would be greenlets, because threading is patched.
    """
    from gfcgi import cooperative

    if options.threads:
        _check_threads(options)
    elif options.patch and cooperative.left_alone():
        # Nothing was patched for the sake of threads, and the script wants none.
        cooperative.leave_alone(False)
        patch(options.no_cooperative)


def _check_threads(options: Options) -> None:
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        return
    patched = sys.modules.get("gfcgi.cooperative.standard_library")
    if patched is not None and patched.imported_before and "gfcgi.patched" not in sys.modules:
        reason = (
            "it comes too late, the standard library was made cooperative before the application"
            " was loaded; --threads on the command line and GFCGI_THREADS are early enough"
        )
    else:
        reason = (
            "threads would be greenlets, for the standard library has been made cooperative"
            " (`import gfcgi.patched`, gevent.monkey.patch_all()); leave one of the two out"
        )
    raise ConfigError(reason, option="threads", source=options.source_of("threads"))


def warn_of_late_modules(*, left_out: str = "") -> None:
    """Log what gevent had to say, what waits in C, and which modules patching came too late for.

    ``left_out`` is a package that copes with it.
    """
    patched = sys.modules.get("gfcgi.cooperative.standard_library")
    if patched is not None:
        for complaint in patched.complaints:
            log.warning("gevent: %s", complaint)
        tell(log.warning)
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        return
    # Without a record of what was imported before, all may have been.
    before = getattr(patched, "imported_before", None)
    late = late_modules(monkey.saved, sys.modules, before)
    named = [
        f"{name} ({', '.join(things)})"
        for name, things in late.items()
        if name.partition(".")[0] != left_out
    ]
    if named:
        rest = len(named) - NAMED_MODULES
        log.warning(
            "imported before the standard library was made cooperative, so that they may block"
            " every request while they wait: %s%s; put `import gfcgi.patched` at the top of the"
            ' script; see "Will my application work?" in gfcgi\'s documentation',
            "; ".join(named[:NAMED_MODULES]),
            f"; and {rest} more" if rest > 0 else "",
        )


def warn_of_late_options(options: Options) -> None:
    """Log which parts of ``no_cooperative`` were made cooperative before the option was read."""
    cooperative = sys.modules.get("gfcgi.cooperative")
    if cooperative is not None:
        late = [name for name in options.no_cooperative if name in cooperative.applied]
        if late:
            log.warning(
                "%s: %s cooperative by then; GFCGI_NO_COOPERATIVE in the environment is early"
                " enough",
                options.source_of("no_cooperative"),
                ", ".join(late) + (" was" if len(late) == 1 else " were"),
            )
