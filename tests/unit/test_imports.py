"""Who imports whom: read from the sources, and tried for the protocol core."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gfcgi

PACKAGE = Path(gfcgi.__file__).parent
EVERYBODY = {
    "_version",
    "addresses",
    "errors",
    "limits",
    "option_parsers",
    "options",
    "printing",
}
MAY_IMPORT = {
    "protocol": {"protocol", "errors", "limits"},
    "wsgi": {"wsgi", "protocol"} | EVERYBODY,
    "webserver": {"webserver", "protocol"} | EVERYBODY,
    "server": {"server", "wsgi", "protocol"} | EVERYBODY,
    "process": {"process", "server", "webserver", "wsgi", "protocol", "patched"} | EVERYBODY,
    "configurations": {"configurations"} | EVERYBODY,
    "commands": {"commands", "configurations", "process", "server", "webserver", "protocol"}
    | EVERYBODY,
}
"""The folders of the package, and what of gfcgi each may import, anywhere in its files."""

IMPORTERS_OF_GEVENT = {"server", "webserver", "patched"}
FORBIDDEN_TO_THE_CORE = "gevent greenlet socket select ssl logging threading asyncio subprocess"


def imports_of(path: Path) -> Iterator[str]:
    """Every absolute dotted name that a file imports, inside functions too."""
    package = path.relative_to(PACKAGE.parent).parent.parts
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*start, *filter(None, [node.module])))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def sources(folder: str) -> list[Path]:
    return sorted((PACKAGE / folder).rglob("*.py"))


def test_every_folder_of_the_package_has_its_place() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(MAY_IMPORT)


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_go_in_one_direction(folder: str) -> None:
    """commands → process → server → wsgi → protocol, and nobody imports the commands."""
    wrong = {
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in sources(folder)
        for name in imports_of(path)
        if name.startswith("gfcgi.") and name.split(".")[1] not in MAY_IMPORT[folder]
    }
    assert not wrong


def test_gevent_is_imported_by_the_server_and_its_other_side_alone() -> None:
    importers = {
        path.relative_to(PACKAGE).with_suffix("").parts[0]
        for path in sources("")
        for name in imports_of(path)
        if name.partition(".")[0] in ("gevent", "greenlet")
    }
    assert importers == IMPORTERS_OF_GEVENT


def test_the_protocol_core_is_imported_where_there_is_no_gevent_and_no_socket() -> None:
    """Whatever it needs is already there in a Python that can do no I/O."""
    script = f"""
import sys
for name in {FORBIDDEN_TO_THE_CORE!r}.split():
    sys.modules[name] = None
import gfcgi.protocol
print(*sorted(name for name in sys.modules if name.startswith("gfcgi.")))
"""
    done = subprocess.run(
        # Without `site`, so that nothing that is installed for coverage comes first.
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{script}"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = {name.split(".")[1] for name in done.stdout.split()}
    loaded.discard("compiled__mypyc")  # what the compiled build keeps its code in
    assert loaded == {"_version", "errors", "limits", "protocol"}
