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
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
EVERYBODY = {
    "_version",
    "addresses",
    "current_directory",
    "errors",
    "exiting",
    "foreign_options",
    "http_fields",
    "limits",
    "unfailing_log",
    "option_keywords",
    "option_parsers",
    "options",
    "own_command",
    "printing",
    "sockets",
    "targets",
}
MAY_IMPORT = {
    "protocol": {"protocol", "errors", "limits"},
    "wsgi": {"wsgi", "protocol"} | EVERYBODY,
    "client": {"client", "protocol"} | EVERYBODY,
    "compat": {"compat", "process"} | EVERYBODY,
    "checking": {"checking", "client", "process", "protocol"} | EVERYBODY,
    "server": {"server", "wsgi", "protocol"} | EVERYBODY,
    "cooperative": {
        "cooperative",
        "exiting",
        "limits",
        "unfailing_log",
        "option_parsers",
        "plugins",
    },
    "process": {"process", "server", "client", "wsgi", "protocol", "cooperative", "patched"}
    | EVERYBODY,
    "configurations": {"configurations"} | EVERYBODY,
    "commands": {
        "commands",
        "checking",
        "configurations",
        "process",
        "server",
        "client",
        "protocol",
    }
    | EVERYBODY,
}
"""The folders of the package, and what of gfcgi each may import, anywhere in its files."""

IMPORTERS_OF_GEVENT = {"checking", "cooperative", "server", "client"}
FORBIDDEN_TO_THE_CORE = "gevent greenlet socket select ssl logging threading asyncio subprocess"


def imports_of(path: Path, top: Path = PACKAGE) -> Iterator[str]:
    """Every absolute dotted name that a file of ``top`` imports, inside functions too."""
    package = path.relative_to(top.parent).parent.parts
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


def imports_among_modules(top: Path) -> dict[str, set[str]]:
    """Each module of the package, and those of the package that it imports, for types too."""
    modules = {}
    for path in sorted(top.rglob("*.py")):
        parts = path.relative_to(top.parent).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path

    def home(name: str) -> str:
        return name if name in modules else name.rpartition(".")[0]

    return {
        module: {home(name) for name in imports_of(path, top)} & modules.keys() - {module}
        for module, path in modules.items()
    }


def circles(imports: dict[str, set[str]]) -> list[set[str]]:
    """The largest sets of modules each of which leads to every other by imports."""

    def reached_from(start: str) -> set[str]:
        found: set[str] = set()
        ahead = [start]
        while ahead:
            new = imports[ahead.pop()] - found
            found |= new
            ahead += new
        return found

    reached = {module: reached_from(module) for module in imports}
    found: list[set[str]] = []
    for module in sorted(imports):
        if module in reached[module] and not any(module in circle for circle in found):
            found.append({other for other in reached[module] if module in reached[other]})
    return found


@pytest.mark.parametrize("top", [PACKAGE, BENCHMARKS], ids=["gfcgi", "benchmarks"])
def test_no_modules_import_each_other_in_a_circle(top: Path) -> None:
    """Imports for type checkers alone count: whoever needs a type from above is tied to it."""
    assert circles(imports_among_modules(top)) == []


def test_a_circle_that_is_put_in_is_found() -> None:
    imports = imports_among_modules(PACKAGE)
    assert "gfcgi.server.output" in imports["gfcgi.server.request"]
    imports["gfcgi.server.output"].add("gfcgi.server.request")
    assert {"gfcgi.server.output", "gfcgi.server.request"} in circles(imports)


def test_gevent_is_imported_by_the_server_and_its_other_side_alone() -> None:
    importers = {
        path.relative_to(PACKAGE).with_suffix("").parts[0]
        for path in sources("")
        for name in imports_of(path)
        if name.partition(".")[0] in ("gevent", "greenlet")
    }
    assert importers == IMPORTERS_OF_GEVENT


def test_gunicorn_is_imported_in_one_room_alone() -> None:
    importers = {
        path.parent.relative_to(PACKAGE)
        for path in sources("")
        for name in imports_of(path)
        if name.partition(".")[0] == "gunicorn"
    }
    assert importers == {Path("process/workers")}


def test_prometheus_client_is_imported_in_one_room_alone() -> None:
    importers = {
        path.parent.relative_to(PACKAGE)
        for path in sources("")
        for name in imports_of(path)
        if name.partition(".")[0] == "prometheus_client"
    }
    assert importers == {Path("process/status")}


def test_the_protocol_core_is_imported_where_there_is_no_gevent_and_no_socket() -> None:
    """Whatever it needs is already there in a Python that can do no I/O."""
    script = f"""
import sys
for name in {FORBIDDEN_TO_THE_CORE!r}.split():
    sys.modules[name] = None
import gfcgi.protocol
print(*sorted(name for name in sys.modules if name.startswith("gfcgi.")))
"""
    path = [str(PACKAGE.parent), *sys.path]  # where the package is, be it editable
    done = subprocess.run(
        # Without `site`, so that nothing that is installed for coverage comes first.
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {path!r}\n{script}"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = {name.split(".")[1] for name in done.stdout.split()}
    assert loaded == {"_version", "errors", "limits", "protocol"}


def test_pywsgi_is_used_in_one_file_alone() -> None:
    """Nobody documents how it reads and writes HTTP, so what may change is in one place."""
    users = [
        path.name
        for path in PACKAGE.rglob("*.py")
        if any(name.startswith("gevent.pywsgi") for name in imports_of(path))
    ]
    assert users == ["http_server.py"]
