"""docs/api: every name that a program may import is there, and its docstring says what it is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gfcgi
import gfcgi.protocol

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "api").glob("*.md"))
DIRECTIVE = re.compile(
    r"^\.\. (?:auto|py:)(?:class|exception|function|data):: (\S+)$", re.MULTILINE
)
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

NAMES = [
    f"{module.__name__}.{name}" for module in (gfcgi, gfcgi.protocol) for name in module.__all__
]


PACKAGE = Path(gfcgi.__file__).parent
SOURCES = {
    "gfcgi": [PACKAGE / name for name in ("errors.py", "options.py", "process/run.py")]
    + [PACKAGE / "server" / "server.py"],
    "gfcgi.protocol": sorted((PACKAGE / "protocol").glob("*.py")),
}
"""Where the names of each module are defined. Compiled functions have no docstrings: read these."""


def definitions(module: str) -> dict[str, ast.ClassDef | ast.FunctionDef]:
    return {
        node.name: node
        for path in SOURCES[module]
        for node in ast.parse(path.read_bytes()).body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef))
    }


def docstrings() -> dict[str, str | None]:
    """Of the public classes and functions, and of the classes' public methods and properties."""
    found: dict[str, str | None] = {}
    for module in SOURCES:
        defined = definitions(module)
        for name in sys.modules[module].__all__:
            if name in defined:
                add(found, f"{module}.{name}", defined[name], defined)
    return found


def add(
    found: dict[str, str | None],
    name: str,
    node: ast.ClassDef | ast.FunctionDef,
    defined: dict[str, ast.ClassDef | ast.FunctionDef],
) -> None:
    found.setdefault(name, ast.get_docstring(node))
    if isinstance(node, ast.ClassDef):
        for member in node.body:
            if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
                found.setdefault(f"{name}.{member.name}", ast.get_docstring(member))
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id in defined:
                inherited: dict[str, str | None] = {}
                add(inherited, name, defined[base.id], defined)
                for member_name, text in inherited.items():
                    found.setdefault(member_name, text)


DOCSTRINGS = docstrings()


def test_every_public_name_has_its_place_on_one_page_and_no_other_name_has():
    documented = [name for page in PAGES for name in DIRECTIVE.findall(page.read_text("utf-8"))]
    assert len(documented) == len(set(documented))
    assert set(documented) == {*NAMES, "gfcgi.errors.Fatal"}


@pytest.mark.parametrize("name", DOCSTRINGS)
def test_a_public_member_says_what_it_is(name):
    assert DOCSTRINGS[name]


def test_the_docstrings_are_those_of_all_public_classes_and_functions():
    assert {"gfcgi.run", "gfcgi.Server.stop", "gfcgi.Options.from_sources"} <= DOCSTRINGS.keys()
    inherited = {"receive_data", "next_event", "send", "send_end", "in_record"}
    assert {f"gfcgi.protocol.ApplicationConnection.{n}" for n in inherited} <= DOCSTRINGS.keys()
    data = {"gfcgi.__version__", "gfcgi.protocol.NEED_DATA", "gfcgi.protocol.Event"}
    assert set(NAMES) - data <= DOCSTRINGS.keys()


@pytest.mark.parametrize(
    "name",
    [
        "ApplicationConnection.next_event",
        "ApplicationConnection.receive_eof",
        "ApplicationConnection.send",
        "ApplicationConnection.send_end",
        "ApplicationConnection.send_stdout_header",
        "WebServerConnection.next_event",
        "WebServerConnection.receive_eof",
        "WebServerConnection.send",
        "decode_pairs",
        "decode_params",
        "encode_pairs",
    ],
)
def test_what_can_raise_in_the_protocol_says_what_and_which_section(name):
    text = DOCSTRINGS[f"gfcgi.protocol.{name}"]
    assert "Raises: " in text
    assert re.search(r"§\d|``section``", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_pages_example_imports_what_it_uses_from_the_public_modules(page):
    for example in EXAMPLE.findall(page.read_text("utf-8")):
        for node in ast.walk(ast.parse(example)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("gfcgi"):
                module = gfcgi.protocol if node.module == "gfcgi.protocol" else gfcgi
                assert {alias.name for alias in node.names} <= set(module.__all__)


def example(page: str) -> str:
    (found,) = EXAMPLE.findall((ROOT / "docs" / "api" / f"{page}.md").read_text("utf-8"))
    return found


def test_the_protocols_example_prints_what_was_asked_and_answered(capsys):
    exec(compile(example("protocol"), "protocol.md", "exec"), {})
    head, _, body = capsys.readouterr().out.partition("\r\n\r\n")
    assert head == "GET\nContent-Type: text/plain"
    assert body == "hello world\n\n"


def test_the_servers_example_serves_until_sigterm():
    """In a process of its own, because it patches the standard library."""
    with subprocess.Popen(
        [sys.executable, "-c", example("server")], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            port = int(process.stdout.readline().rpartition(" ")[2])
            response = request(f"127.0.0.1:{port}", "/")
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert response.startswith(b"200 OK\n")
    assert response.endswith(b"\nhello world\n")


def request(address: str, url: str) -> bytes:
    """What ``gfcgi request`` prints."""
    command = [sys.executable, "-m", "gfcgi", "request", address, url]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
