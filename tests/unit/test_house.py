"""What is written down twice, for whoever reads only one of the places, says the same in both."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import gfcgi

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.is_file())
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

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


@pytest.mark.parametrize("name", ["run", "alone"])
def test_ci_can_be_started_as_a_program(name: str) -> None:
    assert os.access(ROOT / ".ci" / name, os.X_OK)


def test_pre_commit_runs_what_ci_lints_with() -> None:
    """The hooks' commands are those of tox's environments lint and types, in their order."""
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini", "utf-8")
    linted = [
        line
        for name in ("lint", "types")
        for line in tox[f"testenv:{name}"]["commands"].split("\n")
    ]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert re.findall(r"^ +entry: (.*)$", hooks, re.MULTILINE) == list(filter(None, linted))
    assert hooks.count("pass_filenames: false") == hooks.count("entry: ")
    assert re.findall(r"repo: (.*)$", hooks, re.MULTILINE) == ["local"]  # nothing is downloaded


def test_the_readme_shows_the_hello_example() -> None:
    """Nobody copies a script from the README that is not the tested one."""
    example = (ROOT / "examples/hello.fcgi").read_text("utf-8")
    assert f"```python\n{example}```\n" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_can_be_started_by_a_web_server(path: Path) -> None:
    """At most 60 lines, a #! line, the executable bit."""
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= 60
    program = "gfcgi" if path.suffix == ".fcgi" else "python3"
    assert lines[0] == f"#!/usr/bin/env {program}"
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


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md"])
def test_a_file_that_a_page_for_developers_names_is_there(page: str) -> None:
    """Renamed files are renamed there too. NAME stands for what somebody adds."""
    text = FENCED.sub("", (ROOT / page).read_text("utf-8"))
    named = re.findall(r"`(\.?[a-z_]\w*(?:/[\w.-]+)+/?|\.ci/run|\w+\.(?:py|md|toml|ini))`", text)
    missing = [
        name
        for name in named
        if "NAME" not in name
        and not (ROOT / name).exists()
        and not any(ROOT.glob(f"gfcgi/**/{name}"))
        and not any(ROOT.glob(f"tests/**/{name}"))
    ]
    assert named
    assert not missing


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


def project() -> dict[str, Any]:
    """The table ``project`` of pyproject.toml. Python 3.10 cannot read it, and tomli is no need."""
    tomllib = pytest.importorskip("tomllib")
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def tox_ini() -> configparser.ConfigParser:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", "utf-8")
    return tox


def test_tox_and_the_classifiers_name_the_same_pythons() -> None:
    """And each environment that takes the first of several Pythons can take any of them."""
    tox = tox_ini()
    tested = re.findall(r"\bpy3(\d+)\b", tox["tox"]["env_list"])
    classifiers = "\n".join(project()["classifiers"])
    assert tested == re.findall(r":: 3\.(\d+)$", classifiers, re.MULTILINE)
    assert re.findall(r"\bpy3(\d+)\b", tox["testenv:coverage"]["depends"]) == tested
    for name in set(tox.sections()) - {"testenv:oldest"}:
        if "base_python" in tox[name]:
            assert sorted(re.findall(r"\bpy3(\d+)\b", tox[name]["base_python"])) == tested


def test_what_gfcgi_needs_is_tested_in_its_oldest_version() -> None:
    """The environment ``oldest`` of tox installs the very versions that the metadata begins at."""
    oldest = tox_ini()["testenv:oldest"]["deps"].split()
    assert [need.replace(">=", "==") for need in project()["dependencies"]] == oldest


@pytest.mark.skipif(
    os.environ.get("TOX_ENV_NAME") != "oldest", reason="the environment oldest of tox has them"
)
@pytest.mark.parametrize("need", ["gevent", "greenlet"])
def test_the_oldest_versions_are_the_ones_that_are_tested(need: str) -> None:
    assert f"{need}=={version(need)}" in tox_ini()["testenv:oldest"]["deps"].split()


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
