"""Write what the pages say twice: the options, the rules, and what ``gfcgi config`` prints.

``python docs/generate.py`` writes ``docs/reference/options.md`` and ``rules.md`` and, in each page,
the block after each command that prints a configuration; ``--print`` shows the options, ``--stale``
the pages that are not up to date.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import re
import sys
from dataclasses import fields
from pathlib import Path

from gfcgi import limits
from gfcgi.commands import config
from gfcgi.options import Options, reference_table
from gfcgi.wsgi.webserver_rules import RULES

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "options.md"
RULES_PAGE = ROOT / "docs" / "reference" / "rules.md"

PRINTED = re.compile(
    r"""
    ^(?P<bin>/[\w./-]*/bin)/gfcgi\ config\ (?P<arguments>[^|\n]+?)(?P<pipe>\ \|[^\n]*)?\n
    ```\n\n
    (?P<fence>```\w+\n)(?P<text>.*?)(?P<end>^```$)
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
"""A command at the end of a block, and the next block at once: what the command prints."""

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

RULES_INTRODUCTION = """\
# Rules

<!-- Made by `python docs/generate.py` from gfcgi/wsgi/webserver_rules.py. -->

Web servers do not all send the same. Each rule corrects one recorded difference, so that an
application gets what PEP 3333 and CGI/1.1 promise. `environ["gfcgi.original"]` has the former
values, and the log names a rule when it first applies.

The configurations that `gfcgi config` prints send the host, the user and the path as an
application needs them. Behind these no rule changes `HTTP_HOST`, `REMOTE_USER`, `SCRIPT_NAME` or
`PATH_INFO`; only H2O cannot send the mount point.

`--rules slash=off` leaves a rule out, and `--rules host-port=on` puts one in. More than one can
be given, separated by commas (`GFCGI_RULES=host-port=on,slash=off`). A rule that guesses is off:
`host-port` is right where nginx sends an `HTTP_HOST` without its port and nothing maps the port
in front of it, and wrong with `docker run -p 80:8080`. No rule believes a header field of a
client; `forwarded` believes those of `--trusted-proxies`.

A name that comes twice is put together first, without a rule to leave out. Header fields that are
lists are joined with `, `, and `Cookie` with `; `. Of all other names, `Host` and `Authorization`
among them, the last one counts: it is the line that a person added. Two different
`CONTENT_LENGTH`s are refused with 400, unless one is empty.

| Rule | Default | Why |
|---|---|---|
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


def rules_page() -> str:
    lines = [
        f"| `{rule.name}` | {'off' if rule.guesses else 'on'} | {rule.why} |\n" for rule in RULES
    ]
    return RULES_INTRODUCTION + "".join(lines)


def configuration(bin_directory: str, arguments: str) -> str:
    """What ``BIN_DIRECTORY/gfcgi config ARGUMENTS`` prints, run in the script's directory."""
    home = str(Path(bin_directory).parent.parent)
    here = ["--python", f"{bin_directory}/python", "--directory", home]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        config.main([*arguments.split(), *here])
    return printed.getvalue()


def with_configurations(text: str) -> str:
    """The page's text with each printed configuration as it is printed now."""
    return PRINTED.sub(
        lambda found: found[0].replace(
            found["fence"] + found["text"],
            found["fence"] + configuration(found["bin"], found["arguments"]),
        ),
        text,
    )


def pages() -> dict[Path, str]:
    """Every page of the docs and the README, as it is to be."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    made = {path: with_configurations(path.read_text("utf-8")) for path in paths}
    return made | {PAGE: page(), RULES_PAGE: rules_page()}


def stale() -> list[Path]:
    """The pages that are not as they are to be."""
    return [path for path, text in pages().items() if path.read_text("utf-8") != text]


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:
        sys.stdout.buffer.write(page().encode("utf-8"))
    elif sys.argv[1:] == ["--stale"]:
        print(*(path.relative_to(ROOT) for path in stale()), sep="\n", end="")
    else:
        for path, text in pages().items():
            path.write_text(text, "utf-8")
