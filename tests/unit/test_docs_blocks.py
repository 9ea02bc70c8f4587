"""The blocks of the pages: a shell can read the commands, their options exist, Python compiles."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gfcgi.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BEFORE = ("sudo", "-u", "www-data")
"""What may stand before our command."""


def blocks(language: str) -> list[object]:
    """Every block of a language in any page."""
    return [
        pytest.param(body, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, (of, body) in enumerate(FENCED.findall(page.read_text("utf-8")))
        if of == language
    ]


def gfcgi_commands() -> list[tuple[str, list[str]]]:
    """Every command of ours in a block for the shell or in a line of code: its page, its words."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        shell = "\n".join(body for of, body in FENCED.findall(text) if of == "sh")
        inline = re.findall(r"`([^`\n]*\bgfcgi [^`\n]*)`", FENCED.sub("", text))
        for line in [*shell.replace("\\\n", "").splitlines(), *inline]:
            for part in re.split(r"\||&&|;|\d?>", line):
                words = part.split("#")[0].replace("'", "").split()
                while words and words[0] in BEFORE:
                    words.pop(0)
                if words and words[0].rpartition("/")[2] == "gfcgi":
                    found.append((str(page.relative_to(ROOT)), words[1:]))
    return found


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """The options in the help of each command."""
    found = {}
    for command in COMMANDS:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "gfcgi",
                command,
                "--help-all" if command == "serve" else "--help",
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        found[command] = set(re.findall(r"(?<![\w-])(--?[a-zA-Z][\w-]*)", done.stdout))
    return found


@pytest.mark.parametrize("body", blocks("sh"))
def test_a_shell_can_read_every_block_for_it(body):
    done = subprocess.run(["bash", "-n"], input=body, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("body", blocks("python"))
def test_every_block_of_python_compiles(body):
    compile(textwrap.dedent(body), "page", "exec")


def test_every_option_in_a_command_of_the_pages_exists(known):
    commands = gfcgi_commands()
    assert len(commands) > 50
    wrong = []
    for page, words in commands:
        command = words[0] if words and words[0] in COMMANDS else "serve"
        options = {word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
        wrong += [(page, shlex.join(words), name) for name in options - known[command]]
    assert not wrong


def test_every_option_that_a_page_names_exists(known):
    """In the pages about gfcgi: ``--name`` in a line of code that has nothing else in it."""
    named = {
        name
        for page in PAGES
        if (page.parent.name in ("docs", "reference") or page.name == "README.md")
        and page.stem != "benchmarks"  # other servers' options
        for name in re.findall(r"`(--[a-z][\w-]+)(?: [A-Z]+)?`", page.read_text("utf-8"))
    }
    assert named
    assert named <= set().union(*known.values())
