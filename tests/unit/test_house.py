"""What is written down twice, for whoever reads only one of the places, says the same in both."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gfcgi

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.is_file())
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """The one-line commands of a page's ``sh`` blocks that begin in an empty environment."""
    return re.findall(r"^```sh\n(python3 -m venv [^\n]*)\n```$", page, re.MULTILINE)


def test_ci_runs_the_readmes_own_test_command() -> None:
    """The last line of .ci/run is the second of the README's commands, letter by letter."""
    _try_it, test_it = commands((ROOT / "README.md").read_text("utf-8"))
    assert (ROOT / ".ci/run").read_text("utf-8").splitlines()[-1] == test_it


def test_ci_can_be_started_as_a_program() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_the_readme_shows_the_hello_example() -> None:
    """Nobody copies a script from the README that is not the tested one."""
    example = (ROOT / "examples/hello.fcgi").read_text("utf-8")
    assert f"```python\n{example}```\n" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_can_be_started_by_a_web_server(path: Path) -> None:
    """At most 60 lines, a #! line, the executable bit."""
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= 60
    assert lines[0] == "#!/usr/bin/env python3"
    assert os.access(path, os.X_OK)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    """Relative links name a file that is there, and a heading that is in it."""
    for target in LINK.findall(FENCED.sub("", page.read_text("utf-8"))):
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        if anchor:
            headings = HEADING.findall(FENCED.sub("", linked.read_text("utf-8")))
            anchors = {
                re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings
            }
            assert anchor in anchors, target


def test_every_page_of_the_docs_can_be_found_from_their_index() -> None:
    index = ROOT / "docs/index.md"
    linked = {
        (index.parent / target.partition("#")[0]).resolve()
        for target in LINK.findall(index.read_text("utf-8"))
    }
    assert set((ROOT / "docs").rglob("*.md")) - {index} <= linked


def test_the_options_page_is_what_the_options_say() -> None:
    """docs/reference/options.md is generated; ``python docs/generate.py`` brings it up to date."""
    made = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--print"],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    ).stdout.decode("utf-8")
    assert (ROOT / "docs/reference/options.md").read_text("utf-8") == made


def test_setup_cfg_repeats_nothing_of_pyproject_toml() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    assert setup.sections() == ["sdist"]


@pytest.mark.skipif("TOX_ENV_NAME" not in os.environ, reason="a desk may test its sources")
def test_what_is_tested_is_the_installed_wheel(tmp_path: Path) -> None:
    """Neither this process nor one that a test starts finds gfcgi's sources instead."""
    assert not Path(gfcgi.__file__).is_relative_to(ROOT / "gfcgi")
    found = subprocess.run(
        [sys.executable, "-c", "import gfcgi; print(gfcgi.__file__)"],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    ).stdout.decode()
    assert found.strip() == gfcgi.__file__
