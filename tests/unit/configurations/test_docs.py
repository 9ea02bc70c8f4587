"""What the pages say of ``gfcgi config`` is what it does."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from gfcgi.commands import main
from gfcgi.configurations import SERVERS

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"\bgfcgi config ((?:[a-z]+-?[a-z0-9]*) [^|`\n]*[^|`\s])")


@pytest.fixture(scope="module")
def generate():
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands():
    """Every ``gfcgi config SERVER TARGET …`` of the README and the docs that is a whole one."""
    return [
        (page, found[1])
        for page in PAGES
        for found in COMMAND.finditer(page.read_text("utf-8"))
        if not re.search(r"[A-Z]", found[1])
    ]


def test_pages_show_what_is_printed_now(generate):
    """``python docs/generate.py`` brings them up to date."""
    assert generate.stale() == []


def test_a_page_that_shows_something_else_is_noticed(generate):
    page = ROOT / "docs" / "howto" / "nginx.md"
    text = page.read_text("utf-8")
    changed = text.replace("fastcgi_pass hello;", "fastcgi_pass other;", 1)
    assert changed != text
    assert generate.with_configurations(changed) == text


@pytest.mark.parametrize("server", SERVERS)
def test_every_server_has_a_page_that_shows_its_configuration(generate, server):
    shown = [
        found["arguments"].split()[0]
        for page in PAGES
        for found in generate.PRINTED.finditer(page.read_text("utf-8"))
    ]
    assert server in shown


@pytest.mark.parametrize(
    ("page", "arguments"), commands(), ids=lambda value: getattr(value, "stem", value)
)
def test_every_command_of_the_pages_prints_a_configuration(capsys, page, arguments):
    assert main(["config", *arguments.split()]) == 0
    assert capsys.readouterr().out
