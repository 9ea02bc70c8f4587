"""Write ``docs/reference/options.md`` from the options themselves.

``python docs/generate.py`` writes it, ``python docs/generate.py --print`` shows it.
"""

from __future__ import annotations

import ast
import inspect
import sys
from dataclasses import fields
from pathlib import Path

from gfcgi import limits
from gfcgi.options import Options, reference_table

PAGE = Path(__file__).parent / "reference" / "options.md"

INTRODUCTION = """\
# Options

<!-- Made by `python docs/generate.py` from gfcgi/options.py and gfcgi/limits.py. -->

Each option can be given in four ways; where more than one gives it, the first of these wins:

1. a keyword of `gfcgi.run`: `gfcgi.run(application, max_params_bytes=65536)`
2. the command line: `python -m gfcgi hello.fcgi --max-params-bytes 65536`
3. the environment: `GFCGI_MAX_PARAMS_BYTES=65536`; an empty variable counts as not set
4. the default

A list is written with commas in the environment (`GFCGI_BIND=127.0.0.1:9000,[::1]:9000`), by
repeating the option on the command line, and as a list of texts in Python. A value that cannot be
used ends the program with status 2 and one line that names the option, its value and where it was
given.

"""

REASONS = """\
## Why these limits

Every buffer has a bound and every wait has an end, so that no Web server and no upload, however
broken, can take the whole machine.

"""


def reasons() -> dict[str, str]:
    """The text below each limit in gfcgi/limits.py, by the name of its option, in their order."""
    found: dict[str, str] = {}
    name = ""
    for statement in ast.parse(inspect.getsource(limits)).body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id.lower()
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and name:
            found[name] = " ".join(str(statement.value.value).split())
    return found


def page() -> str:
    options = {option.name for option in fields(Options)}
    lines = [f"- `{name}`: {why}\n" for name, why in reasons().items() if name in options]
    return f"{INTRODUCTION}{reference_table()}\n{REASONS}{''.join(lines)}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:
        sys.stdout.buffer.write(page().encode("utf-8"))
    else:
        PAGE.write_text(page(), "utf-8")
